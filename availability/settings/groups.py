"""The settings themselves: the one place, with the modules beside it, where a default or a bound is written.

A group built without arguments holds the defaults. Nothing here reads the environment or a file; `load_settings` does.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from huggingface_hub import constants
from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from availability.settings.fallback import FallbackSettings
from availability.settings.group import Group
from availability.settings.history import AnalyticsSettings
from availability.settings.limits import LimitSettings
from availability.settings.running import AlertsSettings, SchedulesSettings
from availability.settings.supply import SourcesSettings
from availability.settings.words import (
    AutoRepair,
    BlockedFileTypes,
    BlockedModels,
    FileTypes,
    Folder,
    Gigabytes,
    LogLevels,
    LowerCase,
    PathSetting,
    Percent,
    Seconds,
    SecretBlockName,
    Shown,
    Sources,
    UpperCase,
    WebAddress,
    YamlFile,
)

PREFIX = "ENHANCED_MODEL_"
GIGABYTE = 10**9
MEBIBYTE = 2**20
_BLOCK_NAME = "a block's name: lower-case letters, digits and single `-`"

ProfileName = Annotated[Literal["production", "development"], LowerCase]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], UpperCase]
PicklePolicy = Literal["refuse", "scan", "allow"]


def _state_beside(validated: dict[str, Any]) -> Path:
    """Return the folder of our state for a store: beside it, because it belongs to it, and never in it."""
    store = Path(validated.get("models_directory", constants.HF_HUB_CACHE))
    return store.with_name(f"{store.name}.availability")


class StorageSettings(Group):
    """Where models and our records of them are kept, and how much room they may take."""

    models_directory: Annotated[Folder, Shown(default="`HF_HUB_CACHE`, else the client's own cache")] = Field(
        default_factory=lambda: Path(constants.HF_HUB_CACHE),
        description="The store: a Hugging Face cache, which other programs may read.",
    )
    cache_directory: Annotated[Folder, Shown(default="`<store>.availability`, beside the store")] = Field(
        default_factory=_state_beside,
        description="Our state (ledgers, journals, leases, quarantine): never inside the store, nor around it.",
    )
    max_storage_gb: Gigabytes = Field(0, ge=0, description="How much the store may hold; 0 means no limit.")
    min_free_gb: Gigabytes = Field(1, ge=0, description="What a download must leave free on the disk.")

    @property
    def max_storage_bytes(self) -> int | None:
        """The quota in bytes, None when there is none."""
        return round(self.max_storage_gb * GIGABYTE) if self.max_storage_gb else None

    @property
    def min_free_bytes(self) -> int:
        """What must stay free, in bytes."""
        return round(self.min_free_gb * GIGABYTE)


class DownloadSettings(Group):
    """How models are fetched: how many at once, how fast, and how patiently."""

    max_concurrent_downloads: int = Field(
        3, ge=1, le=10, description="How many models are fetched at once, by all who share the state folder."
    )
    max_retries: int = Field(
        3, ge=0, le=10, description="Retries after the first attempt, of what can pass; 0 means no retry."
    )
    retry_delay_seconds: Seconds = Field(
        30, ge=1, description="The wait before the first retry; it doubles with each further one."
    )
    max_retry_delay_seconds: Annotated[Seconds, Shown(expected="at least `retry_delay_seconds`")] = Field(
        300, description="The longest wait before a retry, jitter included."
    )
    bandwidth_limit_mbps: Annotated[float, Shown(unit="Mbit/s")] = Field(
        0, ge=0, description="Speed limit of all downloads together that share the state folder; 0 means none."
    )
    connections: int = Field(16, ge=1, le=64, description="Connections that one transfer may hold at once.")
    stall_seconds: Seconds = Field(
        30, ge=1, le=600, description="A connection that brings no byte for so long has stalled and is replaced."
    )
    min_kib_per_second: Annotated[float, Shown(unit="KiB/s")] = Field(
        4, ge=0, description="Slower than this over `stall_seconds` is a stall too; 0 switches it off."
    )
    max_server_wait_seconds: Seconds = Field(
        300, ge=0, le=3600, description="The longest `Retry-After` that is waited for inside one attempt."
    )

    @field_validator("max_retry_delay_seconds")
    @classmethod
    def _not_below_the_first(cls, seconds: float, info: ValidationInfo) -> float:
        first = info.data.get("retry_delay_seconds", seconds)
        if seconds < first:
            raise ValueError(f"retry_delay_seconds is {first:g}")
        return seconds

    @property
    def min_bytes_per_second(self) -> float:
        """The speed below which a connection has stalled, in bytes per second."""
        return self.min_kib_per_second * 1024


class AdmissionSettings(Group):
    """What may enter the store."""

    allowed_sources: Sources = Field(("*",), description="Where models may come from.")
    blocked_models: BlockedModels = Field((), description="Models that may not enter.")
    allowed_file_types: FileTypes = Field(("*",), description="File types that may enter.")
    blocked_file_types: BlockedFileTypes = Field(
        (".exe", ".dll", ".bat", ".cmd", ".scr", ".msi"), description="File types that may not enter."
    )
    max_file_gb: Gigabytes = Field(500, gt=0, description="The largest file that may enter.")
    max_model_gb: Gigabytes = Field(5000, gt=0, description="The largest model that may enter.")
    max_files: int = Field(20000, ge=1, le=100000, description="The most files a model may have.")
    pickle_policy: Annotated[PicklePolicy, LowerCase] = Field(
        "refuse",
        description="Files that can run code when loaded: refused, scanned first (extra `pickle`), or allowed.",
    )


class HealthSettings(Group):
    """How what is stored is checked, what counts as healthy, and who may start a repair."""

    cache_ttl_seconds: Seconds = Field(
        300, ge=0, description="How long the result of a check, a status or a health report is used again."
    )
    check_interval_hours: Annotated[float, Shown(unit="h")] = Field(
        24, ge=1, le=720, description="How often the scheduled check runs."
    )
    within_days: Annotated[float, Shown(unit="days")] = Field(
        30, gt=0, le=3650, description="Every stored byte is read again within so many days."
    )
    healthy_threshold: float = Field(
        0.8, ge=0, le=1, description="The least overall score of a healthy model; a corrupted one never is."
    )
    auto_repair_enabled: AutoRepair = Field(
        "auto", description="Who starts the repair of what a check finds: you alone, you after a form, or the system."
    )
    max_mib_per_second: Annotated[float, Shown(unit="MiB/s")] = Field(
        0, ge=0, description="How fast a check may read; 0 means no limit."
    )
    storage_critical_percent: Percent = Field(95, le=100, description="Storage used beyond this is critical.")
    storage_warning_percent: Annotated[Percent, Shown(expected="more than 0, up to `storage_critical_percent`")] = (
        Field(80, gt=0, description="Storage used beyond this is worth a warning.")
    )
    quarantine_max_mib: Annotated[float, Shown(unit="MiB")] = Field(
        1024, ge=0, description="How many damaged bytes are kept as evidence, the oldest dropped first; 0 keeps none."
    )
    quarantine_max_items: int = Field(
        100, ge=1, le=10000, description="How many pieces of evidence are kept, the oldest dropped first."
    )

    @field_validator("storage_warning_percent")
    @classmethod
    def _not_above_critical(cls, percent: float, info: ValidationInfo) -> float:
        critical = info.data.get("storage_critical_percent", percent)
        if percent > critical:
            raise ValueError(f"storage_critical_percent is {critical:g}")
        return percent

    @property
    def max_bytes_per_second(self) -> float:
        """How fast a check may read, in bytes per second; 0 means no limit."""
        return self.max_mib_per_second * MEBIBYTE

    @property
    def quarantine_max_bytes(self) -> int:
        """How much evidence is kept, in bytes."""
        return round(self.quarantine_max_mib * MEBIBYTE)


class FeatureSettings(Group):
    """What is switched on."""

    enhanced_downloads: bool = Field(True, description="Verified, resumable downloads from several sources.")
    health_monitoring: bool = Field(True, description="Scheduled checks of what is stored.")
    intelligent_fallback: bool = Field(True, description="Alternatives when a model cannot be had.")
    usage_analytics: bool = Field(True, description="Recording of events for reports and clean-up advice.")


class HubSettings(Group):
    """Where models come from. The token is no setting: it is `HF_TOKEN` or a Prefect Secret block."""

    endpoint: Annotated[WebAddress, Shown(default="`HF_ENDPOINT`, else `https://huggingface.co`")] = Field(
        default_factory=lambda: constants.ENDPOINT, description="The hub that is asked."
    )
    token_secret_block: Annotated[SecretBlockName | None, Shown(expected=_BLOCK_NAME, default="none", hidden=True)] = (
        Field(None, description="Name of the Prefect Secret block that holds the token; never the token itself.")
    )


class Settings(BaseSettings):
    """What concerns the whole installation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,  # storage, then all of max_storage_gb
        enable_decoding=False,  # lists are comma-separated, not JSON
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
    )

    profile: ProfileName = Field(
        "production", description="`development` has its own folders, a small quota and a sample hub."
    )
    catalog: YamlFile = Field(
        Path("deployments/catalog.yaml"), description="The list of models that are kept available."
    )
    debug: bool = Field(False, description="Show what developers want to see, such as full tracebacks.")
    log_level: LogLevel = Field("INFO", description="The least important message that is logged.")
    log_levels: LogLevels = Field((), description="The same for single parts, by the names of their modules.")
    log_file: Annotated[
        PathSetting | None, Shown(expected="a file", default="`logs/availability.log` in the state folder")
    ] = Field(None, description="Where the command line keeps its log.")
    log_file_mib: Annotated[float, Shown(unit="MiB")] = Field(
        5, ge=0, description="When the log is so large a new one is begun, and two old ones stay; 0 keeps no log."
    )
    storage: StorageSettings = Field(default_factory=StorageSettings)
    download: DownloadSettings = Field(default_factory=DownloadSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    admission: AdmissionSettings = Field(default_factory=AdmissionSettings)
    health: HealthSettings = Field(default_factory=HealthSettings)
    fallback: FallbackSettings = Field(default_factory=FallbackSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    hub: HubSettings = Field(default_factory=HubSettings)
    sources: SourcesSettings = Field(default_factory=SourcesSettings)
    analytics: AnalyticsSettings = Field(default_factory=AnalyticsSettings)
    schedules: SchedulesSettings = Field(default_factory=SchedulesSettings)
    alerts: AlertsSettings = Field(default_factory=AlertsSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is handed in: `load_settings` runs the other sources itself, to know each origin."""
        return (init_settings,)

    @property
    def history_url(self) -> str:
        """Where the history of events lies."""
        return self.analytics.url or str(self.storage.cache_directory / "history")

    @property
    def log_path(self) -> Path:
        """Where the command line keeps its log."""
        return self.log_file or self.storage.cache_directory / "logs/availability.log"

    @property
    def catalog_was_chosen(self) -> bool:
        """Whether somebody named a catalog; only then is its absence an error."""
        return "catalog" in self.model_fields_set
