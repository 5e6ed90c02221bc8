"""What tests of several rooms of the domain need."""

import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def readable_by_all():
    """A folder that other users reach; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
