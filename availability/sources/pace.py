"""When a source is too slow to wait for: judged by what others give, not by a figure that fits no line.

Pure. Judged is only the time for which it was waited for the source; what we do with the bytes does not count.
"""

from collections.abc import Sequence

from availability.sources.body import LeftError, SourcedBody
from availability.sources.member import Member

_EXPLORE_SECONDS = 2.0
"""After so long, and with as much ahead, a source whose speed nobody knows is worth a try."""


def too_slow(body: SourcedBody, bytes_per_second: float, others: Sequence[Member], share: float) -> LeftError | None:
    """Return why a source is left for another one, None when it goes on.

    Args:
        body: on its way.
        bytes_per_second: its pace just now.
        others: who else could be asked for the file.
        share: of another source's pace below which it is too slow.
    """
    known = {other.name: other.account.bytes_per_second for other in others}
    name, best = max(((n, pace) for n, pace in known.items() if pace), key=lambda pair: pair[1], default=("", 0.0))
    if bytes_per_second < share * best:
        return LeftError(
            f"{body.source} sent {body.file.path} with {_kib(bytes_per_second)}, {name} sends with {_kib(best)}",
            is_at_fault=True,
        )
    unknown = [other.name for other in others if known[other.name] is None and not other.is_local]
    left = body.stop - body.start - body.received
    if unknown and body.waiting >= _EXPLORE_SECONDS and left > _EXPLORE_SECONDS * bytes_per_second:
        return LeftError(
            f"{body.source} sent {body.file.path} with {_kib(bytes_per_second)}, and {unknown[0]} is tried",
            is_at_fault=False,
        )
    return None


def _kib(bytes_per_second: float) -> str:
    return f"{bytes_per_second / 1024:,.0f} KiB/s"
