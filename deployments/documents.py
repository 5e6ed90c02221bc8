"""Makes docs/settings.md and deployments/.env.example from the definitions, so that neither can be out of date.

    python -m deployments.documents            writes both
    python -m deployments.documents --check    shows a diff and exits with 1 when one is stale

Every word of them comes from `availability.settings`; nothing is edited by hand.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from availability.settings import ECOSYSTEM, PROFILES, Definition, Settings, definitions, groups, shown

ROOT = Path(__file__).resolve().parents[1]

_PRECEDENCE = (
    "An argument wins over the environment, the environment over the file `.env` in the working directory, that over"
    " the profile, and the profile over the defaults below. An empty variable counts as not set."
)
_DEVELOPMENT = (
    "Development never shares folders with production: either profile refuses what the other made. A store that is"
    " named takes its state folder beside it, as in production."
)
_ECOSYSTEM = (
    "These variables are not ours; they are honoured where the process has them, and not read from `.env`, because"
    " the programs that share the store do not read it there either."
)


def documents() -> dict[Path, str]:
    """Return each generated file, relative to the repository, with what it should hold."""
    return {
        Path("docs/settings.md"): settings_page(),
        Path("deployments/.env.example"): example(),
    }


def settings_page() -> str:
    """Return the page on settings."""
    sections = [f"# Settings\n\n{_PRECEDENCE}\n"]
    for group, title, purpose in _groups():
        rows = [_row(definition) for definition in definitions() if definition.group == group]
        table = _table(("Variable", "Default", "Bounds and unit", "What it does"), rows)
        sections.append(f"## {title}\n\n{purpose}\n\n{table}")
    sections.append(f"## The profile `development`\n\n{_DEVELOPMENT}\n\n{_profile_table(PROFILES['development'])}")
    rows = [(f"`{variable.env_name}`", variable.sentence) for variable in ECOSYSTEM]
    sections.append(f"## Read from the ecosystem\n\n{_ECOSYSTEM}\n\n{_table(('Variable', 'What it does'), rows)}")
    return "\n".join(sections)


def example() -> str:
    """Return an example of a `.env` file: every variable, commented out, at its default."""
    lines = ["# Copy to .env and uncomment what should differ. Made by `python -m deployments.documents`."]
    for group, title, _ in _groups():
        lines += ["", f"# --- {title} ---"]
        for definition in definitions():
            if definition.group == group:
                lines += ["", *_example_lines(definition)]
    return "\n".join(lines) + "\n"


def _groups() -> Iterator[tuple[str, str, str]]:
    yield "", "General", _first_line(Settings)
    for name, model in groups().items():
        yield name, name.capitalize(), _first_line(model)


def _first_line(model: type) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0]


def _row(definition: Definition) -> tuple[str, ...]:
    default = definition.default if definition.computed else f"`{definition.default}`"
    return f"`{definition.env_name}`", default, definition.bounds_and_unit, definition.sentence


def _profile_table(values: Mapping[str, object]) -> str:
    rows = [
        (f"`{definition.env_name}`", f"`{shown(values[definition.name])}`")
        for definition in definitions()
        if definition.name in values
    ]
    return _table(("Variable", "In place of the default"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))


def _example_lines(definition: Definition) -> list[str]:
    value = "" if definition.computed else definition.default
    bounds = definition.bounds_and_unit.replace("`", "")
    default = f" Default: {definition.default}.".replace("`", "") if definition.computed else ""
    return [
        f"# {definition.sentence.replace('`', '')} ({bounds}){default}",
        f"# {definition.env_name}={value}",
    ]


def stale(root: Path) -> str:
    """Return a diff from the files as they are to the files as they should be; empty when they are the same."""
    return "".join(
        line
        for path, wanted in documents().items()
        for line in difflib.unified_diff(
            _text(root / path).splitlines(keepends=True), wanted.splitlines(keepends=True), str(path), f"{path} (made)"
        )
    )


def write(root: Path) -> None:
    """Write every generated file."""
    for path, text in documents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; show a diff and exit with 1 when a file is stale.")
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, help="The repository.", show_default=True)
def main(check: bool, root: Path) -> None:
    """Make the documents that show the settings."""
    if not check:
        write(root)
        return
    diff = stale(root)
    click.echo(diff, nl=False)
    if diff:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
