"""The law of the chain: whoever can serve is asked, in order; what a trusted source says binds; blame is precise."""

from contextlib import suppress

import pytest

from availability.errors import (
    AccessDeniedError,
    DownloadIntegrityError,
    FileNotServedError,
    GatedModelError,
    ModelNotFoundError,
    OfflineError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from availability.model import ModelId
from availability.sources.chain import ChainPolicy, chain_of
from availability.sources.member import MOST_CONNECTIONS, PROBATION_BYTES
from tests.availability.sources.shelves import CONTENTS, FILES, LARGE, LISTING, SMALL, Shelf, chain_over, taken
from tests.builders import MIB, Clock, flipped

MODEL = ModelId("org/tiny")
DOWN = SourceUnavailableError("it is down", kind="unreachable")
TRIES_THE_NEXT = [
    DOWN,
    RateLimitedError("slowly", retry_after_seconds=3),
    RateLimitedError("slowly", retry_after_seconds=None),
    ModelNotFoundError("org/tiny"),
    GatedModelError("accept first"),
    AccessDeniedError("no"),
    SourceRefusedError("451"),
    OfflineError("switched off"),
]
BINDS = [FileNotServedError("listed and not there"), RevisionNotFoundError("org/tiny", "main")]
by_name = {"ids": lambda error: type(error).__name__}


def wrong(contents=CONTENTS):
    """The same names and sizes with another byte in each."""
    return {path: flipped(content, len(content) // 2) for path, content in contents.items()}


# --- who is asked ---------------------------------------------------------------------------------------


def test_the_first_that_is_there_serves_and_nobody_else_is_asked():
    first, hub = Shelf("first"), Shelf("hub")
    assert taken(chain_over(first, hub, proven=["first"])) == (LARGE, "first")
    assert hub.asked == []


@pytest.mark.parametrize("error", [*TRIES_THE_NEXT, *BINDS], **by_name)
def test_whatever_an_untrusted_source_answers_the_next_is_asked(error):
    first, hub = Shelf("first", error=error), Shelf("hub")
    assert taken(chain_over(first, hub)) == (LARGE, "hub")


@pytest.mark.parametrize("error", TRIES_THE_NEXT, **by_name)
def test_an_answer_of_the_hub_about_the_model_or_itself_sends_us_on(error):
    hub, last = Shelf("hub", error=error), Shelf("last")
    assert taken(chain_over(hub, last)) == (LARGE, "last")


@pytest.mark.parametrize("error", BINDS, **by_name)
def test_an_answer_of_the_hub_about_the_file_or_the_revision_binds(error):
    hub, last = Shelf("hub", error=error), Shelf("last")
    with pytest.raises(type(error)):
        taken(chain_over(hub, last))
    assert last.asked == []


def test_a_binding_answer_tells_what_the_sources_before_it_said():
    first, hub = Shelf("first", error=DOWN), Shelf("hub", error=FileNotServedError("listed and not there"))
    with pytest.raises(FileNotServedError) as caught:
        taken(chain_over(first, hub))
    assert caught.value.tried == ("first: it is down",)
    assert caught.value.message == "listed and not there"


def test_a_source_that_raises_what_it_should_not_costs_nobody_the_others():
    first, hub = Shelf("first", error=ZeroDivisionError()), Shelf("hub")
    chain = chain_over(first, hub)
    assert taken(chain) == (LARGE, "hub")
    assert chain.members(MODEL)[0].account.standing.errors == {"malformed": 1}


def test_a_source_that_does_not_have_it_is_not_asked_again_for_a_while():
    clock = Clock()
    first, hub = Shelf("first", error=FileNotServedError("no")), Shelf("hub")
    chain = chain_over(first, hub, clock=clock)
    for _ in range(3):
        taken(chain, "small")
    assert first.asked == ["small"]
    clock.now += 61
    taken(chain, "small")
    assert first.asked == ["small"] * 2


@pytest.mark.parametrize(
    "error", [ModelNotFoundError("org/tiny"), RevisionNotFoundError("org/tiny", "main")], **by_name
)
def test_who_lacks_the_model_or_the_commit_is_asked_for_none_of_its_files(error):
    first, hub = Shelf("first", error=error), Shelf("hub")
    chain = chain_over(first, hub)
    for path in CONTENTS:
        taken(chain, path)
    assert len(first.asked) == 1


def test_who_failed_just_now_is_preferred_again_after_a_rest():
    clock = Clock()
    first, hub = Shelf("first", error=DOWN), Shelf("hub")
    chain = chain_over(first, hub, clock=clock, proven=["first"])
    assert taken(chain)[1] == "hub"
    first.error = None
    assert taken(chain)[1] == "hub"
    clock.now += 0.6
    assert taken(chain)[1] == "first"


def test_a_source_is_left_alone_for_as_long_as_it_asks_for():
    clock = Clock()
    first, hub = Shelf("first", error=RateLimitedError("slowly", retry_after_seconds=7.0)), Shelf("hub")
    chain = chain_over(first, hub, clock=clock, proven=["first"])
    taken(chain)
    first.error = None
    clock.now += 6.9
    assert taken(chain)[1] == "hub"
    clock.now += 0.2
    assert taken(chain)[1] == "first"


def test_a_broken_body_makes_the_next_request_go_elsewhere():
    first, hub = Shelf("first", breaks_after=MIB // 2), Shelf("hub")
    chain = chain_over(first, hub, proven=["first"])
    with pytest.raises(SourceUnavailableError):
        taken(chain)
    assert taken(chain, start=MIB // 2) == (LARGE[MIB // 2 :], "hub")


def test_when_all_have_failed_just_now_they_are_asked_none_the_less():
    first, hub = Shelf("first", error=DOWN), Shelf("hub", error=DOWN)
    chain = chain_over(first, hub)
    for _ in range(20):
        with pytest.raises(SourceUnavailableError):
            taken(chain)
    hub.error = None
    assert taken(chain) == (LARGE, "hub")


def test_a_body_says_who_sends_it_and_is_closed_once():
    hub = Shelf("hub")
    chain = chain_of(hub)
    with chain.open(LISTING, FILES["small"], 0, len(SMALL)) as body:
        assert body.source == "hub"
        body.read(MIB)
    body.close()
    assert hub.bodies[0].was_closed
    assert [member.load for member in chain.members(MODEL)] == [0]


# --- listings -------------------------------------------------------------------------------------------


def test_only_a_trusted_source_says_what_the_bytes_must_be():
    first, hub = Shelf("first"), Shelf("hub")
    assert chain_over(first, hub).listing(MODEL).origin == "hub"


@pytest.mark.parametrize("error", [*TRIES_THE_NEXT, *BINDS], **by_name)
def test_without_the_hub_nobody_else_is_believed(error):
    with pytest.raises(type(error)):
        chain_over(Shelf("first"), Shelf("hub", error=error)).listing(MODEL)


# --- the error of all -----------------------------------------------------------------------------------


def refusal(*errors):
    shelves = [Shelf(f"s{index}", error=error) for index, error in enumerate(errors)]
    with pytest.raises(Exception) as caught:  # noqa: PT011  which one, the tests say
        taken(chain_over(*shelves))
    return caught.value


def test_one_cause_is_told_as_it_is():
    assert refusal(DOWN) is DOWN


def test_several_causes_are_one_error_that_names_each_source():
    error = refusal(DOWN, SourceUnavailableError("answered 503"))
    assert type(error) is SourceUnavailableError
    assert error.tried == ("s0: it is down", "s1: answered 503")
    assert all(cause in error.message for cause in error.tried)
    assert "large of org/tiny" in error.message


def test_when_none_can_pass_the_error_is_final_and_of_the_kind_a_person_can_do_something_about():
    gated = GatedModelError("gated", advice=("accept the conditions",))
    denied = AccessDeniedError("denied", advice=("log in",))
    absent = FileNotServedError("absent", advice=("wait",))
    error = refusal(absent, gated, denied)
    assert type(error) is AccessDeniedError
    assert error.advice == ("log in", "accept the conditions", "wait")
    assert len(error.tried) == 3


def test_when_one_can_pass_the_error_can_and_its_advice_still_begins_with_logging_in():
    error = refusal(DOWN, GatedModelError("gated", advice=("accept the conditions",)))
    assert type(error) is SourceUnavailableError
    assert error.advice == ("accept the conditions",)


def test_the_shortest_wait_that_anybody_asks_for_is_the_wait():
    slowly = [RateLimitedError("slowly", retry_after_seconds=seconds) for seconds in (9, None, 4)]
    error = refusal(DOWN, *slowly)
    assert type(error) is RateLimitedError
    assert error.retry_after_seconds == 4


def test_that_a_place_on_this_machine_does_not_have_it_is_no_news():
    local = Shelf("local", error=FileNotServedError("no twin"), is_local=True)
    with pytest.raises(SourceUnavailableError) as caught:
        taken(chain_over(local, Shelf("hub", error=DOWN)))
    assert caught.value is DOWN


# --- proving oneself ------------------------------------------------------------------------------------


def test_a_source_that_lies_about_everything_is_found_out_by_a_small_file():
    liar, hub = Shelf("liar", wrong()), Shelf("hub")
    chain = chain_over(liar, hub)
    assert taken(chain) == (LARGE, "hub")
    assert liar.asked == ["small"]
    assert chain.members(MODEL)[0].account.standing.strikes == 1


def test_who_has_proven_something_before_is_not_examined():
    known, hub = Shelf("known"), Shelf("hub")
    taken(chain_over(known, hub, proven=["known"]))
    assert known.asked == ["large"]


def test_until_it_has_proven_enough_a_source_is_given_one_large_file_at_a_time():
    new, hub = Shelf("new"), Shelf("hub")
    chain = chain_over(new, hub)
    with (
        chain.open(LISTING, FILES["large"], 0, MIB) as first,
        chain.open(LISTING, FILES["other"], 0, MIB) as second,
        chain.open(LISTING, FILES["large"], MIB, 2 * MIB) as third,
    ):
        assert [body.source for body in (first, second, third)] == ["new", "hub", "new"]
    for _ in range(PROBATION_BYTES // len(LARGE)):
        chain.proved(FILES["large"], MODEL, {"new": 20})
    with (
        chain.open(LISTING, FILES["large"], 0, MIB) as first,
        chain.open(LISTING, FILES["other"], 0, MIB) as second,
    ):
        assert [body.source for body in (first, second)] == ["new", "new"]


def test_a_trial_ends_with_the_transfer():
    new, hub = Shelf("new"), Shelf("hub")
    chain = chain_over(new, hub)
    taken(chain)
    assert taken(chain, "other")[1] == "hub"
    chain.rest(MODEL, [FILES["large"].digest])
    assert taken(chain, "other")[1] == "new"


def test_where_nobody_else_can_be_asked_a_source_on_trial_gets_everything():
    new, hub = Shelf("new"), Shelf("hub", error=DOWN)
    chain = chain_over(new, hub)
    with chain.open(LISTING, FILES["large"], 0, MIB), chain.open(LISTING, FILES["other"], 0, MIB) as second:
        assert second.source == "new"


# --- several at once ------------------------------------------------------------------------------------


def opened(chain, count):
    bodies = [chain.open(LISTING, FILES["large"], 0, MIB) for _ in range(count)]
    sources = [body.source for body in bodies]
    for body in bodies:
        body.close()
    return sources


def test_beyond_some_connections_the_next_source_helps():
    chain = chain_over(Shelf("first"), Shelf("hub"), proven=["first"])
    assert opened(chain, MOST_CONNECTIONS + 2) == ["first"] * MOST_CONNECTIONS + ["hub"] * 2


def test_when_all_are_busy_whoever_is_least_so_is_asked():
    chain = chain_over(Shelf("first"), Shelf("hub"), proven=["first"])
    sources = opened(chain, 4 * MOST_CONNECTIONS)
    assert sources.count("first") == sources.count("hub") == 2 * MOST_CONNECTIONS


def test_without_spreading_all_goes_to_the_first():
    chain = chain_over(Shelf("first"), Shelf("hub"), proven=["first"], policy=ChainPolicy(spread=False))
    assert set(opened(chain, 4 * MOST_CONNECTIONS)) == {"first"}


def test_no_line_limits_what_is_on_this_machine():
    chain = chain_over(Shelf("local", is_local=True), Shelf("hub"))
    assert set(opened(chain, 4 * MOST_CONNECTIONS)) == {"local"}


# --- blame ----------------------------------------------------------------------------------------------


def test_who_has_sent_all_of_a_wrong_file_gets_a_strike_and_another_sends_it_again():
    liar, hub = Shelf("liar"), Shelf("hub")
    chain = chain_over(liar, hub, proven=["liar"])
    suspects = chain.disproved(LISTING, FILES["large"], "another digest", frozenset({"liar"}), "liar")
    assert suspects == {"liar"}
    assert chain.members(MODEL)[0].account.standing.strikes == 1
    assert taken(chain) == (LARGE, "hub")


def test_of_several_senders_the_untrusted_is_doubted_and_nobody_is_blamed_yet():
    first, hub = Shelf("first"), Shelf("hub")
    chain = chain_over(first, hub, proven=["first"])
    suspects = chain.disproved(LISTING, FILES["large"], "another digest", frozenset({"first", "hub"}), None)
    assert suspects == {"first"}
    assert [member.account.standing.strikes for member in chain.members(MODEL)] == [0, 0]
    assert taken(chain)[1] == "hub"
    assert taken(chain, "other")[1] == "first"


def test_who_sent_a_chunk_that_had_to_be_replaced_gets_the_strike_when_the_file_is_proven():
    first, hub = Shelf("first"), Shelf("hub")
    chain = chain_over(first, hub, proven=["first"])
    chain.proved(FILES["large"], MODEL, {"first": 1, "hub": 1}, frozenset({"first"}))
    standings = [member.account.standing for member in chain.members(MODEL)]
    assert [standing.strikes for standing in standings] == [1, 0]
    assert standings[1].bytes_proven == MIB


def test_one_wrong_file_is_one_strike_however_it_is_found_out():
    liar, hub = Shelf("liar"), Shelf("hub")
    chain = chain_over(liar, hub, proven=["liar"])
    chain.disproved(LISTING, FILES["large"], "another digest", frozenset({"liar"}), "liar")
    chain.proved(FILES["large"], MODEL, {"hub": 2}, frozenset({"liar"}))
    assert chain.members(MODEL)[0].account.standing.strikes == 1


def test_when_everybody_has_sent_it_wrong_nobody_is_left_to_send_it_again():
    chain = chain_over(Shelf("first"), Shelf("hub"), proven=["first"])
    assert chain.disproved(LISTING, FILES["large"], "x", frozenset({"first"}), "first") == {"first"}
    assert chain.disproved(LISTING, FILES["large"], "x", frozenset({"first", "hub"}), "hub") is None


def test_a_wrong_small_file_is_a_strike_and_the_next_request_goes_elsewhere():
    liar, hub = Shelf("liar"), Shelf("hub")
    chain = chain_over(liar, hub)
    with suppress(DownloadIntegrityError), chain.open(LISTING, FILES["small"], 0, len(SMALL)) as body:
        raise DownloadIntegrityError("wrong", path="small", expected="a", got="b")
    assert (body.source, chain.members(MODEL)[0].account.standing.errors) == ("liar", {"wrong_bytes": 1})
    assert taken(chain, "small")[1] == "hub"


def test_a_rotten_file_of_this_machine_does_not_close_it_for_the_others():
    local, hub = Shelf("local", is_local=True), Shelf("hub")
    chain = chain_over(local, hub)
    chain.disproved(LISTING, FILES["large"], "x", frozenset({"local"}), "local")
    assert [taken(chain, path)[1] for path in ("large", "other")] == ["hub", "local"]


def test_a_body_that_we_have_left_ourselves_is_no_failure():
    first, hub = Shelf("first"), Shelf("hub")
    chain = chain_over(first, hub, proven=["first"])
    with suppress(SourceUnavailableError), chain.open(LISTING, FILES["large"], 0, MIB) as body:
        body.abort()
        body.read(MIB)
    assert chain.members(MODEL)[0].account.standing.errors == {}
    assert taken(chain)[1] == "first"
