"""The law of decisions, by the page that people read: each as it is labelled, and no gate is ever passed by."""

from random import Random

import pytest

from availability.fallback.decision import FallbackKind
from availability.model import ModelId
from tests.availability.fallback.shelf import MODELS, REQUESTS, id_of

ACCEPTED = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause"}
LIMITS = {"vram": ("VRAM", "max_vram_gb"), "size": ("size", "max_size_gb")}
NAMES = {id_of(name): name for name in MODELS}

sections = pytest.mark.parametrize("section", {asked.section: None for asked in REQUESTS})


def of(section):
    return [asked for asked in REQUESTS if asked.section == section]


def test_there_are_enough_of_them_and_none_stands_twice():
    rows = [tuple(asked.row.values()) for asked in REQUESTS]
    assert len(rows) == len({*rows}) >= 200
    assert {asked.row["decision"] for asked in REQUESTS} == {kind.value for kind in FallbackKind}


@sections
def test_each_request_is_decided_as_it_is_labelled(section):
    for asked in of(section):
        decision = asked.decide()
        chosen = decision.chosen
        which = chosen.requirement or (NAMES[chosen.model] if chosen.model else "")
        assert (decision.kind.value, which) == (asked.row["decision"], asked.row["which"]), (asked.row, chosen.reason)
        assert decision.problems == ()
        assert all(option.reason.endswith(".") for option in decision.options)


def violations(asked, model: ModelId):
    """What is wrong with a stand-in, read off the page and by no rule of the code."""
    row, wanted, asks = MODELS[NAMES[model]], MODELS[asked.row["wanted"]], asked.wanted.requirements
    task = (asks.task or wanted["task"]).lower()
    modality = asks.modality or (wanted["modality"] if wanted["modality"] != "?" else None)
    if row["task"] != task or task == "?":
        yield "task"
    if modality and row["modality"] != modality:
        yield "modality"
    if row["licence"] not in (asks.licences or {*ACCEPTED, wanted["licence"]} - {"?"}):
        yield "licence"
    if row["format"] not in (asks.formats or {wanted["format"]} - {"?"}):
        yield "format"
    for name, (column, field) in LIMITS.items():
        limit = getattr(asks, field)
        if limit is not None and (row[column] == "?" or float(row[column]) > limit):
            yield name
    if asks.min_context_length and (row["context"] == "?" or int(row["context"]) < asks.min_context_length):
        yield "context"
    if model.repo_id.startswith("spam/") or asked.wanted.compatible_with.get(str(model)) == 0:
        yield "blocked"
    if row["is"].split()[0] not in {"ready", "fetchable"}:
        yield "readiness"


@sections
def test_nothing_that_is_offered_fails_a_gate_and_nothing_is_offered_that_is_forbidden(section):
    for asked in of(section):
        offered = asked.decide().alternatives
        assert [(option.model, *violations(asked, option.model)) for option in offered] == [
            (option.model,) for option in offered
        ]
        assert not offered or asked.row["policy"] != "never"


@sections
def test_every_model_that_fails_a_gate_is_told_at_that_gate(section):
    for asked in of(section):
        excluded = {exclusion.model: exclusion.gates for exclusion in asked.decide().excluded}
        for candidate in asked.shelf:
            failed = [*violations(asked, candidate.model)]
            told = excluded.get(candidate.model, ())
            assert sorted(told) == sorted(failed) or (not failed and told == ("score",)), (asked.row, candidate.model)


@sections
def test_the_same_request_is_decided_alike_in_whatever_order_the_models_stand(section):
    for asked in of(section):
        first, shelf = asked.decide(), asked.shelf
        for seed in range(5):
            Random(seed).shuffle(shelf)
            assert asked.decide(shelf) == first
            assert asked.decide(shelf).as_dict() == first.as_dict()
