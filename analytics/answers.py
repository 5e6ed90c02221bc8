"""How a table is answered on the command line: for people, in CSV, or in JSON."""

import csv
import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from analytics.connection import Table

_WIDEST = 100_000
"""What a line in a file or a pipe may be long."""
_Command = TypeVar("_Command", bound=Callable[..., Any])


def answer_options(command: _Command) -> _Command:
    """Give a command the ways in which a table is answered."""
    as_json = click.option("--json", "form", flag_value="json", help="Answer in JSON: a list of objects.")
    as_csv = click.option("--csv", "form", flag_value="csv", help="Answer in CSV, with a head line.")
    as_table = click.option("--table", "form", flag_value="table", default="table", help="Answer for people (default).")
    return as_json(as_csv(as_table(command)))


def show(table: "Table", form: str) -> None:
    """Write a table to stdout; times are in ISO 8601 for programs."""
    if form == "json":
        click.echo(json.dumps(table.records(), indent=2, default=_plain))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([_cell(value) for value in row] for row in table.rows)
    else:
        _print(table)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _cell(value: object) -> object:
    if value is None:
        return ""
    return _plain(value) if isinstance(value, date | datetime) else value


def _print(table: "Table") -> None:
    from rich.console import Console  # noqa: PLC0415  half a second, and only where people read
    from rich.table import Table as Drawn  # noqa: PLC0415  see above

    drawn = Drawn(box=None, pad_edge=False)
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*["" if value is None else str(value) for value in row])
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # a file or a pipe has no width to fold for
        console.width = max(console.measure(drawn, options=console.options.update(width=_WIDEST)).maximum, 1)
    console.print(drawn)
    if not table.rows:
        click.echo("no rows", err=True)
