"""What the disk and the catalog tell of the models that might stand in, and of how fast things were. No network."""

from contextlib import suppress
from itertools import islice

from availability.catalog import Catalog, CatalogEntry
from availability.controls import DownloadState
from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.estimate import LEAST_MEASURED_BYTES, UNKNOWN_WAIT, WaitEstimate, wait_of_running
from availability.fallback.facts import NOTHING_KNOWN, ModelFacts, facts_of_entry
from availability.fallback.metadata import published_facts
from availability.fallback.requirements import Requirements
from availability.inventory import ModelStatus
from availability.model import FileRecord, ModelId
from availability.overview import status_all
from availability.selection import WEIGHT_FORMATS
from availability.status import Availability
from availability.structure import observe
from availability.workspace import Workspace

_MOST_MEASURED = 20
"""So many of the latest downloads say how fast things are."""


def observe_wanted(workspace: Workspace, catalog: Catalog, model: ModelId, requirements: Requirements) -> Wanted:
    """Return what is known of a model, and what is asked of a stand-in: by the asker, else by its catalog entry."""
    entry = catalog.entry(model)
    facts = observe_facts(workspace, model, entry)
    if entry is None:
        return Wanted(model, facts, requirements, attributes=_conditions(facts, entry))
    needed = requirements.over(entry.requirements)
    return Wanted(model, facts, needed, entry.compatible_with, _conditions(facts, entry))


def observe_facts(workspace: Workspace, model: ModelId, entry: CatalogEntry | None) -> ModelFacts:
    """Return what the catalog says of a model, and where it says nothing, the model's own files that are here."""
    said = facts_of_entry(entry)
    variant = (entry.variant or "").lower() if entry else ""
    if variant in WEIGHT_FORMATS:
        said = said.over(ModelFacts(formats=frozenset((variant,))))
    return said.over(_stored_facts(workspace, model))


def observe_candidates(workspace: Workspace, catalog: Catalog) -> list[Candidate]:
    """Return every model that is here or in the catalog as a candidate."""
    return [_candidate(workspace, catalog, status) for status in status_all(workspace, catalog, refresh=True).statuses]


def _candidate(workspace: Workspace, catalog: Catalog, status: ModelStatus) -> Candidate:
    entry = catalog.entry(status.model)
    if status.availability_status.is_available:
        return Candidate(status.model, observe_facts(workspace, status.model, entry), Readiness.READY)
    facts = facts_of_entry(entry)
    if status.availability_status is Availability.MISSING and entry is not None:
        return Candidate(status.model, facts, Readiness.ABSENT)
    return Candidate(status.model, facts, Readiness.BARRED, f"it is {status.availability_status.value}")


def _stored_facts(workspace: Workspace, model: ModelId) -> ModelFacts:
    structure = None
    with suppress(OSError):
        structure = observe(workspace, model)
    if structure is None:
        return NOTHING_KNOWN
    places = {placed.file.path: placed.path for placed in structure.files if placed.has_good_link}

    def read(file: FileRecord) -> bytes | None:
        with suppress(OSError):
            return places[file.path].read_bytes() if file.path in places else None
        return None

    return published_facts([placed.file for placed in structure.files], read)


def _conditions(facts: ModelFacts, entry: CatalogEntry | None) -> dict[str, frozenset[str]]:
    """Return what conditions of strategies may be about, as texts by name."""
    told: dict[str, object] = {
        **facts.others,
        "task": facts.task,
        "modality": facts.modality,
        "licence": facts.licence,
        "format": tuple(facts.formats or ()),
        "priority": entry.priority.value if entry else None,
        "substitution": entry.substitution if entry else "never",
    }
    return {
        name: frozenset(str(one).lower() for one in (value if isinstance(value, tuple) else (value,)))
        for name, value in told.items()
        if value is not None
    }


# --- how fast things are --------------------------------------------------------------------------------


def measured_speeds(workspace: Workspace) -> list[float]:
    """Return the speeds of the latest downloads that ended well, in bytes per second, waiting included."""
    ended = (record for record in workspace.controls.all() if record.state is DownloadState.COMPLETED)
    latest = sorted(ended, key=lambda record: record.updated_at, reverse=True)
    measured = (
        record.progress.bytes_fetched / (record.updated_at - record.started_at)
        for record in latest
        if record.progress is not None
        and record.progress.bytes_fetched >= LEAST_MEASURED_BYTES
        and record.updated_at > record.started_at
    )
    return [*islice(measured, _MOST_MEASURED)]


def wait_of(status: ModelStatus) -> WaitEstimate:
    """Return how long the running download of a model will still take, by its own meter."""
    record = status.download
    progress = record.progress if record and status.is_running else None
    if record is None or progress is None:
        return UNKNOWN_WAIT
    running = record.updated_at - record.started_at
    return wait_of_running(progress.seconds_left, progress.bytes_per_second, progress.bytes_fetched, running)
