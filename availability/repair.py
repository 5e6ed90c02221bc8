"""What to do about findings: the least work that mends, decided before anything is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from availability.integrity import Finding, FindingKind
from availability.model import FileRecord


@dataclass(frozen=True, slots=True)
class RepairAction:
    """One step of a repair.

    Attributes:
        action: `refetch_ranges` heals in place, `refetch_file` fetches the file anew and swaps it in.
        file: which file of the listing.
        ranges: the bytes to fetch, as (start, stop), stop exclusive.
    """

    action: Literal["refetch_ranges", "refetch_file"]
    file: FileRecord
    ranges: tuple[tuple[int, int], ...]

    @property
    def bytes_needed(self) -> int:
        """How many bytes it fetches."""
        return sum(stop - start for start, stop in self.ranges)


_IN_PLACE = frozenset({
    FindingKind.FLIPPED_RANGE,
    FindingKind.ZEROED_RANGE,
    FindingKind.TRUNCATED,
    FindingKind.LFS_POINTER,
    FindingKind.HTML_PAGE,
    FindingKind.FOREIGN_FILE,
})  # fmt: skip
_ALIEN = frozenset({FindingKind.LFS_POINTER, FindingKind.HTML_PAGE, FindingKind.FOREIGN_FILE})
"""Something else altogether: where nothing of the file is left, several connections bring it faster than one."""


def plan_repair(findings: Sequence[Finding], in_place: Mapping[str, bool]) -> tuple[RepairAction, ...]:
    """Return the actions that mend the findings, in order.

    Only wrong ranges are fetched where they are known and every byte of the result can be judged by a ledger before it
    is written. A file that is too long is swapped: shrinking it would crash who has it mapped.

    Args:
        findings: what is wrong.
        in_place: by path, whether the file has a ledger and lies where it is used.
    """
    return tuple(
        RepairAction("refetch_ranges", finding.file, finding.ranges)
        if in_place[finding.file.path] and _can_be_healed(finding)
        else RepairAction("refetch_file", finding.file, ((0, finding.file.size),))
        for finding in findings
    )


def _can_be_healed(finding: Finding) -> bool:
    nothing_is_left = finding.kind in _ALIEN and finding.damaged_bytes >= finding.file.size
    return finding.kind in _IN_PLACE and bool(finding.ranges) and not nothing_is_left
