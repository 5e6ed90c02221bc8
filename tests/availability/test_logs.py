"""The law of logs: each part as loud as the settings say, the file without secrets, and nobody disturbed by it."""

import logging
import re

import pytest

from availability.logs import LogFile, set_levels
from availability.settings import load_settings
from tests.builders import KIB

PARTS = ("availability", "availability.road", "availability.road.fetching", "analytics", "huggingface_hub", "urllib3")


@pytest.fixture(autouse=True)
def _levels():
    before = {name: logging.getLogger(name).level for name in PARTS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def settings(tmp_path):
    def load(**given):
        store = {"storage.models_directory": tmp_path / "store"}
        return load_settings(store | {name.replace("__", "."): value for name, value in given.items()}, dotenv=None)

    return load


def line(message="something", **more):
    return logging.makeLogRecord({"name": "availability.x", "levelname": "INFO", "msg": message, **more})


def emit(settings, *records):
    handler = LogFile(settings)
    for record in records:
        handler.emit(record)
    handler.close()
    return settings.log_path


def test_every_part_has_its_own_level_and_those_inside_follow_it(settings):
    set_levels(settings(log_level="WARNING", log_levels="availability.road=DEBUG,urllib3=ERROR"))
    found = {name: logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) for name in PARTS}
    assert found == {
        "availability": "WARNING",
        "availability.road": "DEBUG",
        "availability.road.fetching": "DEBUG",
        "analytics": "WARNING",
        "huggingface_hub": "WARNING",
        "urllib3": "ERROR",
    }


def test_a_line_has_time_level_part_process_and_words_and_no_secret(settings, tmp_path):
    path = emit(settings(log_file=tmp_path / "logs/mine.log"), line("sent hf_NobodyMaySeeThis0 to http://me:word@host"))
    told = path.read_text()
    assert re.fullmatch(r"[-\d]+T[:\d]+\.\d{3}Z INFO availability.x \d+ sent \*\*\* to http://\*\*\*@host\n", told)


def test_it_never_makes_the_state_folder_and_lies_in_it_once_that_is_there(settings):
    mine = settings()
    assert not emit(mine, line()).exists()
    assert not mine.storage.cache_directory.exists()
    mine.storage.cache_directory.mkdir()
    assert emit(mine, line()) == mine.storage.cache_directory / "logs/availability.log"
    assert "something" in mine.log_path.read_text()


def test_a_large_one_is_followed_by_a_new_one_and_two_old_ones_stay(settings, tmp_path):
    path = emit(
        settings(log_file=tmp_path / "my.log", log_file_mib=KIB / 1024**2), *(line("x" * 500) for _ in range(20))
    )
    assert sorted(found.name for found in tmp_path.glob("my.log*")) == ["my.log", "my.log.1", "my.log.2"]
    assert path.stat().st_size <= KIB


def test_a_place_that_takes_no_log_disturbs_nobody(settings, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert not emit(settings(log_file=tmp_path / "file/my.log"), line()).exists()
    assert capfd.readouterr() == ("", "")
