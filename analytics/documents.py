"""Makes docs/events.md from the table of kinds, the fields of an event and the named queries.

    python -m analytics.documents            writes it
    python -m analytics.documents --check    shows a diff and exits with 1 when it is stale

Nothing on that page is edited by hand.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

import click

from analytics import imports
from analytics.columns import columns
from analytics.kinds import KINDS
from analytics.sqlfiles import SqlFile, named_queries, views

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/events.md")

_INTRODUCTION = """\
# Events

What happens to a model is an event, its failures too. What is kept becomes a row of `events`, with the fields below. On
Prefect's event stream flows announce those that a trigger may wait for, under the name given here: an event of a model
is about the resource `model.<org/name>`, named `<org/name>@<revision>`; those of a source, a store and the history are
about `source.<name>`, `storage.<folder>` and `history.<place>`. Labels tell what automations match without reading a
payload: `availability.repair` (who starts the repair of what is corrupted), `availability.outcome` (`succeeded` or
`failed`) of a download, `availability.breaker` of a source. One event has one id: sent twice, it counts once. Times are
in UTC. How all of this is used is told in [history.md](history.md), who is told of what in [running.md](running.md).
"""
_FIELDS = (
    "Every event has `event_id`, `event_time` and `kind`; `date` is the day of `event_time` and the folder it lies in."
)
_VIEWS = (
    "Views are read like tables. Those with parameters are called with all of them: `from intervals(90, 2, now())`."
)


def events_page() -> str:
    """Return the page."""
    parts = [
        _INTRODUCTION,
        "## Kinds\n",
        _table(
            ("Kind", "On Prefect's stream", "What it says", "Needs", "Usually has", "On the stream also", "Kept"),
            _kinds(),
        ),
        f"## Fields\n\n{_FIELDS}\n",
        _table(("Field", "Type", "Bounds", "What it says"), _fields()),
        f"## Views\n\n{_VIEWS}\n",
        _table(("View", "What it answers", "Columns"), [_view(file) for file in views()]),
        *[section for file in views() for section in _rules(file)],
        "## Named queries\n\nRun one with `availability usage run NAME parameter=value …`.\n",
        _table(("Query", "What it answers", "Parameters"), [_query(file) for file in named_queries().values()]),
        f"## Importing logs\n\n{_mapping()}\n",
    ]
    return "\n".join(parts)


def stale(root: Path) -> str:
    """Return a diff from the page as it is to the page as it should be; empty when they are the same."""
    path = root / PAGE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return "".join(
        difflib.unified_diff(
            text.splitlines(keepends=True), events_page().splitlines(keepends=True), str(PAGE), f"{PAGE} (made)"
        )
    )


def write(root: Path) -> None:
    """Write the page."""
    (root / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (root / PAGE).write_text(events_page(), encoding="utf-8")


def _kinds() -> list[Sequence[str]]:
    return [
        (
            f"`{kind.name}`",
            f"`{kind.event}`",
            " ".join(part for part in (kind.sentence, kind.failure) if part),
            _names(kind.required),
            _names(kind.usual),
            _names(kind.announced),
            "yes" if kind.kept else "no",
        )
        for kind in KINDS.values()
    ]


def _fields() -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for column in columns():
        least = "" if column.least is None else f"at least {column.least:g}"
        most = "" if column.most is None or column.most >= 2**62 else f"at most {column.most:g}"
        letters = f"at most {column.most_letters} letters" if column.most_letters else ""
        bounds = ", ".join(part for part in (least, most, letters) if part)
        rows.append((f"`{column.name}`", column.sql, bounds, column.description))
    return rows


def _view(file: SqlFile) -> Sequence[str]:
    names = ", ".join(parameter.name for parameter in file.parameters)
    return f"`{file.name}{f'({names})' if names else ''}`", file.description, _names(tuple(file.columns))


def _rules(file: SqlFile) -> list[str]:
    return [f"### Rules of `{file.name}`\n\n" + "\n".join(file.rules) + "\n"] if file.rules else []


def _query(file: SqlFile) -> Sequence[str]:
    given = [f"`{parameter.name}` = {parameter.default}: {parameter.meaning}" for parameter in file.parameters]
    return f"`{file.name}`", file.description, "; ".join(given)


def _mapping() -> str:
    """Return what the module that follows mappings says of them."""
    words = (imports.__doc__ or "").split("\n\n")[1:]
    return "\n\n".join(f"```text\n{part}\n```" if part.startswith("    ") else part for part in words).strip()


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; show a diff and exit with 1 when the page is stale.")
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, help="The repository.", show_default=True)
def main(check: bool, root: Path) -> None:
    """Make the page on events."""
    if not check:
        write(root)
        return
    diff = stale(root)
    click.echo(diff, nl=False)
    if diff:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
