"""The law of the terminal: what is under way is shown, and Ctrl-C ends cleanly and keeps what has arrived."""

import signal

import pytest

from service.faults import Fault
from tests.builders import stored_bytes
from tests.commands.running import Terminal, run, start_installed
from tests.prefect_api import wait_for

pytestmark = pytest.mark.usefixtures("hub")

SLOW = Fault("shape", "/resolve/.*safetensors", bytes_per_second=200_000)
CTRL_C = b"\x03"


def test_a_bar_shows_the_model_the_limit_in_force_and_its_origin():
    terminal = Terminal("ensure", "org/tiny", "--bandwidth-limit-mbps", 80)
    assert terminal.ends_with() == 0
    assert "Speed limit: 80 Mbit/s (this run)" in terminal.shown
    assert "org/tiny completed" in terminal.shown
    assert "3.1/3.1 MB" in terminal.shown
    assert "verified" in terminal.shown


@pytest.mark.parametrize(
    ("variables", "told"),
    [({}, "none (default)"), ({"ENHANCED_MODEL_DOWNLOAD_BANDWIDTH_LIMIT_MBPS": "90"}, "90 Mbit/s (environment, ")],
    ids=["default", "environment"],
)
def test_the_origin_of_the_limit_is_the_one_it_has(monkeypatch, variables, told):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal("ensure", "org/other")
    assert terminal.ends_with() == 0
    assert f"Speed limit: {told}" in terminal.shown


def test_the_reason_to_wait_is_shown_while_it_waits(hub):
    hub.faults.append(Fault("status", "/revision/", status=503, times=1))
    terminal = Terminal("ensure", "org/other")
    assert terminal.ends_with() == 0
    assert "org/other: retry in 1 s; attempt 1: " in terminal.shown
    assert "retry 1" in terminal.shown


def test_a_program_sees_no_bar():
    terminal = Terminal("ensure", "org/other", "--json")
    assert terminal.ends_with() == 0
    assert "Speed limit" not in terminal.shown


def test_a_model_that_stands_ready_needs_no_bar():
    run("ensure", "org/other")
    terminal = Terminal("ensure", "org/other")
    assert terminal.ends_with() == 0
    assert "Speed limit" not in terminal.shown


def test_ctrl_c_ends_cleanly_and_keeps_what_has_arrived(hub, published, store):
    hub.faults.append(SLOW)
    terminal = Terminal("ensure", "org/tiny")
    wait_for(lambda: hub.bytes_sent("safetensors") > 500_000)
    terminal.press(CTRL_C)
    assert terminal.ends_with() == 130
    assert "interrupted; what has arrived is kept" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert terminal.shown.count("\x1b[?25l") == terminal.shown.count("\x1b[?25h")  # the cursor is back
    hub.faults.clear()
    hub.reset_counters()
    (model,) = run("ensure", "org/tiny", "--json").models
    total = len(stored_bytes(published))
    assert model["success"]
    assert hub.bytes_sent("safetensors") < total - 400_000
    assert stored_bytes(store) == stored_bytes(published)


def test_a_program_that_is_interrupted_answers_too(hub):
    hub.faults.append(SLOW)
    running = start_installed("ensure", "org/tiny", "--json")
    wait_for(lambda: hub.bytes_sent("safetensors") > 100_000)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert (running.returncode, stderr) == (130, "")
    assert '"exit_code": 130' in stdout
    assert "DownloadCancelledError" in stdout


def test_an_interrupt_while_a_hub_is_silent_ends_soon(hub):
    hub.faults.append(Fault("stall", "/resolve/.*safetensors", after=1000, seconds=300))
    terminal = Terminal("ensure", "org/tiny")
    wait_for(lambda: hub.bytes_sent("safetensors") >= 1000)
    terminal.press(CTRL_C)
    assert terminal.ends_with() == 130
