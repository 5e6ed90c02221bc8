"""Which files of a listing a request is about: patterns, variants, the shards an index names.

Pure: a listing and what its shard indexes say go in, the chosen files and the reasons for the others come out.
Whether a chosen file may enter the store is `availability.admission`'s question.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from availability.errors import NothingSelectedError
from availability.model import FileRecord, ModelId

WEIGHT_FORMATS: Mapping[str, tuple[str, ...]] = {
    "safetensors": (".safetensors",),
    "gguf": (".gguf",),
    "onnx": (".onnx", ".onnx_data"),
    "pytorch": (".bin", ".pt", ".pth", ".ckpt"),
    "flax": (".msgpack",),
    "tensorflow": (".h5",),
}
"""The formats weights come in, by the endings of their files."""

_WEIGHT_ENDINGS = tuple(ending for endings in WEIGHT_FORMATS.values() for ending in endings)
_SHARD = re.compile(r"(?P<stem>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<rest>\..+)")
_INDEX = re.compile(r".+\.index(?:\.[^.]+)?\.json")
"""`model.safetensors.index.json`, and `model.safetensors.index.fp16.json` for the shards of a variant."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a request asks for; recorded with the model, because complete means complete relative to it.

    Attributes:
        include: patterns (`*.json`, `unet/*`) of which a file must match one; none means every file.
        exclude: patterns of which a file may match none.
        variant: a dtype (`fp16`), a quantisation (`Q4_K_M`) or a format (`safetensors`); None takes all there are.
        pickle_policy: the policy under which it was asked for: `refuse` leaves pickles out where it can.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    variant: str | None = None
    pickle_policy: str = "refuse"


