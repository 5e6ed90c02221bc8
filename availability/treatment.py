"""From what a check saw of a model to the steps that mend it: the least that does, decided before anything is done.

Pure but for the ledgers it asks for. First what is healed in place, then what is fetched anew, then names; so a repair
that stops at its first failure has left nothing half.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from availability.checks import CheckOutcome
from availability.digests import CHUNK_BYTES
from availability.findings import Finding, FindingKind
from availability.ledger import Ledger
from availability.model import FileRecord
from availability.repair import plan_repair
from availability.repairs import ActionName, RepairType, Step
from availability.structure import Placed, Structure

_MOST_NAMED = 5

Ranges = tuple[tuple[int, int], ...]


def steps_for(
    structure: Structure, seen: CheckOutcome, ledger_of: Callable[[str], Ledger | None], repair_type: RepairType
) -> tuple[Step, ...]:
    """Return the steps of a repair.

    Args:
        structure: how the model stands.
        seen: what is wrong with it.
        ledger_of: returns the ledger of a digest, None when there is none.
        repair_type: `auto` takes whatever is the least; else only that kind of action is taken.
    """
    if repair_type == "redownload":
        return (_fetching("redownload", _by_digest(placed.file for placed in structure.files)),)
    wounds = [*_wounds(structure, seen, ledger_of, whole_files=repair_type == "refetch_file")]
    steps = [*_healing(wounds), *_names(structure), *_ledgers(structure, seen)]
    return tuple(step for step in steps if repair_type in ("auto", step.action))


def finding_of_content(placed: Placed, seen: CheckOutcome) -> Finding | None:
    """Return what is wrong with a file's content, leaving aside its name; None when nothing is known to be."""
    found = (one for one in seen.findings if one.is_listed and one.file == placed.file and one != placed.finding)
    return next(found, None)


def _wounds(
    structure: Structure, seen: CheckOutcome, ledger_of: Callable[[str], Ledger | None], *, whole_files: bool
) -> Iterator[tuple[FileRecord, Ranges | None]]:
    """Yield what content is wrong, once for each content: with the ranges to fetch, or None for all of it."""
    done: set[str] = set()
    for placed in structure.files:
        finding = finding_of_content(placed, seen)
        if placed.file.digest in done or (placed.place is not None and finding is None):
            continue
        done.add(placed.file.digest)
        if finding is None or placed.place is None or whole_files or placed.file.size <= CHUNK_BYTES:
            yield placed.file, None
        else:
            yield placed.file, _ranges_to_fetch(finding, ledger_of(placed.file.digest))


def _ranges_to_fetch(finding: Finding, ledger: Ledger | None) -> Ranges | None:
    if ledger is not None and finding.kind is FindingKind.OVERSIZED:
        # What is right of it is copied, and only what is wrong is fetched.
        return finding.ranges
    (action,) = plan_repair([finding], {finding.file.path: ledger is not None})
    return action.ranges if action.action == "refetch_ranges" else None


def _healing(wounds: Iterable[tuple[FileRecord, Ranges | None]]) -> Iterator[Step]:
    whole: list[FileRecord] = []
    for file, ranges in wounds:
        if ranges is None:
            whole.append(file)
        else:
            size = sum(stop - start for start, stop in ranges)
            yield Step("refetch_ranges", (file,), ranges, details=f"{size} bytes of {file.path}")
    if whole:
        yield _fetching("refetch_file", whole)


def _names(structure: Structure) -> Iterator[Step]:
    loose = tuple(placed.file for placed in structure.files if not placed.has_good_link)
    if loose:
        yield Step("relink", loose, details=f"the names of {_named(loose)}")


def _ledgers(structure: Structure, seen: CheckOutcome) -> Iterator[Step]:
    files = tuple(placed.file for placed in structure.files if placed.file.path in seen.ledgers_rebuilt)
    if files:
        yield Step("rebuild_ledger", files, details=f"from the publisher's digests of {_named(files)}")


def _fetching(action: ActionName, files: Sequence[FileRecord]) -> Step:
    ranges = tuple((0, file.size) for file in files)
    return Step(action, tuple(files), ranges, details=f"{sum(file.size for file in files)} bytes of {_named(files)}")


def _by_digest(files: Iterable[FileRecord]) -> tuple[FileRecord, ...]:
    return tuple({file.digest: file for file in files}.values())


def _named(files: Sequence[FileRecord]) -> str:
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(file.path for file in files[:_MOST_NAMED]) + more
