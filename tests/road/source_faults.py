"""What a source of bytes can do wrong, one row of the fault table for each kind, and whether it still serves alone."""

from dataclasses import dataclass

from service.faults import Fault
from tests.builders import MIB

FILES = r"/resolve/"
LARGE = r"/resolve/.*model.safetensors"


@dataclass(frozen=True)
class Failure:
    """One way in which a source fails.

    Attributes:
        name: what happens.
        faults: by which rules.
        serves: whether the files can be had of it alone.
        is_steady: whether it does not even fail a request meanwhile.
        lies: whether wrong bytes come from it.
        binds: whether it is an answer that nobody contradicts, when the hub gives it.
        is_dead: nobody listens there at all.
    """

    name: str
    faults: tuple[Fault, ...] = ()
    serves: bool = False
    is_steady: bool = False
    lies: bool = False
    binds: bool = False
    is_dead: bool = False


def status(code, error_code="", **headers):
    told = {"X-Error-Code": error_code} if error_code else {}
    return (Fault("status", FILES, status=code, headers=told | headers),)


FAILURES = (
    Failure("none", serves=True, is_steady=True),
    Failure("dead", is_dead=True),
    Failure("reset before the head", (Fault("reset", FILES, before_head=True),)),
    Failure("reset in the middle", (Fault("reset", LARGE, after=300_000),), serves=True),
    Failure("stall", (Fault("stall", LARGE, seconds=60, after=1000),)),
    Failure("503", status(503)),
    Failure("429", status(429)),
    Failure("gated", status(403, "GatedRepo")),
    Failure("404 model", status(404, "RepoNotFound")),
    Failure("404 revision", status(404, "RevisionNotFound"), binds=True),
    Failure("404 file", status(404, "EntryNotFound"), binds=True),
    Failure("page of HTML", (Fault("html", FILES),)),
    Failure("byte flipped in the large file", (Fault("flip", LARGE, offsets=(MIB // 2,)),), lies=True),
    Failure("byte flipped in every file", (Fault("flip", FILES, offsets=(3,)),), lies=True),
    Failure("wrong ETag", (Fault("etag", FILES),), serves=True, is_steady=True),
    Failure("ignored ranges", (Fault("ignore_range", FILES),), serves=True, is_steady=True),
)
"""What is tried in pairs."""

MORE_FAILURES = (
    *FAILURES,
    Failure("no answer", (Fault("latency", FILES, seconds=60),)),
    Failure("ends before the first byte", (Fault("fin", FILES, after=0),)),
    Failure("429 until tomorrow", status(429, **{"Retry-After": "86400"})),
    Failure("401 without a model", status(401, "RepoNotFound")),
    Failure("403", status(403)),
    Failure("451", status(451)),
    Failure("416", (Fault("unsatisfiable", FILES),)),
    Failure("length too large", (Fault("wrong_length", FILES, by=1),)),
    Failure("redirect to nowhere", (Fault("status", LARGE, status=302),)),
)
"""What triples are drawn from."""
