"""The first run of what deletes or replaces only says what it would do: once a store, whoever runs it and wherever.

It is remembered beside the store and not on a server, because it is the store that there is only one of.
"""

from availability.durable import replace_content
from availability.workspace import Workspace


def is_first_run(workspace: Workspace, name: str) -> bool:
    """Say whether nothing of this name has been rehearsed on this store."""
    return not (workspace.state / "rehearsed" / name).exists()


def note_run(workspace: Workspace, name: str) -> None:
    """Remember that it was said what would be done, so that the next run does it.

    Raises:
        StorageError: the state folder cannot be written to.
    """
    workspace.claim()
    replace_content(workspace.state / "rehearsed" / name, b"")
