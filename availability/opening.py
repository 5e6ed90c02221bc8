"""How the functions of the face find what they work on, unless they are given it: settings, folders, the catalog."""

from collections.abc import Mapping

from availability.catalog import Catalog, keep_catalog
from availability.settings import Settings, load_settings
from availability.workspace import Workspace


def open_workspace(settings: Mapping[str, object] | None = None, *, token: str | None = None) -> Workspace:
    """Return the doors of an installation.

    Args:
        settings: values by dotted name, such as `{"storage.models_directory": "/models"}`; they win over the
            environment, which wins over `.env`, which wins over the defaults.
        token: for private and gated models; None takes `HF_TOKEN` or what `hf auth login` has left.

    Raises:
        SettingsError: a value is out of its bounds.
    """
    return Workspace(load_settings(settings), token)


def catalog_of(settings: Settings) -> Catalog:
    """Return the catalog in force, read again only when its file has changed.

    Raises:
        CatalogError: it cannot be read or breaks its schema.
    """
    return keep_catalog(settings.catalog, required=settings.catalog_was_chosen)
