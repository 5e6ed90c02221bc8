"""Since when models cannot be used, as far as anybody has looked: remembered beside the store, because looks are apart.

The history knows it better where there is one; alerts must not hang on that.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from availability.durable import replace_content
from availability.inventory import ModelStatus


@dataclass(frozen=True, slots=True)
class Outage:
    """A model that cannot be used.

    Attributes:
        status: what was seen of it now.
        since: when it was first seen like that, seconds since the epoch.
        seconds: how long that is.
    """

    status: ModelStatus
    since: float
    seconds: float


def follow(statuses: Iterable[ModelStatus], before: Mapping[str, float], now: float) -> tuple[Outage, ...]:
    """Return the outages there are, each since it was first seen; one that has ended begins anew the next time.

    Args:
        statuses: what was seen now of each model that should be there.
        before: since when each model could not be used, by name, as the look before this one left it.
        now: seconds since the epoch.
    """
    lost = [status for status in statuses if not status.availability_status.is_available]
    # A clock that was put back must not give an outage that is yet to begin.
    begun = [(status, min(before.get(str(status.model), now), now)) for status in lost]
    return tuple(Outage(status, since, now - since) for status, since in begun)


class Outages:
    """The memory of looks: one file, the last writer wins."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self._path = path

    def look(self, statuses: Iterable[ModelStatus], now: float) -> tuple[Outage, ...]:
        """Return the outages there are, and remember them for the next look.

        Raises:
            OSError: the memory cannot be written.
        """
        before = self._read()
        outages = follow(statuses, before, now)
        after = {str(outage.status.model): outage.since for outage in outages}
        if after != before:
            replace_content(self._path, json.dumps(after, sort_keys=True).encode())
        return outages

    def _read(self) -> dict[str, float]:
        # A memory that cannot be read is none: outages are then counted from now on.
        with suppress(OSError, ValueError, AttributeError, TypeError):
            known = json.loads(self._path.read_bytes())
            return {str(name): float(since) for name, since in known.items()}
        return {}
