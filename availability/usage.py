"""The two lines with which a program reports that it uses a model.

    from availability import usage

    with usage.load("org/name"):
        model = AutoModel.from_pretrained("org/name")

    @usage.inference("org/name")
    def answer(question): ...

Standard library only, no network, a few microseconds in the caller's thread. No exception of ours ever reaches the
program, and its own pass through untouched. Nothing is written when ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS is false.
What is written goes to the spool of the store (see `spool_folder`); a run of `availability` ships it from there.
"""

import inspect
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import aclosing
from functools import wraps
from itertools import count
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from time import perf_counter, time_ns
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from availability.spool import MAX_BYTES, MIB, SPOOL_NAME, hash_user, read_salt, shared_spool

PREFIX = "ENHANCED_MODEL_"

_OFF = frozenset({"0", "false", "f", "no", "n", "off"})
_Function = TypeVar("_Function", bound=Callable[..., Any])

logger = logging.getLogger(__name__)


class Use:
    """One use of a model, or, as a decorator, each call of a function as one use."""

    __slots__ = ("_began", "_extra", "_kind")

    def __init__(self, kind: str, extra: str) -> None:
        """Take the kind of event and the fields that are known before it begins, as JSON."""
        self._kind, self._extra = kind, extra
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _record(self._kind, self._extra, perf_counter() - self._began, kind)

    def __call__(self, function: _Function) -> _Function:
        """Record every call of a function: plain, asynchronous, or a generator (until it has given everything)."""
        return cast("_Function", wraps(function)(_recorded(function, self._kind, self._extra)))


def load(
    model: str,
    *,
    revision: str | None = None,
    size_bytes: int | None = None,
    user: str | None = None,
    details: dict[str, Any] | None = None,
) -> Use:
    """Report that a model is loaded, how long it took, and whether it worked.

    Args:
        model: its id.
        revision: which, where it matters.
        size_bytes: how much was read, from which a throughput follows.
        user: for whom; only a salted hash of it is written.
        details: anything else worth keeping; it must be JSON.
    """
    return Use("load", _extra(model, revision, size_bytes, user, details))


def inference(
    model: str,
    *,
    revision: str | None = None,
    user: str | None = None,
    details: dict[str, Any] | None = None,
) -> Use:
    """Report that a model was asked for an answer; see `load`."""
    return Use("inference", _extra(model, revision, None, user, details))


def spool_folder() -> Path:
    """Return where the environment says that events are spooled: in the state folder that belongs to the store.

    The file `.env` is not read: it is the settings' affair, and this runs in the folders of other programs.
    """
    state = _variable(f"{PREFIX}STORAGE_CACHE_DIRECTORY")
    if state:
        return Path(state).expanduser() / SPOOL_NAME
    store = _variable(f"{PREFIX}STORAGE_MODELS_DIRECTORY")
    if not store and (_variable(f"{PREFIX}PROFILE") or "").strip().lower() == "development":
        return Path(".local/development/state") / SPOOL_NAME
    cache = Path(store or _client_cache()).expanduser()
    return cache.with_name(f"{cache.name}.availability") / SPOOL_NAME


def is_on() -> bool:
    """Whether the environment allows recording."""
    return (_variable(f"{PREFIX}FEATURES_USAGE_ANALYTICS") or "true").strip().lower() not in _OFF


def _most_bytes() -> int:
    try:
        return round(float(_variable(f"{PREFIX}ANALYTICS_MAX_SPOOL_MIB") or "") * MIB)
    except ValueError:
        return MAX_BYTES


