"""`python -m analytics`: history by hand. The group `availability usage` mounts the same commands.

A group that mounts them puts an `analytics.place.Place` into the context's `obj`.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from analytics.answers import answer_options, show
from analytics.errors import AnalyticsError
from analytics.place import STATE, Place, with_place


@click.group()
def main() -> None:
    """Ask and tend the history of models."""


@main.command()
@click.argument("statement")
@answer_options
@with_place
def sql(place: Place, statement: str, form: str) -> None:
    """Answer one `select`; the base view is `events`."""
    with _history(place) as history:
        show(history.table(statement), form)


@main.command()
@click.argument("name")
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@answer_options
@with_place
def run(place: Place, name: str, parameters: tuple[str, ...], form: str) -> None:
    """Answer the query NAME; see `queries`."""
    from analytics.queries import find, run_query  # noqa: PLC0415  half a second, and only where it is needed

    find(name)  # a wrong name is told before a store is asked
    with _history(place) as history:
        show(run_query(history, name, dict(_pair(text) for text in parameters)), form)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON: name, description, columns, parameters.")
def queries(as_json: bool) -> None:
    """List the named queries."""
    from analytics.queries import list_queries  # noqa: PLC0415  see run

    found = list_queries()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for query in found:
        given = " ".join(f"{parameter['name']}={parameter['default']}" for parameter in query["parameters"])
        click.echo(f"{click.style(query['name'], bold=True)} {given}\n    {query['description']}")


@main.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_place
def shell(place: Place, arguments: tuple[str, ...]) -> None:
    """Open DuckDB's own client on the views, read-only; ARGUMENTS after `--` are handed to it."""
    from analytics.shell import open_shell  # noqa: PLC0415  see run

    sys.exit(open_shell(_asked(place), place.cache, arguments))


@main.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("usage-report.html"))
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=30, show_default=True)
@click.option("--zone", default="UTC", show_default=True, help="The time zone of days and hours.")
@with_place
def report(place: Place, output: Path, days: float, zone: str) -> None:
    """Write the report to a file: HTML, or Markdown when its name ends in .md."""
    from analytics.report import make_report  # noqa: PLC0415  see run

    with _history(place, may_be_absent=True) as history:
        made = make_report(history, days=days, zone=zone)
    output.write_text(made.markdown() if output.suffix == ".md" else made.html(), encoding="utf-8")
    click.echo(f"{output}: {made.events:,} events", err=True)


