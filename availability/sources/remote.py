"""A file system of fsspec, as far as a replica needs it: read a range, write in one step, know a size.

Whatever it raises becomes one of our errors, without what its text may hold: addresses with signatures, and keys.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from availability.durable import sync_folder
from availability.errors import AccessDeniedError, FileNotServedError, SourceUnavailableError
from availability.sources.http import cause_of

_WRITES_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss", "memory"})
"""Stores whose objects appear whole or not at all; elsewhere a temporary name and a rename do that."""


class Remote:
    """A folder of some file system; safe to call from any thread.

    Attributes:
        shown: its URL.
    """

    def __init__(self, url: str, options: Mapping[str, Any], timeout_seconds: float) -> None:
        """Take a URL and what its file system needs; nothing is opened yet."""
        self.shown = url
        self._options = options
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[object, Future[bytes]] = {}
        self._lock = Lock()

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return urlsplit(self.shown).scheme in ("", "file", "local")

    def read(self, path: str, start: int = 0, stop: int | None = None, *, by: object = None) -> bytes:
        """Return bytes of a file; `by` names the reader for `abort`.

        Raises:
            FileNotServedError: there is no such file.
            AccessDeniedError: it may not be read.
            SourceUnavailableError: it could not be read, or not in time.
        """
        with self._door(path):
            filesystem, full = self._filesystem, f"{self._root}/{path}"
            if not getattr(filesystem, "async_impl", False):
                content: bytes = filesystem.cat_file(full, start=start, end=stop)
                return content
            # Not its own blocking call, which waits without an end and cannot be left.
            asked = filesystem._cat_file(full, start=start, end=stop)  # noqa: SLF001  fsspec's own way for async code
            future: Future[bytes] = asyncio.run_coroutine_threadsafe(asked, filesystem.loop)
            self._waiting[by] = future
            try:
                return future.result(self._timeout_seconds)
            finally:
                future.cancel()
                self._waiting.pop(by, None)

    def abort(self, by: object) -> None:
        """Let a read that waits end."""
        future = self._waiting.get(by)
        if future is not None:
            future.cancel()

    def size(self, path: str) -> int | None:
        """Return the size of a file, None when there is none."""
        try:
            with self._door(path):
                self._filesystem.invalidate_cache()
                return int(self._filesystem.size(f"{self._root}/{path}"))
        except FileNotServedError:
            return None

    def put(self, path: str, content: bytes | Path) -> None:
        """Write a file in one step, over what was there."""
        target = f"{self._root}/{path}"
        with self._door(path):
            if self._is_whole:
                self._write(target, content)
                return
            folder = target.rpartition("/")[0]
            temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
            self._filesystem.makedirs(folder, exist_ok=True)
            try:
                self._write(temporary, content)
                self._filesystem.mv(temporary, target)
            except BaseException:
                with suppress(Exception):  # the first failure is the one to tell
                    self._filesystem.rm_file(temporary)
                raise
            if self.is_local:
                sync_folder(Path(folder))

    def _write(self, target: str, content: bytes | Path) -> None:
        if isinstance(content, Path):
            self._filesystem.put_file(str(content), target)
        else:
            self._filesystem.pipe_file(target, content)
        if self.is_local:
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415  only with a replica; it has no types

        with self._lock:
            filesystem, root = fsspec.core.url_to_fs(self.shown, **self._options)
        return filesystem, str(root).rstrip("/")

    @property
    def _filesystem(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @property
    def _is_whole(self) -> bool:
        protocol = self._filesystem.protocol
        return bool(_WRITES_WHOLE.intersection((protocol,) if isinstance(protocol, str) else protocol))

    @contextmanager
    def _door(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotServedError(f"{self.shown} does not have {path}.") from None
        except PermissionError as error:
            raise AccessDeniedError(
                f"{self.shown} refuses {path} ({cause_of(error)}).",
                advice=(f"Give this user, or the key in the environment, the right to read {self.shown}.",),
            ) from None
        except ImportError as error:
            raise SourceUnavailableError(
                f"{self.shown} needs a package that is not installed: {error.name}",
                advice=("Install it, such as with the extra 's3' for S3.",),
            ) from None
        except (TimeoutError, CancelledError) as error:
            raise SourceUnavailableError(
                f"{self.shown} did not answer for {path} ({type(error).__name__})", kind="stalled"
            ) from None
        except Exception as error:  # noqa: BLE001  each file system raises what it likes, far from always an OSError
            raise SourceUnavailableError(
                f"{self.shown} could not be used for {path} ({cause_of(error)})", kind="unreachable"
            ) from None