class _Recorder:
    """What this process records with; None of it is looked up again."""

    def __init__(self) -> None:
        self.folder = spool_folder().absolute()
        self.spool = shared_spool(self.folder, _most_bytes()) if is_on() else None
        self.salt = b""
        # 74 random bits, and a count in the last group: an id as unique as a random one, at a tenth of its price.
        self.ids = count()
        noise = secrets.token_hex(10)
        start_of_ids = f"{noise[:8]}-{noise[8:12]}-4{noise[12:15]}-8{noise[15:18]}-"
        run = os.environ.get("PREFECT__FLOW_RUN_ID")
        who = f'"host":{quoted(socket.gethostname())},' + (f'"run_id":{quoted(run)},' if run else "")
        self.common = f'{who}"event_id":"{start_of_ids}'


_recorder: _Recorder | None = None
_recorder_lock = threading.Lock()


def _ours() -> _Recorder:
    global _recorder  # noqa: PLW0603  one recorder for a process, made when it is first needed
    with _recorder_lock:
        if _recorder is None:
            _recorder = _Recorder()
        return _recorder


def _forget() -> None:
    """Let the environment be read anew; a child made by fork needs ids of its own."""
    global _recorder, _recorder_lock
    _recorder, _recorder_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _record(kind: str, extra: str, seconds: float, failure: type[BaseException] | None) -> None:
    try:
        recorder = _recorder or _ours()
        if recorder.spool is None:
            return
        outcome = '"success":true' if failure is None else _failed(failure)
        recorder.spool.append(
            f'{{{recorder.common}{next(recorder.ids):012x}","event_time":{time_ns() // 1000},"kind":"{kind}",'
            f'{extra}"seconds":{int(seconds * 1e6)}e-6,{outcome}}}\n'.encode()
        )
    except Exception as error:  # noqa: BLE001  the program that uses a model must never feel that it is counted
        _say(error)


def _failed(failure: type[BaseException]) -> str:
    if issubclass(failure, GeneratorExit):  # whoever read the answer had enough of it
        return '"success":true'
    return f'"success":false,"error_kind":{quoted(failure.__name__)}'


def _extra(
    model: str, revision: str | None, size_bytes: int | None, user: str | None, details: dict[str, Any] | None
) -> str:
    try:
        extra = f'"model_id":{quoted(model)},'
        if revision is not None:
            extra += f'"revision":{quoted(revision)},'
        if size_bytes is not None:
            extra += f'"size_bytes":{int(size_bytes)},'
        if user is not None:
            extra += _user(user)
        if details:
            extra += f'"details":{json.dumps(details, default=str)},'
    except Exception as error:  # noqa: BLE001  see _record
        _say(error)
        return f'"model_id":{quoted(model if isinstance(model, str) else type(model).__name__)},'
    return extra


def _user(user: str) -> str:
    recorder = _recorder or _ours()
    if recorder.spool is None:
        return ""
    recorder.salt = recorder.salt or read_salt(recorder.folder)
    return f'"user_hash":"{hash_user(user, recorder.salt)}",'


def _say(error: Exception) -> None:
    logger.debug("An event was not recorded: %r", error)


def _recorded(function: Callable[..., Any], kind: str, extra: str) -> Callable[..., Any]:
    """Return the function with a use of its own around each call; two calls at once do not share a clock."""
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with Use(kind, extra):
                return await function(*args, **kwargs)

        return awaited
    if inspect.isasyncgenfunction(function):

        async def streamed(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with Use(kind, extra):
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield item

        return streamed
    if inspect.isgeneratorfunction(function):

        def generated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with Use(kind, extra):
                return (yield from function(*args, **kwargs))

        return generated

    def called(*args: Any, **kwargs: Any) -> Any:
        with Use(kind, extra):
            return function(*args, **kwargs)

    return called


def _client_cache() -> Path:
    """Return the Hugging Face client's cache, as the client finds it."""
    chosen = _variable("HF_HUB_CACHE") or _variable("HUGGINGFACE_HUB_CACHE")
    if chosen:
        return Path(chosen)
    base = _variable("XDG_CACHE_HOME") or "~/.cache"
    return Path(_variable("HF_HOME") or f"{base}/huggingface") / "hub"


def _variable(name: str) -> str | None:
    return os.environ.get(name) or None
