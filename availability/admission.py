"""What may enter the store: the supply-chain rules, judged on a listing before anything is written.

Two questions, both pure. `why_not_listing`: can these names, sizes and digests be what they claim without harming the
store or the machine? `admit`: does the policy of this installation allow these files? Every refusal tells how to allow
it, if it can be allowed.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from availability.errors import UnsafeModelError
from availability.model import FileRecord, Listing
from availability.selection import Choice
from availability.settings import AdmissionSettings

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".nemo", ".mar")
"""Files that can hold a Python pickle and so code that runs when they are loaded."""

_NOT_PICKLE_NAMES = ("openvino*.bin", "ggml*.bin", "*.onnx.bin", "*spiece*.bin")
_SAFE_WEIGHT_ENDINGS = (".safetensors", ".gguf", ".onnx")

_MOST_PATH_BYTES = 1024
_MOST_NAME_BYTES = 255
_RESERVED_NAME = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?")
_HEX40 = re.compile(r"[0-9a-f]{40}")
_HEX64 = re.compile(r"[0-9a-f]{64}")


def check_listing(listing: Listing) -> None:
    """Refuse a listing whose names, sizes or digests cannot be honest.

    Raises:
        UnsafeModelError: with one reason for each thing refused.
    """
    reasons = [*_bad_files(listing.files), *_collisions(listing.files)]
    if reasons:
        raise UnsafeModelError(
            str(listing.model),
            reasons,
            advice=("No setting allows this: such a listing would damage the store. Tell the model's publisher.",),
        )


def admit(listing: Listing, choice: Choice, endpoint: str, policy: AdmissionSettings) -> Choice:
    """Apply the policy: return what may enter, with pickles left out where safe weights stand in for them.

    Raises:
        UnsafeModelError: the policy refuses the model or a chosen file.
    """
    reasons = [*_refused_model(listing, endpoint, policy)]
    choice, pickles = _without_needless_pickles(choice, policy)
    reasons += [
        f"{path} can hold a pickle, which runs code when it is loaded, and no safetensors stand in for it"
        for path in pickles
    ]
    for file in choice.files:
        reasons += _refused_file(file, policy)
    total = sum(file.size for file in choice.files)
    if total > policy.max_model_gb * 1e9:
        reasons.append(f"its chosen files are {total / 1e9:.1f} GB, more than {policy.max_model_gb:g} GB")
    if reasons:
        raise UnsafeModelError(str(listing.model), reasons, advice=_advice(pickles))
    return choice


@dataclass(frozen=True, slots=True)
class _Rule:
    why: str
    breaks: re.Pattern[str]


_PATH_RULES = (
    _Rule("is absolute or names a drive", re.compile(r"[/\\]|[A-Za-z]:")),
    _Rule("holds a backslash or a control character", re.compile(r".*[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", re.DOTALL)),
    _Rule("leaves its folder or has an empty part", re.compile(r"(?:.*/)?\.{0,2}(?:/|$)", re.DOTALL)),
    _Rule("reaches into a git folder", re.compile(r"(?i)(?:.*/)?\.git(?:/|$)", re.DOTALL)),
    _Rule("reaches into the client's own folder", re.compile(r"(?i)(?:.*/)?\.cache/huggingface(?:/|$)", re.DOTALL)),
)


def why_not_path(path: str) -> str | None:
    """Return why a file of this name may not be written below a snapshot, None when it may."""
    for rule in _PATH_RULES:
        if rule.breaks.match(path):
            return rule.why
    parts = path.split("/")
    if len(path.encode()) > _MOST_PATH_BYTES or any(len(part.encode()) > _MOST_NAME_BYTES for part in parts):
        return "is too long for a file system"
    if any(_RESERVED_NAME.fullmatch(part) for part in parts):
        return "is a device's name on Windows"
    if any(part != part.rstrip(". ") for part in parts):
        return "has a part that ends in a dot or a blank"
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in path):
        return "holds an invisible character"
    return None


def _bad_files(files: Iterable[FileRecord]) -> Iterable[str]:
    for file in files:
        if why := why_not_path(file.path):
            yield f"{file.path!r} {why}"
        if file.size < 0:
            yield f"{file.path!r} has a size of {file.size} bytes"
        if not _HEX40.fullmatch(file.blob_id):
            yield f"{file.path!r} has {file.blob_id!r} for a git blob id, expected 40 hexadecimal digits"
        for name, digest in (("SHA-256", file.sha256), ("Xet hash", file.xet_hash)):
            if digest is not None and not _HEX64.fullmatch(digest):
                yield f"{file.path!r} has {digest!r} for a {name}, expected 64 hexadecimal digits"


def _collisions(files: Sequence[FileRecord]) -> Iterable[str]:
    """Find names that some file systems take for one, and files that are folders of others."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for file in files:
        key = _folded(file.path)
        if key in seen:
            yield f"{file.path!r} and {seen[key]!r} are one file on some file systems"
        seen[key] = file.path
        folder = key.rpartition("/")[0]
        while folder and folder not in folders:
            folders[folder] = file.path
            folder = folder.rpartition("/")[0]
    for key in seen.keys() & folders.keys():
        yield f"{seen[key]!r} is a file and the folder of {folders[key]!r}"


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _refused_model(listing: Listing, endpoint: str, policy: AdmissionSettings) -> Iterable[str]:
    for pattern in policy.blocked_models:
        if fnmatchcase(listing.model.repo_id.lower(), pattern.lower()):
            yield f"the pattern {pattern!r} of ENHANCED_MODEL_ADMISSION_BLOCKED_MODELS blocks it"
    if "*" not in policy.allowed_sources and endpoint not in policy.allowed_sources:
        yield f"its source {endpoint} is not among ENHANCED_MODEL_ADMISSION_ALLOWED_SOURCES"