@dataclass(frozen=True, slots=True)
class Choice:
    """The files a selection stands for.

    Attributes:
        files: the chosen ones, ordered by path.
        left_out: path and reason of what a rule (not a pattern) left out.
    """

    files: tuple[FileRecord, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def choose(
    model: ModelId, files: Sequence[FileRecord], selection: Selection, shards: Mapping[str, frozenset[str]]
) -> Choice:
    """Choose the files of a selection.

    Args:
        model: for the error's sentence.
        files: the whole listing.
        selection: what is asked for.
        shards: for each shard index (by path) the paths of the shards it names; see `indexes_to_read`.

    Raises:
        NothingSelectedError: no file is left, or the variant leaves no weights of a model that has some.
    """
    chosen = _match_patterns(files, selection)
    left_out: dict[str, str] = {}
    if selection.variant:
        left_out |= _other_variants(chosen, selection.variant)
    left_out |= _stray_shards(chosen, shards)
    kept = tuple(file for file in chosen if file.path not in left_out)
    weights = [file for file in chosen if file.path.endswith(_WEIGHT_ENDINGS)]
    if not kept or (selection.variant and weights and not any(file in kept for file in weights)):
        raise NothingSelectedError(
            f"No {'weights' if kept else 'file'} of {model} are selected: include {list(selection.include)}, "
            f"exclude {list(selection.exclude)}, variant {selection.variant!r} leave none of its {len(files)} files.",
            advice=(f"It has, for example: {', '.join(file.path for file in (weights or files)[:5])}.",),
        )
    return Choice(kept, tuple(sorted(left_out.items())))


def indexes_to_read(files: Iterable[FileRecord], selection: Selection) -> tuple[FileRecord, ...]:
    """Return the shard indexes that must be read to choose: those beside shards of more than one family.

    Where a folder holds one family of shards, complete by its own numbering, its index can leave nothing out.
    """
    chosen = _match_patterns(tuple(files), selection)
    families: dict[str, dict[tuple[str, str, str], int]] = defaultdict(lambda: defaultdict(int))
    for file in chosen:
        shard = _SHARD.fullmatch(PurePosixPath(file.path).name)
        if shard and shard["rest"].endswith(_WEIGHT_ENDINGS):
            families[_folder(file.path)][shard["stem"], shard["count"], shard["rest"]] += 1
    odd = {
        folder
        for folder, members in families.items()
        if len(members) > 1 or any(int(count) != number for (_, count, _), number in members.items())
    }
    return tuple(file for file in chosen if _is_index(file.path) and _folder(file.path) in odd)


def shards_named(index_path: str, weight_map: Mapping[str, str]) -> frozenset[str]:
    """Return the paths of the shards that an index's `weight_map` (tensor to file name) names."""
    folder = _folder(index_path)
    return frozenset(str(PurePosixPath(folder, name)) for name in weight_map.values())


def _match_patterns(files: Sequence[FileRecord], selection: Selection) -> Sequence[FileRecord]:
    if not selection.include and not selection.exclude:
        return files
    from huggingface_hub.utils import filter_repo_objects  # noqa: PLC0415  half a second, and rarely needed

    return tuple(
        filter_repo_objects(
            files,
            allow_patterns=list(selection.include) or None,
            ignore_patterns=list(selection.exclude) or None,
            key=lambda file: file.path,
        )
    )


def _other_variants(files: Sequence[FileRecord], variant: str) -> dict[str, str]:
    weights = [file.path for file in files if _weight_name(file.path)]
    if variant.lower() in WEIGHT_FORMATS:
        wanted = WEIGHT_FORMATS[variant.lower()]
        return {path: f"not of the format {variant}" for path in weights if not _weight_name(path).endswith(wanted)}
    matching = _matching(weights, variant)
    served = {_family(path, variant) for path in matching}
    return {
        path: f"another variant than {variant}"
        for path in weights
        if path not in matching and (not matching or _family(path, variant) in served)
    }


def _matching(weights: Iterable[str], variant: str) -> set[str]:
    """Return the weights whose names hold the variant; where `Q6_K` itself is there, `Q6_K_L` is another."""
    word = rf"(?i)(?:^|[.\-_]){re.escape(variant)}"
    alike = {path for path in weights if re.search(rf"{word}[.\-_]", PurePosixPath(path).name)}
    exact = {path for path in alike if re.search(rf"{word}[.\-]", PurePosixPath(path).name)}
    met = {_family(path, variant) for path in exact}
    return {path for path in alike if path in exact or _family(path, variant) not in met}


def _is_index(path: str) -> bool:
    return _INDEX.fullmatch(PurePosixPath(path).name) is not None


def _weight_name(path: str) -> str:
    """Return the file name, of an index that of the weights it is about; nothing when neither is the case."""
    name = PurePosixPath(path).name
    if _is_index(path):
        words = [word for word in name.removesuffix(".json").split(".") if word != "index"]
        # The format goes last: the variant may stand behind it.
        name = ".".join(sorted(words, key=lambda word: f".{word}" in _WEIGHT_ENDINGS))
    return name if name.endswith(_WEIGHT_ENDINGS) else ""


def _family(path: str, variant: str) -> tuple[str, str]:
    """Return what the variants of one weights file have in common: the folder, and the first word of the name.

    Quantisations of GGUF differ in any part of their names and often lie in folders of their own, so all of a model are
    one family, but for the part that sees pictures.
    """
    name = _weight_name(path)
    if name.endswith(".gguf") and not name.startswith("mmproj"):
        return "", ".gguf"
    first = re.split(r"[.]|-\d{5}-of-", name)[0]
    return _folder(path), re.sub(rf"(?i)[-_]{re.escape(variant)}$", "", first)


def _stray_shards(files: Sequence[FileRecord], shards: Mapping[str, frozenset[str]]) -> dict[str, str]:
    named = frozenset().union(*shards.values())
    folders = {_folder(index) for index in shards}
    return {
        file.path: "no index of its folder names this shard"
        for file in files
        if _folder(file.path) in folders and _SHARD.fullmatch(PurePosixPath(file.path).name) and file.path not in named
    }


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
