"""The store: a plain Hugging Face cache, observed and published into.

Whatever reads that cache reads our models. Blobs are named by their publisher's digest and get that name only when they
have it; a snapshot is a folder of links that appears by one rename; `refs/<revision>` is replaced last, and that
pointer is the update. Nothing of ours lies in it but `.staging/` inside a model's folder, where neither the client's
scan nor its prune looks.
"""

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from availability.durable import sync_folder, write_atomically
from availability.errors import StorageError
from availability.links import link_text, make_folder, refuse_outside, replace_link
from availability.model import Commit, FileRecord, Listing, ModelId, is_commit
from availability.record import Signature

STAGING = ".staging"
_STAGED = re.compile(r"[0-9a-f]{40,64}|.+\.part")
"""What stays in staging: proven files and those under way. All else is a name that lacks its last rename."""
_FOLDERS = ("snapshots", "blobs", "refs", "trees", STAGING)
_SYNC_THREADS = 32


class Store:
    """A Hugging Face cache at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- where things are ---

    def folder(self, model: ModelId) -> Path:
        """Return the model's folder."""
        return self.root / model.folder

    def staging(self, model: ModelId) -> Path:
        """Return where the model's bytes are gathered until they are proven."""
        return self.folder(model) / STAGING

    def blob(self, model: ModelId, file: FileRecord) -> Path:
        """Return where a file's content lies once it is proven; it may be a link into the cache's shared store."""
        return self.folder(model) / "blobs" / file.digest

    def snapshot(self, model: ModelId, commit: Commit) -> Path:
        """Return the folder that a user of this commit reads."""
        # One text and one path: joined part by part it costs three times as much, for each model of every status.
        return Path(f"{self.root}/{model.folder}/snapshots/{commit}")

    def client_listing(self, model: ModelId, commit: Commit) -> Path:
        """Return where huggingface_hub records what a commit consists of."""
        return self.folder(model) / "trees" / f"{commit}.json"

    # --- observing: no network, no hashing ---

    def models(self) -> Iterator[ModelId]:
        """Yield the models that have a folder in the store, whatever is in it, in the order of their names."""
        try:
            with os.scandir(self.root) as entries:
                names = sorted(entry.name for entry in entries if entry.name.startswith("models--") and entry.is_dir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(
                f"The store {self.root} cannot be read: {error.strerror}.",
                advice=("Give this user the right to read it, or name another folder with --store.",),
            ) from None
        for name in names:
            yield ModelId(name.removeprefix("models--").replace("--", "/"))

    def commit(self, model: ModelId) -> Commit | None:
        """Return the commit that the model's revision points to here, None when it points nowhere."""
        if is_commit(model.revision):
            return Commit(model.revision)
        try:
            text = (self.folder(model) / "refs" / model.revision).read_text()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, UnicodeDecodeError):
            return None
        return Commit(text.strip()) if is_commit(text.strip()) else None

    def revisions(self, model: ModelId) -> Iterator[str]:
        """Yield the names that point to a commit of the model here."""
        refs = self.folder(model) / "refs"
        for path in sorted(refs.rglob("*")):
            if path.is_file():
                yield path.relative_to(refs).as_posix()

    def commits(self, model: ModelId) -> Iterator[Commit]:
        """Yield the commits of the model that have a snapshot here."""
        for path in sorted((self.folder(model) / "snapshots").glob("*")):
            if is_commit(path.name):
                yield Commit(path.name)

    def snapshot_files(self, model: ModelId, commit: Commit) -> tuple[str, ...]:
        """Return the paths of the files in a snapshot's folder, whoever put them there."""
        snapshot = self.snapshot(model, commit)
        paths = (path for path in snapshot.rglob("*") if not path.is_dir())
        return tuple(sorted(path.relative_to(snapshot).as_posix() for path in paths))

    def stored_bytes(self) -> dict[ModelId, int]:
        """Return what each model takes on the disk; content shared through the cache's own store counts once."""
        sizes: dict[ModelId, int] = {}
        seen: set[tuple[int, int]] = set()
        for model in self.models():
            files = [path for name in ("blobs", STAGING) for path in (self.folder(model) / name).glob("*")]
            sizes[model] = sum(_new_bytes(path, seen) for path in files)
        return sizes

    def present(self, model: ModelId) -> tuple[frozenset[str], frozenset[str]]:
        """Return the digests that have a blob, and the names in staging; one look at each folder."""
        return frozenset(_names(self.folder(model) / "blobs")), frozenset(_names(self.staging(model)))

    def holds(self, path: Path) -> bool:
        """Say whether a path leads, links followed, to a place inside the store."""
        return not path.is_symlink() or path.resolve().is_relative_to(self.root.resolve())

    def signature(self, path: Path | str) -> Signature | None:
        """Return a file's signature, links followed; None when there is no such file."""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Signature(status.st_size, status.st_mtime_ns)

    # --- publishing ---

    def prepare(self, model: ModelId) -> None:
        """Make the model's folders.

        Raises:
            StorageError: they cannot be made here, or a link among them leads out of the store.
        """
        folder = self.folder(model)
        try:
            for name in _FOLDERS:
                refuse_outside(folder / name, self.root)
            if not folder.exists():
                self._let_appear(folder)
            for name in ("snapshots", "blobs", "refs", STAGING):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise  # full is another matter: the road knows what could be deleted
            raise StorageError(
                f"The store {self.root} cannot be written: {error.strerror} ({error.filename}).",
                advice=("Choose a folder you may write to with ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY.",),
            ) from None

    def publish_blobs(self, model: ModelId, files: Iterable[FileRecord]) -> None:
        """Give proven files in staging their final names; together, so that the disk is asked once for all."""
        staging, blobs = str(self.staging(model)), str(self.folder(model) / "blobs")
        waiting = set(_names(staging))
        digests = [digest for digest in dict.fromkeys(file.digest for file in files) if digest in waiting]
        slices = [digests[start::_SYNC_THREADS] for start in range(min(_SYNC_THREADS, len(digests)))]
        with ThreadPoolExecutor(_SYNC_THREADS) as pool:
            list(pool.map(lambda some: _sync(staging, some), slices))
        linked = {name for name in _names(blobs) if os.path.islink(f"{blobs}/{name}")}
        folders = {blobs}
        for digest in digests:
            target = f"{blobs}/{digest}"
            if digest in linked and self.holds(Path(target)):
                # The link leads to content that other models share: heal it there, for all of them.
                target = os.path.realpath(target)
                folders.add(os.path.dirname(target))
            os.replace(f"{staging}/{digest}", target)
        for folder in folders:
            sync_folder(Path(folder))

    def publish_listing(self, listing: Listing) -> None:
        """Leave the listing where the client looks for it, so that it knows a partial snapshot for what it is.

        The format is huggingface_hub's `trees/<commit>.json`, format_version 1.
        """
        path = self.client_listing(listing.model, listing.commit)
        if path.exists():
            return
        files = {file.path: _tree_entry(file) for file in listing.files}
        content = json.dumps({"format_version": 1, "files": files}, indent=1).encode()
        temporary = self.staging(listing.model) / f"tree-{listing.commit}"
        write_atomically(temporary, content)
        path.parent.mkdir(exist_ok=True)
        temporary.replace(path)

    def publish_snapshot(self, listing: Listing, files: Iterable[FileRecord]) -> Path:
        """Make the folder of links appear, whole; return it. One that stands already is completed link by link."""
        final, staging = self.snapshot(listing.model, listing.commit), self.staging(listing.model)
        refuse_outside(final, self.root)
        links = {file.path: link_text(file) for file in files}
        if not final.exists() and make_folder(final, staging / f"snapshot-{listing.commit}", links):
            return final
        for path, text in links.items():
            replace_link(final / path, text, staging=staging, root=self.root)
        return final

    def _let_appear(self, folder: Path) -> None:
        """Make a model's folder with its `snapshots`, at once: the client's scan complains of one without."""
        draft = self.root / ".locks" / f"{folder.name}.{secrets.token_hex(4)}"  # where no scan looks
        (draft / "snapshots").mkdir(parents=True)
        try:
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft)
            if not folder.is_dir():
                raise  # else another program has made it in this moment

    def point(self, model: ModelId, commit: Commit) -> None:
        """Let the model's revision point to a commit: the last step, and the only one that readers notice."""
        if is_commit(model.revision) or self.commit(model) == commit:
            return
        path = self.folder(model) / "refs" / model.revision
        path.parent.mkdir(parents=True, exist_ok=True)
        # A temporary file inside refs/ would drop the whole model from the client's scan after a crash.
        temporary = self.staging(model) / f"ref-{secrets.token_hex(4)}"
        write_atomically(temporary, commit.encode())
        temporary.replace(path)
        sync_folder(path.parent)

    def clear_staging(self, model: ModelId) -> None:
        """Remove what a killed run has left half-made, and the staging folder if nothing is under way in it."""
        for name in _names(self.staging(model)):
            if not _STAGED.fullmatch(name):
                _remove(self.staging(model) / name)
        try:
            self.staging(model).rmdir()
        except OSError:
            return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _new_bytes(path: Path, seen: set[tuple[int, int]]) -> int:
    try:
        status = path.stat()
    except OSError:
        return 0
    identity = status.st_dev, status.st_ino
    if path.is_dir() or identity in seen:
        return 0
    seen.add(identity)
    return status.st_blocks * 512


def _names(folder: Path | str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _sync(folder: str, names: Iterable[str]) -> None:
    for name in names:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _tree_entry(file: FileRecord) -> dict[str, object]:
    entry: dict[str, object] = {"size": file.size, "blob_id": file.blob_id}
    if file.sha256 is not None:
        entry |= {"lfs_sha256": file.sha256, "lfs_size": file.size}
    if file.xet_hash is not None:
        entry["xet_hash"] = file.xet_hash
    return entry
