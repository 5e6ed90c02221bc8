"""From spool to store: read what is due, judge it at the door, write one Parquet file a day, note how far it got.

A file is named by what it holds, so a batch that is sent again overwrites itself. Until the store has answered nothing
leaves the spool. `ship_spool` raises when the store cannot be reached; `ship_safely` is for those to whom a model
matters more than its history.
"""

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from analytics.errors import AnalyticsError
from analytics.privacy import Erasure, erasures
from analytics.schemas import Batch, Judged, Rejected, judge, read_lines, today
from analytics.spool import Spool
from analytics.storage import HOT, REJECTED, EventStore, open_store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a shipment did.

    Attributes:
        events: that entered the history.
        rejected: rows that were refused at the door, and are kept beside.
        batches: that were sent.
        left_bytes: what the spool still holds, segments in use included.
        problem: why it stopped early, None when it did not.
    """

    events: int = 0
    rejected: int = 0
    batches: int = 0
    left_bytes: int = 0
    problem: str | None = None


def ship_spool(spool: Path, store: EventStore, now: datetime | None = None) -> Shipped:
    """Send everything that was in the spool when this began.

    Args:
        spool: the folder of segments.
        store: where the history lies.
        now: the current time.

    Raises:
        StoreUnreachableError: what was not sent stays in the spool.
    """
    reading = Spool(spool)
    events = rejected = batches = 0
    with reading.shipping() as ours:
        forgotten: Sequence[Erasure] | None = None
        sizes = reading.sizes()
        while ours and (portions := reading.due(sizes)):
            forgotten = erasures(store) if forgotten is None else forgotten
            moment = now or datetime.now(UTC)
            judged = judge(read_lines(reading.lines(portions)), moment)
            reading.mark_sending(portions)
            write(store, judged, moment, forgotten)
            reading.mark_shipped(portions)
            events += len(judged.accepted)
            rejected += len(judged.rejected)
            batches += 1
        if ours:
            reading.mark_shipped(())
    return Shipped(events, rejected, batches, reading.size_bytes())


def ship_safely(spool: Path, url: str, options: Mapping[str, Any] | None = None) -> Shipped:
    """Send everything that is in the spool, if it can be sent; what goes wrong is a warning, and the events stay."""
    try:
        return ship_spool(spool, open_store(url, options))
    except (AnalyticsError, OSError) as error:
        left = Spool(spool).size_bytes()
        logger.warning("Events stay in the spool (%s bytes): %s", f"{left:,}", error)
        return Shipped(left_bytes=left, problem=str(error))


def send(store: EventStore, batch: Batch, now: datetime | None = None) -> Shipped:
    """Send a batch that comes from elsewhere than a spool, such as an imported log."""
    moment = now or datetime.now(UTC)
    judged = judge(batch, moment)
    write(store, judged, moment, erasures(store))
    return Shipped(len(judged.accepted), len(judged.rejected), 1)


def write(store: EventStore, judged: Judged, now: datetime, forgotten: Sequence[Erasure] = ()) -> None:
    """Write what was judged: a file for each day of what may enter, and one for what may not."""
    words = tuple(word for erasure in forgotten for word in erasure.words())
    refused = [row for row in judged.rejected if not any(word in row.line for word in words)]
    if refused:
        content = _parquet(_rejected_frame(refused, now))
        name = digest(json.dumps([(row.line, row.reason) for row in refused]).encode())
        store.put(f"{REJECTED}/date={today(now)}/{name}.parquet", content)
    for (day,), frame in judged.accepted.partition_by("date", as_dict=True).items():
        content = _parquet(frame.drop("date"))
        store.put(f"{HOT}/date={day}/{digest(content)}.parquet", content)


def _rejected_frame(refused: Sequence[Rejected], now: datetime) -> pl.DataFrame:
    texts = pl.DataFrame({"line": [row.line for row in refused], "reason": [row.reason for row in refused]})
    return texts.with_columns(pl.lit(now.astimezone(UTC), dtype=pl.Datetime("us", "UTC")).alias("rejected_at"))


def _parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file, compression="zstd")
    return file.getvalue()


def digest(content: bytes) -> str:
    """Return the name of a file that holds this."""
    return hashlib.sha256(content).hexdigest()[:32]
