"""Development and production, and the wall between their folders.

Development has its own defaults. A folder is development's when it lies below `.local/development`, or when a file
`<folder>.development` stands beside it: beside, because `scan_cache_dir` warns about a stray file in a cache. The
marker is written when a run claims its folders, not when settings are loaded.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from availability.errors import StorageError
from availability.settings.groups import Settings
from availability.settings.sources import Given

DEFAULT_PROFILE = "production"
DEVELOPMENT_HOME = Path(".local/development")

PROFILES: Mapping[str, Mapping[str, object]] = {
    "production": {},
    "development": {
        "storage.models_directory": DEVELOPMENT_HOME / "store",
        "storage.cache_directory": DEVELOPMENT_HOME / "state",
        "storage.max_storage_gb": 10.0,
        "download.max_concurrent_downloads": 2,
        "catalog": Path("deployments/catalog.sample.yaml"),
        "debug": True,
        "log_level": "DEBUG",
        "hub.endpoint": "http://127.0.0.1:8970",
    },
}

_SIGNS_OF_MODELS = ("begun", "records")
"""The folders of a state that something is in as soon as it knows a model; see `availability.workspace`."""


def profile_defaults(chosen: Mapping[str, Given]) -> dict[str, Given]:
    """Return what the chosen profile puts in place of the defaults.

    A store that was named brings its state with it, so the profile's state folder goes with the profile's store only.
    """
    name = chosen["profile"].value if "profile" in chosen else DEFAULT_PROFILE
    name = name.strip().lower() if isinstance(name, str) else name
    values = PROFILES.get(str(name), {})
    given = {setting: Given(value, setting, f"profile {name}") for setting, value in values.items()}
    if "storage.models_directory" in chosen:
        given.pop("storage.cache_directory", None)
    return given


def wrong_folders(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each folder setting that breaks a rule, and why."""
    store = settings.storage.models_directory.resolve()
    state = settings.storage.cache_directory.resolve()
    if store == state or store in state.parents or state in store.parents:
        yield "storage.cache_directory", f"a folder that is neither inside the store {store} nor around it"
    # The history may come to a state first, by a program that reports loads or a run that tidies; they mark nothing.
    signs = [state / name for name in _SIGNS_OF_MODELS]
    for setting, folder, in_use, free in (
        ("storage.models_directory", store, [store], "is new, empty"),
        ("storage.cache_directory", state, signs, "knows no model"),
    ):
        ours = _is_development(folder)
        if settings.profile == "production" and ours:
            yield setting, "a folder that the profile development did not make"
        if settings.profile == "development" and not ours and any(map(_holds_something, in_use)):
            yield setting, f"a folder that {free} or was made by the profile development"


def claim_folders(settings: Settings) -> None:
    """Create the store and the state folder, and mark them when they are development's.

    Raises:
        StorageError: a folder or its marker cannot be created.
    """
    for folder in (settings.storage.models_directory, settings.storage.cache_directory):
        _claim(folder, settings)


def claim_state(settings: Settings) -> None:
    """Create the state folder alone, as `claim_folders` does: for what is noted before a model is written.

    Raises:
        StorageError: the folder or its marker cannot be created.
    """
    _claim(settings.storage.cache_directory, settings)


def _claim(folder: Path, settings: Settings) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if settings.profile == "development":
            _marker(folder.resolve()).write_text("This folder belongs to the profile development.\n")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be prepared: {error}.",
            advice=("Make its parent writable, or name another folder (ENHANCED_MODEL_STORAGE_*).",),
        ) from error


def _marker(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.development")


def _is_development(folder: Path) -> bool:
    home = DEVELOPMENT_HOME.parts
    parts = folder.parts
    below = any(parts[at : at + len(home)] == home for at in range(len(parts)))
    return below or os.access(_marker(folder), os.F_OK)


def _holds_something(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is not None
    except FileNotFoundError:
        return False
    except OSError:
        return True  # what cannot be looked into is not ours
