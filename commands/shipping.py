"""What a command that ends leaves to the history: a process of its own that ships, so that nobody waits for it.

Shipping takes a second and may take long when the history does not answer; a command takes half of one. So it is begun
only when something is there to ship, by nobody else, and at most once a minute; what comes in between goes with the
next, with a question (`availability usage …`), with a run, or with the schedule. What it says is in its log.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import time

from analytics.spool import Spool
from availability.workspace import Workspace

LAUNCHER = "enhanced_model_availability"
"""What `python -m` runs as the command."""
LOG = "shipper.log"
REST_SECONDS = 60
_NICENESS = 10


def start_shipper(workspace: Workspace) -> bool:
    """Start shipping in the background, if there is anything to ship and nobody at it; say whether it was started."""
    settings = workspace.settings
    if not (settings.features.usage_analytics and settings.analytics.ship_in_background):
        return False
    spool, log = Spool(workspace.spool), workspace.state / LOG
    try:
        workspace.history.close()
        if _age_seconds(log) < REST_SECONDS or not spool.has_news() or spool.is_tended():
            return False
        with log.open("wb") as output:
            shipper = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-m", LAUNCHER, "usage", "tend"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **_place(workspace)},
                start_new_session=True,  # it outlives the terminal, and Ctrl-C is not for it
            )
    except OSError:  # the spool keeps everything
        return False
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, shipper.pid, _NICENESS)
    return True


def _place(workspace: Workspace) -> dict[str, str]:
    """Return what makes the shipper work where this command did, whatever its options were."""
    settings = workspace.settings
    return {
        "ENHANCED_MODEL_PROFILE": settings.profile,
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(settings.storage.models_directory),
        "ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY": str(settings.storage.cache_directory),
        "ENHANCED_MODEL_ANALYTICS_URL": settings.history_url,
    }


def _age_seconds(log: Path) -> float:
    try:
        return time() - log.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
