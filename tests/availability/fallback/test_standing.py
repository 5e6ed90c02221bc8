"""The law of decisions that stand: kept whole, ended once, and lost to nobody's half-written file."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from availability.fallback.standing import Decisions, Standing
from availability.model import ModelId

MODEL = ModelId("org/wanted", "v1")
STANDING = Standing("id", "org/wanted", "v1", "alternative_model", "org/twin", 0.96, "It is here.", "policy", 100.0)


@pytest.fixture
def decisions(tmp_path):
    return Decisions(tmp_path / "fallbacks")


def test_what_is_written_is_read_and_a_revision_is_another_model(decisions):
    decisions.write(STANDING)
    assert decisions.read(MODEL) == STANDING
    assert decisions.read(ModelId("org/wanted")) is None
    assert [*decisions.all()] == [STANDING]


def test_of_many_who_end_it_one_does(decisions):
    decisions.write(STANDING)
    with ThreadPoolExecutor(8) as pool:
        ended = [*pool.map(lambda _: decisions.end(MODEL), range(32))]
    assert [one for one in ended if one is not None] == [STANDING]
    assert decisions.read(MODEL) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"decision_id": "x"}', b'{"unknown": 1}'])
def test_a_record_that_cannot_be_understood_is_none(decisions, tmp_path, content):
    decisions.write(STANDING)
    next((tmp_path / "fallbacks").glob("*.json")).write_bytes(content)
    assert (decisions.read(MODEL), [*decisions.all()], decisions.end(MODEL)) == (None, [], None)


def test_without_any_there_is_nothing_to_end(decisions):
    assert ([*decisions.all()], decisions.end(MODEL)) == ([], None)
