"""What must not be kept, and what must be forgotten.

A user is recorded as a salted hash only. A URL with a secret in it is refused before anything opens it. `erase` forgets
one model or one user: its record stays in the store, so that what arrives late is forgotten too.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analytics.errors import UnsafeUrlError

if TYPE_CHECKING:
    from analytics.storage import EventStore

_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SECRET_KEYS = re.compile(r"(?i)[?&;](?:[\w-]*(?:key|token|secret|password|signature|credential|sig))=[^&\s]+")


def refuse_credentials(url: str) -> None:
    """Refuse a URL that carries a user, a password, a key or a token.

    Raises:
        UnsafeUrlError: with the URL as it may be shown.
    """
    if _USERINFO.search(url) or _SECRET_KEYS.search(url) or (urlsplit(url).scheme and "@" in urlsplit(url).netloc):
        raise UnsafeUrlError(
            f"The URL {without_credentials(url)} carries a secret: logs and lists would show it. "
            "Give credentials by the environment of the storage, and the URL without them."
        )


def without_credentials(text: str) -> str:
    """Return a text in which no URL shows a secret."""
    return _SECRET_KEYS.sub("?…", _USERINFO.sub("…", text))


def hash_user(user: str, salt: bytes) -> str:
    """Return the only form in which a user is recorded; the spool's writing end does the same."""
    return hashlib.blake2b(user.encode(), key=salt, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Erasure:
    """What has been forgotten: everything of a model, of a user's hash, or of an actor's name, up to a moment."""

    model_id: str | None = None
    user_hash: str | None = None
    actor: str | None = None
    until: str = ""

    def condition(self) -> str:
        """Return what holds of the events that are forgotten, as SQL."""
        named = {"model_id": self.model_id, "user_hash": self.user_hash, "actor": self.actor}
        who = " or ".join(f"{column} = {quoted(value)}" for column, value in named.items() if value is not None)
        substitute = f" or substitute = {quoted(self.model_id)}" if self.model_id is not None else ""
        return f"(({who}{substitute}) and event_time <= timestamptz {quoted(self.until)})"

    def words(self) -> tuple[str, ...]:
        """Return what a refused line must not contain."""
        return tuple(word for word in (self.model_id, self.user_hash, self.actor) if word is not None)


def erasures(store: "EventStore") -> tuple[Erasure, ...]:
    """Return what has been forgotten so far."""
    return tuple(Erasure(**json.loads(store.read(file.path))) for file in store.find("erased"))


def kept_condition(forgotten: Iterable[Erasure]) -> str:
    """Return what holds of the events that are kept, as SQL; unknown fields do not make an event forgotten."""
    conditions = [erasure.condition() for erasure in forgotten]
    return f"not coalesce({' or '.join(conditions)}, false)" if conditions else "true"


def remember_erasure(store: "EventStore", erasure: Erasure) -> None:
    """Record what is forgotten, before anything is deleted: from now on no query sees it, whoever still sends it."""
    content = json.dumps(asdict(erasure), sort_keys=True)
    store.put(f"erased/{hashlib.sha256(content.encode()).hexdigest()[:32]}.json", content.encode())


def retain(store: "EventStore", days: int, now: datetime) -> int:
    """Delete every event older than so many days, a whole day at a time, and return how many files went.

    Args:
        store: the history.
        days: how many days are kept besides today, at least one.
        now: the current time.
    """
    if days < 1:
        raise ValueError(f"days is {days}; at least one day is kept")
    first = now.astimezone(UTC).date() - timedelta(days=days)
    old = [path for folder in ("events/hot", "events/cold", "rejected") for path in _before(store, folder, first)]
    store.delete(old)
    return len(old)


def quoted(text: str) -> str:
    """Return a text as a literal of SQL, where a statement takes no parameter."""
    return "'" + text.replace("'", "''") + "'"


def quoted_list(texts: Sequence[str]) -> str:
    """Return texts as a list literal of SQL."""
    return "[" + ", ".join(map(quoted, texts)) + "]"


def _before(store: "EventStore", folder: str, first: date) -> list[str]:
    # In the order of the names: of a day's generations the oldest goes first, so that none comes back to life.
    return [file.path for file in store.find(folder) if file.day is not None and file.day < first]
