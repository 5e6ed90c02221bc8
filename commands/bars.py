"""Progress on a terminal: one bar for each model that moves, and why it waits when it does not."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from availability.ensure import ProgressListener
from availability.model import ModelId
from availability.transfer.meter import Progress as Figures


@contextmanager
def progress_bars(console: Console, remark: str, *, hidden: bool) -> Iterator[ProgressListener | None]:
    """Show bars while the block runs; yields who wants to be told how far each model is, None when nobody looks.

    Args:
        console: where.
        remark: shown above the bars once one of them appears.
        hidden: show nothing.
    """
    if hidden or not console.is_terminal:
        yield None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="yellow"),
        console=console,
    )
    tasks: dict[ModelId, TaskID] = {}

    def listen(model: ModelId, figures: Figures) -> None:
        if not tasks:
            console.print(remark)
        if model not in tasks:
            tasks[model] = bars.add_task(str(model), total=None, note="")
        retries = f"retry {figures.retries}" if figures.retries else ""
        bars.update(
            tasks[model],
            description=f"{model} {figures.phase}",
            completed=figures.bytes_done,
            total=figures.bytes_total or None,
            note=figures.waiting or retries,
        )

    with bars:
        yield listen
