"""`availability support-bundle`: one file with what others need to help, and without what they must not see."""

import json
import os
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import click
from huggingface_hub import constants

from availability.errors import UsageError
from availability.masking import masked, masked_data, secrets_of
from availability.outcome import ExitCode
from commands.common import json_option, session
from commands.evidence import gather

_PRIVATE = 0o600


class BundleSummary(TypedDict):
    """The `summary` of `availability support-bundle --json`."""

    path: str
    files: list[str]
    missing: list[str]
    exit_code: int


@click.command(name="support-bundle")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, instead of one named after the time in this folder.",
)
@json_option
def command(*, output: Path | None, as_json: bool) -> None:
    """Pack versions, settings, status, records, recent events and runs, and the end of the log into one file.

    Secrets are left out: what has the form of one, and the values of variables that are named like one. Names of
    models, folders and hosts are in it; look through it before you send it to anybody.
    """
    with session({}, as_json=as_json) as run:
        path = output or Path(f"support-bundle-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
        if path.exists():
            raise UsageError(f"{path} is there already; nothing was written.", advice=("Name another with --output.",))
        parts = gather(run)
        secrets = known_secrets()
        contents = {_file_name(name, part): _text(part, secrets) for name, part in parts.items()}
        _write(path, contents)
        missing = [name for name, part in parts.items() if isinstance(part, dict) and "error" in part]
        summary = BundleSummary(path=str(path.resolve()), files=[*contents], missing=missing, exit_code=ExitCode.OK)
        if as_json:
            run.answer([], summary)
        else:
            run.out.print(f"Written: {summary['path']}", markup=False, soft_wrap=True)
            for name in missing:
                run.out.print(f"  without {name}: {parts[name]['error']}", markup=False, soft_wrap=True)
        sys.exit(ExitCode.OK)


def known_secrets() -> tuple[str, ...]:
    """Return the secrets that this process can know: those of its environment, and the token that a login has left."""
    found = secrets_of(os.environ)
    login = Path(constants.HF_TOKEN_PATH)
    token = login.read_text(errors="replace").strip() if login.is_file() else ""
    return (*found, token) if token else found


def _file_name(name: str, part: Any) -> str:
    return f"{name}.{'txt' if isinstance(part, str) else 'json'}"


def _text(part: Any, secrets: tuple[str, ...]) -> str:
    if isinstance(part, str):
        return masked(part, secrets)
    return json.dumps(masked_data(part, secrets), indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, contents: dict[str, str]) -> None:
    """Write the whole file or none; it is for its owner until he hands it on."""
    partly = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partly.touch(_PRIVATE, exist_ok=False)
        with zipfile.ZipFile(partly, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in contents.items():
                bundle.writestr(name, text)
        partly.replace(path)
    finally:
        partly.unlink(missing_ok=True)
