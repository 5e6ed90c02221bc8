"""A listing that would harm the store or the machine is refused as it comes in, before anything is written."""

import json
from contextlib import suppress

import pytest

from availability.ensure import plan_one
from availability.errors import EnhancedModelAvailabilityError, UnsafeModelError
from availability.model import parse_model_id
from availability.requests import Request
from availability.selection import Selection
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, write_tiny_model
from tests.road.ground import FIRST_PAGE, MODEL, REVISION, Ground

OID = "1" * 40
SHA256 = "2" * 64
UNSAFE = "UnsafeModelError"
FAILED = "DownloadFailedError"

PATHS = {
    "above the folder": "../x",
    "above the folder, deep inside": "a/b/../../../x",
    "absolute": "/etc/cron.d/x",
    "a drive": "C:/windows/x",
    "a drive without a root": "c:x",
    "backslashes": "..\\..\\x",
    "a network share": "\\\\server\\share\\x",
    "a control character": "a\x00b",
    "a line break": "a\nb",
    "a turned direction": "a\u202etxt.exe",
    "a lone surrogate": "a\ud800b",
    "git's own folder": ".git/config",
    "git's own folder in capitals": "sub/.GIT/hooks/post-checkout",
    "the client's own folder": ".cache/huggingface/download/x.metadata",
    "an empty part": "a//b",
    "a dot": "a/./b",
    "nothing": "",
    "a device": "aux.json",
    "a blank at the end": "config.json ",
    "a name too long": "x" * 300,
    "a path too long": "/".join(["x" * 100] * 20),
    "a client's blob": "a/../../../blobs/x",
}


def file(path, size=5, *, oid=OID, lfs=None, **more):
    return {"type": "file", "path": path, "size": size, "oid": oid, **({"lfs": lfs} if lfs else {}), **more}


def large(size, sha256=SHA256):
    return file("model.safetensors", 130, lfs={"oid": sha256, "size": size, "pointerSize": 130})


ENTRIES = {
    "names in two cases": [file("README.md"), file("readme.md")],
    "names in two forms of Unicode": [file("caf\u00e9.json"), file("cafe\u0301.json")],
    "a file that is another's folder": [file("a"), file("a/b.json")],
    "the same name twice": [file("a.json"), file("a.json", oid="3" * 40)],
    "a negative size": [file("a.json", -1)],
    "a size of a petabyte": [large(10**15)],
    "a size beyond any number": [large(10**40)],
    "a digest that is a path": [file("a.json", oid="../../../../etc/passwd")],
    "a SHA-256 that is a path": [large(5, "../" * 21 + "x")],
    "a SHA-256 in capitals": [large(5, "A" * 64)],
    "an empty digest": [file("a.json", oid="")],
    "pickles alone": [file("pytorch_model.bin")],
    "a program": [file("setup.exe"), file("config.json")],
}

NONSENSE = {
    "an entry that is a text": ["config.json"],
    "an entry that is a list": [[]],
    "an entry that is null": [None],
    "no path": [{"type": "file", "size": 5, "oid": OID}],
    "a path that is a number": [file(5)],
    "a path that is a list": [file(["a"])],
    "a size that is a text": [file("a.json", "5")],
    "a size that is a fraction": [file("a.json", 0.5)],
    "a size that is true": [file("a.json", size=True)],
    "no size": [{"type": "file", "path": "a.json", "oid": OID}],
    "no digest": [{"type": "file", "path": "a.json", "size": 5}],
    "a digest that is null": [file("a.json", oid=None)],
    "a digest that is a list": [file("a.json", oid=[])],
    "lfs that is a text": [file("a.json", lfs="x")],
    "lfs without a size": [file("a.json", lfs={"oid": SHA256, "pointerSize": 1})],
    "a SHA-256 that is a number": [large(5, 5)],
    "a Xet hash that is a list": [file("a.json", xetHash=[])],
    "no list at all": {"error": "no"},
    "a number": 5,
}

BODIES = {
    "deeply nested": b"[" * 200_000,
    "not UTF-8": b'["\xff\xfe"]',
    "a number of a million digits": b"[" + b"9" * 1_000_000 + b"]",
    "cut off": b'[{"type": "file"',
    "empty": b"",
}

INFOS = {
    "no commit": {"id": MODEL, "siblings": []},
    "a commit that is a path": {"sha": "../../../x", "siblings": []},
    "a commit that is a branch": {"sha": "main", "siblings": []},
    "a commit that is a number": {"sha": 5, "siblings": []},
    "siblings that are null": {"sha": OID, "siblings": None},
    "siblings that are numbers": {"sha": OID, "siblings": [{"rfilename": 5}, {"rfilename": "a"}]},
    "siblings without names": {"sha": OID, "siblings": [{}]},
    "a list": [],
    "a text": "x",
    "null": None,
}


