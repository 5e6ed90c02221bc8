"""Scanning pickles before publication, where the policy asks for it; the scanner is the optional extra `pickle`.

A scanner is a tripwire, not a proof: the policy `refuse` is the default, and safetensors need none of this.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from availability.admission import can_hold_pickle
from availability.errors import UnsafeModelError
from availability.model import ModelId
from availability.settings import AdmissionSettings


def check_pickles(model: ModelId, places: Mapping[str, Path], policy: AdmissionSettings) -> None:
    """Scan the files that can hold a pickle.

    Args:
        model: for the sentence.
        places: where each file of the snapshot lies now, by its path.
        policy: does nothing unless its `pickle_policy` is `scan`.

    Raises:
        UnsafeModelError: one of them does what data must not do, or cannot be scanned.
    """
    suspects = {path: place for path, place in places.items() if can_hold_pickle(path)}
    if policy.pickle_policy != "scan" or not suspects:
        return
    try:
        import picklescan.scanner  # noqa: F401, PLC0415  an optional extra
    except ImportError:
        raise UnsafeModelError(
            str(model),
            [f"{len(suspects)} pickles must be scanned and the scanner is not installed"],
            advice=("pip install 'enhanced-model-availability[pickle]', or leave them out with --exclude.",),
        ) from None
    reasons = [why for path, place in suspects.items() if (why := _why_not(path, place)) is not None]
    if reasons:
        raise UnsafeModelError(
            str(model),
            reasons,
            advice=("Do not load this model. Leave the files out with --exclude, and tell its publisher.",),
        )


def _why_not(path: str, place: Path) -> str | None:
    """Return why a file may not enter, None when nothing bad was found in it."""
    from picklescan.scanner import scan_bytes  # noqa: PLC0415  an optional extra

    if not place.stat().st_size:
        return None
    # The scanner reads a format off the name's ending, which a blob, named by its digest, has not.
    ending = PurePosixPath(path).suffix.lower()
    try:
        with place.open("rb") as content:
            result = scan_bytes(content, path, ending)
    except Exception as error:  # noqa: BLE001  bytes made to break a parser can raise anything
        return f"{path} cannot be scanned for pickles ({type(error).__name__})"
    if result.issues_count or result.infected_files:
        found = ", ".join(sorted({f"{item.module}.{item.name}" for item in result.globals if _is_bad(item)}))
        return f"{path} would run {found or 'code'} when it is loaded"
    return f"{path} cannot be scanned for pickles" if result.scan_err else None


def _is_bad(item: object) -> bool:
    return str(getattr(getattr(item, "safety", None), "value", "")) == "dangerous"
