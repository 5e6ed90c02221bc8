"""The law of what is deployed: `prefect.yaml` as written, with the settings' intervals and switches, in one pool."""

import click
import pytest
import yaml

from availability.settings import load_settings
from deployments.documents import ROOT
from deployments.manifest import POOL_TYPES, read_manifest
from tasks.schedules import wanted_interval

WRITTEN = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
QUEUES = {"critical": 1, "high": 2, "normal": 3, "low": 4}


def manifest(pool_type=None, **env):
    given = {f"ENHANCED_MODEL_{name.upper()}": value for name, value in env.items()}
    return read_manifest(load_settings(env=given, dotenv=None), pool_type)


def entries(made):
    return {entry["name"]: entry for entry in made.deployments}


def without(entry, *names):
    return {name: value for name, value in entry.items() if name not in names}


def test_with_the_defaults_of_the_settings_it_is_what_is_written():
    made = entries(manifest())
    assert [without(entry, "version") for entry in made.values()] == WRITTEN["deployments"]


def test_a_schedule_that_follows_a_setting_has_its_interval_and_no_other_has_changed():
    before, after = entries(manifest()), entries(manifest(health_check_interval_hours="7"))
    for name in before:
        if name != "check-health":
            assert after[name] == before[name]
    share, quick = after["check-health"]["schedules"]
    assert share == before["check-health"]["schedules"][0] | {"interval": 7 * 3600}
    assert quick == before["check-health"]["schedules"][1]


def test_a_deployment_that_is_switched_off_has_no_active_schedule_and_stays_deployed():
    made = entries(manifest(schedules_switched_off="check-health,repair-model"))
    active = {name: any(schedule["active"] for schedule in entry["schedules"]) for name, entry in made.items()}
    assert made.keys() == entries(manifest()).keys()
    assert not active["check-health"]
    assert not active["repair-model"]
    assert active["ensure-models"]


def test_the_version_changes_with_what_is_deployed_and_with_nothing_else():
    before, after = entries(manifest()), entries(manifest(schedules_ensure_interval_hours="3"))
    changed = {name for name in before if before[name]["version"] != after[name]["version"]}
    assert changed == {"ensure-models"}
    assert entries(manifest()) == before


def test_every_setting_that_a_schedule_is_named_after_is_one():
    slugs = [schedule["slug"] for entry in WRITTEN["deployments"] for schedule in entry["schedules"]]
    following = [slug for slug in slugs if slug.endswith("-hours")]
    assert "health-check-interval-hours" in following
    assert all(wanted_interval(slug, load_settings(env={}, dotenv=None)) for slug in following)


@pytest.mark.parametrize("pool_type", POOL_TYPES)
def test_one_word_moves_every_run_to_another_kind_of_pool(pool_type):
    made = manifest(pool_type)
    profile = WRITTEN["definitions"][pool_type]
    assert (made.pool.name, made.pool.type) == (profile["name"], pool_type)
    assert (made.pool.template is None) == (pool_type == "process")
    for entry in made.deployments:
        assert without(entry["work_pool"], "work_queue_name") == profile


def test_every_queue_that_a_deployment_names_is_made_and_what_is_urgent_comes_first():
    made = manifest()
    assert {queue.name: queue.priority for queue in made.pool.queues} == QUEUES
    assert {entry["work_pool"]["work_queue_name"] for entry in made.deployments} <= QUEUES.keys()


def test_a_kind_of_pool_that_nobody_knows_is_refused():
    with pytest.raises(click.ClickException, match="no profile 'abacus'; there are process, docker"):
        manifest("abacus")
