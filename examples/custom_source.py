"""A source of your own: an archive that speaks a language of its own, and what its states mean here.

    python examples/custom_source.py org/name

The archive is a folder here, so that the example runs anywhere: `<archive>/<digest>` holds a content, and beside it
`<digest>.state` says where that is: `online`, `on-tape`, `recalling`, `deleted`, or something newer than this program.
What is learned: only `deleted` means "not here". A state that nobody knows is not known, which is a reason to ask again
later and another source now, never a reason to call a file missing.
"""

import sys
from pathlib import Path
from typing import BinaryIO

from availability import ensure
from availability.errors import (
    EnhancedModelAvailabilityError,
    FileNotServedError,
    RateLimitedError,
    SourceUnavailableError,
)
from availability.model import FileRecord, Listing, ModelId
from availability.registry import ExtensionSettings, sources
from availability.sources.context import SecretReference, SourceContext

RECALL_SECONDS = 600.0


class ArchiveSettings(ExtensionSettings):
    """What may be configured, in the file that ENHANCED_MODEL_SOURCES_CONFIGURATION names; anything else is refused."""

    folder: Path = Path("archive")
    key: SecretReference | None = None
    """Only where it is found: `env:ARCHIVE_KEY`, or `block:archive-key`, a Prefect Secret block."""


class ArchiveBody:
    """Bytes of one content."""

    tag: str | None = None

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        """Go to the first byte."""
        self.start, self.stop = start, stop
        self._file = file
        self._file.seek(start)
        self._left = stop - start

    def read(self, most: int) -> bytes:
        """Return the next bytes; the chain finds out when they end too early."""
        data = self._file.read(min(most, self._left))
        self._left -= len(data)
        return data

    def abort(self) -> None:
        """Do nothing: a read from a disk comes to its end."""

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


@sources.register("archive", priority=50, settings=ArchiveSettings)
class ArchiveSource:
    """Serves by digest, so it need not know any model; it is not trusted, and need not be."""

    name = "archive"

    def __init__(self, context: SourceContext, settings: ArchiveSettings) -> None:
        """Take the settings; the secret is looked up now, and kept nowhere else."""
        self._folder = settings.folder
        self._key = context.secret(settings.key) if settings.key else None  # a real archive would be sent it

    def listing(self, model: ModelId) -> Listing:
        """Say nothing about identity."""
        raise SourceUnavailableError(f"{self.name} cannot say what {model} must be")

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> ArchiveBody:
        """Ask for a range of a file, and say in our words what the archive says in its own."""
        what = f"{file.path} of {listing.model}"
        match state := self._state(file):
            case "online":
                return ArchiveBody((self._folder / file.digest).open("rb"), start, stop)
            case "deleted" | None:
                raise FileNotServedError(f"{self.name} does not have {what}.")
            case "on-tape" | "recalling":
                raise RateLimitedError(f"{self.name} fetches {what} from tape", retry_after_seconds=RECALL_SECONDS)
            case _:
                raise SourceUnavailableError(f"{self.name} says {state!r} of {what}, which nobody here understands")

    def _state(self, file: FileRecord) -> str | None:
        try:
            return (self._folder / f"{file.digest}.state").read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceUnavailableError(f"{self.name} could not be read ({error.strerror})") from None


def main(text: str) -> None:
    """Make a model available, and say who sent how much of it."""
    try:
        outcome = ensure(text)
    except EnhancedModelAvailabilityError as error:
        sys.exit("\n".join([error.message, *error.tried, *error.advice]))
    for source, count in sorted(outcome.sources.items()):
        print(f"{source}: {count:,} bytes")
    print(f"{outcome.model_id} is verified.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
