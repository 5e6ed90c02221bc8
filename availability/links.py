"""The folder of links that is a snapshot: made whole beside its place, or completed link by link where it stands.

Which links belong into it is `availability.store`'s knowledge; that they lead to proven content, its caller's.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from availability.durable import sync_folder
from availability.errors import StorageError
from availability.model import FileRecord


def link_text(file: FileRecord) -> str:
    """Return where a file's link in a snapshot leads."""
    # snapshots/<commit>/<path> is two folders deep, and one more for each in the path.
    return "../" * (2 + file.path.count("/")) + f"blobs/{file.digest}"


def make_folder(final: Path, draft: Path, links: Mapping[str, str]) -> bool:
    """Let a folder of links appear by one rename; False when it stands already, made by somebody else meanwhile."""
    shutil.rmtree(draft, ignore_errors=True)
    folders = {draft / folder for folder in {path.rpartition("/")[0] for path in links}} | {draft}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in links.items():
        os.symlink(text, f"{draft}/{path}")  # noqa: PTH211  thousands of them
    for folder in folders:
        sync_folder(folder)
    try:
        draft.rename(final)
    except OSError:
        shutil.rmtree(draft)
        if not final.is_dir():
            raise
        return False
    sync_folder(final.parent)
    return True


def replace_link(link: Path, text: str, *, staging: Path, root: Path) -> None:
    """Make sure that one link says `text`, in one step."""
    if link.is_symlink() and os.readlink(link) == text:  # noqa: PTH115  thousands of them
        return
    refuse_outside(link.parent, root)
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = staging / f"link-{secrets.token_hex(4)}"
    temporary.symlink_to(text)
    temporary.replace(link)
    sync_folder(link.parent)


def refuse_outside(place: Path, root: Path) -> None:
    """Never write through a link out of the store: what lies there is not ours.

    Raises:
        StorageError: the place is behind such a link.
    """
    real, home = place.resolve(), root.resolve()
    if not real.is_relative_to(home):
        raise StorageError(
            f"{place} leads to {real}, out of the store {home}; nothing was written there.",
            advice=("Move the folder into the store, or make the other place the store.",),
        )
