"""The installation a run works on: its settings, its catalog, and the token from a Prefect Secret block."""

from collections.abc import Mapping
from typing import cast

from prefect.blocks.system import Secret

from availability.catalog import Catalog, load_catalog
from availability.settings import Settings, load_settings
from availability.workspace import Workspace


def open_workspace(overrides: Mapping[str, object]) -> Workspace:
    """Return the doors of the installation of this worker.

    Args:
        overrides: the run's parameters that are settings, by dotted name; None means not given.

    Raises:
        SettingsError: a value is out of its bounds.
        ValueError: the settings name a Secret block that does not exist.
    """
    settings = load_settings(overrides)
    return Workspace(settings, _token(settings))


def open_catalog(settings: Settings) -> Catalog:
    """Return the catalog that the settings name.

    Raises:
        CatalogError: it cannot be read or breaks its schema.
    """
    return load_catalog(settings.catalog, required=settings.catalog_was_chosen)


def _token(settings: Settings) -> str | None:
    block = settings.hub.token_secret_block
    if block is None:
        return None
    return cast("Secret[str]", Secret.load(block)).get()
