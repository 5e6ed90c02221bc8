"""The way into the command, from the repository and from an installed wheel alike.

A wheel must not bring modules called `tasks` or `analytics` into the programs of others, so there the rooms lie in a
folder of this package, which only our own command puts on its path. In the repository they lie side by side.
"""

import sys
from pathlib import Path
from typing import Any

ROOMS = Path(__file__).parent / "rooms"
"""Where a wheel has them; what runs their flows needs it on its path."""


def main() -> Any:
    """Run the command."""
    if ROOMS.is_dir():
        sys.path.insert(0, str(ROOMS))
    from commands.main import main as command  # noqa: PLC0415  not found before this

    return command()
