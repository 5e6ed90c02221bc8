"""The law of the demo: it shows what it promises, or it fails."""

import os
import re
import subprocess
import sys

import pytest

from deployments.documents import ROOT

COLUMNS = 80


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    home = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "deployments.demo", "--home", str(home), "--weights-mib", "48"]
    env = {**os.environ, "COLUMNS": str(COLUMNS)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cells(shown, name):
    """The cells of a table's row."""
    (row,) = (line for line in shown.splitlines() if re.match(rf"│ {name}\b", line))
    return [cell.strip() for cell in row.strip("│").split("│")]


@pytest.mark.prefect
@pytest.mark.slow
def test_the_demo_shows_each_fault_and_what_came_of_it(shown):
    assert re.search(r"The first run: killed at [5-9]\d %\.", shown)
    assert "The second run: completed." in shown
    assert "All 5 files are there, and every byte is what was published." in shown
    assert [cells(shown, fault)[1] for fault in ("503 for config.json", "connection reset", "byte flipped")] == list(
        "211"
    )
    assert (cells(shown, "first run")[2], cells(shown, "second run")[2]) == ("1", "2")
    assert "Not what the publisher says: attempt 2" in shown

    needed_mb = 48 * 1024 * 1024 / 1e6
    first, second, together = (float(cells(shown, name)[3]) for name in ("first run", "second run", "together"))
    assert first < needed_mb < together < 2.2 * needed_mb
    assert together == pytest.approx(first + second, abs=0.11)
    assert cells(shown, "together")[4] == f"{together / needed_mb:.2f} x"


@pytest.mark.prefect
@pytest.mark.slow
def test_it_fits_a_terminal_and_says_what_to_type_next(shown):
    assert [line for line in shown.splitlines() if len(line.rstrip()) > COLUMNS] == []
    for heading in ("attempts", "MB sent", "of needed", "seconds", "what came of it"):
        assert re.search(rf"┃ +{heading} +┃", shown)
    assert ".venv/bin/availability ensure HuggingFaceTB/SmolLM2-135M-Instruct --dry-run" in shown
