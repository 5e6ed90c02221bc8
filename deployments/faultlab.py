"""The damage laboratory: what a check finds and a repair mends, counted over a thousand injections. `make faultlab`.

Models are ensured from a hub on this machine. Then, round by round, files are damaged in a seeded mix, everything in
the store is checked from the disk, what was found is repaired, and everything is compared with what was published; the
unmodified client is asked, too. The seed replays it.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

import click
from huggingface_hub import HfApi
from rich.console import Console
from rich.table import Table

from availability.api import ensure
from availability.check import Order, check_models
from availability.checks import CheckOutcome
from availability.findings import Finding
from availability.mending import repair_model
from availability.model import ModelId
from availability.opening import open_workspace
from availability.workspace import Workspace
from deployments.injections import MIX, Injected, Target, swap
from deployments.sample import Content, write_model
from service.faults import FaultyHub

KIB, MIB = 1024, 1024 * 1024
_LARGE_SIZES = (2 * MIB + 17, 3 * MIB, 1 * MIB + 1, 4 * MIB - 5)
_SMALL_SIZES = (1 * KIB + 5, 20 * KIB, 200 * KIB, 1 * MIB)
_OF_EACH = 3
_WASTE = 1.05
_RIGHT_KINDS = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done: `rounds` times `per_round` injections into `models` models of 24 files each."""

    models: int
    rounds: int
    per_round: int
    seed: int


FULL = Plan(models=10, rounds=25, per_round=40, seed=20261123)


@dataclass(slots=True)
class Tally:
    """What was counted, by the name of the damage."""

    injected: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    detected: Counter[str] = field(default_factory=Counter)
    right_kind: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    damaged_bytes: int = 0
    fetched_bytes: int = 0
    clean_checks: int = 0
    false_alarms: int = 0
    rewritten: int = 0
    disagreements: int = 0
    seconds: float = 0.0

    def requirements(self) -> tuple[tuple[str, str, bool], ...]:
        """Return what is required, what was seen, and whether that is enough."""
        files, found = self.files.total(), self.detected.total()
        kinds, mended = self.right_kind.total(), self.repaired.total()
        waste = self.fetched_bytes / self.damaged_bytes if self.damaged_bytes else 1.0
        return (
            ("damaged files detected: all", f"{found:,} of {files:,}", found == files),
            ("of the right kind: 95 %", f"{kinds / max(1, files):.1%}", kinds >= _RIGHT_KINDS * files),
            ("false alarms: none", f"{self.false_alarms} in {self.clean_checks:,} checks", not self.false_alarms),
            ("repaired with one good source: all", f"{mended:,} of {files:,}", mended == files),
            ("bytes fetched: the damaged chunks + 5 %", f"{waste:.3f} of {_mib(self.damaged_bytes)}", waste <= _WASTE),
            ("undamaged files rewritten: none", str(self.rewritten), not self.rewritten),
            ("the unmodified client disagrees: never", str(self.disagreements), not self.disagreements),
        )


