"""Brings a Prefect server to what this repository says: pool, queues, deployments, blocks, automations.

`python -m deployments.deploy`, or `make deploy`, against the server that PREFECT_API_URL names. Safe to repeat: what is
as it should be is left alone, and a second time in a row changes nothing.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound

from availability.settings import Settings, load_settings
from deployments.automate import put_automations, read_automations, resolve
from deployments.blocks import find_block, put_blocks
from deployments.manifest import POOL_TYPES, Manifest, read_manifest
from deployments.work_pool import put_pool


def deploy(settings: Settings, pool_type: str | None, say: Callable[[str], None]) -> None:
    """Bring the server to what the files and the settings say, and say what was changed.

    Args:
        settings: what schedules and alerts follow.
        pool_type: where runs happen; None takes what `prefect.yaml` says.
        say: told of each change, and of what people have to do.

    Raises:
        click.ClickException: the server does not take something; why is told.
    """
    manifest = read_manifest(settings, pool_type)
    with get_client(sync_client=True) as client:
        changes = [*put_pool(client, manifest.pool), *put_deployments(client, manifest), *put_blocks()]
        notification = find_block(client, settings.alerts.notification_block)
        deployments = {f"{name}/{name}": found.id for name, found in _deployed(client, manifest).items()}
        wanted = [resolve(spec, deployments, notification) for spec in read_automations()]
        changes += put_automations(client, wanted)
    for change in changes or ["Everything is as it should be; nothing was changed"]:
        say(change)
    if notification is None:
        name = settings.alerts.notification_block
        say(f"There is no block {name}: alerts appear among the events, and are sent to nobody (docs/running.md)")


def put_deployments(client: SyncPrefectClient, manifest: Manifest) -> list[str]:
    """Deploy what differs from the server; return what was changed, a line each."""
    known = _deployed(client, manifest)
    stale = [each for each in manifest.deployments if not _is_deployed(each, known.get(each["name"]))]
    if stale:
        _prefect_deploy(str(client.api_url), manifest, [each["name"] for each in stale])
    return [f"deployment {each['name']} {'mended' if each['name'] in known else 'made'}" for each in stale]


def _deployed(client: SyncPrefectClient, manifest: Manifest) -> dict[str, DeploymentResponse]:
    """Return those of our deployments that the server has, by name; each is named like its flow."""
    found = {}
    for name in (each["name"] for each in manifest.deployments):
        with suppress(ObjectNotFound):
            found[name] = client.read_deployment_by_name(f"{name}/{name}")
    return found


def _is_deployed(wanted: Mapping[str, Any], found: DeploymentResponse | None) -> bool:
    if found is None or found.version != wanted["version"]:
        return False
    return {schedule["slug"]: _wanted_schedule(schedule) for schedule in wanted["schedules"]} == {
        schedule.slug: _found_schedule(schedule) for schedule in found.schedules
    }


def _wanted_schedule(schedule: Mapping[str, Any]) -> tuple[bool, object]:
    return bool(schedule["active"]), schedule.get("cron") or schedule.get("interval")


def _found_schedule(found: DeploymentSchedule) -> tuple[bool, object]:
    match found.schedule:
        case IntervalSchedule(interval=interval):
            return found.active, interval.total_seconds()
        case CronSchedule(cron=cron):
            return found.active, cron
        case other:
            return found.active, other


def _prefect_deploy(api_url: str, manifest: Manifest, names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "prefect.yaml")
        file.write_text(manifest.text(), encoding="utf-8")
        chosen = [word for name in names for word in ("--name", name)]
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", str(file), *chosen]
        env = {**os.environ, "PREFECT_API_URL": api_url}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        raise click.ClickException(f"prefect deploy failed:\n{done.stdout}{done.stderr}")


@click.command(help=__doc__)
@click.option("--pool", type=click.Choice(POOL_TYPES), help="Where runs happen, instead of what prefect.yaml says.")
def main(pool: str | None) -> None:
    """Bring the server to what this repository says."""
    deploy(load_settings({}), pool, click.echo)


if __name__ == "__main__":
    main()
