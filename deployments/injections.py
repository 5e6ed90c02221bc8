"""Damage done to stored files on purpose, with what an honest check must say of it.

For the laboratory (`deployments.faultlab`) and tests. Where it can, an injection leaves a file's time as it was: what
rots does not change it either.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from availability.digests import CHUNK_BYTES
from availability.findings import FindingKind
from service.snapshots import lfs_pointer

_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"
_SECTOR = 512
_REGION = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A stored file.

    Attributes:
        path: its name in the snapshot.
        link: where its users read it.
        blob: where its content lies.
        size: bytes it ought to have.
    """

    path: str
    link: Path
    blob: Path
    size: int


@dataclass(frozen=True, slots=True)
class Injected:
    """What was done to one file.

    Attributes:
        target: which.
        kind: what a check must call it.
        damaged_bytes: of the 1 MiB chunks that have to be fetched to mend it.
        in_place: the content was changed where it lies, so that it can be healed there.
    """

    target: Target
    kind: FindingKind
    damaged_bytes: int
    in_place: bool = True


def flip_bit(target: Target, random: Random) -> Injected:
    """Turn one bit over."""
    offset = random.randrange(target.size)
    with _quietly(target.blob) as descriptor:
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, offset)[0] ^ 1 << random.randrange(8)]), offset)
    return Injected(target, FindingKind.FLIPPED_RANGE, _chunk_bytes(target, offset, offset + 1))


def zero_sector(target: Target, random: Random) -> Injected:
    """Zero 512 bytes, as a lost sector does."""
    offset = random.randrange(max(1, target.size // _SECTOR)) * _SECTOR
    stop = min(target.size, offset + _SECTOR)
    with _quietly(target.blob) as descriptor:
        os.pwrite(descriptor, bytes(stop - offset), offset)
    return Injected(target, FindingKind.ZEROED_RANGE, _chunk_bytes(target, offset, stop))


def overwrite_region(target: Target, random: Random) -> Injected:
    """Write 64 KiB of something else, or as much as the file has."""
    offset = random.randrange(max(1, target.size - _REGION))
    stop = min(target.size, offset + _REGION)
    with _quietly(target.blob) as descriptor:
        os.pwrite(descriptor, random.randbytes(stop - offset), offset)
    return Injected(target, FindingKind.FLIPPED_RANGE, _chunk_bytes(target, offset, stop))


def truncate(target: Target, random: Random) -> Injected:
    """Cut the end off."""
    size = random.randrange(target.size)
    with _quietly(target.blob) as descriptor:
        os.truncate(descriptor, size)
    return Injected(target, FindingKind.TRUNCATED, _chunk_bytes(target, size, target.size))


def zero_tail(target: Target, random: Random) -> Injected:
    """Keep the length, and leave nothing but zeros from somewhere on."""
    start = random.randrange(target.size - _SECTOR + 1)
    with _quietly(target.blob) as descriptor:
        os.truncate(descriptor, start)
        os.truncate(descriptor, target.size)
    return Injected(target, FindingKind.ZEROED_RANGE, _chunk_bytes(target, start, target.size))


def write_pointer(target: Target, _: Random) -> Injected:
    """Put the pointer to a large file in place of the file."""
    return _replaced(target, lfs_pointer(target.blob.name.ljust(64, "0"), target.size), FindingKind.LFS_POINTER)


def write_page(target: Target, _: Random) -> Injected:
    """Put a web page in place of the file."""
    return _replaced(target, _PAGE, FindingKind.HTML_PAGE)


def lose(target: Target, random: Random) -> Injected:
    """Remove the name, or the content, or make the content unreadable."""
    lost = random.choice((FindingKind.MISSING_FILE, FindingKind.DANGLING_LINK, FindingKind.UNREADABLE))
    if lost is FindingKind.MISSING_FILE:
        target.link.unlink()
        return Injected(target, lost, 0, in_place=False)
    if lost is FindingKind.UNREADABLE and os.geteuid():
        target.blob.chmod(0)
    elif lost is FindingKind.UNREADABLE:
        # Whoever may do everything is stopped by no mode; what takes the file's place stops him.
        target.blob.unlink()
        target.blob.mkdir()
    else:
        target.blob.unlink()
    return Injected(target, lost, target.size, in_place=False)


def swap(one: Target, other: Target) -> tuple[Injected, Injected]:
    """Let two files of one size hold each other's content."""
    between = one.blob.with_name("between")
    one.blob.rename(between)
    other.blob.rename(one.blob)
    between.rename(other.blob)
    first, second = (Injected(t, FindingKind.FOREIGN_FILE, t.size, in_place=False) for t in (one, other))
    return first, second


Injection = Callable[[Target, Random], Injected]

MIX: Mapping[str, tuple[Injection | None, int]] = {
    "single bit": (flip_bit, 10),
    "512 zeroed bytes": (zero_sector, 10),
    "64 KiB region": (overwrite_region, 40),
    "truncation": (truncate, 10),
    "full length, zero tail": (zero_tail, 10),
    "same-size swap": (None, 5),
    "LFS pointer": (write_pointer, 5),
    "HTML page": (write_page, 5),
    "missing, dangling, unreadable": (lose, 5),
}
"""What is done, and how often of a hundred; a swap takes two files and so has no function of one."""


def _replaced(target: Target, content: bytes, kind: FindingKind) -> Injected:
    with _quietly(target.blob) as descriptor:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
    return Injected(target, kind, target.size, in_place=False)


def _chunk_bytes(target: Target, start: int, stop: int) -> int:
    first = start // CHUNK_BYTES * CHUNK_BYTES
    return min(target.size, -(-stop // CHUNK_BYTES) * CHUNK_BYTES) - first


@contextmanager
def _quietly(path: Path) -> Iterator[int]:
    before = path.stat()
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
        os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(descriptor)
