"""The law of the forms: a field has a sentence and the bounds of its setting, and a bad value starts no run."""

import pytest
from prefect.exceptions import ParameterTypeError

from availability.settings import definitions
from flows.check_health import check_health
from flows.ensure_models import ensure_models
from flows.manage_download import manage_download
from flows.probe_sources import probe_sources
from flows.repair_model import repair_model
from flows.report_health import report_health
from flows.request_model import request_model
from flows.run_action import run_action

FLOWS = [
    check_health,
    ensure_models,
    manage_download,
    probe_sources,
    repair_model,
    report_health,
    request_model,
    run_action,
]
NEEDED = {request_model: ["model"]}
SETTINGS = [
    (ensure_models, "download.max_retries"),
    (ensure_models, "download.bandwidth_limit_mbps"),
    (manage_download, "download.max_retries"),
    (manage_download, "download.bandwidth_limit_mbps"),
    (check_health, "health.within_days"),
    (check_health, "health.max_mib_per_second"),
]
BAD_VALUES = [{"max_retries": 11}, {"max_retries": -1}, {"bandwidth_limit_mbps": -1}, {"priority": "urgent"}]

flows = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
bad_values = pytest.mark.parametrize("values", BAD_VALUES, ids=str)


@flows
def test_every_field_has_a_sentence_on_one_line(flow):
    said = {name: field.get("description", "") for name, field in flow.parameters.properties.items()}
    assert [name for name, text in said.items() if not text.endswith(".") or "\n" in text] == []


@pytest.mark.parametrize(("flow", "setting"), SETTINGS, ids=[f"{flow.name} {setting}" for flow, setting in SETTINGS])
def test_a_field_that_is_a_setting_has_its_bounds(flow, setting):
    (definition,) = (item for item in definitions() if item.name == setting)
    number, nothing = flow.parameters.properties[setting.partition(".")[2]]["anyOf"]
    bounds = (number.get("minimum"), number.get("exclusiveMinimum"), number.get("maximum"))
    assert bounds == (definition.minimum, definition.above, definition.maximum)
    assert nothing == {"type": "null"}


@flows
def test_nothing_has_to_be_filled_in_but_what_it_is_about(flow):
    assert flow.parameters.required == NEEDED.get(flow, [])


@pytest.mark.parametrize(
    ("flow", "values"),
    [
        (check_health, {"mode": "half"}),
        (check_health, {"within_days": 0}),
        (check_health, {"max_minutes": 0}),
        (check_health, {"max_mib_per_second": -1}),
        (manage_download, {"action": "hurry"}),
        (manage_download, {"priority": "urgent"}),
        (probe_sources, {"max_models": 0}),
        (repair_model, {"model": "org/tiny", "repair_type": "pray"}),
        (request_model, {"model": "org/tiny", "wait_minutes": -1}),
        (request_model, {"model": "org/tiny", "requirements": {"max_vram_gb": 0}}),
        (request_model, {"model": "org/tiny", "requirements": {"vram": 8}}),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_bad_value_is_refused(flow, values):
    with pytest.raises(ParameterTypeError, match=[*values][-1]):
        flow.validate_parameters(values)


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
