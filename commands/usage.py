"""`availability usage`: ask and tend the history of models, where the settings say that it lies.

The commands are those of `python -m analytics`; here they only learn their place.
"""

from functools import partial

import click

from analytics.__main__ import main
from analytics.place import Place
from availability.past import write_past
from availability.spool import read_salt
from availability.workspace import Workspace
from commands.common import session


@click.group(name="usage", commands=main.commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def command(context: click.Context) -> None:
    """Ask the history of models in SQL, and tend it: `queries` lists what can be asked by name."""
    if context.resilient_parsing:
        return
    with session({}, as_json=False) as run:
        # Not the session's: what is asked ships by itself what was recorded.
        workspace, analytics = Workspace(run.settings.settings), run.settings.settings.analytics
        makes_salt = context.invoked_subcommand == "import" or workspace.spool.exists()  # a question leaves no trace
        context.obj = Place(
            run.settings.settings.history_url,
            workspace.spool,
            salt=read_salt(workspace.spool) if makes_salt else b"",
            retention_days=analytics.retention_days,
            published_days=analytics.published_days,
            keep=partial(write_past, workspace.past.path),
        )
