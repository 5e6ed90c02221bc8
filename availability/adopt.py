"""Taking over a folder that was copied in by hand: the road without a download.

The folder's files are copied into staging and judged there like anything else that lies about unproven; what is right
stays, whatever becomes of the rest, so that a later `ensure` fetches only what is missing or wrong.
"""

from collections.abc import Sequence
from pathlib import Path

from availability import road
from availability.catalog import Catalog
from availability.download import Download
from availability.ensure import attempt, failed_outcome, ready_outcome, recorded
from availability.errors import EnhancedModelAvailabilityError, IncompleteModelError, UsageError
from availability.integrity import Finding
from availability.model import FileRecord
from availability.outcome import EnsureOutcome
from availability.plan import Plan, Presence
from availability.road import Ready
from availability.road.fetching import make_sure_of_room

_COPY_BYTES = 8 * 1024 * 1024


def adopt(download: Download, folder: Path, catalog: Catalog) -> EnsureOutcome:
    """Verify a folder's files against the publisher's digests, and publish them if they are the whole model.

    The folder itself is only read. A failure is part of the outcome.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder; expected one that holds the files of {download.model}.",
            advice=("Name the folder in which config.json and the weights lie.",),
        )
    try:
        with download.held():
            download.begun = True
            ready = _take_over(download, folder)
    except EnhancedModelAvailabilityError as error:
        return recorded(download, failed_outcome(download, catalog, error))
    return recorded(download, ready_outcome(download, ready))


def _take_over(download: Download, folder: Path) -> Ready:
    listed = attempt(download, lambda: road.plan(download))
    useful = [
        item.file
        for item in listed.files
        if item.presence is not Presence.PROVEN and (folder / item.file.path).is_file()
    ]
    make_sure_of_room(download, sum(file.size for file in useful))
    download.workspace.store.prepare(download.model)
    for file in useful:
        _copy(download, folder / file.path, file)
    made = attempt(download, lambda: road.plan(download))
    findings = road.check(download, made)
    if findings or made.absent:
        raise _incomplete(folder, made, findings)
    return road.publish(download, made)


def _copy(download: Download, source: Path, file: FileRecord) -> None:
    staged = download.workspace.staging(download.model).path(file)
    # Not written over: it may be a second name of a file that somebody reads.
    staged.unlink(missing_ok=True)
    try:
        with source.open("rb") as reader, staged.open("wb") as writer:
            while data := reader.read(_COPY_BYTES):
                writer.write(data)
                download.tick()
    except BaseException:
        # Half a copy is of no use, and may be what fills the disk.
        staged.unlink(missing_ok=True)
        raise


def _incomplete(folder: Path, made: Plan, findings: Sequence[Finding]) -> IncompleteModelError:
    told = [f"{finding.file.path}: {finding.kind.value} ({finding.cause})" for finding in findings]
    told += [f"{file.path}: missing" for file in made.absent]
    return IncompleteModelError(
        f"{folder} is not all of {made.listing.model}: of its {len(made.files)} files, {len(findings)} wrong and "
        f"{len(made.absent)} missing.",
        tried=told,
        advice=(
            f"Fetch the rest: availability ensure {made.listing.model}; what was right is not fetched again.",
            "If you want only these files, name them with --include.",
        ),
    )
