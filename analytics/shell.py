"""DuckDB's own client on the views: a file that holds nothing but views, opened read-only and locked.

The client is a program of its own (extra `shell`). Its SQL opens the history's files and no others, and loads nothing;
its dot commands are those of whoever sits before it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from analytics.errors import AnalyticsError
from analytics.listing import defect, look
from analytics.mirror import default_folder, mirror
from analytics.privacy import quoted, quoted_list
from analytics.publish import STORAGE_VERSION
from analytics.storage import EventStore
from analytics.views import create_views


def open_shell(store: EventStore, cache: Path | None = None, arguments: Sequence[str] = ()) -> int:
    """Open the client on the history and return its exit code when it ends.

    Args:
        store: the history.
        cache: where copies of a remote history's files lie, None for the user's cache.
        arguments: handed on to the client.

    Raises:
        AnalyticsError: there is no client.
    """
    client = find_client()
    listing = look(store)
    places = mirror(store, listing.files, cache or default_folder())
    listing = listing.without(path for path, place in places.items() if defect(place))
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        file, rules = Path(folder) / "history.duckdb", Path(folder) / "rules.sql"
        with duckdb.connect() as connection:
            connection.execute(f"attach {quoted(str(file))} as history (storage_version '{STORAGE_VERSION}')")
            connection.execute("use history")
            create_views(connection, listing, places)
            connection.execute("use memory")
            connection.execute("detach history")
        allowed = quoted_list([str(places[stored.path]) for stored in listing.files])
        rules.write_text(
            "set TimeZone = 'UTC';\n"
            "set autoload_known_extensions = false;\n"
            f"set allowed_paths = {allowed};\n"
            "set enable_external_access = false;\n"
        )
        # The client changes a setting of its own after the file of rules, so the lock comes last.
        lock = ("-cmd", "set lock_configuration = true")
        command = [client, "-readonly", "-init", str(rules), *lock, str(file), *arguments]
        return subprocess.run(command, check=False).returncode  # noqa: S603  a program found by its own name


def find_client() -> str:
    """Return the client's path: beside this Python, or wherever the system finds it.

    Raises:
        AnalyticsError: it is nowhere.
    """
    beside = Path(sys.executable).with_name("duckdb")
    found = str(beside) if beside.exists() else shutil.which("duckdb")
    if found is None:
        raise AnalyticsError("DuckDB's client is not installed; install the extra `shell`.")
    return found
