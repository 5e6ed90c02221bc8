"""Everything that keeps a history in order, in one call that may be made at any time, by anybody, and as often.

Ship what is in the spool; ask for the figures of each model; and about once a day put the days in order, delete what is
older than it may be, and publish. Whether the day's work is due, a note beside the history says, so that of many
machines the first does it; two at once do no harm. One at a time on this machine, the others leave it to that one.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.compact import Compacted, compact_days
from analytics.connection import History
from analytics.figures import Figures, model_figures
from analytics.privacy import retain
from analytics.publish import RECENT_DAYS, Published, publish_mart
from analytics.ship import Shipped, ship_spool
from analytics.spool import Spool
from analytics.storage import TENDED, EventStore

DAILY = timedelta(hours=20)
"""How old the day's work is when it is due: less than a day, so that a schedule by the day never finds it too young."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done; None for what was not.

    Attributes:
        shipped: from the spool.
        compacted: the days that were put in order.
        deleted: files that were too old.
        published: the file for any DuckDB client.
    """

    shipped: Shipped
    compacted: Compacted | None = None
    deleted: int | None = None
    published: Published | None = None

    def sentence(self) -> str:
        """Return it in words."""
        parts = [f"{self.shipped.events:,} events shipped, {self.shipped.rejected:,} refused"]
        if self.compacted is not None:
            parts.append(f"{len(self.compacted.days)} days put in order")
            parts += [f"{len(self.compacted.broken)} files cannot be read"] if self.compacted.broken else []
        if self.deleted:
            parts.append(f"{self.deleted} files too old")
        if self.published is not None:
            parts.append(f"{self.published.events:,} events published in {self.published.path}")
        return "; ".join(parts)


def tend_history(
    spool: Path,
    store: EventStore,
    *,
    retention_days: int = 0,
    published_days: float = RECENT_DAYS,
    keep: Callable[[Figures, datetime], None] | None = None,
    cache: Path | None = None,
    tidy: bool | None = None,
    now: datetime | None = None,
) -> Tended | None:
    """Do what is due.

    Args:
        spool: the folder of segments.
        store: the history.
        retention_days: how many days are kept besides today; 0 keeps all.
        published_days: how much of the history the published file holds.
        keep: takes the figures of each model, and when they were asked for; None asks for none.
        cache: where copies of a remote history's files lie, None for the user's cache.
        tidy: whether to do the day's work; None does it when it is due.
        now: the current time.

    Returns:
        What was done; None when somebody else on this machine is at it.

    Raises:
        StoreUnreachableError: what was done until then is done; what was not shipped stays in the spool.
    """
    moment = now or datetime.now(UTC)
    with Spool(spool).tending() as ours:
        if not ours:
            return None
        shipped = ship_spool(spool, store, now)
        done = _day(store, retention_days, published_days, cache, moment) if _is_due(store, tidy, moment) else None
        if keep is not None:
            with History(store, cache) as history:
                keep(model_figures(history, moment), moment)
        return Tended(shipped, *(done or ()))


def _day(
    store: EventStore, retention_days: int, published_days: float, cache: Path | None, now: datetime
) -> tuple[Compacted, int, Published]:
    deleted = retain(store, retention_days, now) if retention_days else 0
    compacted = compact_days(store, now)
    published = publish_mart(store, published_days, now, cache)
    store.put(TENDED, json.dumps({"at": now.isoformat()}).encode())
    return compacted, deleted, published


def _is_due(store: EventStore, tidy: bool | None, now: datetime) -> bool:
    if tidy is not None:
        return tidy
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        return now - datetime.fromisoformat(json.loads(store.read(TENDED))["at"]) > DAILY
    return True
