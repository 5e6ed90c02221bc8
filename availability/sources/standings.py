"""The records of all sources, one file each in the state folder, shared by all processes that use it.

Written after a transfer and every few seconds during one, never for a request. A lost write loses a few counts and no
truth: they guide who is asked first.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any
from urllib.parse import quote

from filelock import FileLock

from availability.durable import replace_content
from availability.sources.account import Account, BreakerChange, BreakerPolicy
from availability.sources.standing import Circuit, Freshness, Standing

_FORMAT = 1
_POLL_SECONDS = 0.005
_SAVE_SECONDS = 5.0
_MOST_NAME_BYTES = 200


class Standings:
    """The accounts of this process over the records in a folder."""

    def __init__(
        self,
        root: Path | None,
        policy: BreakerPolicy | None = None,
        on_change: Callable[[BreakerChange], None] = lambda _: None,
    ) -> None:
        """Keep records in `root`; None keeps them in memory only."""
        self._root = root
        self._policy = policy
        self._on_change = on_change
        self._accounts: dict[str, Account] = {}
        self._lock = Lock()
        self._saved = monotonic()

    def account(self, name: str) -> Account:
        """Return the account of a source, one for all who ask."""
        with self._lock:
            if name not in self._accounts:
                standing = self.read(name)
                self._accounts[name] = Account(name, standing, self._policy, self._on_change)
            return self._accounts[name]

    def read(self, name: str) -> Standing:
        """Return what is recorded of a source; a record that cannot be understood is begun anew."""
        if self._root is None:
            return Standing()
        try:
            return _decode(json.loads(self._path(name).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Standing()

    def save_now_and_then(self) -> None:
        """Be called often while something goes on: every few seconds it is written down."""
        if monotonic() - self._saved >= _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Add what was seen to the records, and learn what other processes have seen.

        A disk that does not take it fails nothing: what is counted here is a help and no truth.
        """
        self._saved = monotonic()
        if self._root is not None:
            for account in [*self._accounts.values()]:
                with suppress(OSError):
                    self._save(account)

    def _save(self, account: Account) -> None:
        if not account.has_news:
            account.follow(self.read(account.name))
            return
        path = self._path(account.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.stem}.lock"), poll_interval=_POLL_SECONDS, mode=0o666):
            standing = self.read(account.name).after(account.take_tally())
            content = {"format": _FORMAT, "name": account.name, **asdict(standing)}
            replace_content(path, json.dumps(content).encode())
        account.follow(standing)

    def _path(self, name: str) -> Path:
        assert self._root is not None  # noqa: S101  asked for by those who have looked
        text = quote(name, safe="")
        if len(text) > _MOST_NAME_BYTES:
            text = f"{text[: _MOST_NAME_BYTES - 65]}~{sha256(name.encode()).hexdigest()}"
        return self._root / f"{text}.json"


def _decode(content: dict[str, Any]) -> Standing:
    if content.pop("format") != _FORMAT:
        raise ValueError("another format")
    content.pop("name")
    fresh, circuit = content.pop("freshness"), Circuit(**content.pop("circuit"))
    return Standing(freshness=Freshness(**fresh) if fresh else None, circuit=circuit, **content)
