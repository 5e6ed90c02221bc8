"""What the machine does to a measurement, and how each run is given the same one.

Three things were seen to bend figures by half and more. Dirty pages of one run are written back at the cost of the
next: so the disk is brought to rest before each. On a virtual machine the first touch of a page is a fault in the host,
paid by whoever happens to come first: so memory is touched and given back before each run. And sources that are not in
the page cache are read from the disk: so they are read before each run.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

MIB = 1024 * 1024
TOUCH_BYTES = 4096 * MIB
"""How much memory is touched before a run, if half of what is available is not less."""

_TOUCH = """
import mmap, sys
mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()
"""
_MEMINFO = Path("/proc/meminfo")


def settle(touch_bytes: int) -> None:
    """Bring the disk to rest, then let the machine own memory that the next run will need."""
    os.sync()
    most = min(touch_bytes, _available_bytes() // 2)
    if most >= MIB:
        subprocess.run([sys.executable, "-S", "-c", _TOUCH, str(most)], check=True)


def read_through(paths: Iterable[Path]) -> None:
    """Read files once, so that they are in the page cache."""
    buffer = bytearray(MIB)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def load_average() -> float:
    """Return how many wanted a processor over the last minute: above one, somebody else is at work."""
    return os.getloadavg()[0]


def _available_bytes() -> int:
    if not _MEMINFO.exists():  # only Linux tells, and only there it was measured
        return 0
    fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024
