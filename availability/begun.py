"""The trusted listing of each download that has begun: what the model must be, should the hub be gone when it goes on.

One file a model and revision, kept from the first byte to publication. After that the record of the commit says more.
"""

import json
from pathlib import Path
from typing import Any

from availability.durable import write_atomically
from availability.model import Commit, FileRecord, Listing, ModelId

RECORDED = "recorded"
"""The origin of a listing that was kept here."""

_FORMAT = 1


class Begun:
    """The listings of downloads under way: `<root>/<model>.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, listing: Listing) -> None:
        """Keep a listing, whole or not at all."""
        files = [file.row for file in listing.files]
        content = {"format": _FORMAT, "commit": listing.commit, "files": files}
        write_atomically(self._path(listing.model), json.dumps(content, separators=(",", ":")).encode())

    def read(self, model: ModelId) -> Listing | None:
        """Return what was kept, None when nothing was or it cannot be understood."""
        try:
            content: dict[str, Any] = json.loads(self._path(model).read_bytes())
            if content["format"] != _FORMAT:
                return None
            files = tuple(FileRecord(*file) for file in content["files"])
            return Listing(model, Commit(content["commit"]), files, RECORDED)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def drop(self, model: ModelId) -> None:
        """Forget it: the model is published."""
        self._path(model).unlink(missing_ok=True)

    def _path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}.json"
