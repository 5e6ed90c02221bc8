"""The law of the one retry policy under Prefect: its delays are the settings', and no step has another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.settings import DownloadSettings
from tasks.attempts import with_retries
from tasks.download import bring_model, observe_models
from tests.builders import no_deadline

STEPS = (observe_models, bring_model)


@no_deadline
@given(retries=st.integers(0, 10), base=st.floats(1, 60), cap=st.floats(60, 600))
def test_a_step_waits_as_often_and_as_long_as_the_settings_say(retries, base, cap):
    settings = DownloadSettings(max_retries=retries, retry_delay_seconds=base, max_retry_delay_seconds=cap)
    step = with_retries(bring_model, settings)
    assert step.retries == len(step.retry_delay_seconds) == retries
    for attempt, seconds in enumerate(step.retry_delay_seconds):
        assert min(base * 2**attempt * 1.1, cap) <= seconds <= min(base * 2**attempt * 1.3, cap)
    assert step.retry_jitter_factor is None
    assert (step.name, step.task_run_name) == (bring_model.name, bring_model.task_run_name)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_alone_retries_nothing_and_remembers_nothing(step):
    assert step.retries == 0
    assert step.persist_result is False
    assert step.cache_policy.compute_key(None, {}, {}) is None
