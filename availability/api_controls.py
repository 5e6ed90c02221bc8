"""What Python programs call to manage downloads, whichever process runs them: the functions behind the face.

They take and answer what people type and read; what they do is `availability.managing` and `availability.downloads`.
"""

from collections.abc import Callable

from availability.api import ensured
from availability.controls import current_user
from availability.downloads import ListedDownload, find_download, list_downloads
from availability.ensure import ensure_all
from availability.errors import NoDownloadError
from availability.inventory import known_ids
from availability.managing import cancel as cancel_download
from availability.managing import parse_priority, request_again
from availability.managing import pause as pause_download
from availability.managing import resume as resume_download
from availability.managing import set_limit as limit_download
from availability.managing import set_priority as put_forward
from availability.model import ModelId
from availability.opening import catalog_of, open_workspace
from availability.outcome import Ensured
from availability.transfer.meter import Progress
from availability.workspace import Workspace


def downloads(*, ended: bool = False, workspace: Workspace | None = None) -> list[ListedDownload]:
    """Return what downloads run, then those that wait in their order, then those that are paused.

    Args:
        ended: list last how the other models' latest downloads ended, too.
        workspace: whose; see `open_workspace`.
    """
    return list_downloads(workspace or open_workspace(), ended=ended)


def pause(model: str, *, workspace: Workspace | None = None) -> ListedDownload | None:
    """Stop the download of a model within a second, and keep it from starting until it is resumed.

    Its connections and its place among the concurrent downloads are given back; what has arrived is kept. It holds over
    restarts, for whatever process asks for the model.

    Returns:
        The download as it stands now; one that runs ends within a second.

    Raises:
        NoDownloadError: nobody downloads the model, and nobody knows it.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    target = _target(here, model)
    pause_download(here, catalog, target, by=current_user())
    return find_download(here, target)


def resume(
    model: str,
    *,
    start: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    workspace: Workspace | None = None,
) -> Ensured | None:
    """Let a paused download go on: here and now, where it was, with the files that were asked for then.

    Args:
        model: `org/name[@revision]`, or an alias of the catalog.
        start: False only lifts the pause: whoever asks for the model next goes on.
        on_progress: told how far it is, some twenty times a second.
        workspace: where; see `open_workspace`.

    Returns:
        The outcome, as `ensure` does; None when it was not started.

    Raises:
        NoDownloadError: it was not paused.
        EnhancedModelAvailabilityError: it could not be brought to its end.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    target = _target(here, model)
    resume_download(here, target, by=current_user())
    if not start:
        return None
    listener = (lambda _, progress: on_progress(progress)) if on_progress else None
    (outcome,) = ensure_all(here, [request_again(here, catalog, target)], catalog=catalog, on_progress=listener)
    return ensured(outcome)


def cancel(model: str, *, workspace: Workspace | None = None) -> bool:
    """End the download of a model for good, wherever it stands; what has arrived is kept.

    Returns:
        Whether there was one that ran, waited or was paused; one that runs ends within a second.
    """
    here = workspace or open_workspace()
    try:
        cancel_download(here, _target(here, model), by=current_user())
    except NoDownloadError:
        return False
    return True


def set_priority(model: str, priority: str, *, workspace: Workspace | None = None) -> ListedDownload | None:
    """Say how urgent a download is: `critical`, `high`, `normal` or `low`; one that waits takes its new place at once.

    Raises:
        NoDownloadError: there is none.
        UsageError: there is no such priority.
    """
    here = workspace or open_workspace()
    target = _target(here, model)
    put_forward(here, target, parse_priority(priority), by=current_user())
    return find_download(here, target)


def set_limit(model: str, mbps: float, *, workspace: Workspace | None = None) -> ListedDownload | None:
    """Limit the speed of one download, in Mbit/s, within a second; 0 lifts its limit.

    Raises:
        NoDownloadError: there is none.
        UsageError: it is no speed.
    """
    here = workspace or open_workspace()
    target = _target(here, model)
    limit_download(here, target, mbps, by=current_user())
    return find_download(here, target)


def _target(here: Workspace, model: str) -> ModelId:
    return catalog_of(here.settings).resolve(model, frozenset(known_ids(here)))
