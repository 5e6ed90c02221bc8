"""The law of the forms: a field has a sentence and the bounds of its setting, and a bad value starts no run."""

import pytest
from prefect.exceptions import ParameterTypeError

from availability.settings import definitions
from flows.ensure_models import ensure_models

BAD_VALUES = [{"max_retries": 11}, {"max_retries": -1}, {"bandwidth_limit_mbps": -1}, {"priority": "urgent"}]

bad_values = pytest.mark.parametrize("values", BAD_VALUES, ids=str)


@pytest.fixture(scope="module")
def fields():
    return ensure_models.parameters.properties


def test_every_field_has_a_sentence_on_one_line(fields):
    said = {name: field.get("description", "") for name, field in fields.items()}
    assert [name for name, text in said.items() if not text.endswith(".") or "\n" in text] == []


@pytest.mark.parametrize("setting", ["download.max_retries", "download.bandwidth_limit_mbps"])
def test_a_field_that_is_a_setting_has_its_bounds(fields, setting):
    (definition,) = (item for item in definitions() if item.name == setting)
    number, nothing = fields[setting.partition(".")[2]]["anyOf"]
    bounds = (number.get("minimum"), number.get("exclusiveMinimum"), number.get("maximum"))
    assert bounds == (definition.minimum, definition.above, definition.maximum)
    assert nothing == {"type": "null"}


def test_nothing_has_to_be_filled_in():
    assert ensure_models.parameters.required == []


@pytest.mark.prefect
@bad_values
def test_a_value_out_of_its_bounds_ends_the_run_before_anything_happens(run, hub, store, values):
    with pytest.raises(ParameterTypeError, match=next(iter(values))):
        run(**values).state.result()
    assert hub.requests == []
    assert not store.exists()


@pytest.mark.prefect
def test_from_the_ui_a_value_out_of_its_bounds_starts_no_run(api):
    deployment = ensure_models.to_deployment("form").apply()
    for values in BAD_VALUES:
        answer = api.send(f"/deployments/{deployment}/create_flow_run", parameters=values)
        assert answer.status_code == 409
        assert next(iter(values)) in answer.text
    assert api.post("/flow_runs/count", deployments={"id": {"any_": [str(deployment)]}}) == 0
    good = api.send(f"/deployments/{deployment}/create_flow_run", parameters={"max_retries": 10, "priority": "high"})
    assert good.status_code == 201
