"""The laws of the two lines: a use is kept, a program is never disturbed, and its neighbours never meet our names."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics.privacy import hash_user
from analytics.schemas import judge, read_lines
from availability import usage
from availability.settings import load_settings
from availability.spool import Spool, read_salt, spooled_bytes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY", str(tmp_path / "state"))
    usage._forget()
    yield tmp_path / "state/spool"
    usage._forget()


def recorded(folder):
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_two_lines_record_a_load(spool):
    with usage.load("org/a", revision="v1", size_bytes=7, user="ann", details={"device": "cpu"}):
        pass
    [event] = recorded(spool)
    assert event["seconds"] >= 0
    assert {name: event[name] for name in ("kind", "model_id", "revision", "size_bytes", "success", "details")} == {
        "kind": "load",
        "model_id": "org/a",
        "revision": "v1",
        "size_bytes": 7,
        "success": True,
        "details": {"device": "cpu"},
    }
    assert event["user_hash"] == hash_user("ann", read_salt(spool)), "both ends hash alike"
    assert "ann" not in (next(spool.glob("*.jsonl"))).read_text()


def test_what_is_recorded_passes_the_door(spool):
    with usage.load('org/ä"\\\n', user="ann", details={"a": [1]}):
        pass
    with pytest.raises(KeyError), usage.inference("org/a"):
        raise KeyError("theirs")
    lines = b"".join(file.read_bytes() for file in spool.glob("*.jsonl")).splitlines()
    judged = judge(read_lines(lines), datetime.now(UTC))
    assert judged.rejected == ()
    assert judged.accepted["model_id"].to_list() == ['org/ä"\\\n', "org/a"]
    assert judged.accepted["error_kind"].to_list() == [None, "KeyError"]


def test_a_failure_is_recorded_and_passes_through_untouched(spool):
    error = ValueError("theirs")
    with pytest.raises(ValueError, match="theirs") as caught, usage.load("org/a"):
        raise error
    assert caught.value is error
    [event] = recorded(spool)
    assert (event["success"], event["error_kind"]) == (False, "ValueError")


def test_a_decorated_function_is_recorded_at_each_call_and_stays_what_it_was(spool):
    @usage.inference("org/a")
    def twice(number: int) -> int:
        """Double it."""
        return 2 * number

    assert [twice(1), twice(number=2)] == [2, 4]
    assert (twice.__name__, twice.__doc__) == ("twice", "Double it.")
    assert [event["kind"] for event in recorded(spool)] == ["inference", "inference"]


def test_functions_that_wait_or_give_piecewise_are_recorded_when_they_end(spool):
    @usage.inference("org/a")
    async def waiting():
        await asyncio.sleep(0)
        return 1

    @usage.inference("org/b")
    async def streaming():
        yield 1
        yield 2

    @usage.inference("org/c")
    def giving():
        yield 1
        yield 2
        return 3

    async def all_of_it():
        return await waiting(), [item async for item in streaming()]

    assert asyncio.run(all_of_it()) == (1, [1, 2])
    given = giving()
    assert next(given) == 1
    assert len(recorded(spool)) == 2, "it has not given everything yet"
    assert list(given) == [2]
    for _ in giving():
        break
    assert [event["model_id"] for event in recorded(spool)] == ["org/a", "org/b", "org/c", "org/c"]
    assert all(event["success"] for event in recorded(spool))


def test_every_event_of_many_threads_is_kept_whole_with_an_id_of_its_own(spool):
    def work():
        for _ in range(200):
            with usage.inference("org/a"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = recorded(spool)
    assert len(events) == len({event["event_id"] for event in events}) == 1600


def test_a_child_made_by_fork_records_beside_its_parent(spool):
    with usage.load("org/parent"):
        pass
    child = os.fork()
    if child == 0:
        with usage.load("org/child"):
            pass
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with usage.load("org/parent"):
        pass
    events = recorded(spool)
    assert sorted(event["model_id"] for event in events) == ["org/child", "org/parent", "org/parent"]
    assert len({event["event_id"] for event in events}) == 3
    assert len(list(spool.glob("*.jsonl"))) == 2


def test_switched_off_nothing_is_written(spool, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", "false")
    usage._forget()
    with usage.load("org/a", user="ann"):
        pass
    assert not spool.exists()


class Hostile:
    def __str__(self):
        raise RuntimeError("not a text")

    __repr__ = __index__ = __int__ = __bool__ = __str__


@pytest.mark.parametrize("given", ["x", None, 5, Hostile()], ids=["text", "none", "number", "hostile"])
@pytest.mark.usefixtures("spool")
def test_nothing_that_a_program_passes_disturbs_it(given):
    with usage.load(given, size_bytes=given, user=given, details={"a": given}):
        pass

    @usage.inference(given)
    def answer():
        return 42

    assert answer() == 42


def test_a_spool_that_cannot_be_written_disturbs_nobody(tmp_path, monkeypatch, caplog):
    (tmp_path / "state").write_text("a file where the folder should be")
    monkeypatch.setenv("ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY", str(tmp_path / "state"))
    usage._forget()
    for _ in range(3):
        with usage.load("org/a", user="ann"):
            pass
        with usage.load("org/a"):
            pass
    usage._forget()
    assert caplog.text.count("not recorded for now") == 1


ENVIRONMENTS = {
    "nothing": {},
    "a state folder": {"ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY": "/data/state"},
    "a store": {"ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": "/data/store"},
    "a store below home": {"ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": "~/store"},
    "development": {"ENHANCED_MODEL_PROFILE": "development"},
    "development with a store": {
        "ENHANCED_MODEL_PROFILE": "Development",
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": ".local/development/other",
    },
    "the client's cache": {"HF_HUB_CACHE": "/data/hub"},
    "the client's home": {"HF_HOME": "/data/hf"},
    "the system's cache": {"XDG_CACHE_HOME": "/data/cache"},
    "an empty variable": {"ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY": ""},
}
_ASK = """
import sys
from availability import usage
print(usage.spool_folder().absolute())
print(any(name.partition(".")[0] in ("pydantic", "huggingface_hub", "duckdb", "analytics") for name in sys.modules))
from availability.settings import load_settings
print((load_settings(dotenv=None).storage.cache_directory / "spool").absolute())
"""


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_spool_is_where_the_settings_say(tmp_path, name):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ENHANCED_", "XDG_"))}
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **ENVIRONMENTS[name]}
    command = [sys.executable, "-c", _ASK]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    ours, heavy, settings = done.stdout.splitlines()
    assert ours == settings
    assert heavy == "False", "standard library only"


@pytest.mark.parametrize("word", ["false", "0", "No", "off", " FALSE ", "true", "1", "yes", ""])
def test_off_means_what_it_means_to_the_settings(monkeypatch, word):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", word)
    env = {"ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS": word.strip()}
    assert usage.is_on() == load_settings(env=env, dotenv=None).features.usage_analytics


def test_it_lives_beside_a_user_s_own_packages_of_the_same_names(tmp_path):
    for name in ("analytics", "tasks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("owner = 'the user'\n")
    code = (
        "import analytics, tasks\nfrom availability import usage\n"
        "with usage.load('org/a'):\n    pass\nprint(analytics.owner, tasks.owner)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
                   "ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY": str(tmp_path / "state")}  # fmt: skip
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "the user the user\n"
    assert len(recorded(tmp_path / "state/spool")) == 1


LINE = b'{"n": 1234567}\n'


def test_a_spool_grows_to_its_bound_and_refuses_the_rest(tmp_path, caplog):
    spool = Spool(tmp_path, max_bytes=10 * len(LINE), segment_bytes=3 * len(LINE))
    kept = sum(spool.append(LINE) for _ in range(50))
    assert kept == 10
    assert spooled_bytes(tmp_path) == 10 * len(LINE)
    assert caplog.text.count("not recorded for now") == 1


def test_after_something_was_shipped_there_is_room_again(tmp_path):
    first = Spool(tmp_path, max_bytes=2 * len(LINE), segment_bytes=2 * len(LINE))
    assert [first.append(LINE) for _ in range(3)] == [True, True, False]
    next(tmp_path.glob("*.jsonl")).unlink()
    assert Spool(tmp_path, max_bytes=2 * len(LINE)).append(LINE)


def test_a_segment_that_someone_deleted_is_replaced_within_some_lines(tmp_path):
    spool = Spool(tmp_path)
    assert spool.append(LINE)
    next(tmp_path.glob("*.jsonl")).unlink()
    assert all(spool.append(LINE) for _ in range(300))
    assert spooled_bytes(tmp_path) > 0


def test_the_salt_is_one_whoever_asks_first_and_nobody_else_reads_it(tmp_path):
    salts = set()
    threads = [threading.Thread(target=lambda: salts.add(read_salt(tmp_path / "spool"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(salts) == 1
    assert (tmp_path / "spool/salt").stat().st_mode & 0o077 == 0
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["salt"]
