"""Checking what is stored, offline: read it, say what is wrong with it, and remember both.

The use-case behind `availability check`. It repairs nothing and starts nothing; whoever reads its outcome decides that,
so that a check can never begin a repair that begins a check. It needs no lease, because it only reads, and what it
notes is tied to the signature that it saw.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from time import monotonic, time

from availability.catalog import Catalog
from availability.checks import CheckOutcome, Remembered
from availability.contents import NOTHING_READ, Contents, Read
from availability.diagnosis import Observation, diagnose
from availability.digests import CHUNK_BYTES
from availability.errors import HealthCheckFailedError
from availability.events import of_check
from availability.findings import Finding, FindingKind
from availability.inventory import model_status
from availability.model import Commit, ModelId
from availability.noting import Judgement, note
from availability.outcome import ExitCode
from availability.pace import Pace
from availability.record import Defect, Proof, Signature
from availability.rotation import share, whole, within
from availability.structure import Placed, Structure, observe
from availability.workspace import Workspace


class Mode(StrEnum):
    """How much of a model is read."""

    FULL = "full"
    SHARE = "share"
    QUICK = "quick"


_ANSWERED = {
    Mode.FULL: {Mode.FULL, Mode.SHARE, Mode.QUICK},
    Mode.SHARE: {Mode.SHARE, Mode.QUICK},
    Mode.QUICK: {Mode.QUICK},
}
"""What an earlier result of each mode is an answer to."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a check is asked for.

    Attributes:
        mode: `full` reads everything, `share` what is due, `quick` nothing but names and signatures.
        share: read so much of all bytes, the longest unread first; None reads what `within_days` makes due.
        within_days: every byte is to be read within so many days; None takes the setting.
        every_hours: how often such a check runs; None takes the setting.
        force: an earlier result is not good enough, however young.
        remember: note what was found; False leaves no trace.
        only: paths of the files to read; None means all that the mode says.
    """

    mode: Mode = Mode.FULL
    share: Fraction | None = None
    within_days: float | None = None
    every_hours: float | None = None
    force: bool = False
    remember: bool = True
    only: frozenset[str] | None = None


def check_models(
    workspace: Workspace,
    models: Sequence[ModelId],
    order: Order,
    pace: Pace | None = None,
    on_outcome: Callable[[CheckOutcome], None] = lambda _: None,
) -> list[CheckOutcome]:
    """Check several models, the one whose oldest check is the oldest first, until the pace is over.

    Args:
        workspace: where.
        models: which.
        order: what of each.
        pace: how; its time box is for all of them together.
        on_outcome: told of each when it is done.

    Returns:
        One outcome for each model, in the order of `models`; those that were not reached have read nothing.
    """
    pace = pace or Pace()
    outcomes: dict[ModelId, CheckOutcome] = {}
    for model in oldest_first(workspace, models):
        outcomes[model] = check_model(workspace, model, order, pace)
        on_outcome(outcomes[model])
    return [outcomes[model] for model in models]


def oldest_first(workspace: Workspace, models: Iterable[ModelId]) -> list[ModelId]:
    """Order models for a time box: the one whose oldest check is the oldest comes first."""
    return sorted(models, key=lambda model: _oldest(workspace, model))


def check_model(workspace: Workspace, model: ModelId, order: Order, pace: Pace | None = None) -> CheckOutcome:
    """Check one model at one revision; what kept it from being checked is part of the outcome."""
    began_at, began = time(), monotonic()
    structure = observe(workspace, model)
    earlier = workspace.checks.read(model)
    if structure is None:
        absent = CheckOutcome(model, order.mode.value, began_at, error=not_here(model), is_complete=False)
        return _recorded(workspace, absent, None, earlier, order)
    pace = pace or Pace()
    young = None if order.force else _young_outcome(workspace, earlier, order, pace)
    if young is not None and earlier.fingerprint == _fingerprint(workspace, structure):
        return replace(young, reused=True)
    read = NOTHING_READ if order.mode is Mode.QUICK else _read(workspace, structure, earlier, order, pace)
    read = replace(read, proofs={**earlier.proofs, **_proofs(structure), **read.proofs})
    outcome = _conclude(workspace, structure, read, order, began_at)
    outcome = replace(outcome, from_memory=pace.from_memory, seconds=monotonic() - began)
    if order.remember:
        proofs = {} if structure.record else read.proofs
        under_way = {**earlier.under_way, **read.under_way}
        under_way = {path: told for path, told in under_way.items() if path not in read.finished}
        left = Remembered(outcome, _fingerprint(workspace, structure), under_way, proofs)
        workspace.checks.write(model, left)
    return _recorded(workspace, outcome, structure.commit, earlier, order)


def _recorded(
    workspace: Workspace, outcome: CheckOutcome, commit: Commit | None, earlier: Remembered, order: Order
) -> CheckOutcome:
    """Leave an outcome to the history, if anything is to be left; where something is or was wrong, the status too."""
    if order.remember:
        known = earlier.outcome.findings if earlier.outcome else ()
        is_news = bool(outcome.findings or known) and commit is not None
        status = model_status(workspace, outcome.model, Catalog()) if is_news and workspace.history.is_on else None
        workspace.history.record(of_check(outcome, commit, known, status))
    return outcome


def _proofs(structure: Structure) -> Mapping[str, Proof]:
    return structure.record.proofs if structure.record else {}


def _read(workspace: Workspace, structure: Structure, earlier: Remembered, order: Order, pace: Pace) -> Read:
    """Read what the order makes due."""
    goes_on = order.mode is Mode.SHARE or pace.until is not None
    contents = Contents.of(workspace, structure, earlier, goes_on=goes_on)
    health = workspace.settings.health
    match order:
        case Order(only=frozenset() as paths):
            portions = whole(due for due in contents.due if any(n.file.path in paths for n in contents.names[due.path]))
        case Order(mode=Mode.SHARE, share=Fraction() as part):
            portions = share(contents.due, part)
        case Order(mode=Mode.SHARE):
            days = order.within_days or health.within_days
            hours = order.every_hours or health.check_interval_hours
            portions = within(contents.due, days=days, every_hours=hours, now=time())
        case _:
            portions = whole(contents.due)
    return contents.read(portions, pace, remember=order.remember)


def exit_code(outcomes: Iterable[CheckOutcome]) -> ExitCode:
    """Return what outcomes mean for a command: something is wrong, or something could not be checked, or neither."""
    codes = {_code(outcome) for outcome in outcomes}
    return next((code for code in (ExitCode.NOT_VERIFIED, ExitCode.UNKNOWN) if code in codes), ExitCode.OK)


def stored_or_listed(workspace: Workspace, catalog: Catalog, *, everything: bool) -> tuple[ModelId, ...]:
    """Return the models of the catalog that have something in the store, or with `everything` all that have."""
    models: set[ModelId] = {entry.model for entry in catalog if workspace.store.commit(entry.model)}
    if everything:
        for stored in workspace.store.models():
            names = (ModelId(stored.repo_id, name) for name in workspace.store.revisions(stored))
            models |= {model for model in names if workspace.store.commit(model)}
    return tuple(sorted(models))


def _conclude(workspace: Workspace, structure: Structure, read: Read, order: Order, began_at: float) -> CheckOutcome:
    """Put together what links, signatures and content told; note it if that is wanted."""
    shallow = _Shallow(workspace, structure, read)
    findings = [
        *(placed.finding for placed in structure.files if placed.finding),
        *read.findings,
        *shallow.findings(),
        *structure.strays,
    ]
    if order.remember and structure.record is not None:
        note(workspace, structure, [*read.judgements, *shallow.judgements(began_at)])
    total = sum(placed.file.size for placed in structure.files)
    named = sum(placed.file.size for placed in structure.files if placed.place is None)
    content = ("content",) if order.mode is not Mode.QUICK else ()
    return CheckOutcome(
        model=structure.model,
        mode=order.mode.value,
        checked_at=began_at,
        checks_performed=("links", "signatures", *content),
        findings=tuple(sorted(findings, key=lambda finding: (finding.file.path, finding.kind))),
        unverified=tuple(sorted({*structure.unverifiable, *shallow.unverified()})),
        ledgers_rebuilt=read.ledgers_rebuilt,
        bytes_read=read.bytes_read,
        bytes_total=total,
        coverage=min(1.0, (read.bytes_judged + named) / total) if total and content else float(bool(content)),
        oldest_check=read.oldest_check(structure),
        is_complete=read.is_complete,
    )


@dataclass(frozen=True, slots=True)
class _Shallow:
    """What names and signatures tell of the files that were not read in this run."""

    workspace: Workspace
    structure: Structure
    read: Read

    def findings(self) -> Iterator[Finding]:
        for placed, signature in self._unread():
            defect = self._defect(placed, signature)
            if defect is not None:
                yield Finding(FindingKind(defect.kind), placed.file, defect.ranges, defect.cause or "found earlier")
            elif signature.size != placed.file.size and not self.structure.is_by_names:
                start = min(signature.size, placed.file.size) // CHUNK_BYTES * CHUNK_BYTES
                ranges = ((start, placed.file.size),) if start < placed.file.size else ()
                finding = diagnose(placed.file, Observation(signature.size, ranges))
                if finding is not None:
                    yield finding

    def judgements(self, at: float) -> Iterator[Judgement]:
        """Yield what of it is not in the record yet: a wrong size, and a link that leads elsewhere."""
        known = {finding.file.path: finding for finding in self.findings()}
        for placed, signature in self._unread():
            if placed.file.path in known and self._defect(placed, signature) is None:
                yield Judgement(placed.file, signature, at, known[placed.file.path])
        for placed in self.structure.files:
            signature_there = self.workspace.store.signature(placed.path)
            if placed.finding is not None and signature_there is not None:
                yield Judgement(placed.file, signature_there, at, placed.finding, of_path_only=True)

    def unverified(self) -> Iterator[str]:
        """Yield the files about whose content nothing is known."""
        wrong = {finding.file.path for finding in self.findings()}
        for placed, signature in self._unread():
            proof = self.read.proofs.get(placed.file.path)
            if placed.file.path not in wrong and (proof is None or proof.signature != signature):
                yield placed.file.path

    def _unread(self) -> Iterator[tuple[Placed, Signature]]:
        for placed in self.structure.files:
            if placed.place is None or placed.file.path in self.read.judged:
                continue
            signature = self.workspace.store.signature(placed.place)
            if signature is not None:
                yield placed, signature

    def _defect(self, placed: Placed, signature: Signature) -> Defect | None:
        record = self.structure.record
        defect = record.defects.get(placed.file.path) if record else None
        return defect if defect is not None and defect.signature == signature else None


def _oldest(workspace: Workspace, model: ModelId) -> float:
    outcome = workspace.checks.read(model).outcome
    return outcome.oldest_check or 0.0 if outcome else 0.0


def not_here(model: ModelId) -> HealthCheckFailedError:
    """Return the error of a model of which nothing is in the store."""
    return HealthCheckFailedError(
        f"{model} cannot be checked: there is no snapshot of it in the store.",
        advice=(f"Fetch it: availability ensure {model}",),
    )


def _young_outcome(workspace: Workspace, earlier: Remembered, order: Order, pace: Pace) -> CheckOutcome | None:
    """Return an earlier outcome that is young enough, and was had in a way that answers this order."""
    outcome = earlier.outcome
    if outcome is None or not outcome.is_complete or outcome.from_memory not in (False, pace.from_memory):
        return None
    is_young = 0 <= time() - outcome.checked_at < workspace.settings.health.cache_ttl_seconds
    return outcome if is_young and order.mode in _ANSWERED[Mode(outcome.mode)] else None


def _fingerprint(workspace: Workspace, structure: Structure) -> str:
    """Return what changes when a file of the snapshot is replaced, written to or linked elsewhere."""
    seen = hashlib.blake2b(structure.commit.encode(), digest_size=16)
    for placed in structure.files:
        signature = workspace.store.signature(placed.path)
        seen.update(repr((placed.file.path, placed.finding is None, signature)).encode())
    for stray in structure.strays:
        seen.update(stray.file.path.encode())
    return seen.hexdigest()


def _code(outcome: CheckOutcome) -> ExitCode:
    if outcome.error is not None:
        return ExitCode.UNKNOWN
    return ExitCode.OK if outcome.is_intact else ExitCode.NOT_VERIFIED
