"""What Python programs call: the commands' answers as values, without a server.

Each function reads the settings (environment, `.env`) unless it is given some, so two lines are enough; a program that
asks often makes a `Workspace` once and passes it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Literal

from availability.adopt import adopt as adopt_folder
from availability.check import Mode, Order, check_models, stored_or_listed
from availability.checks import CheckOutcome
from availability.checkup import observe_system
from availability.download import Download
from availability.ensure import ProgressListener, ensure_all
from availability.errors import UsageError
from availability.inventory import ModelStatus, known_ids, model_status
from availability.managing import parse_priority
from availability.mending import repair_model
from availability.opening import catalog_of, open_workspace
from availability.outcome import Ensured, EnsureOutcome
from availability.overview import Overview
from availability.pace import Pace
from availability.repairs import RepairOutcome, RepairType
from availability.requests import requests_for
from availability.rotation import parse_share
from availability.settings.groups import MEBIBYTE
from availability.sweep import record_end, record_inventory
from availability.system_health import SystemHealth
from availability.transfer.meter import Progress
from availability.workspace import Workspace


def ensure(
    model: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    priority: str | None = None,
    limit_mbps: float = 0,
    on_progress: Callable[[Progress], None] | None = None,
    workspace: Workspace | None = None,
) -> Ensured:
    """Make one model available and return how: `.path` is its complete, verified snapshot.

    Args:
        model: `org/name[@revision]`, or an alias of the catalog.
        include: patterns of files to have; none means all.
        exclude: patterns of files to leave out.
        variant: a dtype (`fp16`), a quantisation (`Q4_K_M`) or a format (`safetensors`).
        priority: `critical`, `high`, `normal` or `low`; None takes what the catalog says.
        limit_mbps: a speed limit beside the shared one, in Mbit/s; 0 means none.
        on_progress: told how far it is, some twenty times a second.
        workspace: where; see `open_workspace`.

    Raises:
        EnhancedModelAvailabilityError: it is not available; the class and its attributes say why.
    """
    listener: ProgressListener | None = on_progress and (lambda _, progress: on_progress(progress))
    (outcome,) = ensure_models(
        [model],
        include=include,
        exclude=exclude,
        variant=variant,
        priority=priority,
        limit_mbps=limit_mbps,
        on_progress=listener,
        workspace=workspace,
    )
    return ensured(outcome)


def ensure_models(
    models: Sequence[str] = (),
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    priority: str | None = None,
    limit_mbps: float = 0,
    on_progress: ProgressListener | None = None,
    workspace: Workspace | None = None,
) -> list[EnsureOutcome]:
    """Make several models available, some at once; one's failure is its outcome and does not stop the others.

    Args:
        models: ids or aliases; none means every model of the catalog, the most urgent first.
        include: as for `ensure`.
        exclude: as for `ensure`.
        variant: as for `ensure`.
        priority: as for `ensure`.
        limit_mbps: of all of them together.
        on_progress: told the model and how far it is, in any thread.
        workspace: where; see `open_workspace`.

    Raises:
        UsageError: an id or the catalog cannot be understood, or nothing is named anywhere; nothing was started.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    if not models:
        catalog.require_models()
    urgency = None if priority is None else parse_priority(priority)
    requests, refused = requests_for(
        here, catalog, models, include=include, exclude=exclude, variant=variant, priority=urgency
    )
    outcomes = ensure_all(here, requests, catalog=catalog, on_progress=on_progress, limit_mbps=limit_mbps)
    record_end(here, catalog, outcomes, refused, whole_catalog=not models)
    return [*outcomes, *refused]