def _refused_file(file: FileRecord, policy: AdmissionSettings) -> Iterable[str]:
    ending = PurePosixPath(file.path).suffix.lower()
    if ending in policy.blocked_file_types:
        yield f"{file.path} is of the blocked type {ending}"
    if "*" not in policy.allowed_file_types and ending not in policy.allowed_file_types:
        yield f"{file.path} is of the type {ending or 'without an ending'}, which is not allowed"
    if file.size > policy.max_file_gb * 1e9:
        yield f"{file.path} is {file.size / 1e9:.1f} GB, more than {policy.max_file_gb:g} GB"


def _without_needless_pickles(choice: Choice, policy: AdmissionSettings) -> tuple[Choice, tuple[str, ...]]:
    """Return the choice without the pickles that are not needed, and those that are needed and refused."""
    if policy.pickle_policy != "refuse":
        return choice, ()
    pickles = tuple(file.path for file in choice.files if can_hold_pickle(file.path))
    if not any(file.path.endswith(_SAFE_WEIGHT_ENDINGS) for file in choice.files):
        return choice, pickles
    kept = tuple(file for file in choice.files if file.path not in pickles)
    reasons = ((path, "a pickle, for which safe weights stand in") for path in pickles)
    return Choice(kept, (*choice.left_out, *reasons)), ()


def can_hold_pickle(path: str) -> bool:
    """Say whether a file of this name can hold a pickle."""
    name = PurePosixPath(path).name.lower()
    return name.endswith(PICKLE_ENDINGS) and not any(fnmatchcase(name, known) for known in _NOT_PICKLE_NAMES)


def _advice(pickles: Sequence[str]) -> tuple[str, ...]:
    general = "The rules are the settings ENHANCED_MODEL_ADMISSION_*; `availability settings` shows them."
    if not pickles:
        return (general,)
    return (
        "If you trust it, set ENHANCED_MODEL_ADMISSION_PICKLE_POLICY to scan (needs the extra 'pickle') or to allow.",
        "Or leave the pickles out, for example with --exclude '*.bin'.",
        general,
    )
