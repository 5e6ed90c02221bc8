"""The third step: judge what was there already, by reading it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from availability.controls import DownloadState
from availability.download import Download
from availability.errors import DownloadIntegrityError
from availability.integrity import Examination, Finding, examine
from availability.pickles import check_pickles
from availability.plan import Plan, PlannedFile
from availability.road.timing import timed


@timed
def check(download: Download, made: Plan) -> tuple[Finding, ...]:
    """Read and judge what was there already; return what is wrong with it.

    Raises:
        UnsafeModelError: a pickle that must be scanned holds what it must not.
        DownloadCancelledError: somebody cancelled it.
    """
    download.enter(DownloadState.VERIFYING)
    unproven = [item for item in made.unproven if item.file.digest not in download.proven]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        examinations = list(pool.map(lambda item: _examine(download, item), unproven))
    for item, examination in zip(unproven, examinations, strict=True):
        _keep_judgement(download, item, examination)
    check_pickles(download.model, _places(download, made), download.workspace.settings.admission)
    return tuple(examination.finding for examination in examinations if examination.finding)


@timed
def confirm(download: Download, made: Plan) -> None:
    """Look again at what was healed: success is what is seen afterwards.

    Raises:
        DownloadIntegrityError: it is still wrong.
    """
    for finding in check(download, made):
        raise DownloadIntegrityError(
            f"{finding.file.path} of {download.model} is still wrong after it was healed: {finding.cause}",
            path=finding.file.path,
            expected=finding.file.digest,
            got=finding.kind,
        )


def _examine(download: Download, item: PlannedFile) -> Examination:
    def on_read(count: int) -> None:
        download.meter.kept(count)
        download.tick()

    assert item.place is not None  # noqa: S101  unproven means that there is something to read
    return examine(item.place, item.file, download.workspace.ledgers.read(item.file.digest), on_read)


def _keep_judgement(download: Download, item: PlannedFile, examination: Examination) -> None:
    """Remember what proved right, and bring it where it is published from; clear away what proved useless."""
    workspace, model = download.workspace, download.model
    staging = workspace.staging(model)
    if examination.finding is not None:
        download.meter.kept(-examination.bytes_read)
        if item.place == staging.path(item.file):
            item.place.unlink(missing_ok=True)
        return
    if examination.ledger is not None and examination.ledger.is_of_use:
        workspace.ledgers.write(examination.ledger)
    if item.place is not None and item.place not in (staging.path(item.file), workspace.store.blob(model, item.file)):
        staging.take_in(item.file, item.place)
    download.proven.add(item.file.digest)


def _places(download: Download, made: Plan) -> dict[str, Path]:
    """Return where the chosen files lie now: in staging, or under their final name."""
    staging, store = download.workspace.staging(download.model), download.workspace.store
    staged = store.present(download.model)[1]
    return {
        file.path: staging.path(file) if file.digest in staged else store.blob(download.model, file)
        for file in made.choice.files
    }
