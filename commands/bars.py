"""Progress on a terminal: one bar for each model that moves, and why it waits when it does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

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
from rich.table import Column

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
        BarColumn(bar_width=20),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}", style="yellow", markup=False, table_column=Column(no_wrap=True)),
        console=console,
    )
    with bars:
        yield _Listener(bars, remark)


class _Listener:
    """Moves the bars, and says each reason to wait once, above them: beside a bar there is no room for a sentence."""

    def __init__(self, bars: Progress, remark: str) -> None:
        self._bars = bars
        self._remark = remark
        self._tasks: dict[ModelId, TaskID] = {}
        self._waiting: dict[ModelId, str | None] = {}
        self._guard = Lock()

    def __call__(self, model: ModelId, figures: Figures) -> None:
        """Show how far a model is; any thread may tell."""
        with self._guard:
            task = self._task(model)
            if figures.waiting != self._waiting.get(model):
                self._waiting[model] = figures.waiting
                self._say(f"{model}: {figures.waiting}" if figures.waiting else "")
        self._bars.update(
            task,
            description=f"{model} {figures.phase}",
            completed=figures.bytes_done,
            total=figures.bytes_total or None,
            note="waiting" if figures.waiting else f"retry {figures.retries}" if figures.retries else "",
        )

    def _task(self, model: ModelId) -> TaskID:
        if not self._tasks:
            self._say(self._remark)
        if model not in self._tasks:
            self._tasks[model] = self._bars.add_task(str(model), total=None, note="")
        return self._tasks[model]

    def _say(self, text: str) -> None:
        if text:
            self._bars.console.print(text, markup=False, soft_wrap=True)
