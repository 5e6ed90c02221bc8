"""The law of the first run: once a store and a name it only says what it would do."""

from availability import open_workspace
from availability.rehearsal import is_first_run, note_run


def test_the_first_run_is_the_first_until_it_is_noted_for_each_name_and_each_store(tmp_path):
    here = open_workspace({"storage.models_directory": tmp_path / "here"})
    there = open_workspace({"storage.models_directory": tmp_path / "there"})
    assert is_first_run(here, "repair-model")
    assert not (tmp_path / "here.availability").exists()
    note_run(here, "repair-model")
    assert not is_first_run(here, "repair-model")
    assert is_first_run(here, "clean-storage")
    assert is_first_run(there, "repair-model")
