"""Orders reach a download in whatever process it is, hold over every death, and cost no byte twice."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from availability import cancel, downloads, pause, resume, set_limit, set_priority, status
from availability.catalog import Catalog, Priority
from availability.ensure import ensure_all
from availability.errors import DownloadPausedError, NoDownloadError, UsageError
from availability.model import parse_model_id
from availability.requests import Request
from availability.selection import Selection
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, KIB, MIB, WEIGHTS, until
from tests.road.ground import MODEL, Ground, size_of
from tests.road.travellers import Traveller

MODELS = [MODEL, "org/second", "org/third", "org/fourth"]
SIZE = 12 * MIB + 17
LINE = Fault("shape", WEIGHTS, bytes_per_second=4 * MIB)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    for number, model in enumerate(MODELS):  # content of its own, or each would come from the one before
        write_model(store, model, {CONFIG: b"{}\n", WEIGHTS: SIZE}, seed=number)
    return store


@pytest.fixture
def ground(models, tmp_path):
    """A line on which a model takes three seconds."""
    with FaultyHub(models, faults=[LINE]) as hub:
        yield Ground(hub, tmp_path)


@pytest.fixture
def narrow(models, tmp_path):
    """The same, where one model may be fetched at a time."""
    with FaultyHub(models, faults=[LINE]) as hub:
        yield Ground(hub, tmp_path, {"download.max_concurrent_downloads": 1})


def set_out(ground, model=MODEL, number=0):
    return Traveller(ground.all_settings(), model, ground.root / f"answer{number}")


def listed(ground, **more):
    return {str(one.model): one for one in downloads(workspace=ground.workspace(), **more)}


def state(ground, model=MODEL):
    found = listed(ground).get(model)
    return found.state.value if found else None


def arrived(ground, model=MODEL):
    found = listed(ground).get(model)
    return found.progress.bytes_done if found and found.progress else 0


def waiting(ground, model=MODEL):
    """Why a download waits, in words; empty when it does not, or when there is none."""
    found = listed(ground).get(model)
    return (found.as_dict()["waiting"] if found else None) or ""


def order_of_arrival(ground):
    """The models in the order in which the hub was first asked for their weights."""
    asked = [record.path.split("/resolve/")[0].strip("/") for record in ground.hub.requests if WEIGHTS in record.path]
    return [*dict.fromkeys(asked)]


# --- pause ----------------------------------------------------------------------------------------------


def test_paused_killed_started_again_and_resumed_it_comes_to_its_end_with_no_byte_twice(ground):
    here = ground.workspace()
    traveller = set_out(ground)
    until(lambda: arrived(ground) > 3 * MIB)
    pause(MODEL, workspace=here)
    told = traveller.outcome()
    assert told["error"]["type"] == "DownloadPausedError"
    assert state(ground) == "paused"

    # Whoever asks now is told by whom and how it goes on, and moves nothing; nor does one that is killed at it.
    sent = ground.sent()
    again = set_out(ground)
    refused = again.outcome()["error"]
    assert "paused by" in refused["message"]
    assert refused["advice"][0] == f"Let it go on: availability downloads resume {MODEL}"
    killed = set_out(ground)
    killed.kill()
    assert ground.sent() == sent
    assert state(ground) == "paused"

    outcome = resume(MODEL, workspace=ground.workspace())
    assert outcome.success
    assert state(ground) is None
    assert ground.sent() <= 1.05 * size_of(ground.hub)
    ground.assert_honest()


def test_a_worker_that_was_killed_while_it_was_told_to_pause_is_paused_none_the_less(ground):
    traveller = set_out(ground)
    until(lambda: arrived(ground) > 3 * MIB)
    assert traveller.kill()
    pause(MODEL, workspace=ground.workspace())
    assert state(ground) == "paused"
    assert not ground.ensure().success
    assert resume(MODEL, workspace=ground.workspace()).success
    assert ground.sent() <= 1.05 * size_of(ground.hub) + 4 * 128 * 1024
    ground.assert_honest()


def test_a_pause_gives_the_slot_and_the_lease_to_others(narrow):
    first = set_out(narrow)
    until(lambda: arrived(narrow) > MIB)
    second = set_out(narrow, MODELS[1], 1)
    until(lambda: state(narrow, MODELS[1]) == "queued")
    pause(MODEL, workspace=narrow.workspace())
    assert not first.outcome()["success"]
    assert second.outcome()["success"]
    assert state(narrow) == "paused"


def test_a_resume_goes_on_with_the_files_that_were_asked_for(ground):
    here = ground.workspace()
    ground.hub.faults.append(Fault("latency", CONFIG, seconds=2.0))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ground.ensure, include=("*.json",))
        until(lambda: state(ground) == "downloading")
        pause(MODEL, workspace=here)
        assert isinstance(running.result().error, DownloadPausedError)
    outcome = resume(MODEL, workspace=here)
    assert [path.name for path in outcome.path.iterdir()] == [CONFIG]
    assert ground.hub.count(WEIGHTS) == 0


def test_a_pause_of_what_nobody_knows_is_refused_and_a_second_resume_as_well(ground):
    with pytest.raises(NoDownloadError, match="nothing was paused"):
        pause("org/nobody", workspace=ground.workspace())
    with pytest.raises(NoDownloadError, match="not paused"):
        resume(MODEL, workspace=ground.workspace())
    assert ground.files() == set()


def test_what_is_complete_is_served_while_it_is_paused(ground):
    assert ground.ensure().success
    pause(MODEL, workspace=ground.workspace())
    assert ground.ensure().success
    assert status(MODEL, workspace=ground.workspace()).availability_status.is_available


# --- cancel ---------------------------------------------------------------------------------------------


def test_a_cancel_in_the_middle_is_final_and_what_has_arrived_is_kept(ground):
    traveller = set_out(ground)
    until(lambda: arrived(ground) > 3 * MIB)
    assert cancel(MODEL, workspace=ground.workspace())
    told = traveller.outcome()
    assert (told["error"]["type"], told["attempts"]) == ("DownloadCancelledError", 1)
    assert state(ground) is None
    assert listed(ground, ended=True)[MODEL].state.value == "cancelled"
    again = ground.ensure()
    assert again.bytes_fetched <= SIZE - 3 * MIB + MIB
    ground.assert_honest()


def test_what_waits_in_the_queue_can_be_cancelled_and_moves_nothing(narrow):
    first = set_out(narrow)
    until(lambda: arrived(narrow) > MIB)
    second = set_out(narrow, MODELS[1], 1)
    until(lambda: state(narrow, MODELS[1]) == "queued")
    assert cancel(MODELS[1], workspace=narrow.workspace())
    told = second.outcome()
    assert told["error"]["type"] == "DownloadCancelledError"
    assert narrow.hub.count(MODELS[1]) == 0
    assert first.outcome()["success"]


def test_what_waits_for_a_retry_can_be_cancelled(ground):
    ground.hub.faults.append(Fault("status", CONFIG))
    settings = {"download.max_retries": 3, "download.retry_delay_seconds": 60, "download.max_retry_delay_seconds": 60}
    patient = Ground(ground.hub, ground.root, settings)
    traveller = set_out(patient)
    until(lambda: "retry in" in waiting(patient))
    assert cancel(MODEL, workspace=patient.workspace())
    told = traveller.outcome()
    assert (told["error"]["type"], told["attempts"]) == ("DownloadCancelledError", 1)


def test_what_is_paused_can_be_cancelled_and_is_not_paused_any_more(ground):
    traveller = set_out(ground)
    until(lambda: arrived(ground) > MIB)
    pause(MODEL, workspace=ground.workspace())
    traveller.outcome()
    assert cancel(MODEL, workspace=ground.workspace())
    assert state(ground) is None
    assert listed(ground, ended=True)[MODEL].state.value == "cancelled"
    assert ground.ensure().success


# --- the queue ------------------------------------------------------------------------------------------


def test_no_more_are_fetched_at_once_than_may_be_over_all_processes(narrow):
    all_of_them = [set_out(narrow, model, number) for number, model in enumerate(MODELS)]
    most = 0
    while any(one.is_alive for one in all_of_them):
        most = max(most, sum(one.state.value == "downloading" for one in downloads(workspace=narrow.workspace())))
    assert most == 1
    assert all(one.outcome()["success"] for one in all_of_them)
    narrow.assert_honest()


def test_a_change_of_priority_reorders_what_waits_over_all_processes(narrow):
    first = set_out(narrow)
    until(lambda: arrived(narrow) > MIB)
    others = []
    for number, model in enumerate(MODELS[1:], 1):
        others.append(set_out(narrow, model, number))
        until(lambda model=model, number=number: state(narrow, model) and listed(narrow)[model].position == number)
    found = set_priority(MODELS[3], "critical", workspace=narrow.workspace())
    assert (found.position, found.priority) == (1, "critical")
    set_priority(MODELS[1], "low", workspace=narrow.workspace())
    assert [str(one.model) for one in downloads(workspace=narrow.workspace())] == [
        MODEL,
        MODELS[3],
        MODELS[2],
        MODELS[1],
    ]
    assert all(one.outcome()["success"] for one in (first, *others))
    assert order_of_arrival(narrow) == [MODEL, MODELS[3], MODELS[2], MODELS[1]]
    # What was ordered for these downloads is no order for the next ones.
    assert narrow.workspace().orders.standing("priority", parse_model_id(MODELS[3])) is None


def test_what_waits_within_one_process_is_listed_and_reordered_too(narrow):
    told = []
    stop = Event()
    requests = [Request(parse_model_id(model), Selection(), Priority.NORMAL) for model in MODELS]
    here = narrow.workspace()

    def watch(model, progress):
        if str(model) == MODEL and progress.bytes_done > MIB and not told:
            told.extend((one.state.value, one.position) for one in downloads(workspace=here))
            set_priority(MODELS[3], "high", workspace=here)

    outcomes = ensure_all(here, requests, catalog=Catalog(), on_progress=watch, stop=stop)
    assert all(outcome.success for outcome in outcomes)
    assert [outcome.model_id for outcome in outcomes] == MODELS
    assert told == [("downloading", None), ("queued", 1), ("queued", 2), ("queued", 3)]
    assert order_of_arrival(narrow) == [MODEL, MODELS[3], MODELS[1], MODELS[2]]


def test_one_who_died_while_he_waited_or_ran_is_not_waited_for(narrow):
    first = set_out(narrow)
    until(lambda: arrived(narrow) > MIB)
    second = set_out(narrow, MODELS[1], 1)
    until(lambda: state(narrow, MODELS[1]) == "queued")
    third = set_out(narrow, MODELS[2], 2)
    until(lambda: state(narrow, MODELS[2]) == "queued")
    assert second.kill()
    assert first.kill()
    assert third.outcome()["success"]
    assert listed(narrow) == {}


# --- the limit of one download --------------------------------------------------------------------------


def sent_between_two_records(ground):
    """How much the hub sends while a running download writes its record twice more: about two seconds."""
    record = ground.workspace().controls.read
    before, written = ground.sent(), set()

    def look():
        written.add(record(parse_model_id(MODEL)).updated_at)
        return len(written) == 3

    until(look)
    return ground.sent() - before


def test_a_limit_slows_a_running_download_down_and_its_end_lets_it_go(ground):
    traveller = set_out(ground)
    until(lambda: arrived(ground) > MIB)
    set_limit(MODEL, 0.01, workspace=ground.workspace())
    until(lambda: listed(ground)[MODEL].limit_mbps == 0.01)
    # What fits into the buffers on the way is not stopped; the line by itself would carry eight MiB.
    assert sent_between_two_records(ground) < 2 * MIB
    until(lambda: sent_between_two_records(ground) < 64 * KIB)
    set_limit(MODEL, 0, workspace=ground.workspace())
    assert traveller.outcome()["success"]


@pytest.mark.parametrize("mbps", [-1, float("nan"), float("inf")], ids=str)
def test_what_is_no_speed_is_refused(ground, mbps):
    with pytest.raises(UsageError, match="no speed"):
        set_limit(MODEL, mbps, workspace=ground.workspace())


@pytest.mark.parametrize("order", [set_limit, set_priority], ids=["limit", "priority"])
def test_there_is_nothing_to_order_where_nobody_downloads(ground, order):
    with pytest.raises(NoDownloadError, match=f"No download of {MODEL} runs"):
        order(MODEL, 1 if order is set_limit else "high", workspace=ground.workspace())


# --- making room ----------------------------------------------------------------------------------------


def test_while_models_serve_downloads_wait_and_go_on_where_they_were(ground):
    traveller = set_out(ground)
    until(lambda: arrived(ground) > 3 * MIB)
    serving = ground.state / "serving"
    serving.touch()
    until(lambda: "models serve" in waiting(ground))
    assert sent_between_two_records(ground) == 0
    serving.unlink()
    assert traveller.outcome()["success"]
    assert ground.sent() <= 1.05 * size_of(ground.hub)
    ground.assert_honest()


def test_a_download_that_waits_for_models_that_serve_can_be_cancelled(ground):
    ground.state.mkdir()
    (ground.state / "serving").touch()
    traveller = set_out(ground)
    until(lambda: "models serve" in waiting(ground))
    assert ground.sent() == 0
    assert cancel(MODEL, workspace=ground.workspace())
    assert traveller.outcome()["error"]["type"] == "DownloadCancelledError"
