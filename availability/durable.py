"""Writing so that a name never shows half of its content, and a power cut takes nothing that was promised."""

import os
import secrets
from pathlib import Path

from availability.digests import Buffer


def write_atomically(path: Path, content: bytes, *, by_way_of: Path | None = None) -> None:
    """Put `content` under `path` in one step: readers see the old file or the new one, whole and on disk.

    The temporary file's name ends in `.tmp`, and its mode is what the user's umask says.

    Args:
        path: the name it gets.
        content: the bytes.
        by_way_of: a folder for the temporary file, on the same file system; None takes the one of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (by_way_of or path.parent) / f".{path.name}.{secrets.token_hex(4)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_content(path: Path, content: Buffer) -> None:
    """Put `content` under `path` in one step without waiting for the disk: for what a power cut may take.

    The temporary file is beside it, and its name ends in `.tmp`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(descriptor: int, data: Buffer, offset: int) -> None:
    """Write all of `data` at `offset`: a disk that fills up takes the first bytes and reports success for them."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
