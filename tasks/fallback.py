"""Fallback under Prefect: deciding as a task, asking a person, and the one place where decisions and outcomes are told.

`note_decision` and `note_outcome` are that place: they tell the history and the event stream, and nothing else does.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from time import monotonic
from urllib.parse import urlsplit

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from availability.catalog import Catalog, Priority
from availability.errors import NoRunsError
from availability.fallback.candidates import Readiness
from availability.fallback.resolving import Resolution, Resolver
from availability.fallback.standing import Standing
from availability.fallback.telling import of_approval, of_decision, of_outcome
from availability.inventory import model_status
from availability.model import ModelId
from availability.outcome import EnsureOutcome
from availability.workspace import Workspace
from tasks.approval import ask_for_stand_ins
from tasks.events import tell_approval, tell_fallback, tell_fallback_outcome
from tasks.runs import PrefectRunner, answer_waiting


def note_decision(workspace: Workspace, resolution: Resolution) -> None:
    """Tell a decision as it stands, once; and that the one before it did not help."""
    kind = resolution.decision.recovery.kind.value if resolution.decision.recovery else None
    if resolution.ended is not None:
        note_outcome(workspace, resolution.ended, success=False, error_kind=kind)
    if resolution.is_new:
        workspace.history.record([of_decision(resolution)])
        tell_fallback(resolution)


def note_outcome(workspace: Workspace, standing: Standing, *, success: bool, error_kind: str | None = None) -> None:
    """Tell how a decision ended."""
    fact = of_outcome(standing, success=success, error_kind=error_kind)
    workspace.history.record([fact])
    tell_fallback_outcome(standing, fact)


# Never cached: what it observes is the disk.
@task(name="fallback", task_run_name="fallback", cache_policy=NO_CACHE, persist_result=False)
def fall_back(workspace: Workspace, catalog: Catalog, failures: Sequence[EnsureOutcome]) -> list[Resolution]:
    """Decide about every model that could not be had, and take the stand-ins that the catalog lets take."""
    resolver = Resolver(workspace, catalog)
    resolutions = []
    for outcome in failures:
        assert outcome.error is not None  # noqa: S101  failures have one
        model = model_of(outcome)
        resolution = resolver.failed(model, outcome.error, has_begun=outcome.bytes_fetched > 0)
        get_run_logger().warning("%s: %s: %s", model, resolution.decision.kind, resolution.decision.chosen.reason)
        for problem in resolution.decision.problems:
            get_run_logger().error(problem)
        resolutions.append(resolution)
    return resolutions


def approve(workspace: Workspace, catalog: Catalog, resolutions: Sequence[Resolution]) -> list[Resolution]:
    """Ask a person about those decisions for which the catalog says so, all in one form, and let the answers stand."""
    open_ones = [resolution for resolution in resolutions if resolution.must_ask]
    if not open_ones:
        return [*resolutions]
    began = monotonic()
    settings = workspace.settings.fallback
    approval = ask_for_stand_ins([resolution.decision for resolution in open_ones], settings)
    resolver = Resolver(workspace, catalog)
    answered = {
        resolution.decision.wanted: resolver.take(resolution, option, approval.by)
        for resolution, option in zip(open_ones, approval.chosen, strict=True)
    }
    for resolution in answered.values():
        seconds = monotonic() - began
        workspace.history.record([of_approval(resolution.standing, seconds)])
        tell_approval(resolution, seconds)
    return [answered.get(resolution.decision.wanted, resolution) for resolution in resolutions]


def release_last_copies(workspace: Workspace, outcomes: Sequence[EnsureOutcome]) -> None:
    """Let models be deleted again that were protected as last copies, and that the hub has given bytes of now."""
    hub = urlsplit(workspace.settings.hub.endpoint).netloc
    for outcome in outcomes:
        if outcome.success and hub in outcome.sources:
            workspace.last_copies.release(model_of(outcome))


def settle(workspace: Workspace, catalog: Catalog) -> list[Standing]:
    """End the decisions about models that are available again, and tell it."""
    ended = Resolver(workspace, catalog).settle()
    for standing in ended:
        if standing.is_substitution:
            get_run_logger().info("%s is available again: %s no longer stands in", standing.model, standing.substitute)
        note_outcome(workspace, standing, success=True)
    return ended


def answer_requests(workspace: Workspace, catalog: Catalog, tried: Collection[ModelId]) -> None:
    """Let requests that wait have their answer: for models that were tried now, however it went, or that are here."""

    def has_answer(model: ModelId) -> bool:
        return model in tried or model_status(workspace, model, catalog).availability_status.is_available

    answer_waiting(has_answer)


def retry_later(workspace: Workspace, catalog: Catalog, resolution: Resolution) -> None:
    """Let a model be tried again later by itself, where that can end differently and is within its bounds."""
    after = resolution.retry_after_seconds
    if after is None:
        return
    model = resolution.decision.wanted
    entry = catalog.entry(model)
    try:
        started = PrefectRunner().download(model, entry.priority if entry else Priority.NORMAL, after_seconds=after)
    except NoRunsError as error:
        get_run_logger().warning("%s is not tried again by itself. %s", model, error.message)
        return
    if started.is_new:
        Resolver(workspace, catalog).retried(resolution)
    get_run_logger().info("%s is tried again in %.0f minutes at the latest: run %s", model, after / 60, started.run_id)


def to_fetch(resolutions: Sequence[Resolution]) -> list[ModelId]:
    """Return the stand-ins that were taken and are not here yet, each once."""
    options = (resolution.taken for resolution in resolutions)
    absent = (option.model for option in options if option and option.readiness is Readiness.FETCHABLE)
    return [*dict.fromkeys(model for model in absent if model is not None)]


def model_of(outcome: EnsureOutcome) -> ModelId:
    """Return the model that an outcome is of."""
    return ModelId(outcome.model_id, outcome.revision)


def with_fallback(
    workspace: Workspace, catalog: Catalog, outcome: EnsureOutcome, resolution: Resolution | None
) -> EnsureOutcome:
    """Return an outcome with what was decided, and with the stand-in where one is here and serves."""
    if resolution is None:
        return outcome
    told = replace(outcome, fallback=resolution.decision)
    option = resolution.taken
    if option is None or option.model is None:
        return told
    status = model_status(workspace, option.model, catalog)
    if not status.availability_status.is_available:
        return told
    return replace(told, stand_in=option.model, stand_in_path=status.path)
