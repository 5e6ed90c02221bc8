"""Rows, rounds and ratios: what a benchmark is made of, whatever it measures.

A row is one question; its contestants answer it in turn, round by round. This file measures and adds up; it prints
nothing and knows no model.
"""

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.ground import Ground
from benchmarks.machine import load_average

OURS, CLIENT, CURL = "ours", "snapshot_download", "curl"
Measure = Literal["seconds", "peak_mib"]

_SPARE_BYTES = 2 * 1024**3
"""What a benchmark leaves free on the disk; downloads of ours leave half of it free by themselves."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took.

    Attributes:
        seconds: on the wall.
        cpu_seconds: of this process and of those it waited for.
        peak_mib: the highest memory above the idle process, where that is the question.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """One who answers a row.

    Attributes:
        name: `OURS`, or whom we are compared with.
        run: given a fresh folder, does the work once; builds what it needs before it starts the clock.
        absent: why it cannot take part, None when it can.
    """

    name: str
    run: Callable[[Path], Sample]
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A row that is ready to run.

    Attributes:
        contestants: ours first.
        warm: called before every run, to bring what it reads into memory.
        remark: how it was built, for who reads the table.
    """

    contestants: tuple[Contestant, ...]
    warm: Callable[[], None]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What our figure may be at most: a share of another's, or by itself when `against` is None."""

    most: float
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One question of the table.

    Attributes:
        name: for `--only`.
        title: says what is measured, at the ground's scale.
        prepare: makes what is needed and returns the trial.
        goals: what our figure is held against.
        needs_bytes: the room on the disk that so many rounds take.
        measure: which figure is judged: the median of the seconds, or the highest peak of memory.
        most_rounds: more of them would only take long.
    """

    name: str
    title: Callable[[Ground], str]
    prepare: Callable[[Ground], Trial]
    goals: tuple[Goal, ...]
    needs_bytes: Callable[[Ground, int], int]
    measure: Measure = "seconds"
    most_rounds: int = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a row.

    Attributes:
        row: which.
        title: what was measured.
        rounds: how often.
        load: the machine's load average before the first round.
        samples: of each contestant, one a round.
        absent: who did not take part, and why.
        remark: how it was built.
        skipped: why nothing was measured, None when something was.
        failed: whether that is a failure.
    """

    row: Row
    title: str
    rounds: int
    load: float
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    remark: str = ""
    skipped: str | None = None
    failed: bool = False

    def seconds(self, name: str) -> float:
        """Return the median on the wall."""
        return median(sample.seconds for sample in self.samples[name])

    def cpu_seconds(self, name: str) -> float:
        """Return the median on the processors."""
        return median(sample.cpu_seconds for sample in self.samples[name])

    def peak_mib(self, name: str) -> float | None:
        """Return the highest peak, None where memory is not measured."""
        return max((sample.peak_mib for sample in self.samples[name] if sample.peak_mib is not None), default=None)

    def figure(self, name: str) -> float:
        """Return the figure that is judged."""
        return (self.peak_mib(name) or 0.0) if self.row.measure == "peak_mib" else self.seconds(name)

    def ratio(self, name: str) -> float:
        """Return our figure as a share of another's."""
        return self.figure(OURS) / self.figure(name)

    def ratios(self, name: str) -> list[float]:
        """Return that share round by round."""
        pairs = zip(self.samples[OURS], self.samples[name], strict=True)
        return [ours.seconds / theirs.seconds for ours, theirs in pairs]

    def got(self, goal: Goal) -> float | None:
        """Return what is held against a goal, None when it was not measured."""
        if OURS not in self.samples or (goal.against and goal.against not in self.samples):
            return None
        return self.ratio(goal.against) if goal.against else self.figure(OURS)


def clock(action: Callable[[], object]) -> Sample:
    """Time one action, on the wall and on the processors."""
    gc.collect()
    cpu, wall = _cpu_seconds(), time.perf_counter()
    action()
    return Sample(time.perf_counter() - wall, _cpu_seconds() - cpu)


def run(row: Row, ground: Ground, rounds: int, say: Callable[[str], None]) -> Result:
    """Run a row; one that cannot run is a result too."""
    rounds = min(rounds, row.most_rounds)
    title, load = row.title(ground), load_average()
    say(f"{row.name}: {title}")
    needed, free = row.needs_bytes(ground, rounds) + _SPARE_BYTES, ground.free_bytes()
    if needed > free:
        why = f"needs {needed / 1e9:.1f} GB on the disk of {ground.work}, {free / 1e9:.1f} GB are free"
        return Result(row, title, 0, load, skipped=why)
    try:
        trial = row.prepare(ground)
        samples = _rounds(row, trial, ground, rounds, say)
    except Exception as error:  # noqa: BLE001  one row that fails does not cost the others
        return Result(row, title, 0, load, skipped=f"{type(error).__name__}: {error}", failed=True)
    absent = {one.name: one.absent for one in trial.contestants if one.absent}
    return Result(row, title, rounds, load, samples, absent, trial.remark)


def _rounds(row: Row, trial: Trial, ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, list[Sample]]:
    present = [one for one in trial.contestants if not one.absent]
    samples: dict[str, list[Sample]] = {one.name: [] for one in present}
    for number in range(rounds):
        first = number % len(present)  # nobody is always the one who comes after
        for one in present[first:] + present[:first]:
            folder = ground.fresh(f"{row.name}-{number}")
            ground.settle()
            trial.warm()
            sample = one.run(folder)
            samples[one.name].append(sample)
            say(f"  round {number + 1}/{rounds}  {one.name}: {_words(sample)}")
    return samples


def _words(sample: Sample) -> str:
    peak = "" if sample.peak_mib is None else f", {sample.peak_mib:.1f} MiB"
    return f"{sample.seconds:.3f} s, CPU {sample.cpu_seconds:.3f} s{peak}"


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
