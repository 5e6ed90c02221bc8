"""A share of the damage laboratory: every damage found and mended, and nothing else touched."""

import pytest
from huggingface_hub.utils import disable_progress_bars

from deployments.faultlab import Laboratory, Plan
from deployments.injections import MIX


@pytest.mark.slow
def test_every_requirement_of_the_laboratory_is_met(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    disable_progress_bars()
    tally = Laboratory(tmp_path, Plan(models=2, rounds=4, per_round=20, seed=5)).run()
    assert [sentence for sentence, _, is_met in tally.requirements() if not is_met] == []
    assert tally.injected.total() == 80
    assert set(tally.injected) == set(MIX)
