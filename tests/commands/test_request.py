"""The law of `request`: what can be had and what could stand in, and nothing is started or written."""

import pytest
import yaml

from availability import Requirements, request
from availability.answer import RequestRecord
from availability.fallback.decision import ExclusionRecord, FallbackRecord, OptionRecord
from availability.fallback.recovery import RecoveryRecord
from commands.request import RequestSummary
from service.faults import Fault
from tests.commands.running import run

WANTED, OTHER = "org/tiny", "org/other"
CHAT = {"task": "text-generation", "licence": "mit", "format": "safetensors", "capabilities": ["chat"]}


pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
def catalog(working_folder):
    def write(substitution="auto", **attributes):
        models = [
            {
                "id": WANTED,
                "substitution": substitution,
                "attributes": {**CHAT, "compatible_with": {OTHER: 0.9}, **attributes},
            },
            {"id": OTHER, "attributes": {**CHAT, "context_length": 4096}},
        ]
        (working_folder / "deployments").mkdir(exist_ok=True)
        (working_folder / "deployments/catalog.yaml").write_text(yaml.safe_dump({"version": 1, "models": models}))

    write()
    return write


@pytest.fixture
def down(hub):
    """The hub, which has given the other model and does not answer any more."""
    assert run("ensure", OTHER).exit_code == 0
    hub.faults.append(Fault("status", "/", status=503))
    return hub


@pytest.fixture
def files(tmp_path):
    """What there is, but what every status remembers."""
    return lambda: sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "index")


def test_a_model_that_is_here_is_ready(hub):
    assert run("ensure", WANTED).exit_code == 0
    hub.reset_counters()
    ran = run("request", WANTED, "--json")
    assert (ran.exit_code, ran.models[0]["action_taken"]) == (0, "model_ready")
    assert ran.summary == {"requested": 1, "ready": 1, "substituted": 0, "exit_code": 0}
    assert hub.requests == []


@pytest.mark.usefixtures("down")
def test_the_answer_has_exactly_its_keys():
    (told,) = run("request", WANTED, "--json").models
    assert set(told) == set(RequestRecord.__annotations__)
    decision = told["fallback_decision"]
    assert set(decision) == set(FallbackRecord.__annotations__)
    assert set(decision["options"][0]) == set(OptionRecord.__annotations__)
    assert set(decision["recovery"]) == set(RecoveryRecord.__annotations__)
    (told,) = run("request", WANTED, "--licence", "apache-2.0", "--json").models
    assert set(told["fallback_decision"]["excluded"][0]) == set(ExclusionRecord.__annotations__)
    assert set(run("request", WANTED, "--json").summary) == set(RequestSummary.__annotations__)


@pytest.mark.usefixtures("down")
def test_a_stand_in_that_the_catalog_allows_is_an_answer_and_nothing_is_written(files):
    before = files()
    ran = run("request", WANTED)
    assert ran.exit_code == 0
    assert "org/tiny: model_ready" in ran.stdout
    assert "org/other stands in for org/tiny" in ran.stdout
    assert "availability ensure org/tiny" in ran.stdout
    assert "What a run does about it (network): It is tried again after growing pauses" in ran.stdout
    assert files() == before


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--licence", "apache-2.0"], "its licence is mit, expected apache-2.0"),
        (["--format", "gguf"], "it comes as safetensors, expected gguf"),
        (["--task", "text-to-image"], "it is for text-generation, expected text-to-image"),
        (["--modality", "image"], "its modality is not known, expected image"),
        (["--max-vram-gb", "8"], "the VRAM it needs is not known, expected at most 8.0 GB"),
        (["--max-size-gb", "0.0001"], "its size is 0.0 GB, expected at most 0.0 GB"),
        (["--min-context-length", "8192"], "its context length is 4096, expected at least 8192"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_for_holds_and_what_excludes_is_said(options, said):
    ran = run("request", WANTED, *options)
    assert ran.exit_code == 3  # the hub could not be asked
    assert said in ran.stdout


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(("substitution", "offered"), [("ask", True), ("never", False)])
def test_without_leave_nobody_stands_in(catalog, substitution, offered):
    catalog(substitution)
    ran = run("request", WANTED)
    assert (ran.exit_code, "org/other" in ran.stdout) == (3, offered)
    assert "Error: " in ran.stderr


@pytest.mark.usefixtures("hub")
def test_what_is_absent_says_what_to_type_and_several_are_answered():
    ran = run("request", WANTED, "org/lost", "--json")
    assert ran.exit_code == 1
    first, second = ran.models
    assert first["error"]["advice"] == ["Fetch it: availability ensure org/tiny"]
    assert first["fallback_decision"]["kind"] == "download_and_retry"
    assert (second["error"]["type"], second["fallback_decision"]["kind"]) == ("ModelNotFoundError", "unavailable")


@pytest.mark.parametrize("options", [["--max-vram-gb", "0"], ["--min-context-length", "0"], ["org/a/b"]])
def test_what_cannot_be_understood_is_wrong_usage(options):
    assert run("request", WANTED, *options).exit_code == 2


@pytest.mark.usefixtures("down")
def test_from_python_it_is_the_same_answer():
    assert str(request(WANTED).served) == OTHER
    assert request(WANTED, requirements=Requirements(min_context_length=8192)).served is None