@pytest.fixture
def ground(tmp_path):
    write_tiny_model(tmp_path / "published")
    with FaultyHub(tmp_path / "published") as hub:
        yield Ground(hub, tmp_path)


def lists(ground, entries):
    ground.hub.faults.append(says(REVISION, {"sha": OID, "siblings": []}))
    ground.hub.faults.append(says(r"/tree/", entries))


def says(route, value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Fault("status", route, status=200, body=body or b" ")


def assert_refused(ground, expected):
    """Refused by a dry run, which writes nothing, and by a run, which writes that it was refused and nothing else."""
    seen = plan_one(ground.workspace(), Request(parse_model_id(MODEL), Selection()))
    assert isinstance(seen, EnhancedModelAvailabilityError), seen
    assert ground.files() == set()
    outcome = ground.ensure()
    assert type(outcome.error).__name__ == expected, outcome.error
    assert ground.hub.count("/resolve/") == 0
    assert [path for path in ground.store.rglob("*") if not path.is_dir()] == []
    kept = {path.removeprefix(f"{ground.state}/").partition("/")[0] for path in ground.files()}
    assert kept <= {"controls", "leases", "spool"}
    assert not [path for path in ground.root.iterdir() if path.name not in ("published", "store", "state")]
    ground.assert_honest()
    str(outcome.as_dict()).encode("utf-8", "backslashreplace")
    return outcome


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_leads_elsewhere_is_refused(ground, path):
    lists(ground, [file(CONFIG), file(path)])
    outcome = assert_refused(ground, UNSAFE)
    assert isinstance(outcome.error, UnsafeModelError)
    assert len(outcome.error.reasons) >= 1


@pytest.mark.parametrize("entries", ENTRIES.values(), ids=ENTRIES)
def test_names_sizes_and_digests_that_cannot_be_honest_are_refused(ground, entries):
    lists(ground, entries)
    outcome = assert_refused(ground, UNSAFE)
    assert outcome.error.advice


@pytest.mark.parametrize("entries", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_listing_is_named_as_such(ground, entries):
    lists(ground, entries)
    assert "not a listing" in str(assert_refused(ground, FAILED).error)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("route", [REVISION, FIRST_PAGE], ids=["revision", "tree"])
def test_what_is_no_json_is_named_as_such(ground, route, body):
    ground.hub.faults.append(says(route, body))
    assert "not a listing" in str(assert_refused(ground, FAILED).error)


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
def test_a_revision_that_is_none_is_named_as_such(ground, info):
    ground.hub.faults.append(says(REVISION, info))
    assert "not a listing" in str(assert_refused(ground, FAILED).error)


def test_a_hundred_thousand_files_are_refused(ground):
    lists(ground, [file(f"{index}.json") for index in range(100_000)])
    assert "more than 20000 files" in str(assert_refused(ground, UNSAFE).error)


@pytest.mark.parametrize("entries", [[], [{"type": "directory", "path": "a", "oid": OID, "size": 0}]])
def test_pages_that_lead_in_a_circle_come_to_an_end(ground, entries):
    following = f'<{ground.hub.url}/api/models/{MODEL}/tree/{OID}?cursor=1>; rel="next"'
    body = json.dumps(entries).encode()
    # `status` sets headers of the answer as well.
    ground.hub.faults.append(says(REVISION, {"sha": OID, "siblings": []}))
    ground.hub.faults.append(Fault("status", r"/tree/", status=200, body=body, headers={"Link": following}))
    outcome = ground.ensure(admission__max_files=50)
    assert type(outcome.error).__name__ == FAILED
    assert ground.hub.count(r"/tree/") <= 60


def test_the_next_page_is_asked_for_where_the_first_one_was(ground):
    with FaultyHub(ground.hub.library.store) as other:
        following = f'<{other.url}/api/models/{MODEL}/tree/main?cursor=1>; rel="next"'
        first = Fault("status", FIRST_PAGE, status=200, body=b"[]", headers={"Link": following})
        ground.hub.faults.append(first)
        with suppress(EnhancedModelAvailabilityError):
            ground.ensure()
        assert other.count() == 0
    ground.assert_honest()


def test_one_bad_name_refuses_the_whole_model_even_if_it_is_not_selected(ground):
    lists(ground, [file(CONFIG), file("../x.bin")])
    outcome = ground.ensure(include=(CONFIG,))
    assert type(outcome.error).__name__ == UNSAFE
