"""What a check leaves for the next one: its outcome, and where it stopped in files larger than its time box.

One small file a model in the state directory; losing it costs time only. Proofs and defects are not here: they are what
is known of the model (`availability.record`). Only of a model without a record are its intact files remembered here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from availability.durable import replace_content
from availability.error import ErrorRecord
from availability.errors import EnhancedModelAvailabilityError
from availability.findings import Finding, FindingKind, FindingRecord, Severity
from availability.model import FileRecord, ModelId
from availability.record import Proof, Signature

_FORMAT = 1


class CheckRecord(TypedDict):
    """A `CheckOutcome` as plain data."""

    model_id: str
    revision: str
    mode: str
    checked_at: str
    checks_performed: list[str]
    is_intact: bool
    findings: list[FindingRecord]
    unverified_files: list[str]
    ledgers_rebuilt: list[str]
    bytes_read: int
    bytes_total: int
    seconds: float
    coverage: float
    oldest_check: str | None
    is_complete: bool
    reused: bool
    error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """How checking one model ended.

    Attributes:
        model: which.
        mode: `full`, `share` or `quick`.
        checked_at: when it began, seconds since the epoch.
        checks_performed: `links`, `signatures`, `content`.
        findings: what is wrong.
        unverified: paths of files for which no publisher's digest is known, or whose content nobody has read since it
            was last written to.
        ledgers_rebuilt: paths of files whose ledger was lost or damaged and is there again.
        bytes_read: from the disk or from memory.
        bytes_total: of all files that ought to be there.
        seconds: how long it took.
        coverage: share of those bytes that was judged in this run, 0 to 1.
        oldest_check: when the content that was read longest ago was read, seconds since the epoch; None when some
            never was.
        is_complete: whether it read all that it set out to read; a time box or a stop may have come before.
        from_memory: whether it read through the page cache.
        reused: whether this is an earlier result that still holds.
        error: why it could not be checked, None when it could.
    """

    model: ModelId
    mode: str
    checked_at: float
    checks_performed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    unverified: tuple[str, ...] = ()
    ledgers_rebuilt: tuple[str, ...] = ()
    bytes_read: int = 0
    bytes_total: int = 0
    seconds: float = 0.0
    coverage: float = 0.0
    oldest_check: float | None = None
    is_complete: bool = True
    from_memory: bool = False
    reused: bool = False
    error: EnhancedModelAvailabilityError | None = None

    @property
    def is_intact(self) -> bool:
        """Whether nothing was found that the model suffers from; it says nothing about what was not checked."""
        return self.error is None and all(finding.severity is Severity.INFO for finding in self.findings)

    @property
    def intact_share(self) -> float | None:
        """Share of the model's bytes that no finding concerns, 0 to 1; None when there are none to speak of."""
        if self.error is not None or not self.bytes_total:
            return None
        damaged: dict[str, int] = {}
        for finding in self.findings:
            if finding.severity is Severity.CRITICAL:
                damaged[finding.file.path] = max(damaged.get(finding.file.path, 0), finding.damaged_bytes)
        return max(0.0, 1 - sum(damaged.values()) / self.bytes_total)

    def as_dict(self) -> CheckRecord:
        """Return the outcome as plain data."""
        return CheckRecord(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            mode=self.mode,
            checked_at=_iso(self.checked_at),
            checks_performed=list(self.checks_performed),
            is_intact=self.is_intact,
            findings=[finding.as_dict() for finding in self.findings],
            unverified_files=list(self.unverified),
            ledgers_rebuilt=list(self.ledgers_rebuilt),
            bytes_read=self.bytes_read,
            bytes_total=self.bytes_total,
            seconds=round(self.seconds, 3),
            coverage=round(self.coverage, 6),
            oldest_check=None if self.oldest_check is None else _iso(self.oldest_check),
            is_complete=self.is_complete,
            reused=self.reused,
            error=self.error.as_dict() if self.error else None,
        )


@dataclass(frozen=True, slots=True)
class UnderWay:
    """How far the reading of a file has come.

    Attributes:
        position: what comes before is read and judged.
        signature: what the file looked like.
        began_at: seconds since the epoch.
        damaged: what was found wrong so far.
    """

    position: int
    signature: Signature
    began_at: float
    damaged: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier checks of a model left.

    Attributes:
        outcome: the latest one, None when there is none.
        fingerprint: of the names and signatures under which it was had.
        under_way: by path, what was begun and not finished.
        proofs: by path, the intact files of a model that has no record.
    """

    outcome: CheckOutcome | None = None
    fingerprint: str = ""
    under_way: Mapping[str, UnderWay] = field(default_factory=dict)
    proofs: Mapping[str, Proof] = field(default_factory=dict)


class Checks:
    """What checks left, by model: `<root>/<model>.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, model: ModelId) -> Remembered:
        """Return what is remembered; nothing when there is none or it cannot be understood."""
        try:
            return _decode(model, json.loads(self._path(model).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Remembered()

    def write(self, model: ModelId, remembered: Remembered) -> None:
        """Keep it, in place of what was."""
        content = {
            "format": _FORMAT,
            "outcome": _encoded(remembered.outcome) if remembered.outcome else None,
            "fingerprint": remembered.fingerprint,
            "under_way": {path: asdict(under_way) for path, under_way in remembered.under_way.items()},
            "proofs": {path: asdict(proof) for path, proof in remembered.proofs.items()},
        }
        replace_content(self._path(model), json.dumps(content, separators=(",", ":")).encode())

    def _path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}.json"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _encoded(outcome: CheckOutcome) -> dict[str, Any]:
    # What could not be checked is not remembered, so there is no error to write.
    plain = asdict(replace(outcome, error=None))
    del plain["model"], plain["error"], plain["reused"]
    return plain


def _decode(model: ModelId, content: dict[str, Any]) -> Remembered:
    if content["format"] != _FORMAT:
        return Remembered()
    return Remembered(
        outcome=_outcome(model, content["outcome"]) if content["outcome"] else None,
        fingerprint=content["fingerprint"],
        under_way={path: _under_way(told) for path, told in content["under_way"].items()},
        proofs={path: Proof(Signature(**told["signature"]), told["at"]) for path, told in content["proofs"].items()},
    )


def _under_way(told: dict[str, Any]) -> UnderWay:
    return UnderWay(told["position"], Signature(**told["signature"]), told["began_at"], _ranges(told["damaged"]))


def _outcome(model: ModelId, told: dict[str, Any]) -> CheckOutcome:
    findings = tuple(
        Finding(
            FindingKind(one["kind"]), FileRecord(**one["file"]), _ranges(one["ranges"]), one["cause"], one["is_listed"]
        )
        for one in told.pop("findings")
    )
    lists: dict[str, Any] = {
        name: tuple(told.pop(name)) for name in ("checks_performed", "unverified", "ledgers_rebuilt")
    }
    return CheckOutcome(model=model, findings=findings, **lists, **told)


def _ranges(told: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, stop) for start, stop in told)
