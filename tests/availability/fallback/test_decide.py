"""The law of decisions: what may change a choice and what may not, and what a decision says."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.decide import Situation, decide
from availability.fallback.decision import FallbackKind
from availability.fallback.estimate import UNKNOWN_WAIT, WaitEstimate
from availability.fallback.facts import ModelFacts
from availability.fallback.gates import closed_gates, needs_of
from availability.fallback.requirements import Requirements
from availability.fallback.score import terms_of
from availability.fallback.strategies import BestScore, FallbackContext, Suggestion, strategies_for
from availability.model import ModelId
from availability.registry import ExtensionSettings, fallback_strategies
from availability.settings import FallbackSettings, Settings
from tests.builders import no_deadline

SETTINGS = FallbackSettings()
some = settings(no_deadline, max_examples=50)
CAN = ["chat", "tools", "vision", "language:en", "language:de"]
FULL = ModelFacts("chat", "text", "mit", frozenset({"safetensors"}), 10**9, 10**9, 4096, 1e9, frozenset(CAN[:4]))
WANTED = Wanted(ModelId("org/wanted"), FULL)
GONE = Situation("It is gone.", "auto")

capabilities = st.none() | st.frozensets(st.sampled_from(CAN))
names = st.integers(0, 20).map(lambda number: ModelId(f"org/model-{number}"))
waits = st.builds(WaitEstimate, st.none() | st.floats(0, 1e5), st.floats(0, 1), st.just("it was measured"))
facts = st.builds(
    ModelFacts,
    task=st.sampled_from(["chat", "chat", "paint", None]),
    modality=st.sampled_from(["text", "text", None]),
    licence=st.sampled_from(["mit", "apache-2.0", "club", None]),
    formats=st.none() | st.frozensets(st.sampled_from(["safetensors", "gguf"]), min_size=1),
    size_bytes=st.none() | st.integers(0, 2 * 10**9),
    vram_bytes=st.none() | st.integers(0, 2 * 10**9),
    context_length=st.none() | st.integers(1, 9000),
    capabilities=capabilities,
)
candidates = st.builds(Candidate, names, facts, st.sampled_from(Readiness), wait=waits)
shelves = st.lists(candidates, max_size=8, unique_by=lambda candidate: candidate.model)
requirements = st.builds(
    Requirements,
    licences=st.lists(st.sampled_from(["mit", "apache-2.0"]), max_size=2).map(tuple),
    max_vram_gb=st.none() | st.floats(0.1, 3),
    min_context_length=st.none() | st.integers(1, 9000),
    capabilities=st.lists(st.sampled_from(CAN), max_size=3).map(tuple),
)
wanted_ones = st.builds(
    Wanted,
    st.just(WANTED.model),
    st.just(FULL),
    requirements,
    st.dictionaries(names.map(str), st.floats(0, 1)),
)
situations = st.builds(
    Situation,
    st.just("It cannot be had."),
    st.sampled_from(["auto", "ask"]),
    is_running=st.booleans(),
    can_fetch=st.booleans(),
    wait=waits,
)


def decided(shelf, wanted=WANTED, situation=GONE, strategies=None, settings=SETTINGS, **more):
    if strategies is None:
        strategies = {"default": BestScore(FallbackContext(Settings(), wanted), ExtensionSettings())}
    return decide(wanted, situation, shelf, settings, strategies, **more)


def passes(wanted, candidate):
    return not closed_gates(needs_of(wanted, SETTINGS.accepted_licences, ()), candidate)


def score_of(wanted, candidate):
    return terms_of(needs_of(wanted, SETTINGS.accepted_licences, ()), candidate).score(SETTINGS)


# --- properties -----------------------------------------------------------------------------------------


@some
@given(wanted_ones, shelves, st.lists(candidates, min_size=1, max_size=5, unique_by=lambda candidate: candidate.model))
def test_adding_a_worse_candidate_never_changes_the_choice(wanted, shelf, more):
    wanted = replace(wanted, requirements=Requirements(capabilities=wanted.requirements.capabilities))
    shelf = [*shelf, Candidate(ModelId("org/good"), replace(FULL, capabilities=frozenset(CAN)))]
    before = decided(shelf, wanted)
    assert before.kind is FallbackKind.ALTERNATIVE_MODEL
    here = {candidate.model for candidate in shelf}
    worse = [
        one
        for one in more
        if one.model not in here and (not passes(wanted, one) or score_of(wanted, one) < before.chosen.score)
    ]
    assert decided([*worse, *shelf], wanted).chosen == before.chosen


@some
@given(wanted_ones, facts, capabilities, st.integers(0, 20))
def test_a_candidate_that_meets_more_requirements_never_scores_less(wanted, known, more, number):
    wishes = frozenset(wanted.requirements.capabilities)
    fewer = Candidate(ModelId(f"org/model-{number}"), known)
    better = replace(
        fewer, facts=replace(known, capabilities=(known.capabilities or frozenset()) | (more or frozenset()))
    )
    assert wishes & (known.capabilities or frozenset()) <= wishes & better.facts.capabilities
    assert score_of(wanted, better) >= score_of(wanted, fewer)


@some
@given(wanted_ones, situations, shelves)
def test_every_score_is_within_0_and_1_and_every_term_is_shown(wanted, situation, shelf):
    for option in decided(shelf, wanted, situation).alternatives:
        terms = option.terms.as_dict()
        assert all(0 <= term <= 1 for term in terms.values())
        weighed = 0.4 * terms["compatibility"] + 0.4 * terms["capability"] + 0.2 * terms["requirement"]
        assert option.score == pytest.approx(weighed, abs=1e-5)
        assert SETTINGS.offer_score <= option.score <= 1


@some
@given(wanted_ones, situations, shelves)
def test_an_unknown_fact_never_opens_a_gate(wanted, situation, shelf):
    """Whoever is offered is still so when it is forgotten what it was not asked for, and not when the rest is."""
    for option in decided(shelf, wanted, situation).alternatives:
        candidate = next(one for one in shelf if one.model == option.model)
        for name in ("task", "modality", "licence", "formats"):
            assert not passes(wanted, replace(candidate, facts=replace(candidate.facts, **{name: None})))


@some
@given(wanted_ones, shelves)
def test_what_may_not_be_substituted_is_not(wanted, shelf):
    decision = decided(shelf, wanted, Situation("It is gone.", "never"))
    assert decision.kind is FallbackKind.UNAVAILABLE
    assert decision.alternatives == ()
    assert "never" in decision.chosen.reason


@some
@given(wanted_ones, situations, shelves)
def test_a_known_short_wait_comes_before_everything(wanted, situation, shelf):
    kind = decided(shelf, wanted, situation).kind
    if situation.wait.is_within(1800) and (situation.is_running or situation.can_fetch):
        own = FallbackKind.QUEUE_AND_WAIT if situation.is_running else FallbackKind.DOWNLOAD_AND_RETRY
        assert kind is own


# --- what is said ---------------------------------------------------------------------------------------


def test_the_wanted_model_does_not_stand_in_for_itself():
    decision = decided([Candidate(WANTED.model, FULL)], replace(WANTED, compatible_with={"org/wanted": 1.0}))
    assert decision.kind is FallbackKind.UNAVAILABLE


def test_what_is_lost_is_said():
    other = ModelFacts(
        "chat", "text", "apache-2.0", FULL.formats, None, None, 2048, 5e8, frozenset({"chat", "tools", "vision"})
    )
    wanted = replace(WANTED, requirements=Requirements(capabilities=("audio",), attributes={"speed": "fast"}))
    shelf = [Candidate(ModelId("org/other"), other)]
    (told,) = decided(shelf, replace(wanted, compatible_with={"org/other": 1.0})).alternatives
    assert told.lost == (
        "It lacks language:en.",
        "It is not known to have what was asked for: audio.",
        "It is not known to have speed fast.",
        "Its context length is 2048, not 4096.",
        "Its number of parameters is 0.5 billion, not 1 billion.",
        "Its licence is apache-2.0, not mit.",
    )


def test_a_stand_in_that_is_the_same_in_all_that_is_known_loses_nothing_but_the_judgement():
    (told,) = decided([Candidate(ModelId("org/other"), FULL)]).alternatives
    assert told.lost == ("Nobody has judged how well it stands in: the catalog declares no compatibility.",)
    assert told.reason == (
        "org/other is here and scores 0.60 for org/wanted: nobody has declared how compatible it is, "
        "100% of its capabilities, 100% of what is required."
    )


def test_at_most_five_alternatives_are_offered_and_all_others_are_accounted_for():
    shelf = [Candidate(ModelId(f"org/model-{number:02}"), FULL) for number in range(9)]
    decision = decided([*shelf, Candidate(ModelId("org/unknown"))])
    assert [str(option.model) for option in decision.alternatives] == [f"org/model-{number:02}" for number in range(5)]
    assert decision.excluded_by() == {"task": 1, "modality": 1, "licence": 1, "format": 1}


def test_a_declared_compatibility_speaks_of_every_revision_that_is_not_named_itself():
    wanted = replace(WANTED, compatible_with={"org/other": 0.8, "org/other@v2": 0.0})
    judged = [wanted.declared(ModelId("org/other", revision)) for revision in ("main", "v1", "v2")]
    assert judged == [0.8, 0.8, 0.0]
    assert wanted.declared(ModelId("org/another")) is None


def test_weights_and_thresholds_are_the_settings():
    shelf = [Candidate(ModelId("org/other"), replace(FULL, capabilities=frozenset({"chat"})))]
    assert decided(shelf).kind is FallbackKind.UNAVAILABLE
    lenient = FallbackSettings(capability_weight=0.1, compatibility_weight=0.0)
    assert decided(shelf, settings=lenient).chosen.score == pytest.approx((0.1 * 0.25 + 0.2) / 0.3, abs=1e-6)
    assert decided(shelf, settings=FallbackSettings(floor_score=0.0, offer_score=0.2)).alternatives
    assert (
        decided([Candidate(ModelId("org/other"), FULL)], settings=FallbackSettings(offer_score=0.61)).alternatives == ()
    )


def test_a_blocked_model_does_not_stand_in_whatever_its_case():
    shelf = [Candidate(ModelId("Evil/other"), FULL)]
    decision = decided(shelf, blocked=("evil/*",))
    assert decision.excluded[0].gates == ("blocked",)
    assert "ENHANCED_MODEL_ADMISSION_BLOCKED_MODELS" in decision.excluded[0].reason


# --- strategies -----------------------------------------------------------------------------------------

BETTER = Candidate(ModelId("org/better"), FULL)
WORSE = Candidate(ModelId("org/worse"), replace(FULL, capabilities=frozenset({"chat", "tools", "vision"})))
CLOSED = Candidate(ModelId("org/closed"), replace(FULL, licence="club"))
SHELF = [BETTER, WORSE, CLOSED]
DECLARED = replace(WANTED, compatible_with={"org/worse": 0.5, "org/better": 0.9})


class Says:
    """A strategy that says one thing; an exception it raises."""

    def __init__(self, what):
        self.what = what

    def suggest(self, requested, requirements, available):
        self.given = requested, requirements, available
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


def with_strategies(*said, shelf=SHELF, wanted=DECLARED):
    mine = {f"mine{number}": Says(what) for number, what in enumerate(said)}
    context = FallbackContext(Settings(), wanted)
    return decided(shelf, wanted, strategies={**mine, **strategies_for(context).items}), mine


def test_a_strategy_gets_what_has_passed_the_gates_the_best_first_and_its_suggestion_comes_first():
    decision, mine = with_strategies(Suggestion(WORSE.model, "It is closer to the users.", 0.9))
    assert mine["mine0"].given == (DECLARED, DECLARED.requirements, (BETTER, WORSE))
    assert (decision.chosen.model, decision.chosen.reason) == (WORSE.model, "It is closer to the users.")
    assert (decision.chosen.score, decision.chosen.terms) == (0.9, None)
    assert [option.model for option in decision.alternatives] == [WORSE.model, BETTER.model]


def test_without_a_score_of_its_own_ours_holds():
    decision, _ = with_strategies(Suggestion(WORSE.model))
    assert decision.chosen.score == pytest.approx(0.4 * 0.5 + 0.4 * 0.75 + 0.2)
    assert decision.chosen.terms is not None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (None, None),
        (ZeroDivisionError("its own mistake"), "passed over: it raised ZeroDivisionError: its own mistake."),
        (Suggestion(CLOSED.model, score=1.0), "passed over: it suggested what may not stand in."),
        (Suggestion(ModelId("org/nobody"), score=1.0), "passed over: it suggested what may not stand in."),
        ("org/better", "passed over: it suggested what may not stand in."),
        (Suggestion(WORSE.model, score=0.59), None),
    ],
    ids=["nothing", "raises", "failed a gate", "nobody knows it", "no suggestion", "a low score"],
)
def test_a_strategy_that_does_not_help_is_passed_over_and_told_and_the_default_comes_last(said, problem):
    decision, _ = with_strategies(said)
    assert decision.chosen.model == BETTER.model
    assert [told.removeprefix("The strategy 'mine0' was ") for told in decision.problems] == [problem][: bool(problem)]


def test_the_first_that_suggests_is_taken():
    decision, mine = with_strategies(None, Suggestion(WORSE.model, score=0.8), Suggestion(BETTER.model))
    assert decision.chosen.model == WORSE.model
    assert not hasattr(mine["mine2"], "given")


def test_without_a_model_that_passes_no_strategy_is_asked():
    decision, mine = with_strategies(Suggestion(CLOSED.model), shelf=[CLOSED])
    assert not hasattr(mine["mine0"], "given")
    assert decision.kind is FallbackKind.REDUCE_REQUIREMENTS


@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_a_score_that_is_none_is_refused(score):
    with pytest.raises(ValueError, match="0 to 1"):
        Suggestion(BETTER.model, score=score)


@pytest.fixture
def registered():
    """Register a strategy under these conditions, and forget it afterwards."""

    def register(*conditions, name="mine", priority=10):
        fallback_strategies.register(name, priority=priority, conditions=conditions)(
            lambda _context, _settings: Says(None)
        )

    yield register
    for name in ("mine", "other"):
        fallback_strategies.remove(name)


@pytest.mark.parametrize(
    ("conditions", "used"),
    [
        ((), True),
        (("model_type:custom",), True),
        (("model_type: Custom ",), True),
        (("model_type:custom", "priority:high"), True),
        (("model_type:plain",), False),
        (("model_type:custom", "priority:low"), False),
        (("colour:red",), False),
    ],
)
def test_a_strategy_is_used_where_all_its_conditions_hold(registered, conditions, used):
    registered(*conditions)
    wanted = replace(WANTED, attributes={"model_type": frozenset({"custom"}), "priority": frozenset({"high"})})
    assert [*strategies_for(FallbackContext(Settings(), wanted)).items] == [*["mine"][:used], "default"]


def test_strategies_come_by_priority_and_the_default_last(registered):
    registered(priority=-5)
    registered(name="other", priority=5)
    assert [*strategies_for(FallbackContext(Settings(), WANTED)).items] == ["other", "mine", "default"]


def test_an_unknown_wait_is_not_a_short_one():
    situation = Situation("It is on its way.", "auto", is_running=True, wait=UNKNOWN_WAIT)
    decision = decided([BETTER], DECLARED, situation)
    assert [option.kind.value for option in decision.options] == ["alternative_model", "queue_and_wait"]
    assert decision.options[1].as_dict()["estimated_wait_seconds"] is None
