"""Every setting once: its bounds, its unit and one sentence, from which all that shows settings is made.

`groups` defines them, `definitions` reads them back as data, `sources` finds what was given, `profiles` keeps
development away from a real store, `load` puts it together. The only room that reads the environment for settings; it
holds no secret (the token stays in HF_TOKEN or a Prefect Secret block) and creates no folder by loading.
"""

from availability.settings.definitions import (
    ECOSYSTEM,
    Definition,
    EcosystemVariable,
    bounds_of,
    definitions,
    groups,
    shown,
)
from availability.settings.fallback import FallbackSettings
from availability.settings.groups import (
    AdmissionSettings,
    DownloadSettings,
    FeatureSettings,
    HealthSettings,
    HubSettings,
    Settings,
    StorageSettings,
)
from availability.settings.limits import LimitSettings
from availability.settings.load import Effective, EffectiveValue, effective, load_settings
from availability.settings.profiles import PROFILES, claim_folders, claim_state
from availability.settings.sources import UnknownVariable
from availability.settings.supply import SourcesSettings

__all__ = [
    "ECOSYSTEM",
    "PROFILES",
    "AdmissionSettings",
    "Definition",
    "DownloadSettings",
    "EcosystemVariable",
    "Effective",
    "EffectiveValue",
    "FallbackSettings",
    "FeatureSettings",
    "HealthSettings",
    "HubSettings",
    "LimitSettings",
    "Settings",
    "SourcesSettings",
    "StorageSettings",
    "UnknownVariable",
    "bounds_of",
    "claim_folders",
    "claim_state",
    "definitions",
    "effective",
    "groups",
    "load_settings",
    "shown",
]