def status(model: str, *, workspace: Workspace | None = None) -> ModelStatus:
    """Return how available a model is, from the disk alone: no network, no hashing.

    Raises:
        ModelNotFoundError, InvalidModelIdError: nobody knows the name.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    return model_status(here, catalog.resolve(model, known_ids(here)), catalog)


def status_all(
    *, page: int = 1, page_size: int | None = None, refresh: bool = False, workspace: Workspace | None = None
) -> Overview:
    """Return how available every model is that the disk, the catalog or a download knows, with a summary.

    Args:
        page: which page, from 1.
        page_size: models on a page; None puts all on one.
        refresh: look at the disk, however young the last answer is.
        workspace: where; one that is kept remembers its answer for `health.cache_ttl_seconds`.
    """
    here = workspace or open_workspace()
    return here.overviews.answer(catalog_of(here.settings), page=page, page_size=page_size, refresh=refresh)


def system_health(*, refresh: bool = False, workspace: Workspace | None = None) -> SystemHealth:
    """Return the health of everything in the store: counts, scores, room, the worst models first, what to do.

    Args:
        refresh: as for `status_all`.
        workspace: as for `status_all`.
    """
    here = workspace or open_workspace()
    return observe_system(here, catalog_of(here.settings), refresh=refresh)


def progress(model: str, *, workspace: Workspace | None = None) -> Progress | None:
    """Return how far the running download of a model is, whichever process runs it; None when none runs."""
    here = workspace or open_workspace()
    found = status(model, workspace=here)
    return found.download.progress if found.download and found.is_running else None


def adopt(
    folder: Path | str,
    model: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workspace: Workspace | None = None,
) -> Ensured:
    """Verify a folder that was copied in by hand as a model, and take it over without a download.

    Raises:
        EnhancedModelAvailabilityError: it is not that model, or not all of it, or nobody can say.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    requests, refused = requests_for(here, catalog, [model], include=include, exclude=exclude)
    adopted = [
        adopt_folder(Download(here, request.model, request.selection), Path(folder), catalog) for request in requests
    ]
    record_end(here, catalog, adopted, refused, whole_catalog=False)
    (outcome,) = [*adopted, *refused]
    return ensured(outcome)


def check(
    models: Sequence[str] = (),
    *,
    everything: bool = False,
    mode: Literal["full", "share", "quick"] = "full",
    share: str | None = None,
    within_days: float | None = None,
    max_seconds: float | None = None,
    max_mib_per_second: float | None = None,
    from_memory: bool = False,
    force: bool = False,
    on_outcome: Callable[[CheckOutcome], None] | None = None,
    stop: Event | None = None,
    workspace: Workspace | None = None,
) -> list[CheckOutcome]:
    """Read what is stored and say what is wrong with it; offline, and nothing is repaired.

    Args:
        models: ids or aliases; none means the catalog's models that are here.
        everything: every model in the store instead.
        mode: `full` reads all, `share` what is due, `quick` nothing but names and signatures.
        share: with mode `share`, how much of all bytes, such as `1/7`; None reads what `within_days` makes due.
        within_days: every byte is read within so many days; None takes the setting.
        max_seconds: when to stop; what was not reached is reached next time.
        max_mib_per_second: the speed limit; None takes the setting.
        from_memory: read through the page cache instead of from the disk.
        force: a result younger than the setting says is not good enough.
        on_outcome: told of each model when it is done.
        stop: set to end it.
        workspace: where; see `open_workspace`.

    Raises:
        ModelNotFoundError, UsageError: nobody knows a name, or `share` is none; nothing was read.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    known = frozenset(known_ids(here))
    chosen = [catalog.resolve(text, known) for text in models]
    try:
        part = parse_share(share) if share is not None else None
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    health = here.settings.health
    limit = health.max_bytes_per_second if max_mib_per_second is None else max_mib_per_second * MEBIBYTE
    outcomes = check_models(
        here,
        chosen or stored_or_listed(here, catalog, everything=everything),
        Order(Mode(mode), part, within_days, force=force),
        Pace.of(from_memory=from_memory, bytes_per_second=limit, max_seconds=max_seconds, stop=stop),
        on_outcome or (lambda _: None),
    )
    if not models and mode != "full":
        record_inventory(here, catalog)
    return outcomes


def repair(
    model: str,
    *,
    repair_type: RepairType = "auto",
    dry_run: bool = False,
    from_memory: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    workspace: Workspace | None = None,
) -> RepairOutcome:
    """Repair a model by the least that mends it, and say what a check afterwards saw.

    Args:
        model: `org/name[@revision]`, or an alias of the catalog.
        repair_type: `auto`, or the one kind of action that may be taken.
        dry_run: check and plan only.
        from_memory: check through the page cache: faster, and blind to what only the disk has wrong.
        on_progress: told how far it is.
        workspace: where; see `open_workspace`.

    Raises:
        ModelNotFoundError, UsageError: nobody knows the name or the type; nothing was done.
    """
    here = workspace or open_workspace()
    catalog = catalog_of(here.settings)
    target = catalog.resolve(model, frozenset(known_ids(here)))
    return repair_model(here, target, repair_type, dry_run=dry_run, from_memory=from_memory, on_progress=on_progress)


def ensured(outcome: EnsureOutcome) -> Ensured:
    """Return an outcome that went well.

    Raises:
        EnhancedModelAvailabilityError: what went wrong.
    """
    if outcome.error is not None:
        raise outcome.error
    assert isinstance(outcome, Ensured)  # noqa: S101  without an error there is a path
    return outcome
