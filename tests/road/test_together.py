"""Many processes want one model: it is fetched once, whoever dies meanwhile; and one can tell another to stop."""

from threading import Event

import pytest

from availability import cancel, progress, status
from availability.catalog import Catalog
from availability.ensure import ensure_all
from availability.model import parse_model_id
from availability.requests import Request
from availability.selection import Selection
from availability.status import Availability
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, MIB, WEIGHTS, until
from tests.road.ground import MODEL, Ground, size_of
from tests.road.travellers import Traveller

OTHER = "org/other"
SIZE = 12 * MIB + 17


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    for model in (MODEL, OTHER):
        write_model(store, model, {CONFIG: b"{}\n", WEIGHTS: SIZE})
    return store


@pytest.fixture
def ground(models, tmp_path):
    """A line on which a model takes three seconds: a download is recorded every second."""
    line = Fault("shape", WEIGHTS, bytes_per_second=4 * MIB)
    with FaultyHub(models, faults=[line]) as hub:
        yield Ground(hub, tmp_path)


@pytest.fixture
def quick(models, tmp_path):
    line = Fault("shape", WEIGHTS, bytes_per_second=16 * MIB)
    with FaultyHub(models, faults=[line]) as hub:
        yield Ground(hub, tmp_path)


def arrived(ground, model=MODEL):
    """Return how many bytes a running download says that it has."""
    told = progress(model, workspace=ground.workspace())
    return told.bytes_done if told else 0


def travellers(ground, count, model=MODEL):
    return [Traveller(ground.all_settings(), model, ground.root / f"answer{index}") for index in range(count)]


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_ensure_one_model_at_once_fetch_it_once(quick, count):
    told = [traveller.outcome() for traveller in travellers(quick, count)]
    assert [one["success"] for one in told] == [True] * count, told
    assert len({one["path"] for one in told}) == 1
    quick.assert_honest()
    assert quick.sent() <= 1.05 * size_of(quick.hub)
    assert sorted(one["bytes_fetched"] > 0 for one in told) == [False] * (count - 1) + [True]


def test_two_models_are_fetched_side_by_side(ground):
    pair = [
        Traveller(ground.all_settings(), model, ground.root / f"answer{index}")
        for index, model in enumerate((MODEL, OTHER))
    ]
    until(lambda: arrived(ground) and arrived(ground, OTHER))
    assert all(one.outcome()["success"] for one in pair)
    ground.assert_honest()


def test_whoever_waits_goes_on_where_a_killed_holder_ended(ground):
    (holder,) = travellers(ground, 1)
    until(lambda: arrived(ground) > 3 * MIB)
    waiting = travellers(ground, 3)
    assert holder.kill()
    ground_is_honest_while_others_work(ground)
    told = [traveller.outcome() for traveller in waiting]
    assert all(one["success"] for one in told), told
    ground.assert_honest()
    assert ground.sent() <= 1.25 * size_of(ground.hub)
    assert sum(one["bytes_fetched"] for one in told) <= SIZE - 3 * MIB + MIB


def ground_is_honest_while_others_work(ground):
    assert not status(MODEL, workspace=ground.workspace()).availability_status.is_available


def test_while_somebody_fetches_it_is_downloading_and_when_he_dies_it_is_missing(ground):
    (holder,) = travellers(ground, 1)
    until(lambda: arrived(ground))
    assert status(MODEL, workspace=ground.workspace()).availability_status is Availability.DOWNLOADING
    assert holder.kill()
    assert status(MODEL, workspace=ground.workspace()).availability_status is Availability.MISSING
    assert progress(MODEL, workspace=ground.workspace()) is None


def test_a_download_can_be_cancelled_from_another_process_and_what_has_arrived_is_kept(ground):
    (holder,) = travellers(ground, 1)
    until(lambda: arrived(ground) > 3 * MIB)
    assert cancel(MODEL, workspace=ground.workspace())
    told = holder.outcome()
    assert told["error"]["type"] == "DownloadCancelledError", told
    assert told["attempts"] == 1, "cancelling is final"
    ground.assert_honest()
    assert status(MODEL, workspace=ground.workspace()).download.state.value == "cancelled"
    again = ground.ensure()
    assert again.success, again.error
    assert again.bytes_fetched <= SIZE - 3 * MIB + MIB
    ground.assert_honest()


def test_one_that_waits_for_another_can_be_stopped(ground):
    (holder,) = travellers(ground, 1)
    until(lambda: arrived(ground))
    stop = Event()
    stop.set()
    (outcome,) = ensure_all(
        ground.workspace(), [Request(parse_model_id(MODEL), Selection())], catalog=Catalog(), stop=stop
    )
    assert type(outcome.error).__name__ == "DownloadCancelledError"
    assert holder.outcome()["success"]
    ground.assert_honest()


def test_there_is_nothing_to_cancel_where_nobody_works(quick):
    assert quick.ensure().success
    assert not cancel(MODEL, workspace=quick.workspace())


def test_one_that_died_while_it_took_the_lease_is_not_waited_for(quick):
    lease = quick.workspace().lease_path(parse_model_id(MODEL))
    lease.parent.mkdir(parents=True)
    lease.touch()  # as it is after a kill, or a power cut, before the holder has written who he is
    (traveller,) = travellers(quick, 1)
    assert traveller.outcome()["success"]
    assert [path.name for path in lease.parent.iterdir()] == [f"{lease.stem}.claim"]
