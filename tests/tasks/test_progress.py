"""The law of what is shown while a model comes: a key that the server takes, and a line that people read."""

import re

import pytest

from availability.model import parse_model_id
from availability.transfer.meter import Progress
from tasks.progress import artifact_key, describe, resource_of

TINY = parse_model_id("org/tiny")
MB = 10**6


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("org/tiny", "progress-org-tiny"),
        ("gpt2", "progress-gpt2"),
        ("Qwen/Qwen2.5-7B_v1", "progress-qwen-qwen2-5-7b-v1"),
        ("org/tiny@refs/pr/1", "progress-org-tiny-refs-pr-1"),
    ],
)
def test_a_models_key_is_one_that_the_server_takes(model, key):
    assert artifact_key(parse_model_id(model)) == key
    assert re.fullmatch("[a-z0-9-]+", key)


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("queued", 0, 0), "**org/tiny** queued · 0.0 of 0.0 MB"),
        (
            Progress("downloading", 2000 * MB, 500 * MB, 600 * MB, 12.5 * MB, 120.4),
            "**org/tiny** downloading · 500.0 of 2,000.0 MB · 12.5 MB/s · 120 s left",
        ),
        (
            Progress("downloading", 2 * MB, MB, retries=2, waiting="retry in 60 s"),
            "**org/tiny** downloading · 1.0 of 2.0 MB · retry 2 · waiting: retry in 60 s",
        ),
    ],
    ids=["before the plan", "under way", "waiting"],
)
def test_its_figures_are_a_line(progress, line):
    assert describe(TINY, progress) == line


def test_a_model_is_one_resource_whatever_its_revision():
    one, other = resource_of(TINY), resource_of(parse_model_id("org/tiny@v1"))
    assert one["prefect.resource.id"] == other["prefect.resource.id"]
    assert (one["availability.revision"], other["availability.revision"]) == ("main", "v1")
