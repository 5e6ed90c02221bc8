"""The transfer: many files over several connections into staging, every one proven or named as failed.

Whole files side by side while there are enough of them, else parts of one file side by side. It starts with few
connections and doubles them while the processors have time to spare: then the line is what is slow.
"""

import os
from collections.abc import Callable, Iterable
from threading import Thread
from time import monotonic, process_time

from availability.errors import DownloadIntegrityError
from availability.model import FileRecord, Listing
from availability.sources.base import Source
from availability.sources.chain import chain_of
from availability.transfer.agenda import Agenda
from availability.transfer.judgement import Judgement
from availability.transfer.meter import Meter
from availability.transfer.staging import Staging
from availability.transfer.throttle import Limiter
from availability.transfer.worker import ServerWait, Supplies, TransferLimits, Worker

_FIRST_CONNECTIONS = 4
_TICK_SECONDS = 0.05
_FAREWELL_SECONDS = 2.0
_BUSY_SHARE = 0.4
"""Share of all processors from which on another connection would only be in the way."""


def transfer(
    files: Iterable[FileRecord],
    *,
    source: Source,
    listing: Listing,
    staging: Staging,
    limits: TransferLimits,
    throttle: Limiter,
    meter: Meter,
    on_tick: Callable[[], None],
    proven: set[str] | None = None,
) -> None:
    """Fetch and prove files of a listing into staging.

    Args:
        files: which.
        source: where from; a chain asks whoever can serve best.
        listing: what they must be.
        staging: where to.
        limits: what may be used.
        throttle: the speed limits that hold for it.
        meter: counts.
        on_tick: called some twenty times a second in the caller's thread; what it raises ends the transfer.
        proven: gets the digests of what is proven, however the transfer ends: it need not be fetched again.

    Raises:
        DownloadIntegrityError: something arrived that is not what its publisher says; the rest is in staging.
        SourceUnavailableError: something did not arrive; the rest is in staging.
        FinalError: the source refuses, or `on_tick` ended it.
        OSError: the disk cannot be read or written.
    """
    files = list(files)
    sources = chain_of(source)
    agenda = Agenda(files, staging, meter, Judgement(sources, listing))
    supplies = Supplies(sources, listing, staging, limits, throttle, meter, ServerWait(limits.max_server_wait_seconds))
    write_back = Thread(target=agenda.write_back, name="write-back", daemon=True)
    write_back.start()
    crew: dict[Worker, Thread] = {}
    try:
        _supervise(agenda, supplies, crew, on_tick)
    finally:
        agenda.halt()
        for worker, thread in crew.items():
            _dismiss(worker, thread)
        agenda.dirty.put(None)
        write_back.join()
        agenda.close()
        sources.rest(listing.model, [file.digest for file in files])
        if proven is not None:
            proven |= agenda.proven
    _raise_failures(agenda)


def _supervise(agenda: Agenda, supplies: Supplies, crew: dict[Worker, Thread], on_tick: Callable[[], None]) -> None:
    cpu, wall = process_time(), monotonic()
    _add_workers(agenda, supplies, crew)
    while not agenda.finished.wait(_TICK_SECONDS):
        on_tick()
        supplies.sources.watch()
        share = (process_time() - cpu) / (monotonic() - wall) / (os.cpu_count() or 1)
        cpu, wall = process_time(), monotonic()
        if share < _BUSY_SHARE and agenda.work_waits():
            _add_workers(agenda, supplies, crew)
    on_tick()


def _add_workers(agenda: Agenda, supplies: Supplies, crew: dict[Worker, Thread]) -> None:
    wanted = max(_FIRST_CONNECTIONS, len(crew))
    for _ in range(min(wanted, supplies.limits.connections - len(crew))):
        worker = Worker(agenda, supplies)
        crew[worker] = Thread(target=worker.run, name=f"fetch-{len(crew)}", daemon=True)
        crew[worker].start()


def _dismiss(worker: Worker, thread: Thread) -> None:
    """Let a worker end; one that still waits for an answer is left behind, one that is at the disk never is."""
    worker.abort()
    thread.join(timeout=_FAREWELL_SECONDS)
    while thread.is_alive() and not worker.is_asking:
        worker.abort()
        thread.join(timeout=_TICK_SECONDS)


def _raise_failures(agenda: Agenda) -> None:
    if agenda.fatal is not None:
        raise agenda.fatal
    if not agenda.failures:
        return
    failures = agenda.failures.values()
    # Wrong bytes say more than bytes that did not come.
    worst = next((error for error in failures if isinstance(error, DownloadIntegrityError)), next(iter(failures)))
    worst.tried = tuple(f"{path}: {error.message}" for path, error in sorted(agenda.failures.items()))
    raise worst
