"""The command `availability`: its commands are found by name and loaded only when they are run."""

import sys
from importlib import import_module

import click

_COMMANDS = {
    "adopt": "Verify a folder that was copied in by hand, and take it over without a download.",
    "ensure": "Make models available: verified, complete, and ready to use.",
    "settings": "Show every setting in force, where it comes from, and what it may be.",
    "status": "Say how available models are, from the disk alone.",
}


class _Commands(click.Group):
    """Loads `commands.<name>` when it is asked for: starting must cost no more than what is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in sorted(_COMMANDS)])


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all verified, 1 a model is not, 2 wrong usage, 3 it could not be found out.",
)
@click.version_option(package_name="enhanced-model-availability", prog_name="availability")
def main() -> None:
    """Keep AI models available: downloaded, proven byte for byte, and repaired."""


if __name__ == "__main__":
    sys.exit(main())
