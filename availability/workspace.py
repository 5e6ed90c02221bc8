"""Where everything of one installation lies: the store, the state beside it, the sources, what is shared.

Made from the settings once, at the top; below it nobody reads a setting.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from availability.bandwidth import SharedThrottle
from availability.begun import Begun
from availability.checks import Checks
from availability.controls import Controls
from availability.download_queue import DownloadQueue
from availability.fallback.standing import Decisions
from availability.history import Attempt, Fact, History, outside_of_runs
from availability.last_copies import LastCopies
from availability.ledger import Ledgers
from availability.model import ModelId
from availability.orders import Orders
from availability.past import Past
from availability.quarantine import Quarantine
from availability.record import Records
from availability.settings import Settings, claim_folders, claim_state
from availability.spool import SPOOL_NAME
from availability.store import Store
from availability.transfer.staging import Staging

if TYPE_CHECKING:
    from availability.overview import Overviews
    from availability.sources.account import BreakerChange
    from availability.sources.assembly import Assembly
    from availability.sources.base import Source
    from availability.sources.standings import Standings


@dataclass(frozen=True)
class Workspace:
    """The doors of one installation.

    Attributes:
        settings: what is in force.
        token: for the hub; None takes the one that huggingface_hub knows.
        secret: returns the secret behind a reference of a source's configuration; None reads the environment only.
        on_breaker: told when a source's breaker opens or closes, in any thread.
        attempt: says which attempt of an orchestrated run we are in, for the history.
    """

    settings: Settings
    token: str | None = None
    secret: Callable[[str], str] | None = field(default=None, kw_only=True)
    on_breaker: "Callable[[BreakerChange], None] | None" = field(default=None, kw_only=True)
    attempt: Callable[[], Attempt | None] = field(default=outside_of_runs, kw_only=True)

    def claim(self) -> None:
        """Make the store and the state our own before the first write; see `availability.settings.claim_folders`."""
        claim_folders(self.settings)

    def with_settings(self, settings: Settings) -> "Workspace":
        """Return the same installation under other settings; what is known of the sources is known to both."""
        other: Workspace = replace(self, settings=settings)
        other.__dict__["standings"] = self.standings
        return other

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
    def begun(self) -> Begun:
        """What the models of downloads under way must be."""
        return Begun(self.state / "begun")

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
        """What downloads do."""
        return Controls(self.state / "controls")

    @property
    def history(self) -> History:
        """Where everything that happens is told: one for all threads, whoever tells first."""
        kept: History | None = self.__dict__.get("_history")
        return kept or self.__dict__.setdefault("_history", self._open_history())

    @cached_property
    def past(self) -> Past:
        """What the history says of each model."""
        return Past(self.state / "index" / "past")

    @cached_property
    def orders(self) -> Orders:
        """What people want of downloads."""
        return Orders(self.controls.root)

    @cached_property
    def queue(self) -> DownloadQueue:
        """Which downloads wait for which."""
        return DownloadQueue(self.state)

    @cached_property
    def bandwidth(self) -> SharedThrottle:
        """The speed limit of all who share the state folder."""
        return SharedThrottle(self.state / "budgets" / "bandwidth")

    @cached_property
    def decisions(self) -> Decisions:
        """What stands decided about models that could not be had."""
        return Decisions(self.state / "fallbacks")

    @cached_property
    def last_copies(self) -> LastCopies:
        """Which models nobody else may have any more."""
        return LastCopies(self.state / "last_copies")

    @cached_property
    def source(self) -> "Source":
        """Where models come from: all sources as one."""
        from availability.sources.chain import Chain, ChainPolicy  # noqa: PLC0415  only when bytes are needed

        said = self.settings.sources
        policy = ChainPolicy(spread=said.spread, slow_share=said.slow_percent / 100)
        return Chain(self.assembly.members, standings=self.standings, policy=policy)

    @cached_property
    def assembly(self) -> "Assembly":
        """Which sources there are for a model, in which order."""
        from availability.catalog import keep_catalog  # noqa: PLC0415  only when bytes are needed
        from availability.sources.assembly import Assembly  # noqa: PLC0415  half a second, for the client it loads
        from availability.sources.context import secret_of  # noqa: PLC0415

        catalog = keep_catalog(self.settings.catalog, required=self.settings.catalog_was_chosen)
        secret = self.secret or secret_of
        return Assembly(self.settings, catalog, self.standings, token=self.token, secret=secret)

    @cached_property
    def standings(self) -> "Standings":
        """What is known of each source."""
        from availability.sources.account import BreakerPolicy  # noqa: PLC0415  only when bytes are needed
        from availability.sources.standings import Standings  # noqa: PLC0415

        said = self.settings.sources
        policy = BreakerPolicy(said.max_failures, said.cool_down_seconds)
        return Standings(self.state / "sources", policy, self._breaker_changed)

    def _breaker_changed(self, change: "BreakerChange") -> None:
        self.history.record([Fact("breaker", change.as_fields(), about=change.source)])
        if self.on_breaker is not None:
            self.on_breaker(change)

    @property
    def overviews(self) -> "Overviews":
        """The answers to `availability.overview.status_all`: one for all threads, whoever asks first."""
        from availability.overview import Overviews  # noqa: PLC0415  it is built on this room

        kept: Overviews | None = self.__dict__.get("_overviews")
        return kept or self.__dict__.setdefault("_overviews", Overviews(self))

    @property
    def spool(self) -> Path:
        """The folder of events that were not shipped yet."""
        return self.state / SPOOL_NAME

    def _open_history(self) -> History:
        return History(
            self.spool,
            self.settings.storage.models_directory,
            is_on=self.settings.features.usage_analytics,
            max_bytes=self.settings.analytics.max_spool_bytes,
            attempt=self.attempt,
            prepare=partial(claim_state, self.settings),
        )

    def staging(self, model: ModelId) -> Staging:
        """Return where a model's bytes are gathered until they are proven."""
        return Staging(self.store.staging(model), self.state / "journals" / model.folder, self.ledgers)

    def lease_path(self, model: ModelId) -> Path:
        """Return the lease of a model.

        One for all its revisions: they share most of their blobs, so the second finds what the first has fetched.
        """
        return self.state / "leases" / f"{model.folder}.lease"
