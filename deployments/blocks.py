"""Makes the Prefect blocks of `blocks.yaml`, as far as their variables are set, and mends those that differ.

The values are secrets more often than not: they come from the environment, go to the server, and are told to nobody.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard, cast
from uuid import UUID

import yaml
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

FILE = Path(__file__).with_name("blocks.yaml")


def put_blocks(env: Mapping[str, str] = os.environ, file: Path = FILE) -> list[str]:
    """Make and mend the blocks; return what was changed, a line each."""
    changes = []
    for spec in yaml.safe_load(file.read_text(encoding="utf-8")):
        name = f"{spec['type']}/{spec['name']}"
        values = _filled(spec["values"], env)
        if values is None:
            continue
        kind = Block.get_block_class_from_key(spec["type"])
        wanted, found = kind(**values), _load(kind, spec["name"])
        if found is not None and _content(found) == _content(wanted):
            continue
        wanted.save(spec["name"], overwrite=True)
        changes.append(f"block {name} {'made' if found is None else 'mended'}")
    return changes


def find_block(client: SyncPrefectClient, name: str) -> UUID | None:
    """Return the id of a block that is named as `<type>/<name>`, None when there is none."""
    kind, _, own_name = name.partition("/")
    try:
        return client.read_block_document_by_name(own_name, kind, include_secrets=False).id
    except ObjectNotFound:
        return None


def _filled(values: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any] | None:
    """Return values with variables in their place, None when one of them is not set."""
    filled = {name: _fill(value, env) for name, value in values.items()}
    return None if None in filled.values() else filled


def _fill(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return _filled(value, env)
    if _is_variable(value):
        return env.get(value.removeprefix("$")) or None
    return value


def _is_variable(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith("$") and value[1:].isidentifier()


def _load(kind: type[Block], name: str) -> Block | None:
    try:
        return cast("Block", kind.load(name, validate=False))
    except ValueError:
        return None


def _content(block: Block) -> dict[str, Any]:
    # A block that was loaded also knows where it came from.
    return block.model_dump(context={"include_secrets": True}, include={*type(block).model_fields})
