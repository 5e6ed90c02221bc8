"""Where everything of one installation lies: the store, the state beside it, the source, the limits it shares.

Made from the settings once, at the top; below it nobody reads a setting.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from availability.checks import Checks
from availability.controls import Controls
from availability.ledger import Ledgers
from availability.model import ModelId
from availability.quarantine import Quarantine
from availability.record import Records
from availability.settings import Settings, claim_folders
from availability.store import Store
from availability.transfer.staging import Staging
from availability.transfer.throttle import Throttle

if TYPE_CHECKING:
    from availability.overview import Overviews
    from availability.sources.base import Source


@dataclass(frozen=True)
class Workspace:
    """The doors of one installation.

    Attributes:
        settings: what is in force.
        token: for the hub; None takes the one that huggingface_hub knows.
    """

    settings: Settings
    token: str | None = None

    def claim(self) -> None:
        """Make the store and the state our own before the first write; see `availability.settings.claim_folders`."""
        claim_folders(self.settings)

    @property
    def state(self) -> Path:
        """The folder of our own records."""
        return self.settings.storage.cache_directory

    @cached_property
    def store(self) -> Store:
        """The models."""
        return Store(self.settings.storage.models_directory)

    @cached_property
    def records(self) -> Records:
        """What is known of each commit."""
        return Records(self.state / "records")

    @cached_property
    def ledgers(self) -> Ledgers:
        """What each chunk of each large blob must be."""
        return Ledgers(self.state / "ledgers")

    @cached_property
    def checks(self) -> Checks:
        """What checks leave for the next ones."""
        return Checks(self.state / "checks")

    @cached_property
    def quarantine(self) -> Quarantine:
        """The evidence of what was damaged."""
        health = self.settings.health
        return Quarantine(self.state / "quarantine", health.quarantine_max_bytes, health.quarantine_max_items)

    @cached_property
    def controls(self) -> Controls:
        """What downloads do, and what is wanted of them."""
        return Controls(self.state / "controls")

    @cached_property
    def throttle(self) -> Throttle:
        """The speed limit of this process."""
        return Throttle(self.settings.download.bandwidth_limit_bytes_per_second or 0.0)

    @cached_property
    def source(self) -> "Source":
        """Where models come from."""
        from availability.sources.hub import HubSource  # noqa: PLC0415  half a second, and only when bytes are needed

        download = self.settings.download
        return HubSource(
            self.settings.hub.endpoint,
            token=self.token,
            timeout_seconds=download.stall_seconds,
            max_files=self.settings.admission.max_files,
        )

    @property
    def overviews(self) -> "Overviews":
        """The answers to `availability.overview.status_all`: one for all threads, whoever asks first."""
        from availability.overview import Overviews  # noqa: PLC0415  it is built on this room

        kept: Overviews | None = self.__dict__.get("_overviews")
        return kept or self.__dict__.setdefault("_overviews", Overviews(self))

    def staging(self, model: ModelId) -> Staging:
        """Return where a model's bytes are gathered until they are proven."""
        return Staging(self.store.staging(model), self.state / "journals" / model.folder, self.ledgers)

    def lease_path(self, model: ModelId) -> Path:
        """Return the lease of a model.

        One for all its revisions: they share most of their blobs, so the second finds what the first has fetched.
        """
        return self.state / "leases" / f"{model.folder}.lease"
