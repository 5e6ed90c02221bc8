"""`availability adopt`: take over a folder that was copied in by hand."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from availability.adopt import adopt
from availability.download import Download
from availability.ensure import requests_for
from availability.errors import DownloadFailedError, OfflineError, UnverifiableError
from availability.outcome import ExitCode, summarise
from commands.bars import progress_bars
from commands.common import json_option, session, store_option
from commands.tables import show_outcomes

_NOT_FOUND_OUT = (UnverifiableError, OfflineError, DownloadFailedError)
"""Nobody could say what the files must be: nothing is known against the model."""


@click.command(name="adopt")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("model")
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'; repeatable."
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No files that match; repeatable.")
@store_option
@json_option
def command(
    path: Path, model: str, *, include: Sequence[str], exclude: Sequence[str], store: Path | None, as_json: bool
) -> None:
    """Verify the files in PATH as MODEL (org/name[@revision]) and take them over without a download.

    PATH is only read. Ends with 1 when a file is wrong or missing, and with 3 when nobody can say what the files must
    be; a model that stands in the store already is verified by `availability ensure`.
    """
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        requests, outcomes = requests_for(run.workspace, run.catalog, [model], include=include, exclude=exclude)
        for request in requests:
            with progress_bars(run.err, f"Verifying {path}", hidden=as_json) as listener:
                download = Download(
                    run.workspace,
                    request.model,
                    request.selection,
                    on_progress=partial(listener, request.model) if listener else None,
                )
                outcomes.append(adopt(download, path, run.catalog))
        summary = summarise(outcomes)
        if any(isinstance(outcome.error, _NOT_FOUND_OUT) for outcome in outcomes):
            summary["exit_code"] = ExitCode.UNKNOWN
        show_outcomes(run, outcomes, summary)
        sys.exit(summary["exit_code"])
