"""Makes the automations of `automations/*.yaml` on a server: each by its name, once, however often this runs.

A file holds an automation as Prefect takes it, but that it names what Prefect wants by id: `run-deployment` names its
`deployment`, and `send-notification` goes to the block that the settings name. Without that block an alert does
nothing but appear among the events. What is ours bears a tag: a file that is gone takes its automation with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore

FOLDER = Path(__file__).with_name("automations")
TAG = "enhanced-model-availability"


def read_automations(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return what the files say, in the order of their names.

    Raises:
        click.ClickException: a file's automation is not named like the file, so that two could have one name.
    """
    specs = []
    for path in sorted(folder.glob("*.yaml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        if spec["name"] != path.stem:
            raise click.ClickException(f"{path} names its automation {spec['name']!r}; name it {path.stem!r}.")
        specs.append(spec)
    return specs


def resolve(spec: Mapping[str, Any], deployments: Mapping[str, UUID], notification: UUID | None) -> AutomationCore:
    """Return an automation as Prefect takes it.

    Args:
        spec: what the file says.
        deployments: ids by `<flow>/<deployment>`.
        notification: the block that brings alerts to people, None when there is none.

    Raises:
        click.ClickException: it wants to run a deployment that there is not.
    """
    actions = [_action(spec["name"], action, deployments, notification) for action in spec["actions"]]
    return AutomationCore.model_validate({**spec, "actions": actions, "tags": [TAG]})


def put_automations(client: SyncPrefectClient, wanted: Sequence[AutomationCore]) -> list[str]:
    """Make, mend and remove automations of ours; return what was changed, a line each."""
    changes = []
    found = _ours(client, {automation.name for automation in wanted})
    for automation in wanted:
        same = found.pop(automation.name, [])
        if not same:
            client.create_automation(automation)
            changes.append(f"automation {automation.name} made")
        elif AutomationCore.model_validate(same[0].model_dump(exclude={"id"})) != automation:
            client.update_automation(same[0].id, automation)
            changes.append(f"automation {automation.name} mended")
        changes += _remove(client, same[1:])
    return changes + _remove(client, [gone for same in found.values() for gone in same])


def _action(
    name: str, action: Mapping[str, Any], deployments: Mapping[str, UUID], notification: UUID | None
) -> Mapping[str, Any]:
    match action["type"]:
        case "send-notification":
            return {**action, "block_document_id": notification} if notification else {"type": "do-nothing"}
        case "run-deployment":
            wanted = action["deployment"]
            if wanted not in deployments:
                raise click.ClickException(f"The automation {name} runs {wanted}, which is not deployed.")
            rest = {key: value for key, value in action.items() if key != "deployment"}
            return {**rest, "deployment_id": deployments[wanted]}
        case _:
            return action


def _ours(client: SyncPrefectClient, names: set[str]) -> dict[str, list[Automation]]:
    """Return what is ours by name: what bears our tag, and what has one of our names."""
    found: dict[str, list[Automation]] = {}
    while page := client.read_automations(limit=200, offset=sum(map(len, found.values()))):
        for automation in page:
            found.setdefault(automation.name, []).append(automation)
    return {name: same for name, same in found.items() if name in names or any(TAG in one.tags for one in same)}


def _remove(client: SyncPrefectClient, automations: Sequence[Automation]) -> list[str]:
    for automation in automations:
        client.delete_automation(automation.id)
    return [f"automation {automation.name} removed" for automation in automations]
