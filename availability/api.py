"""What Python programs call: the commands' answers as values, without a server.

Each function reads the settings (environment, `.env`) unless it is given some, so two lines are enough; a program that
asks often makes a `Workspace` once and passes it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from availability.adopt import adopt as adopt_folder
from availability.catalog import Catalog, load_catalog
from availability.download import Download, current_user
from availability.ensure import ProgressListener, ensure_all, requests_for
from availability.inventory import ModelStatus, known_ids, model_status
from availability.lease import is_held
from availability.outcome import EnsureOutcome
from availability.settings import Settings, load_settings
from availability.transfer.meter import Progress
from availability.workspace import Workspace


def open_workspace(settings: Mapping[str, object] | None = None, *, token: str | None = None) -> Workspace:
    """Return the doors of an installation.

    Args:
        settings: values by dotted name, such as `{"storage.models_directory": "/models"}`; they win over the
            environment, which wins over `.env`, which wins over the defaults.
        token: for private and gated models; None takes `HF_TOKEN` or what `hf auth login` has left.

    Raises:
        SettingsError: a value is out of its bounds.
    """
    return Workspace(load_settings(settings), token)


def ensure(
    model: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    workspace: Workspace | None = None,
) -> EnsureOutcome:
    """Make one model available and return how: `.path` is its complete, verified snapshot.

    Args:
        model: `org/name[@revision]`, or an alias of the catalog.
        include: patterns of files to have; none means all.
        exclude: patterns of files to leave out.
        variant: a dtype (`fp16`), a quantisation (`Q4_K_M`) or a format (`safetensors`).
        on_progress: told how far it is, some twenty times a second.
        workspace: where; see `open_workspace`.

    Raises:
        EnhancedModelAvailabilityError: it is not available; the class and its attributes say why.
    """
    listener: ProgressListener | None = on_progress and (lambda _, progress: on_progress(progress))
    outcome = ensure_models(
        [model], include=include, exclude=exclude, variant=variant, on_progress=listener, workspace=workspace
    )[0]
    if outcome.error is not None:
        raise outcome.error
    return outcome


def ensure_models(
    models: Sequence[str] = (),
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    on_progress: ProgressListener | None = None,
    workspace: Workspace | None = None,
) -> list[EnsureOutcome]:
    """Make several models available, some at once; one's failure is its outcome and does not stop the others.

    Args:
        models: ids or aliases; none means every model of the catalog, the most urgent first.
        include: as for `ensure`.
        exclude: as for `ensure`.
        variant: as for `ensure`.
        on_progress: told the model and how far it is, in any thread.
        workspace: where; see `open_workspace`.

    Raises:
        UsageError: an id or the catalog cannot be understood; nothing was started.
    """
    here = workspace or open_workspace()
    catalog = _catalog(here.settings)
    requests, refused = requests_for(here, catalog, models, include=include, exclude=exclude, variant=variant)
    return [*ensure_all(here, requests, catalog=catalog, on_progress=on_progress), *refused]


def status(model: str, *, workspace: Workspace | None = None) -> ModelStatus:
    """Return how available a model is, from the disk alone: no network, no hashing.

    Raises:
        ModelNotFoundError, InvalidModelIdError: nobody knows the name.
    """
    here = workspace or open_workspace()
    catalog = _catalog(here.settings)
    return model_status(here, catalog.resolve(model, known_ids(here)), catalog)


def progress(model: str, *, workspace: Workspace | None = None) -> Progress | None:
    """Return how far the running download of a model is, whichever process runs it; None when none runs."""
    here = workspace or open_workspace()
    found = status(model, workspace=here)
    return found.download.progress if found.download and found.is_running else None


def cancel(model: str, *, workspace: Workspace | None = None) -> bool:
    """Ask the process that downloads a model to end it for good; what has arrived is kept.

    Returns:
        Whether there was a running download to ask; it ends within a second.
    """
    here = workspace or open_workspace()
    catalog = _catalog(here.settings)
    target = catalog.resolve(model, known_ids(here))
    record = here.controls.read(target)
    if record is None or not record.state.is_active or not is_held(here.lease_path(target)):
        return False
    here.controls.request_cancel(record, by=current_user())
    return True


def adopt(
    folder: Path | str,
    model: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workspace: Workspace | None = None,
) -> EnsureOutcome:
    """Verify a folder that was copied in by hand as a model, and take it over without a download.

    Raises:
        EnhancedModelAvailabilityError: it is not that model, or not all of it, or nobody can say.
    """
    here = workspace or open_workspace()
    catalog = _catalog(here.settings)
    requests, refused = requests_for(here, catalog, [model], include=include, exclude=exclude)
    outcomes = [
        adopt_folder(Download(here, request.model, request.selection), Path(folder), catalog) for request in requests
    ]
    for outcome in [*outcomes, *refused]:
        if outcome.error is not None:
            raise outcome.error
    return outcomes[0]


def _catalog(settings: Settings) -> Catalog:
    return load_catalog(settings.catalog, required=settings.catalog_was_chosen)
