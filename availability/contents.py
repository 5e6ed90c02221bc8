"""The content of one snapshot as a scrub takes it: each content once, however many names it has, from where it stands.

It turns portions into subjects and readings into judgements, and rebuilds lost ledgers. Which portions are due is
`availability.rotation`'s decision, and what is done with the judgements is `availability.check`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from availability.checks import Remembered, UnderWay
from availability.digests import CHUNK_BYTES
from availability.findings import Finding
from availability.integrity import Other
from availability.ledger import Ledger
from availability.model import FileRecord
from availability.noting import Judgement
from availability.pace import Pace
from availability.record import Defect, Proof
from availability.rotation import Due, Portion
from availability.scrub import Reading, Subject, scrub
from availability.structure import Placed, Structure
from availability.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Read:
    """What reading told.

    Attributes:
        findings: what is wrong.
        judgements: what is known now.
        judged: paths of the files that were read, at least in part, and whose judgement is not void.
        finished: paths of the files that are no longer under way.
        under_way: by path, what was begun and not finished.
        proofs: by path, what is known to be intact.
        ledgers_rebuilt: paths of files whose ledger was lost or damaged and is there again.
        bytes_read: how many.
        bytes_judged: the same as the model counts them: content with two names counts twice.
        is_complete: whether everything that was to be read was read.
    """

    findings: tuple[Finding, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    judged: frozenset[str] = frozenset()
    finished: frozenset[str] = frozenset()
    under_way: Mapping[str, UnderWay] = field(default_factory=dict)
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    ledgers_rebuilt: tuple[str, ...] = ()
    bytes_read: int = 0
    bytes_judged: int = 0
    is_complete: bool = True

    def oldest_check(self, structure: Structure) -> float | None:
        """Return when the content that was read longest ago was read; None when some never was."""
        moments = {path: defect.at for path, defect in _defects(structure).items()}
        moments |= {path: proof.at for path, proof in self.proofs.items()}
        moments |= {judgement.file.path: judgement.at for judgement in self.judgements}
        known = [moments.get(placed.file.path) for placed in structure.files if placed.place is not None]
        return min((at for at in known if at is not None), default=None) if None not in known else None


NOTHING_READ = Read()


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is to read of a snapshot.

    Attributes:
        workspace: where.
        structure: the snapshot.
        names: by the path of its first name, all the names of each content.
        ledgers: by the same, what its chunks must be.
        under_way: by the same, where an earlier reading stopped.
        due: the same as the rotation sees it.
    """

    workspace: Workspace
    structure: Structure
    names: Mapping[str, Sequence[Placed]]
    ledgers: Mapping[str, Ledger | None]
    under_way: Mapping[str, UnderWay]
    due: Sequence[Due]

    @classmethod
    def of(cls, workspace: Workspace, structure: Structure, earlier: Remembered, *, goes_on: bool) -> Self:
        """Look at what there is; with `goes_on` what an earlier check began is gone on with."""
        by_place: dict[Path, list[Placed]] = {}
        for placed in structure.files:
            if placed.place is not None:
                by_place.setdefault(placed.place, []).append(placed)
        names = {group[0].file.path: tuple(group) for group in by_place.values()}
        ledgers = {
            path: workspace.ledgers.read(group[0].file.digest) if group[0].file.size > CHUNK_BYTES else None
            for path, group in names.items()
        }
        under_way = dict(_still_under_way(workspace, names, earlier)) if goes_on else {}
        contents = cls(workspace, structure, names, ledgers, under_way, ())
        known: dict[str, Proof | Defect] = {**earlier.proofs, **_defects(structure)}
        known |= structure.record.proofs if structure.record else {}
        return replace(contents, due=tuple(contents._due(path, known.get(path)) for path in names))

    def read(self, portions: Sequence[Portion], pace: Pace, *, remember: bool) -> Read:
        """Read portions and judge them; without `remember` no ledger is written."""
        readings = scrub([self._subject(portion) for portion in portions], pace, others=self._others)
        valid = [reading for reading in readings if not reading.has_changed]
        made = [(reading, ledger) for reading in valid if (ledger := _made_ledger(reading)) is not None]
        if remember:
            for _, ledger in made:
                self.workspace.ledgers.write(ledger)
        judgements = (self._judgement(reading) for reading in valid if reading.is_done or reading.finding)
        return Read(
            findings=tuple(finding for reading in valid for finding in self._findings(reading)),
            judgements=tuple(judgement for judgement in judgements if judgement is not None),
            judged=frozenset(placed.file.path for reading in valid for placed in self._named(reading)),
            finished=frozenset(r.subject.file.path for r in readings if r.is_done or r.has_changed),
            under_way={r.subject.file.path: left for r in valid if (left := self._left(r)) is not None},
            proofs={path: proof for reading in valid for path, proof in self._proven(reading)},
            ledgers_rebuilt=tuple(placed.file.path for reading, _ in made for placed in self._named(reading)),
            bytes_read=sum(reading.bytes_read for reading in readings),
            bytes_judged=sum(_judged_bytes(reading) * len(self._named(reading)) for reading in valid),
            is_complete=len(readings) == len(portions) and all(map(_went_all_the_way, readings)),
        )

    def _due(self, path: str, known: Proof | Defect | None) -> Due:
        placed = self.names[path][0]
        signature = self.workspace.store.signature(placed.place or placed.path)
        return Due(
            path=path,
            size=placed.file.size,
            checked_at=known.at if known is not None and known.signature == signature else None,
            position=self.under_way[path].position if path in self.under_way else 0,
            is_divisible=self.ledgers[path] is not None,
        )

    def _subject(self, portion: Portion) -> Subject:
        placed = self.names[portion.path][0]
        begun = self.under_way.get(portion.path)
        return Subject(
            place=placed.place or placed.path,
            file=placed.file,
            ledger=self.ledgers[portion.path],
            start=portion.start,
            stop=portion.stop,
            signature=begun.signature if begun else None,
            damaged=(*(begun.damaged if begun else ()), *self._known_damage(placed, portion)),
        )

    def _known_damage(self, placed: Placed, portion: Portion) -> Iterator[tuple[int, int]]:
        """Yield what is known to be wrong beyond what is read now, so that it is not forgotten."""
        defect = _defects(self.structure).get(portion.path)
        if defect is not None and defect.signature == self.workspace.store.signature(placed.place or placed.path):
            yield from (damage for damage in defect.ranges if damage[0] >= portion.stop)

    def _others(self, file: FileRecord, size: int) -> Iterator[Other]:
        for other in self.structure.listing.files:
            if other.size == size and other.digest != file.digest:
                yield Other(other, self.workspace.ledgers.read(other.digest) if size > CHUNK_BYTES else None)

    def _named(self, reading: Reading) -> Sequence[Placed]:
        return self.names[reading.subject.file.path]

    def _findings(self, reading: Reading) -> Iterator[Finding]:
        if reading.finding is not None:
            for placed in self._named(reading):
                yield replace(reading.finding, file=placed.file)

    def _judgement(self, reading: Reading) -> Judgement | None:
        # What could not even be opened has a signature none the less, if it is there.
        signature = reading.signature or self.workspace.store.signature(reading.subject.place)
        if signature is None:
            return None
        return Judgement(reading.subject.file, signature, self._began_at(reading), reading.finding)

    def _began_at(self, reading: Reading) -> float:
        begun = self.under_way.get(reading.subject.file.path)
        return begun.began_at if begun else reading.began_at

    def _left(self, reading: Reading) -> UnderWay | None:
        if reading.is_done or reading.signature is None:
            return None
        return UnderWay(reading.position, reading.signature, self._began_at(reading), reading.damaged)

    def _proven(self, reading: Reading) -> Iterator[tuple[str, Proof]]:
        if reading.is_done and reading.finding is None and reading.signature is not None:
            for placed in self._named(reading):
                yield placed.file.path, Proof(reading.signature, self._began_at(reading))


def _still_under_way(
    workspace: Workspace, names: Mapping[str, Sequence[Placed]], earlier: Remembered
) -> Iterator[tuple[str, UnderWay]]:
    for path, begun in earlier.under_way.items():
        if path in names and workspace.store.signature(names[path][0].place or "") == begun.signature:
            yield path, begun


def _defects(structure: Structure) -> Mapping[str, Defect]:
    return structure.record.defects if structure.record else {}


def _made_ledger(reading: Reading) -> Ledger | None:
    made = reading.ledger
    return made if made is not None and made.is_of_use and reading.subject.ledger is None else None


def _judged_bytes(reading: Reading) -> int:
    """Return how many bytes are judged; of one that cannot be read, all are."""
    return (reading.subject.file.size if reading.is_done else reading.position) - reading.subject.start


def _went_all_the_way(reading: Reading) -> bool:
    stop = reading.subject.stop or reading.subject.file.size
    return not reading.has_changed and (reading.is_done or reading.position >= stop)