class Laboratory:
    """A store, the hub it came from, and what was counted."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._random = Random(plan.seed)  # noqa: S311  it must repeat, not resist
        self.tally = Tally()
        self.models = [ModelId(f"lab/model-{number:02}") for number in range(plan.models)]

    def run(self) -> Tally:
        """Do it all."""
        began = monotonic()
        for number, model in enumerate(self.models):
            write_model(self._folder / "published", model.repo_id, _files(), seed=number)
        with FaultyHub(self._folder / "published") as hub:
            workspace = open_workspace({
                "storage.models_directory": self._folder / "store",
                "hub.endpoint": hub.url,
                "health.quarantine_max_mib": 8,
                "download.retry_delay_seconds": 1,
            })  # fmt: skip
            for model in self.models:
                ensure(model.repo_id, workspace=workspace)
            for _ in range(self._plan.rounds):
                self._round(workspace, hub.url)
        self.tally.seconds = monotonic() - began
        return self.tally

    def _round(self, workspace: Workspace, endpoint: str) -> None:
        targets = {model: self._targets(workspace, model) for model in self.models}
        before = {target.blob: _identity(target.blob) for some in targets.values() for target in some}
        done = {model: list(self._injure(targets[model], count)) for model, count in self._shares().items()}
        outcomes = check_models(workspace, self.models, Order(force=True))
        for outcome in outcomes:
            self._count_findings(outcome, done.get(outcome.model, []), len(targets[outcome.model]))
        for model, injected in done.items():
            self._repair(workspace, model, injected)
        damaged = {injected.target.blob for some in done.values() for _, injected in some}
        changed = [blob for blob, identity in before.items() if _identity(blob) != identity]
        self.tally.rewritten += len(set(changed) - damaged)
        for outcome in check_models(workspace, self.models, Order(force=True)):
            self._count_findings(outcome, [], len(targets[outcome.model]))
        self.tally.disagreements += sum(not _client_agrees(workspace, endpoint, model) for model in self.models)

    def _shares(self) -> dict[ModelId, int]:
        counts = Counter(self._random.choice(self.models) for _ in range(self._plan.per_round))
        return {model: min(count, 16) for model, count in counts.items()}

    def _injure(self, targets: Sequence[Target], count: int) -> Iterator[tuple[str, Injected]]:
        left = list(targets)
        self._random.shuffle(left)
        for name in self._random.choices(list(MIX), [often for _, often in MIX.values()], k=count):
            self.tally.injected[name] += 1
            injection = MIX[name][0]
            if injection is not None:
                yield name, injection(left.pop(), self._random)
                continue
            one, other = next((a, b) for a in left for b in left if a.size == b.size and a is not b)
            left = [target for target in left if target not in (one, other)]
            yield from ((name, injected) for injected in swap(one, other))

    def _count_findings(self, outcome: CheckOutcome, injected: Sequence[tuple[str, Injected]], files: int) -> None:
        found: dict[str, Finding] = {finding.file.path: finding for finding in outcome.findings}
        for name, damage in injected:
            finding = found.pop(damage.target.path, None)
            self.tally.files[name] += 1
            self.tally.detected[name] += finding is not None
            self.tally.right_kind[name] += finding is not None and finding.kind is damage.kind
            self.tally.damaged_bytes += damage.damaged_bytes
        self.tally.clean_checks += files - len(injected)
        self.tally.false_alarms += len(found)

    def _repair(self, workspace: Workspace, model: ModelId, injected: Sequence[tuple[str, Injected]]) -> None:
        inodes = {damage.target.blob: damage.target.blob.stat().st_ino for _, damage in injected if damage.in_place}
        outcome = repair_model(workspace, model)
        self.tally.fetched_bytes += outcome.bytes_fetched
        published = self._folder / "published" / model.folder / "blobs"
        for name, damage in injected:
            blob = damage.target.blob
            is_right = blob.is_file() and blob.read_bytes() == (published / blob.name).read_bytes()
            self.tally.repaired[name] += outcome.success and is_right and damage.target.link.is_file()
            # A file of one chunk has no ledger, and so is swapped.
            if damage.in_place and damage.target.size > MIB and blob.stat().st_ino != inodes[blob]:
                self.tally.rewritten += 1

    def _targets(self, workspace: Workspace, model: ModelId) -> list[Target]:
        commit = workspace.store.commit(model)
        assert commit is not None  # noqa: S101  it was ensured
        record = workspace.records.read(model, commit)
        assert record is not None  # noqa: S101  the same
        snapshot = workspace.store.snapshot(model, commit)
        return [
            Target(file.path, snapshot / file.path, workspace.store.blob(model, file), file.size)
            for file in record.wanted_files()
        ]


def tables(tally: Tally) -> tuple[Table, Table]:
    """Return what was counted, and what of it is required."""
    counts = Table(title="What was injected", title_justify="left")
    for header in ("damage", "injections", "files", "detected", "right kind", "repaired"):
        counts.add_column(header, justify="left" if header == "damage" else "right")
    for name in MIX:
        figures = (tally.injected, tally.files, tally.detected, tally.right_kind, tally.repaired)
        counts.add_row(name, *(f"{figure[name]:,}" for figure in figures))
    required = Table(title="What is required", title_justify="left")
    for header in ("requirement", "seen", ""):
        required.add_column(header)
    for sentence, seen, is_met in tally.requirements():
        required.add_row(sentence, seen, "met" if is_met else "MISSED")
    return counts, required


def _files() -> dict[str, Content]:
    large = {
        f"model-{index + 1:05}-of-{len(_LARGE_SIZES) * _OF_EACH:05}.safetensors": size
        for index, size in enumerate(_LARGE_SIZES * _OF_EACH)
    }
    small = {f"parts/part-{index:02}.bin.json": size for index, size in enumerate(_SMALL_SIZES * _OF_EACH)}
    return {**large, **small}


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _client_agrees(workspace: Workspace, endpoint: str, model: ModelId) -> bool:
    api = HfApi(endpoint=endpoint, token=False)
    seen = api.verify_repo_checksums(model.repo_id, cache_dir=workspace.store.root)
    return not seen.mismatches and not seen.missing_paths and not seen.extra_paths


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f} MiB"


@click.command(help=__doc__)
@click.option("--seed", type=int, default=FULL.seed, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=FULL.rounds, show_default=True)
def main(*, seed: int, rounds: int) -> None:
    """Run the laboratory and print its tables; exit code 1 when a requirement is missed."""
    out = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="availability-faultlab-", dir=Path.cwd()) as folder:
        tally = Laboratory(Path(folder), Plan(FULL.models, rounds, FULL.per_round, seed)).run()
    for table in tables(tally):
        out.print(table)
    out.print(f"{tally.injected.total():,} injections, seed {seed}, {tally.seconds:.0f} s.")
    sys.exit(not all(is_met for _, _, is_met in tally.requirements()))


if __name__ == "__main__":
    main()
