"""The table of what a hub can do over the wire, and how the road must end each time."""

from dataclasses import dataclass, field, replace
from itertools import product

from service.faults import Fault
from tests.builders import MIB, WEIGHTS
from tests.road.ground import (
    FIRST_PAGE,
    LARGE,
    MODEL,
    PART_BYTES,
    PARTS_MODEL,
    PARTS_SIZE,
    ROUTES,
    SIZE,
    SMALL,
    unused_port,
)

VERIFIED = "verified"
FAILED = "DownloadFailedError"
LISTING = {name: ROUTES[name] for name in ("revision", "first page", "second page")}
FILES = {name: ROUTES[name] for name in ("small file", "large file")}
SIGNED = r"^GET /repos/"


@dataclass(frozen=True)
class Row:
    """One fault and how it must end.

    Attributes:
        name: what happens.
        faults: by which rules.
        expected: `verified`, or the name of the one error.
        settings: that hold beside the quick ones.
        attempts: how many there are, None where it does not matter.
        share: bytes sent of what is needed, at most; None where it does not matter.
        says: what the error must say.
        hub: how the hub is set up.
        model: which is asked for.
    """

    name: str
    faults: tuple[Fault, ...]
    expected: str
    settings: dict[str, object] = field(default_factory=dict)
    attempts: int | None = None
    share: float | None = None
    says: str = ""
    hub: dict[str, object] = field(default_factory=dict)
    model: str = MODEL


RETRY = {"download.max_retries": 1}
IMPATIENT = {"download.stall_seconds": 4}
"""Longer than a busy machine lets a hub pause that does its best."""
CDN = {"cdn": True}


def too_many():
    told = {"Retry-After": {"Retry-After": "1"}, "RateLimit": {"RateLimit": '"api";r=0;t=1'}, "no header": {}}
    for (route, pattern), (kind, headers) in product(ROUTES.items(), told.items()):
        if kind == "RateLimit" and route not in ("revision", "large file"):
            continue  # read in one place for all routes, and each row waits
        fault = Fault("status", pattern, times=1, status=429, headers=headers)
        # What the server asks for is waited for inside the attempt; else the wait is the retry policy's.
        yield Row(f"429 with {kind}, {route}", (fault,), VERIFIED, RETRY, attempts=1 if headers else 2, share=1.05)
    for route, pattern in ROUTES.items():
        yield Row(f"429 always, {route}", (Fault("status", pattern, status=429),), FAILED, says="429")
        late = Fault("status", pattern, status=429, headers={"Retry-After": "86400"})
        yield Row(f"429 until tomorrow, {route}", (late,), FAILED, says="come back")
        nagging = Fault("status", pattern, status=429, headers={"Retry-After": "0"})
        bounded = {"download.max_server_wait_seconds": 0.5}
        yield Row(f"429 with no time to wait, {route}", (nagging,), FAILED, bounded, says="429")


def server_errors():
    for route, pattern in LISTING.items():
        fault = Fault("status", pattern, times=1)
        yield Row(f"503 once, {route}", (fault,), VERIFIED, RETRY, attempts=2, share=1.05)
    for (route, pattern), status in product(FILES.items(), (500, 502, 503, 504)):
        fault = Fault("status", pattern, times=3, status=status)
        yield Row(f"{status} three times, {route}", (fault,), VERIFIED, attempts=1, share=1.05)
    for (route, pattern), status in product(ROUTES.items(), (500, 503)):
        yield Row(f"{status} always, {route}", (Fault("status", pattern, status=status),), FAILED, says=str(status))
    burst = Fault("status", SIGNED, times=3)
    yield Row("503 three times, signed URL", (burst,), VERIFIED, attempts=1, share=1.05, hub=CDN)
    yield Row("503 always, signed URL", (Fault("status", SIGNED),), FAILED, says="503", hub=CDN)


def cuts():
    for (route, pattern), kind in zip(LISTING.items(), ("fin", "reset", "fin"), strict=True):
        fault = Fault(kind, pattern, times=1, after=20)
        yield Row(f"{kind} after 20 bytes, {route}", (fault,), VERIFIED, RETRY, attempts=2, share=1.05)
        yield Row(f"{kind} after 20 bytes always, {route}", (Fault(kind, pattern, after=20),), FAILED)
    for route, pattern in ROUTES.items():
        fault = Fault("reset", pattern, before_head=True)
        yield Row(f"reset before the head always, {route}", (fault,), FAILED)
    for route, pattern in FILES.items():
        fault = Fault("reset", pattern, times=3, before_head=True)
        yield Row(f"reset before the head three times, {route}", (fault,), VERIFIED, attempts=1, share=1.05)
    for kind, after in product(("fin", "reset"), (0, 12)):
        fault = Fault(kind, SMALL, times=1, after=after)
        yield Row(f"{kind} after {after} bytes, small file", (fault,), VERIFIED, attempts=1, share=1.05)
    for kind, after in product(("fin", "reset"), (0, 1, MIB + 1, SIZE - 1)):
        fault = Fault(kind, LARGE, times=1, after=after)
        yield Row(f"{kind} after {after} bytes, large file", (fault,), VERIFIED, attempts=1, share=1.05)
        # A line that brings something each time is gone on with; one that brings nothing is given up.
        ends = VERIFIED if after > MIB else FAILED
        yield Row(
            f"{kind} after {after} bytes always, large file", (Fault(kind, LARGE, after=after),), ends, share=1.05
        )
    fault = Fault("reset", LARGE, after=PART_BYTES - 1)
    yield Row("reset at a part's last byte always", (fault,), VERIFIED, share=1.05, model=PARTS_MODEL)


