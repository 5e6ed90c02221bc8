"""`availability adopt`: take over a folder that was copied in by hand."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from availability.adopt import adopt
from availability.download import Download
from availability.outcome import summarise
from availability.requests import requests_for
from availability.sweep import record_end
from commands.bars import progress_bars
from commands.common import json_option, session
from commands.options import pattern_options, store_option
from commands.tables import show_outcomes


@click.command(name="adopt")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("model")
@pattern_options
@store_option
@json_option
def command(
    path: Path, model: str, *, include: Sequence[str], exclude: Sequence[str], store: Path | None, as_json: bool
) -> None:
    """Verify the files in PATH as MODEL (org/name[@revision]) and take them over without a download.

    PATH is only read. A model that stands in the store already needs no adoption: `availability ensure` verifies it.

    \b
    Exit codes:
      0  every file is right and there; the model is published
      1  a file is wrong or missing
      2  wrong usage or settings, or PATH is not a folder
      3  nobody could be asked what the files must be (no network, hub down)
    """  # noqa: D301  click's sign for lines that it must not fold
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        requests, refused = requests_for(run.workspace, run.catalog, [model], include=include, exclude=exclude)
        outcomes = [*refused]
        for request in requests:
            with progress_bars(run.err, f"Verifying {path}", hidden=as_json) as listener:
                download = Download(
                    run.workspace,
                    request.model,
                    request.selection,
                    on_progress=partial(listener, request.model) if listener else None,
                )
                outcomes.append(adopt(download, path, run.catalog))
        record_end(run.workspace, run.catalog, (), refused, whole_catalog=False)
        summary = summarise(outcomes)
        show_outcomes(run, outcomes, summary)
        sys.exit(summary["exit_code"])
