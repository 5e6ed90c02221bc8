"""The law of slowness: a source is left for one that gives much more, and what arrived of it is kept."""

import pytest

from availability.errors import SourceUnavailableError
from availability.model import ModelId
from availability.sources.body import LeftError
from availability.sources.chain import ChainPolicy
from tests.availability.sources.shelves import FILES, LARGE, LISTING, Shelf, chain_over, taken
from tests.builders import KIB, MIB, Clock

MODEL = ModelId("org/tiny")
FAST, SLOW = 10 * MIB, 10 * KIB


class Wire:
    """A body that brings so many bytes a second, as told by the clock."""

    def __init__(self, body, clock, bytes_per_second):
        self.start, self.stop, self.tag = body.start, body.stop, body.tag
        self._body, self._clock, self._speed = body, clock, bytes_per_second

    def read(self, most):
        data = self._body.read(min(most, max(1, self._speed // 4)))
        self._clock.now += len(data) / self._speed
        return data

    def abort(self):
        self._body.abort()

    def close(self):
        self._body.close()


class Line(Shelf):
    """A source of a certain speed."""

    def __init__(self, name, clock, bytes_per_second, **options):
        super().__init__(name, **options)
        self.clock, self.bytes_per_second = clock, bytes_per_second

    def open(self, listing, file, start, stop):
        return Wire(super().open(listing, file, start, stop), self.clock, self.bytes_per_second)


@pytest.fixture
def clock():
    return Clock()


def chain_of_lines(clock, first, hub, **options):
    lines = Line("first", clock, first), Line("hub", clock, hub)
    return chain_over(*lines, clock=clock, proven=["first"], **options)


def measured(chain, name, bytes_per_second):
    (member,) = (member for member in chain.members(MODEL) if member.name == name)
    member.account.sent(bytes_per_second, 1.0)


def read_watched(chain, pieces):
    """Read so many pieces of a large file while somebody watches; return how many bytes had come when it ended."""
    with chain.open(LISTING, FILES["large"], 0, len(LARGE)) as body:
        for _ in range(pieces):
            body.read(MIB)
            chain.watch()
    return body.received


def test_a_source_much_slower_than_another_is_left_for_it(clock):
    chain = chain_of_lines(clock, SLOW, FAST)
    measured(chain, "hub", FAST)
    with pytest.raises(LeftError) as caught:
        read_watched(chain, 50)
    assert caught.value.is_at_fault
    assert "first" in caught.value.message
    assert "hub sends with" in caught.value.message
    assert chain.members(MODEL)[0].account.standing.errors == {"slow": 1}
    assert taken(chain) == (LARGE, "hub")


def test_a_source_that_is_only_a_little_slower_is_not(clock):
    chain = chain_of_lines(clock, FAST // 8, FAST)
    measured(chain, "hub", FAST)
    assert read_watched(chain, 4) > 0


def test_a_source_is_not_slow_because_we_are(clock):
    chain = chain_of_lines(clock, FAST, FAST)
    measured(chain, "hub", FAST)
    with chain.open(LISTING, FILES["large"], 0, len(LARGE)) as body:
        for _ in range(8):
            body.read(10 * KIB)
            clock.now += 5  # the disk takes its time
            chain.watch()
    assert chain.members(MODEL)[0].account.standing.errors == {}


def test_nobody_is_slow_where_that_is_switched_off(clock):
    chain = chain_of_lines(clock, SLOW, FAST, policy=ChainPolicy(slow_share=0))
    measured(chain, "hub", FAST)
    assert read_watched(chain, 12) > 0


def test_a_source_that_cannot_be_asked_is_no_measure(clock):
    chain = chain_of_lines(clock, SLOW, FAST)
    measured(chain, "hub", FAST)
    chain.members(MODEL)[1].bench(1000)
    assert read_watched(chain, 12) > 0


def test_what_nobody_knows_the_speed_of_is_tried_before_it_is_waited_long(clock):
    chain = chain_of_lines(clock, SLOW, FAST)
    with pytest.raises(LeftError) as caught:
        read_watched(chain, 50)
    assert not caught.value.is_at_fault
    assert chain.members(MODEL)[0].account.standing.errors == {}
    assert taken(chain, start=MIB) == (LARGE[MIB:], "hub")


def test_who_turned_out_slower_when_he_was_tried_is_left_again(clock):
    chain = chain_of_lines(clock, 40 * SLOW, SLOW)
    with pytest.raises(LeftError):
        read_watched(chain, 50)
    clock.now += 0.1
    with chain.open(LISTING, FILES["large"], 0, len(LARGE)) as body:
        assert body.source == "hub"
    clock.now += 2
    measured(chain, "hub", SLOW)
    assert read_watched(chain, 4) > 0


def test_a_read_that_waits_for_ever_is_ended(clock):
    chain = chain_of_lines(clock, FAST, FAST)
    measured(chain, "hub", FAST)
    body = chain.open(LISTING, FILES["large"], 0, len(LARGE))
    body.read(KIB)
    chain.watch()
    body._reading_since = clock.now  # a thread waits in it
    clock.now += 10
    chain.watch()
    with pytest.raises(SourceUnavailableError) as caught, body:
        body.read(KIB)
    assert isinstance(caught.value, LeftError)
