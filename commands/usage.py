"""`availability usage`: ask and tend the history of models, where the settings say that it lies.

The commands are those of `python -m analytics`; here they only learn their place.
"""

import click

from analytics.__main__ import main
from analytics.place import Place
from availability.spool import read_salt
from commands.common import session


@click.group(name="usage", commands=main.commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def command(context: click.Context) -> None:
    """Ask the history of models in SQL, and tend it: `queries` lists what can be asked by name."""
    if context.resilient_parsing:
        return
    with session({}, as_json=False) as run:
        settings = run.settings.settings
        spool = settings.storage.cache_directory / "spool"
        salt = read_salt(spool) if spool.exists() else b""
        context.obj = Place(settings.history_url, spool, salt=salt)
