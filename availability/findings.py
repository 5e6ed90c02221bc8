"""What can be wrong with a file of a model, as values: the kind, how grave it is, where, and why probably.

Nothing is read here. Who reads a file is `availability.integrity`, who tells one damage from another is
`availability.diagnosis`, and what to do about it is `availability.repair`'s question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from availability.model import FileRecord


class FindingKind(StrEnum):
    """What is wrong with a file."""

    MISSING_FILE = "missing_file"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    FLIPPED_RANGE = "flipped_range"
    ZEROED_RANGE = "zeroed_range"
    LFS_POINTER = "lfs_pointer"
    HTML_PAGE = "html_page"
    DANGLING_LINK = "dangling_link"
    UNREADABLE = "unreadable"
    FOREIGN_FILE = "foreign_file"
    BAD_HEADER = "bad_header"
    MISSING_SHARD = "missing_shard"
    MALFORMED_JSON = "malformed_json"


class Severity(StrEnum):
    """How grave a finding is: the model cannot be relied on, may disappoint, or is merely not alone."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


SEVERITIES: Mapping[FindingKind, Severity] = {
    FindingKind.MISSING_FILE: Severity.CRITICAL,
    FindingKind.TRUNCATED: Severity.CRITICAL,
    FindingKind.OVERSIZED: Severity.CRITICAL,
    FindingKind.FLIPPED_RANGE: Severity.CRITICAL,
    FindingKind.ZEROED_RANGE: Severity.CRITICAL,
    FindingKind.LFS_POINTER: Severity.CRITICAL,
    FindingKind.HTML_PAGE: Severity.CRITICAL,
    FindingKind.DANGLING_LINK: Severity.CRITICAL,
    FindingKind.UNREADABLE: Severity.CRITICAL,
    FindingKind.FOREIGN_FILE: Severity.CRITICAL,
    # These three are the publisher's own: the bytes are his, and yet no program will make sense of them.
    FindingKind.BAD_HEADER: Severity.CRITICAL,
    FindingKind.MISSING_SHARD: Severity.CRITICAL,
    FindingKind.MALFORMED_JSON: Severity.WARNING,
}


class FindingRecord(TypedDict):
    """A `Finding` as plain data; `ranges` are [start, stop), none when they are not known or the file has none."""

    kind: str
    file: str
    ranges: list[tuple[int, int]]
    severity: str
    cause: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one file.

    Attributes:
        kind: what.
        file: with which file of the listing.
        ranges: the damaged bytes as (start, stop), stop exclusive; none when they are not known, which means all.
        cause: the likely cause, as a sentence.
        is_listed: False for a file that the listing does not know: strange, and nothing the model needs.
    """

    kind: FindingKind
    file: FileRecord
    ranges: tuple[tuple[int, int], ...]
    cause: str
    is_listed: bool = True

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return SEVERITIES[self.kind] if self.is_listed else Severity.INFO

    @property
    def damaged_bytes(self) -> int:
        """How many bytes of the model it concerns."""
        if not self.is_listed:
            return 0
        return sum(stop - start for start, stop in self.ranges) if self.ranges else self.file.size

    def as_dict(self) -> FindingRecord:
        """Return the finding as plain data."""
        return FindingRecord(
            kind=self.kind.value,
            file=self.file.path,
            ranges=list(self.ranges),
            severity=self.severity.value,
            cause=self.cause,
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """Published content that was found wrong on the way to making a model available, and had to be healed.

    Attributes:
        unknown: what of it nobody had seen before.
        bytes_needed: what has to be fetched to heal it.
        bytes_before: what each source had given until then.
        began_seconds: how long the road had been going on.
    """

    unknown: tuple[Finding, ...]
    bytes_needed: int
    bytes_before: Mapping[str, int]
    began_seconds: float
