"""Under Prefect the road ends as it does without: what a disk refuses is one model's named error, and no other's."""

import pytest

from service.faults import FaultyHub
from tasks.ending import RunFailedError
from tests.road.ground import MODEL, PARTS_MODEL, Ground


@pytest.fixture
def ground(published, tmp_path, monkeypatch):
    with FaultyHub(published) as hub:
        ground = Ground(hub, tmp_path)
        for name, value in ground.all_settings().items():
            group, _, field = name.partition(".")
            monkeypatch.setenv(f"ENHANCED_MODEL_{group}_{field}".upper(), str(value))
        yield ground


@pytest.mark.prefect
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_what_a_disk_refuses_is_one_models_error_and_stops_no_other(ground):
    from flows.ensure_models import ensure_models  # noqa: PLC0415  seconds, which the other tests need not wait for

    refs = ground.store / "models--org--tiny/refs"
    refs.mkdir(parents=True)
    (refs / "main").symlink_to("main")  # leads to itself
    state = ensure_models([MODEL, PARTS_MODEL], return_state=True)
    with pytest.raises(RunFailedError, match="1 of 2 models verified") as caught:
        state.result()
    outcomes = {outcome.model_id: outcome for outcome in caught.value.outcome}
    assert state.is_failed()
    assert outcomes[PARTS_MODEL].success
    assert type(outcomes[MODEL].error).__name__ == "StorageError"
    assert outcomes[MODEL].error.advice
    (refs / "main").unlink()
    refs.rmdir()
    refs.parent.rmdir()
    ground.assert_honest()