def silence():
    for (route, pattern), kind in zip(LISTING.items(), ("latency", "stall", "stall"), strict=True):
        fault = Fault(kind, pattern, times=1, seconds=60, after=5)
        yield Row(f"{kind} once, {route}", (fault,), VERIFIED, RETRY | IMPATIENT, attempts=2, share=1.05)
    for (route, pattern), kind in product(FILES.items(), ("stall", "latency")):
        fault = Fault(kind, pattern, times=1, seconds=60, after=12)
        yield Row(f"{kind} once, {route}", (fault,), VERIFIED, IMPATIENT, attempts=1, share=1.05)
    for kind, route in (("latency", "revision"), ("stall", "large file")):
        yield Row(f"{kind} always, {route}", (Fault(kind, ROUTES[route], seconds=60, after=12),), FAILED, IMPATIENT)
    floor = IMPATIENT | {"download.min_kib_per_second": 256}
    trickle = Fault("trickle", LARGE, times=1, after=MIB, bytes_per_second=2048)
    yield Row("trickle once", (trickle,), VERIFIED, floor, attempts=1, share=1.05)
    yield Row("trickle always", (Fault("trickle", LARGE, bytes_per_second=2048),), FAILED, floor, says="KiB/s")


def wrong_answers():
    answers = {
        "416": Fault("unsatisfiable", LARGE),
        "length too large": Fault("wrong_length", LARGE, by=1),
        "length too small": Fault("wrong_length", LARGE, by=-1),
        "length too large, small file": Fault("wrong_length", SMALL, by=1),
        "length too small, small file": Fault("wrong_length", SMALL, by=-1),
        "page of HTML, small file": Fault("html", SMALL),
        "page of HTML, large file": Fault("html", LARGE),
    }
    of_parts = {
        "wrong range": Fault("wrong_range", LARGE),
        "wrong total": Fault("wrong_total", LARGE),
    }
    for model, table in ((MODEL, answers), (PARTS_MODEL, of_parts)):
        for name, fault in table.items():
            yield Row(f"{name} once", (replace(fault, times=1),), VERIFIED, attempts=1, model=model)
            yield Row(f"{name} always", (fault,), FAILED, model=model)
    other = Fault("etag", LARGE, times=1, skip=1)
    yield Row("another ETag for the second part", (other,), VERIFIED, RETRY, model=PARTS_MODEL)
    first = replace(other, skip=0)
    yield Row("another ETag for the first part", (first,), VERIFIED, RETRY, model=PARTS_MODEL)
    changing = Fault("etag", LARGE, skip=1)
    # Whichever answer comes first decides what the first attempt takes; the next one is told one tag throughout.
    yield Row("another ETag for all but the first", (changing,), VERIFIED, RETRY, model=PARTS_MODEL)
    ignored = Fault("ignore_range", LARGE)
    yield Row("ignored Range once", (replace(ignored, times=1),), VERIFIED, attempts=1, model=PARTS_MODEL)
    yield Row("ignored Range always", (ignored,), VERIFIED, attempts=1, model=PARTS_MODEL)
    for route, pattern in LISTING.items():
        yield Row(f"page of HTML once, {route}", (Fault("html", pattern, times=1),), VERIFIED, RETRY, attempts=2)
        yield Row(f"page of HTML always, {route}", (Fault("html", pattern),), FAILED, says="not a listing")


