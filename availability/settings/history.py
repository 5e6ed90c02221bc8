"""The settings of the history: where it lies, how much may wait for it, and how long it is kept."""

from typing import Annotated

from pydantic import Field

from availability.settings.group import Group
from availability.settings.words import Place, Shown


class AnalyticsSettings(Group):
    """Where what happened is kept, so that it can be asked later."""

    url: Annotated[
        Place | None, Shown(default="`history` in the state folder", expected="a folder, or any URL that fsspec knows")
    ] = Field(None, description="The history of events; several machines may share one.")
    ship_in_background: bool = Field(
        True, description="A command that ends starts a process that ships what waits, at most one a minute."
    )
    max_spool_mib: Annotated[float, Shown(unit="MiB")] = Field(
        256, gt=0, description="How much may wait to be shipped; beyond it events are refused, with a warning."
    )
    retention_days: int = Field(
        400, ge=0, le=36500, description="How many days of events are kept; 0 keeps them for ever."
    )
    published_days: int = Field(
        90, ge=1, le=36500, description="How many days of events the published file `usage.duckdb` holds."
    )

    @property
    def max_spool_bytes(self) -> int:
        """How much may wait to be shipped, in bytes."""
        return round(self.max_spool_mib * 2**20)
