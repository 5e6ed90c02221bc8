"""`availability status`: how available models are, from the disk alone."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.filesize import decimal
from rich.table import Table

from availability.errors import ModelNotFoundError
from availability.inventory import ModelStatus, all_models, model_status
from availability.outcome import ExitCode
from availability.status import Availability
from commands.common import Session, describe, json_option, session, store_option


@click.command(name="status")
@click.argument("models", nargs=-1)
@store_option
@json_option
def command(models: Sequence[str], *, store: Path | None, as_json: bool) -> None:
    """Say how available MODELS are; without a name, all that the store, the catalog or a download knows.

    Reads the disk only: no network, no hashing. Ends with 0 only when every model is available.
    """
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        statuses, refused = _statuses(run, models)
        code = ExitCode.OK
        if refused or not all(status.availability_status.is_available for status in statuses):
            code = ExitCode.NOT_VERIFIED
        _show(run, statuses, refused, code)
        sys.exit(code)


def _statuses(run: Session, texts: Sequence[str]) -> tuple[list[ModelStatus], list[ModelNotFoundError]]:
    if not texts:
        models = all_models(run.workspace, run.catalog)
        return [model_status(run.workspace, model, run.catalog) for model in models], []
    statuses: list[ModelStatus] = []
    refused: list[ModelNotFoundError] = []
    for text in texts:
        try:
            statuses.append(model_status(run.workspace, run.resolve(text), run.catalog))
        except ModelNotFoundError as error:
            refused.append(error)
    return statuses, refused


def _show(run: Session, statuses: Sequence[ModelStatus], refused: Sequence[ModelNotFoundError], code: ExitCode) -> None:
    counts = Counter(status.availability_status for status in statuses)
    stored = sum(status.size_bytes or 0 for status in statuses)
    if run.as_json:
        models = [dict(status.as_dict()) for status in statuses]
        models += [{"model_id": error.model_id, "error": error.as_dict()} for error in refused]
        summary = {
            "models": len(models),
            **{word.value: counts[word] for word in Availability},
            "total_storage_mb": round(stored / 1e6, 3),
            "store": str(run.workspace.store.root),
            "exit_code": code,
        }
        run.answer(models, summary)
        return
    if statuses:
        run.out.print(_table(statuses))
    told = ", ".join(f"{counts[word]} {word.value}" for word in Availability if counts[word]) or "No models"
    run.out.print(f"\n{told}; {decimal(stored)} in {run.workspace.store.root}", markup=False, soft_wrap=True)
    for status in statuses:
        for step in status.next_steps():
            run.out.print(f"  {status.model}: {step}", markup=False, soft_wrap=True)
    for error in refused:
        run.err.print(describe(error), markup=False, soft_wrap=True)


def _table(statuses: Sequence[ModelStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "status", "size", "commit", "checked", "remark"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "size" else "left")
    for status in statuses:
        checked = status.oldest_check.astimezone() if status.oldest_check else None
        table.add_row(
            str(status.model),
            f"[{_COLOURS[status.availability_status]}]{status.availability_status.value}",
            "" if status.size_bytes is None else decimal(status.size_bytes),
            (status.commit or "")[:12],
            f"{checked:%Y-%m-%d %H:%M}" if checked else "",
            _remark(status),
        )
    return table


def _remark(status: ModelStatus) -> str:
    if status.is_running and status.download and status.download.progress:
        progress = status.download.progress
        return progress.waiting or f"{progress.percent:.0f} %"
    remarks = {
        "damaged": [damage["file"] for damage in status.damaged],
        "missing": status.missing,
        "unverified": status.unverified,
    }
    return ", ".join(f"{len(files)} {word}" for word, files in remarks.items() if files)


_COLOURS = {
    Availability.AVAILABLE: "green",
    Availability.UPDATING: "green",
    Availability.DOWNLOADING: "cyan",
    Availability.MISSING: "yellow",
    Availability.CORRUPTED: "red",
}
