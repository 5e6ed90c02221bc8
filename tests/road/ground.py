"""Where the road is walked in these tests: a hub that can misbehave, and a store and a state folder of one's own."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from availability import ensure_models, open_workspace
from availability.outcome import EnsureOutcome
from availability.workspace import Workspace
from service.faults import FaultyHub
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS
from tests.road.honest import assert_honest

MODEL = "org/tiny"
PARTS_MODEL = "org/parts"
SIZE = 3 * MIB + 17
"""Of the weights of `MODEL`: a large file of one part."""
PART_BYTES = 16 * MIB
PARTS_SIZE = 17 * MIB + 17
"""Of the weights of `PARTS_MODEL`: two parts, so that two connections work on them."""

REVISION = r"^GET /api/models/[^/]+/[^/]+/revision/"
FIRST_PAGE = r"^GET /api/models/[^?]*/tree/[^?]*\?(?!.*cursor)"
SECOND_PAGE = r"^GET /api/models/[^?]*/tree/.*cursor="
SMALL = rf"/resolve/.*/{CONFIG}"
LARGE = rf"/resolve/.*/{WEIGHTS}"
ROUTES = {
    "revision": REVISION,
    "first page": FIRST_PAGE,
    "second page": SECOND_PAGE,
    "small file": SMALL,
    "large file": LARGE,
}
FILES = (CONFIG, NESTED, WEIGHTS)

QUICK: dict[str, object] = {
    "storage.min_free_gb": 0,
    "download.max_retries": 0,
    "download.retry_delay_seconds": 1,
    "download.max_retry_delay_seconds": 1,
    "download.stall_seconds": 5,
    "download.min_kib_per_second": 0,
}
"""Few and short waits."""


@dataclass(frozen=True)
class Ground:
    """One installation and the hub it asks.

    Attributes:
        hub: where models come from.
        root: the store and the state are two folders of it.
        settings: what holds here beside `QUICK`, by dotted name.
    """

    hub: FaultyHub
    root: Path
    settings: dict[str, object] = field(default_factory=dict)
    token: str | None = None

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def all_settings(self, **more: object) -> dict[str, object]:
        """Return everything that holds; `more` by dotted name with `__` for the dot."""
        return {
            **QUICK,
            "storage.models_directory": self.store,
            "storage.cache_directory": self.state,
            "hub.endpoint": self.hub.url,
            **self.settings,
            **{name.replace("__", "."): value for name, value in more.items()},
        }

    def workspace(self, **more: object) -> Workspace:
        return open_workspace(self.all_settings(**more), token=self.token)

    def ensure(self, model: str = MODEL, *, include: tuple[str, ...] = (), **more: object) -> EnsureOutcome:
        """Ensure one model; a failure is in the outcome."""
        return ensure_models([model], include=include, workspace=self.workspace(**more))[0]

    def assert_honest(self, **more: bool) -> None:
        assert_honest(self.store, self.state, self.hub, **more)

    def files(self) -> set[str]:
        """Return every file of the store and the state, whatever it is."""
        return {str(path) for folder in (self.store, self.state) for path in folder.rglob("*") if not path.is_dir()}

    def sent(self) -> int:
        """Return how many bytes of files the hub has sent."""
        return self.hub.bytes_sent("/resolve/|/repos/")


def size_of(hub: FaultyHub, model: str = MODEL) -> int:
    """Return how many bytes the files of a model have."""
    folder = hub.library.store / f"models--{model.replace('/', '--')}"
    commit = (folder / "refs" / "main").read_text()
    return sum(
        told["size"] for told in json.loads((folder / "trees" / f"{commit}.json").read_bytes())["files"].values()
    )


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen and accept, and never say a word; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


def unused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
