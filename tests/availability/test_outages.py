"""The law of outages: each lasts since it was first seen, ends when the model can be used, and then begins anew."""

import pytest

from availability.inventory import ModelStatus
from availability.model import parse_model_id
from availability.outages import Outages, follow
from availability.status import Availability

NOW = 1_000_000.0


def seen(name, word):
    return ModelStatus(parse_model_id(name), word, None, None, None, None, None, (), (), (), None, is_running=False)


@pytest.fixture
def outages(tmp_path):
    return Outages(tmp_path / "state/outages.json")


@pytest.mark.parametrize("word", [*Availability])
def test_a_model_is_out_while_it_cannot_be_used(word):
    assert bool(follow([seen("org/a", word)], {}, NOW)) is not word.is_available


def test_an_outage_lasts_since_the_first_look_that_saw_it(outages):
    statuses = [seen("org/a", Availability.MISSING), seen("org/b", Availability.AVAILABLE)]
    assert [outage.seconds for outage in outages.look(statuses, NOW)] == [0]
    worse = [seen("org/a", Availability.CORRUPTED), seen("org/b", Availability.MISSING)]
    told = outages.look(worse, NOW + 60)
    assert [(str(outage.status.model), outage.since, outage.seconds) for outage in told] == [
        ("org/a", NOW, 60),
        ("org/b", NOW + 60, 0),
    ]


def test_one_that_has_ended_begins_anew_the_next_time(outages):
    outages.look([seen("org/a", Availability.MISSING)], NOW)
    assert outages.look([seen("org/a", Availability.AVAILABLE)], NOW + 60) == ()
    (again,) = outages.look([seen("org/a", Availability.MISSING)], NOW + 120)
    assert again.since == NOW + 120


def test_revisions_of_a_model_are_told_apart(outages):
    outages.look([seen("org/a@v1", Availability.MISSING)], NOW)
    (other,) = outages.look([seen("org/a@v2", Availability.MISSING)], NOW + 60)
    assert other.since == NOW + 60


def test_a_clock_that_was_put_back_gives_no_outage_that_is_yet_to_begin(outages):
    outages.look([seen("org/a", Availability.MISSING)], NOW)
    (outage,) = outages.look([seen("org/a", Availability.MISSING)], NOW - 3600)
    assert (outage.since, outage.seconds) == (NOW - 3600, 0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"org/a": "long ago"}', b'{"org/a": null}'])
def test_a_memory_that_cannot_be_read_counts_from_now_on(outages, tmp_path, content):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/outages.json").write_bytes(content)
    assert [outage.seconds for outage in outages.look([seen("org/a", Availability.MISSING)], NOW)] == [0]
    assert [outage.seconds for outage in outages.look([seen("org/a", Availability.MISSING)], NOW + 1)] == [1]


def test_a_look_that_sees_nothing_new_writes_nothing(outages, tmp_path):
    assert outages.look([seen("org/a", Availability.AVAILABLE)], NOW) == ()
    assert not (tmp_path / "state").exists()