def flips():
    # Shaped, so that what a connection had under way when it was closed counts for little, also on a busy machine.
    line = Fault("shape", LARGE, bytes_per_second=2 * MIB)
    # The second delivery ends where the wrong byte is found: half a file more on average.
    for offset, share in ((0, 1.6), (SIZE // 4, 1.6), (SIZE - 1, 2.05)):
        rules = line, Fault("flip", LARGE, times=1, offsets=(offset,))
        yield Row(f"byte {offset} flipped once", rules, VERIFIED, RETRY, attempts=2, share=share)
    rules = line, Fault("flip", LARGE, times=1, offsets=(PARTS_SIZE // 4,))
    yield Row("byte of a part flipped once", rules, VERIFIED, RETRY, attempts=2, share=1.6, model=PARTS_MODEL)
    rules = line, Fault("flip", LARGE, times=1, offsets=tuple(range(100, 3 * MIB, MIB // 2)))
    yield Row("bytes in three chunks flipped once", rules, VERIFIED, RETRY, attempts=2, share=2.05)
    once = Fault("flip", SMALL, times=1, offsets=(3,))
    yield Row("byte of a small file flipped once", (once,), VERIFIED, RETRY, attempts=2, share=1.05)
    for route, pattern in FILES.items():
        always = Fault("flip", pattern, offsets=(3,))
        yield Row(f"byte flipped always, {route}", (always,), FAILED, RETRY, attempts=2, says="expected")


def refusals():
    of_listing = [
        (401, "RepoNotFound", "ModelNotFoundError"),
        (401, "", "ModelNotFoundError"),
        (401, "GatedRepo", "GatedModelError"),
        (403, "GatedRepo", "GatedModelError"),
        (403, "", "AccessDeniedError"),
        (404, "RepoNotFound", "ModelNotFoundError"),
        (404, "RevisionNotFound", "RevisionNotFoundError"),
        (404, "", "ModelNotFoundError"),
        (451, "", "SourceRefusedError"),
    ]
    of_files = [
        (401, "GatedRepo", "GatedModelError"),
        (403, "GatedRepo", "GatedModelError"),
        (401, "RepoNotFound", "ModelNotFoundError"),
        (403, "", "AccessDeniedError"),
        (404, "EntryNotFound", "FileNotServedError"),
        (404, "RevisionNotFound", "RevisionNotFoundError"),
        (404, "RepoNotFound", "ModelNotFoundError"),
        (404, "", "FileNotServedError"),
        (410, "", "FileNotServedError"),
        (451, "", "SourceRefusedError"),
    ]
    for routes, table in ((LISTING, of_listing), (FILES, of_files)):
        for (route, pattern), (status, code, expected) in product(routes.items(), table):
            fault = Fault("status", pattern, status=status, headers={"X-Error-Code": code} if code else {})
            # Final: one attempt, whatever the policy allows.
            yield Row(f"{status} {code or 'without a code'}, {route}", (fault,), expected, RETRY, attempts=1)


def redirects():
    yield Row("relative redirects", (), VERIFIED, attempts=1, share=1.05, hub={"relative_redirects": True})
    yield Row("two origins", (), VERIFIED, attempts=1, share=1.05, hub=CDN, model=PARTS_MODEL)
    expired = Fault("expire", SIGNED, skip=1, times=1)
    yield Row("signed URLs expired", (expired,), VERIFIED, attempts=1, share=1.05, hub=CDN, model=PARTS_MODEL)
    yield Row("signed URLs always expired", (Fault("expire", SIGNED),), FAILED, hub=CDN, says="403")
    for status in (401, 404, 410):
        gone = Fault("status", SIGNED, times=2, status=status)
        yield Row(f"{status} at the second origin, twice", (gone,), VERIFIED, attempts=1, share=1.05, hub=CDN)
    for name, location in {
        "in a circle": f"/org/tiny/resolve/main/{WEIGHTS}",
        "to nowhere": "",
        "to an origin that is down": f"http://127.0.0.1:{unused_port()}/x",
        "to a file of this machine": "file:///etc/passwd",
        "to no address at all": "http://[",
        "to a port that is none": "http://127.0.0.1:99999999/x",
        "to a path beyond ASCII": "/org/tiny/r\u00e9solve",
        "to a host that is none": f"http://{'a' * 64}..b/x",
    }.items():
        fault = Fault("status", LARGE, status=302, headers={"Location": location} if location else {})
        yield Row(f"redirect {name}", (fault,), FAILED)


def cut_listings():
    for route in ("first page", "second page"):
        fault = Fault("truncate_listing", ROUTES[route], times=1)
        yield Row(f"half of the {route} once", (fault,), VERIFIED, RETRY, attempts=2)
        yield Row(f"half of the {route} always", (Fault("truncate_listing", ROUTES[route]),), FAILED)
    yield Row("no second page once", (Fault("truncate_listing", FIRST_PAGE, times=1, drop_next=True),), VERIFIED, RETRY)
    yield Row("no second page ever", (Fault("truncate_listing", FIRST_PAGE, drop_next=True),), FAILED, says="lacks")


ROWS = [
    *too_many(),
    *server_errors(),
    *cuts(),
    *silence(),
    *wrong_answers(),
    *flips(),
    *refusals(),
    *redirects(),
    *cut_listings(),
]
