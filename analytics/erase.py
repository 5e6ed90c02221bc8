"""Forgetting a model or a user for good: in the history, among what was refused, and in the published file.

The record of it comes first, so that from then on no query sees what is forgotten, wherever it still lies and whoever
still sends it; deleting is then only a matter of going over the files.
"""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from analytics.compact import Compacted, compact_days
from analytics.privacy import Erasure, hash_user, remember_erasure
from analytics.ship import digest
from analytics.storage import MART, REJECTED, EventStore


def erase_model(store: EventStore, model_id: str, now: datetime | None = None) -> Compacted:
    """Delete everything that was recorded of a model until now."""
    moment = now or datetime.now(UTC)
    return _erase(store, Erasure(model_id=model_id, until=moment.isoformat()), moment)


def erase_user(store: EventStore, user: str, salt: bytes, now: datetime | None = None) -> Compacted:
    """Delete everything that was recorded of a user until now, under the hash or under the name."""
    moment = now or datetime.now(UTC)
    return _erase(store, Erasure(user_hash=hash_user(user, salt), until=moment.isoformat()), moment, name=user)


def _erase(store: EventStore, erasure: Erasure, now: datetime, name: str | None = None) -> Compacted:
    remember_erasure(store, erasure)
    words = erasure.words()
    if name is not None:  # the record must not keep the name that it forgets: events under it are rewritten here only
        named = Erasure(actor=name, until=erasure.until)
        compacted = compact_days(store, now, timedelta(0), only_now=(named,))
        words = (*words, name)
    else:
        compacted = compact_days(store, now, timedelta(0))
    _forget_refused(store, words)
    store.delete([MART])
    return compacted


def _forget_refused(store: EventStore, words: Sequence[str]) -> None:
    for file in store.find(REJECTED):
        frame = pl.read_parquet(io.BytesIO(store.read(file.path)))
        kept = frame.filter(~pl.any_horizontal(pl.col("line").str.contains(word, literal=True) for word in words))
        if len(kept) == len(frame):
            continue
        if len(kept):
            content = io.BytesIO()
            kept.write_parquet(content, compression="zstd")
            store.put(f"{REJECTED}/date={file.day}/{digest(content.getvalue())}.parquet", content.getvalue())
        store.delete([file.path])
