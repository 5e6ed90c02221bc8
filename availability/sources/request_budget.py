"""How many more requests a hub takes, kept by all processes of a state folder together.

A hub that counts says with each answer how many are left and when it counts anew (`RateLimit`), and one that has had
enough says how long to stay away (`Retry-After`). What one process is told lies in a file for all of them: each takes
leave for a few requests at a time out of what is left, and nobody asks when nothing is. So a fleet stops before it is
refused, and where it is refused none the less, once is enough. Of a hub that does not count nothing is kept.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from time import time
from typing import Protocol
from urllib.parse import quote

from availability.errors import BudgetSpentError, RateLimitedError
from availability.shared import SharedNumbers

_MOST_AT_ONCE = 64
_SHARE_AT_ONCE = 0.04
"""For so many requests, and this share of what is left, leave is taken at a time: all who share it get some."""

_UNKNOWN_SECONDS = 1.0
"""So long nobody looks again whether another process was told something, where none was."""

_LONGEST_SECONDS = 3600.0
"""A hub that wants to be left alone for longer is asked again after so long: it may have been a mistake of its."""

_RESERVE = 0.05
"""Share of what a hub allows that is left alone: it counts others too, and what was on its way before it said so."""

_LIMIT = re.compile(r"r=(\d+)\s*;\s*t=(\d+)")
_POLICY = re.compile(r"q=(\d+)(?:\s*;\s*w=(\d+))?")
_SAME_WINDOW_SECONDS = 2.0
"""Two answers of one window may differ by so much about its end: they are told in whole seconds."""


class Headers(Protocol):
    """An answer's headers, whose names are found in any case."""

    def get(self, name: str, /) -> str | None:
        """Return one, None when it is not there."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return all of them."""


class RequestBudget:
    """The budget for one kind of request to one hub; safe to use from any thread and any process."""

    def __init__(self, root: Path, hub: str, kind: str, *, clock: Callable[[], float] = time) -> None:
        """Keep it below `root`, once a hub tells something and the folder that `root` lies in is there.

        Args:
            root: the folder of the shared numbers.
            hub: the hub's name.
            kind: what the hub counts apart: `api` or `resolvers`.
            clock: seconds since the epoch.
        """
        self._root = root
        self._hub = hub
        # How many are left, when it counts anew, whether that was only guessed, until when it must be left alone, how
        # many it allows, in how long.
        self._numbers = SharedNumbers(root / f"requests-{quote(hub, safe='')}-{kind}", 6)
        self._clock = clock
        self._guard = Lock()
        self._leave = 0
        self._leave_until = 0.0
        self._answers = 0
        self._at_once = 1
        self._unknown_until = 0.0

    def ask(self) -> None:
        """Take leave for one request.

        Raises:
            BudgetSpentError: none is left until the hub counts anew; nobody has asked it.
            RateLimitedError: it has told one of us to stay away, and it is not time yet.
        """
        with self._guard:
            now = self._clock()
            if self._leave > 0 and now < self._leave_until:
                self._leave -= 1
            elif now >= self._unknown_until:
                if self._numbers.exists():
                    self._take_leave()
                else:
                    self._unknown_until = now + _UNKNOWN_SECONDS

    def told(self, status: int, headers: Headers, retry_after_seconds: float | None) -> None:
        """Take note of what an answer says about requests.

        Args:
            status: of the answer.
            headers: the answer's.
            retry_after_seconds: how long it asks to be left alone, None when it does not.
        """
        if status >= 429 and retry_after_seconds is not None:
            self._stay_away(retry_after_seconds)
            return
        found = _LIMIT.search(headers.get("ratelimit") or "")
        if found is None or not self._root.parent.is_dir():
            return
        left, seconds = int(found[1]), int(found[2])
        with self._guard:
            self._answers += 1
            is_due = self._answers >= self._at_once or self._leave_until == 0.0
            if is_due:
                self._answers = 0
                self._keep(left, seconds, headers.get("ratelimit-policy") or "")

    def _take_leave(self) -> None:
        with self._numbers.held() as numbers:
            left, resets_at, is_guess, blocked_until, allowed, window = numbers
            now = self._clock()
            if now < blocked_until:
                raise RateLimitedError(
                    f"{self._hub} has asked to be left alone for another {blocked_until - now:.0f} s",
                    retry_after_seconds=blocked_until - now,
                )
            if now >= resets_at:
                if not allowed or not window:
                    return
                left, resets_at, is_guess = allowed, now + window, 1.0
            usable = left - allowed * _RESERVE
            if usable < 1:
                raise BudgetSpentError(
                    f"{self._hub} takes no more requests for {resets_at - now:.0f} s, as it told before",
                    retry_after_seconds=resets_at - now,
                )
            self._at_once = max(1, min(_MOST_AT_ONCE, int(usable * _SHARE_AT_ONCE)))
            numbers[:3] = [left - self._at_once, resets_at, is_guess]
            self._leave, self._leave_until = self._at_once - 1, resets_at

    def _keep(self, left: int, seconds: int, policy: str) -> None:
        self._unknown_until = 0.0
        with self._numbers.held() as numbers:
            now = self._clock()
            resets_at = now + seconds
            is_new = now >= numbers[1] or resets_at > numbers[1] + _SAME_WINDOW_SECONDS
            # Leave that is taken and not yet used is no longer left, though the hub cannot know.
            numbers[0] = left if is_new else min(numbers[0], left)
            if is_new or numbers[2]:
                numbers[1:3] = [resets_at, 0.0]
            if found := _POLICY.search(policy):
                numbers[4:] = [float(found[1]), float(found[2] or 0)]
            if self._leave_until == 0.0:
                # What was asked until now was asked without leave; from now on it is counted.
                self._leave, self._leave_until = 0, resets_at

    def _stay_away(self, seconds: float) -> None:
        if self._root.parent.is_dir():
            with self._guard, self._numbers.held() as numbers:
                self._leave, self._unknown_until = 0, 0.0
                numbers[3] = max(numbers[3], self._clock() + min(seconds, _LONGEST_SECONDS))
