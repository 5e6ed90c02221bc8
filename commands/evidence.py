"""Gathering what says how an installation is: each part by itself, so that what is broken does not hide the rest.

Nothing is changed here and nothing is masked: `commands.support_bundle` does that with all of it at once.
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import urllib3

from availability.overview import status_all
from availability.settings import ECOSYSTEM, shown
from commands.common import Session

PART_NAMES = ("versions", "settings", "status", "records", "events", "runs", "log")
"""What a bundle holds."""

_MOST_EVENTS, _MOST_RUNS, _MOST_RECORDS, _LOG_BYTES = 500, 50, 500, 200_000
_RECORDS = ("controls", "sources")
"""Folders of the state that hold small records: downloads and what is wanted of them, and how sources have behaved."""
_ANSWER_SECONDS = 5.0
_PREFECT = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")


def gather(run: Session) -> dict[str, Any]:
    """Return every part by its name; of one that cannot be had, why."""
    parts: Mapping[str, Callable[[Session], Any]] = {
        "versions": lambda _: _versions(),
        "settings": _settings,
        "status": _status,
        "records": _records,
        "events": _events,
        "runs": lambda _: _runs(),
        "log": _log,
    }
    return {name: _tried(parts[name], run) for name in PART_NAMES}


def _tried(part: Callable[[Session], Any], run: Session) -> Any:
    try:
        return part(run)
    except Exception as error:  # noqa: BLE001  what is broken is what a bundle is made for
        return {"error": f"{type(error).__name__}: {error}"}


def _versions() -> dict[str, Any]:
    installed = sorted({(dist.name, dist.version) for dist in metadata.distributions()})
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": dict(installed),
    }


def _settings(run: Session) -> dict[str, Any]:
    return {
        "settings": [
            {"name": value.name, "value": shown(value.value), "origin": value.origin} for value in run.settings.values
        ],
        # Of other people's variables only the names: who knows what they hold.
        "variables_set": sorted(
            {variable.env_name for variable in ECOSYSTEM if os.environ.get(variable.env_name)}
            | {name for name in os.environ if name.startswith(("ENHANCED_MODEL_", "PREFECT_", "HF_"))}
        ),
        "unknown": [variable.sentence for variable in run.settings.unknown],
    }


def _status(run: Session) -> dict[str, Any]:
    overview = status_all(run.workspace, run.catalog)
    return {"summary": overview.as_dict(), "models": [status.as_dict() for status in overview.statuses]}


def _records(run: Session) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in _RECORDS:
        for path in sorted((run.workspace.state / folder).rglob("*.json"))[:_MOST_RECORDS]:
            with suppress(OSError, ValueError):
                found[str(path.relative_to(run.workspace.state))] = json.loads(path.read_bytes())
    return found


def _events(run: Session) -> list[dict[str, Any]]:
    import analytics  # noqa: PLC0415  half a second, and only here

    with analytics.connect(run.settings.settings.history_url) as history:
        table = history.table("select * from events order by event_time desc limit $most", {"most": _MOST_EVENTS})
    return [{name: value for name, value in row.items() if value is not None} for row in table.records()]


def _runs() -> Any:
    """Ask the Prefect server that the environment names for the latest runs, as its UI does."""
    url, key, login = map(os.environ.get, _PREFECT)
    if not url:
        return {"error": "PREFECT_API_URL is not set: no server was asked"}
    headers = {"Authorization": f"Bearer {key}"} if key else urllib3.make_headers(basic_auth=login)
    answer = urllib3.request(
        "POST",
        f"{url.rstrip('/')}/flow_runs/filter",
        headers=headers,
        json={"limit": _MOST_RUNS, "sort": "START_TIME_DESC"},
        timeout=_ANSWER_SECONDS,
        retries=False,
    )
    if answer.status != 200:
        return {"error": f"the server answered with {answer.status}"}
    return [_told_run(each) for each in answer.json()]


def _told_run(each: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "name", "state_name", "start_time", "end_time", "total_run_time", "run_count", "parameters", "tags")
    return {**{name: each.get(name) for name in kept}, "message": (each.get("state") or {}).get("message")}


def _log(run: Session) -> str:
    path: Path = run.settings.settings.log_path
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_BYTES))
        return file.read().decode(errors="replace")
