"""`availability settings`: every setting in force, where it comes from, and what it may be."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import click
from huggingface_hub import constants
from rich.markup import escape
from rich.padding import Padding

from availability.masking import MASK, masked
from availability.outcome import ExitCode
from availability.settings import ECOSYSTEM, Effective, EffectiveValue, definitions, shown
from commands.common import Session, json_option, session


class SettingRecord(TypedDict):
    """One setting: an entry of `summary.settings` in `availability settings --json`."""

    name: str
    variable: str
    value: str
    origin: str
    default: str
    bounds: str
    unit: str
    sentence: str


class EcosystemRecord(TypedDict):
    """A variable that is not ours: an entry of `summary.ecosystem`; secrets are masked, null is not set."""

    variable: str
    value: str | None
    origin: str | None
    sentence: str


class SettingsSummary(TypedDict):
    """The `summary` of `availability settings --json`."""

    settings: list[SettingRecord]
    ecosystem: list[EcosystemRecord]
    unknown: list[str]
    exit_code: int


@click.command(name="settings")
@click.option(
    "--check", is_flag=True, help="Only say whether settings and catalog can be used: 0 when all can, else 2."
)
@json_option
def command(*, check: bool, as_json: bool) -> None:
    """Show every setting in force: its value, where it comes from, its bounds, and what it is for.

    An argument wins over the environment, that over the file .env, that over the profile, and that over the default.
    """
    with session({}, as_json=as_json, strict=check) as run:
        if check:
            catalog = run.catalog.described()
        if as_json:
            run.answer([], _summary(run.settings))
        elif check:
            run.out.print(f"All {len(run.settings.values)} settings can be used. {catalog}.")
        else:
            _show(run)
        sys.exit(ExitCode.OK)


def _summary(settings: Effective) -> SettingsSummary:
    return SettingsSummary(
        settings=[_record(value) for value in settings.values],
        ecosystem=[*_ecosystem()],
        unknown=[variable.sentence for variable in settings.unknown],
        exit_code=ExitCode.OK,
    )


def _record(value: EffectiveValue) -> SettingRecord:
    return SettingRecord(
        name=value.name,
        variable=value.env_name,
        value=shown(value.value),
        origin=value.origin,
        default=value.default,
        bounds=value.bounds,
        unit=value.unit,
        sentence=value.sentence,
    )


def _ecosystem() -> Iterator[EcosystemRecord]:
    for variable in ECOSYSTEM:
        value = os.environ.get(variable.env_name) or os.environ.get(variable.env_name.lower()) or None
        origin = "environment" if value else None
        if variable.env_name == "HF_TOKEN":
            # Only whether there is one: the client would renew it over the network to answer.
            origin = origin or ("hf auth login" if Path(constants.HF_TOKEN_PATH).is_file() else None)
            value = MASK if origin else None
        yield EcosystemRecord(
            variable=variable.env_name,
            value=masked(value) if value else None,
            origin=origin,
            sentence=variable.sentence,
        )


def _show(run: Session) -> None:
    limits = {definition.name: definition.bounds_and_unit for definition in definitions()}
    group = ""
    for value in run.settings.values:
        if value.name.rpartition(".")[0] != group:
            run.out.print()
            group = value.name.rpartition(".")[0]
        _print_one(run, value.env_name, shown(value.value), value.origin, f"{value.sentence} ({limits[value.name]})")
    run.out.print("\nRead from the ecosystem:")
    for record in _ecosystem():
        _print_one(run, record["variable"], record["value"] or "", record["origin"] or "not set", record["sentence"])


def _print_one(run: Session, variable: str, value: str, origin: str, sentence: str) -> None:
    """Show a setting as a line for `.env`, with its origin as the remark, and below it what it is for."""
    remark = (
        f"[dim]# {escape(origin)}[/dim]" if origin in {"default", "not set"} else f"[bold]# {escape(origin)}[/bold]"
    )
    run.out.print(f"{variable}={escape(value)}  {remark}", soft_wrap=True)
    run.out.print(Padding(f"[dim]{escape(sentence.replace('`', ''))}[/dim]", (0, 0, 0, 4), expand=False))
