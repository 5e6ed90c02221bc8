"""`availability settings`: every setting in force, where it comes from, and what it may be."""

import sys

import click
from rich.table import Table

from availability.outcome import ExitCode
from availability.settings import Effective, EffectiveValue, shown
from commands.common import json_option, session


@click.command(name="settings")
@click.option("--check", is_flag=True, help="Only check them: 0 when all can be used, 2 when not.")
@json_option
def command(*, check: bool, as_json: bool) -> None:
    """Show every setting in force: its value, where it comes from, its bounds, and what it is for.

    An argument wins over the environment, that over the file .env, that over the profile, and that over the default.
    """
    with session({}, as_json=as_json) as run:
        code = ExitCode.WRONG_USAGE if check and run.settings.unknown else ExitCode.OK
        if as_json:
            unknown = [variable.sentence for variable in run.settings.unknown]
            records = [_record(value) for value in run.settings.values]
            run.answer([], {"settings": records, "unknown": unknown, "exit_code": code})
        elif check:
            count = len(run.settings.unknown)
            told = f"{count} variables are not settings." if count else "All settings can be used."
            run.out.print(told)
        else:
            run.out.print(_table(run.settings))
        sys.exit(code)


def _record(value: EffectiveValue) -> dict[str, object]:
    return {
        "name": value.name,
        "variable": value.env_name,
        "value": shown(value.value),
        "origin": value.origin,
        "default": value.default,
        "bounds": value.bounds,
        "unit": value.unit,
        "sentence": value.sentence,
    }


def _table(settings: Effective) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "value", "from", "may be", "what it does"):
        table.add_column(heading, overflow="fold")
    for value in settings.values:
        bounds = f"{value.bounds} {value.unit}".strip()
        origin = value.origin if value.origin == "default" else f"[bold]{value.origin}[/bold]"
        table.add_row(value.env_name, shown(value.value), origin, bounds, value.sentence)
    return table
