"""The command `availability`: its commands are found by name and loaded only when they are run."""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

_COMMANDS = {
    "adopt": "Verify a folder that was copied in by hand, and take it over.",
    "check": "Read what is stored, offline, and say what is wrong.",
    "downloads": "See and manage downloads, whichever process runs them.",
    "ensure": "Make models available: complete, verified, ready to use.",
    "health": "Say how healthy everything is, and what to do.",
    "repair": "Mend a model by the least that mends it.",
    "request": "Say whether a model can be had, and what could stand in.",
    "settings": "Show every setting in force, its origin and its bounds.",
    "sources": "Say where bytes come from, and how each source does.",
    "status": "Say how available models are, from the disk alone.",
    "support-bundle": "Pack what others need to help you; secrets are left out.",
    "usage": "Ask the history of models in SQL, and tend it.",
}
_JSON = "json"


class _Commands(click.Group):
    """Loads `commands.<name>` when it is asked for: starting must cost no more than what is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"commands.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        near = get_close_matches(name, _COMMANDS, n=1)
        if name not in _COMMANDS and near and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}. Did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in sorted(_COMMANDS)])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a program that asked for JSON is told in JSON what it typed wrong."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not ctx.meta[_JSON]:
                raise
            from availability.errors import UsageError  # noqa: PLC0415  loaded only when it is needed
            from availability.outcome import ExitCode  # noqa: PLC0415
            from commands.common import stop  # noqa: PLC0415

            advice = f"See `{(error.ctx or ctx).command_path} --help`."
            stop(UsageError(error.format_message(), advice=(advice,)), ExitCode.WRONG_USAGE, as_json=True)


@click.command(
    name="availability",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 every model is verified, 1 a model is not, 2 wrong usage, 3 nobody could be asked.",
)
@click.version_option(package_name="enhanced-model-availability", prog_name="availability")
def main() -> None:
    """Keep AI models available: downloaded, proven byte for byte, and repaired."""


if __name__ == "__main__":
    sys.exit(main())