@main.command(name="import")
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON or YAML.")
@with_place
def import_(place: Place, log: Path, mapping: Path | None) -> None:
    """Bring a log of JSON lines into the history; the mapping says where each field is found."""
    from analytics.errors import MappingError  # noqa: PLC0415  see run
    from analytics.imports import import_log  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    rules = None
    if mapping is not None:
        try:
            rules = yaml.safe_load(mapping.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise MappingError(f"{mapping} is neither JSON nor YAML: {error}") from error
        if not isinstance(rules, dict):
            raise MappingError(f"{mapping} holds no mapping.")
    shipped = import_log(open_store(place.url, place.options), log, rules, place.salt)
    click.echo(f"{shipped.events:,} events, {shipped.rejected:,} lines refused (see `run rejections`)")


@main.command()
@with_place
def ship(place: Place) -> None:
    """Send what is in the spool."""
    from analytics.ship import ship_spool  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    shipped = ship_spool(_spool_of(place), open_store(place.url, place.options))
    click.echo(f"{shipped.events:,} events, {shipped.rejected:,} refused, {shipped.left_bytes:,} bytes left")


@main.command()
@click.option("--tidy/--no-tidy", default=None, help="Do the day's work now, or not now; else when it is due.")
@with_place
def tend(place: Place, tidy: bool | None) -> None:
    """Keep the history in order: ship, and once a day put days in order, retain and publish. For a schedule."""
    from analytics.storage import open_store  # noqa: PLC0415  see run
    from analytics.tend import tend_history  # noqa: PLC0415  see run

    done = tend_history(
        _spool_of(place),
        open_store(place.url, place.options),
        retention_days=place.retention_days,
        published_days=place.published_days,
        keep=place.keep,
        cache=place.cache,
        tidy=tidy,
    )
    click.echo(done.sentence() if done else "Another process is at it.")


@main.command()
@with_place
def compact(place: Place) -> None:
    """Put each day in order, and delete what that has replaced."""
    from analytics.compact import compact_days  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    done = compact_days(open_store(place.url, place.options))
    click.echo(f"{len(done.days)} days written, {done.deleted} files deleted, {len(done.broken)} broken")


@main.command()
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How much of `events` the file holds.")
@with_place
def publish(place: Place, days: float | None) -> None:
    """Make the file that any DuckDB client opens."""
    from analytics.publish import publish_mart  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    done = publish_mart(open_store(place.url, place.options), days or place.published_days, cache=place.cache)
    click.echo(f"{place.url}/{done.path}: {done.events:,} events, {done.size_bytes:,} bytes")


@main.command()
@click.option("--model", "model_id", help="Forget everything of this model.")
@click.option("--user", help="Forget everything of this user.")
@click.confirmation_option(prompt="What is forgotten cannot be brought back. Go on?")
@with_place
def forget(place: Place, model_id: str | None, user: str | None) -> None:
    """Delete everything that was recorded of one model or one user until now."""
    from analytics.erase import erase_model, erase_user  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    if (model_id is None) == (user is None):
        raise click.UsageError("Name a model or a user, one of them.")
    store = open_store(place.url, place.options)
    if model_id is not None:
        done = erase_model(store, model_id)
    elif not place.salt:
        raise click.UsageError("Nobody said with which salt users are hashed.")
    else:
        done = erase_user(store, str(user), place.salt)
    click.echo(f"Forgotten; {len(done.days)} days were written anew.")


@main.command()
@click.option("--days", type=click.IntRange(min=1), help="How many days are kept besides today.")
@with_place
def retain(place: Place, days: int | None) -> None:
    """Delete the events of days that are older; without --days, than the settings say."""
    from analytics.privacy import retain as retain_days  # noqa: PLC0415  see run
    from analytics.storage import open_store  # noqa: PLC0415  see run

    days = days or place.retention_days
    if not days:
        raise click.UsageError("Nobody said how many days are kept; use --days.")
    click.echo(f"{retain_days(open_store(place.url, place.options), days, datetime.now(UTC))} files deleted")


def _spool_of(place: Place) -> Path:
    if place.spool is None:
        raise click.UsageError(f"Nobody said where the spool is; set {STATE}.")
    return place.spool


def _ship_first(place: Place) -> None:
    """Bring what the spool holds, so that an answer knows of what has just happened; without that it is still right."""
    if place.spool is None or place.is_elsewhere:
        return
    from analytics.spool import Spool  # noqa: PLC0415  see run

    if Spool(place.spool).has_news():
        from analytics.ship import ship_safely  # noqa: PLC0415  see run

        problem = ship_safely(place.spool, place.url, place.options).problem
        if problem:
            click.echo(f"Warning: the latest events are missing, they stay in the spool: {problem}", err=True)


def _asked(place: Place, *, may_be_absent: bool = False) -> Any:
    """Return the store of a question, when what waits was shipped."""
    from analytics.storage import open_store  # noqa: PLC0415  see run

    _ship_first(place)
    store = open_store(place.url, place.options)
    if not may_be_absent and not store.exists():
        raise AnalyticsError(
            f"There is no history at {place.url}: nothing has been shipped there yet, or it lies elsewhere."
        )
    return store


@contextmanager
def _history(place: Place, *, may_be_absent: bool = False) -> Iterator[Any]:
    from analytics.connection import History  # noqa: PLC0415  see run

    with History(_asked(place, may_be_absent=may_be_absent), place.cache) as history:
        for file in history.broken:
            click.echo(f"Warning: left out, it cannot be read: {file.path} ({file.reason})", err=True)
        yield history


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is no parameter; write NAME=VALUE.")
    return name, value


if __name__ == "__main__":
    main(prog_name="python -m analytics")
