"""Format: whether programs will make sense of the files, whatever their digests say.

Judged by headers, indexes and names; no weight is read. A file that is wrong here and whose bytes are the publisher's
is wrong at the publisher's.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from availability.admission import can_hold_pickle
from availability.checkers.base import CheckResult, HealthContext, Issue
from availability.checkers.headers import BadHeaderError, check_gguf, read_safetensors
from availability.errors import UnsafeModelError
from availability.findings import Severity
from availability.model import ModelId
from availability.pickles import check_pickles
from availability.registry import ExtensionSettings, health_checkers
from availability.selection import WEIGHT_FORMATS
from availability.settings import AdmissionSettings

_SAFE_ENDINGS = (".safetensors", ".gguf", ".onnx")
_SHARD_INDEX = re.compile(r"(?:.*/)?[^/]+\.(?:safetensors|bin|msgpack|h5)\.index(?:\.[^./]+)?\.json")


class FormatSettings(ExtensionSettings):
    """How much is read."""

    most_json_mib: float = Field(64, gt=0, description="A larger JSON file is not parsed.")


@health_checkers.register("format", priority=60, settings=FormatSettings)
class FormatChecker:
    """The share of the judged files that are sound."""

    def __init__(self, context: HealthContext, settings: FormatSettings) -> None:
        """Take the policy."""
        self._policy: AdmissionSettings = context.settings.admission
        self._most_json_bytes = settings.most_json_mib * 1024 * 1024

    def check(self, model: ModelId, path: Path) -> CheckResult:
        """Judge every file of a kind that is known here."""
        files = {file.relative_to(path).as_posix(): file for file in _files(path)}
        judges = {name: judge for name in files if (judge := self._judge_of(name))}
        issues: list[Issue] = []
        unjudged: list[str] = []
        for name, judge in sorted(judges.items()):
            try:
                issues += judge(name, files[name], files)
            except OSError as error:
                issues.append(Issue("unreadable", f"{error.strerror}", Severity.CRITICAL, file=name))
            except _TooLargeError:
                unjudged.append(name)
        issues += self._pickles(model, files)
        wrong = {issue.file for issue in issues if issue.severity is not Severity.INFO}
        judged = judges.keys() - set(unjudged) | wrong
        score = 1 - len(wrong) / len(judged) if judged else None
        return CheckResult(score, tuple(issues), {"files_judged": len(judged), "files_too_large": unjudged})

    def _judge_of(self, name: str) -> "Callable[[str, Path, dict[str, Path]], Iterator[Issue]] | None":
        if name.endswith(".safetensors"):
            return _safetensors
        if name.endswith(".gguf"):
            return _gguf
        return self._json if name.endswith(".json") else None

    def _json(self, name: str, path: Path, files: dict[str, Path]) -> Iterator[Issue]:
        if path.stat().st_size > self._most_json_bytes:
            raise _TooLargeError
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            yield Issue("malformed_json", f"it cannot be parsed: {error}", file=name)
            return
        if _SHARD_INDEX.fullmatch(name):
            yield from _index(name, content, files)

    def _pickles(self, model: ModelId, files: dict[str, Path]) -> Iterator[Issue]:
        """Tell what the policy says of files that can run code; under `allow` nothing."""
        pickles = {name: path for name, path in files.items() if can_hold_pickle(name)}
        if self._policy.pickle_policy == "refuse":
            safe = any(name.endswith(_SAFE_ENDINGS) for name in files)
            advice = "Leave it out with --exclude; safe weights are there." if safe else ""
            cause = "it can hold a pickle, which runs code when it is loaded, and the policy refuses those"
            yield from (Issue("pickle", cause, file=name, advice=advice) for name in sorted(pickles))
        try:
            check_pickles(model, pickles, self._policy)
        except UnsafeModelError as error:
            yield from (Issue("unsafe_pickle", reason, Severity.CRITICAL, "") for reason in error.reasons)


class _TooLargeError(Exception):
    """A file is larger than what is read of its kind."""


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        # A dangling link is for the integrity to tell.
        yield from (path for path in (Path(folder, name) for name in sorted(names)) if path.is_file())


def _safetensors(name: str, path: Path, _: dict[str, Path]) -> Iterator[Issue]:
    try:
        read_safetensors(path)
    except BadHeaderError as error:
        yield _bad_header(name, error)


def _gguf(name: str, path: Path, _: dict[str, Path]) -> Iterator[Issue]:
    try:
        check_gguf(path)
    except BadHeaderError as error:
        yield _bad_header(name, error)


def _bad_header(name: str, error: BadHeaderError) -> Issue:
    return Issue("bad_header", str(error), Severity.CRITICAL, name, ((0, error.stop),))


def _index(name: str, content: Any, files: dict[str, Path]) -> Iterator[Issue]:
    """Compare a shard index with the shards."""
    weights = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(shard, str) for shard in weights.values()):
        yield Issue("malformed_json", "it is named like a shard index and has no `weight_map`", file=name)
        return
    folder = name.rpartition("/")[0]
    shards = {shard: f"{folder}/{shard}" if folder else shard for shard in set(weights.values())}
    present = {shard: place for shard, place in shards.items() if place in files}
    # Where no shard was asked for, as with `--include '*.json'`, the index is merely alone.
    grave = Severity.CRITICAL if present else Severity.INFO
    for shard in sorted(shards.keys() - present.keys()):
        count = sum(named == shard for named in weights.values())
        yield Issue("missing_shard", f"{name} places {count} tensors in it, and it is not there", grave, shards[shard])
    for shard, place in sorted(present.items()):
        if place.endswith(WEIGHT_FORMATS["safetensors"]):
            yield from _absent_tensors(name, place, files[place], {t for t, named in weights.items() if named == shard})


def _absent_tensors(index: str, name: str, path: Path, named: set[str]) -> Iterator[Issue]:
    try:
        absent = named - {tensor.name for tensor in read_safetensors(path)}
    except BadHeaderError:
        return  # told where the shard itself is judged
    if absent:
        some = ", ".join(repr(tensor) for tensor in sorted(absent)[:3])
        cause = f"{index} places {len(absent)} tensors in it that it has not, such as {some}"
        yield Issue("bad_header", cause, Severity.CRITICAL, name)
