"""The law of settings: who wins, what is refused, and that nothing given is silently lost."""

import itertools
import pickle
from operator import attrgetter
from pathlib import Path

import pytest

from availability.errors import SettingsError
from availability.settings import Settings, definitions, effective, load_settings

NUMBERS = [definition for definition in definitions() if definition.kind in ("int", "float")]
CONCURRENT = "ENHANCED_MODEL_DOWNLOAD_MAX_CONCURRENT_DOWNLOADS"


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(overrides=None, *, dotenv="", strict=False, **env):
    Path(".env").write_text(dotenv, encoding="utf-8")
    return load_settings(overrides, env=env, strict=strict)


def refusal(overrides=None, **given):
    with pytest.raises(SettingsError) as caught:
        load(overrides, **given)
    return caught.value


# --- who wins -------------------------------------------------------------------------------------------

# The value each layer gives to one setting; every layer wins over those after it.
LAYERS = {"argument": 9, "environment": 8, ".env": 7, "profile": 2, "default": 3}
ORIGINS = {"argument": "argument", "environment": "environment", ".env": ".env file", "profile": "profile development"}


def effective_with(layers):
    env = {CONCURRENT: "8"} if "environment" in layers else {}
    profile = "ENHANCED_MODEL_PROFILE=development\n" if "profile" in layers else ""
    Path(".env").write_text(profile + (f"{CONCURRENT}=7\n" if ".env" in layers else ""), encoding="utf-8")
    found = effective({"download.max_concurrent_downloads": 9 if "argument" in layers else None}, env=env)
    return next(value for value in found.values if value.env_name == CONCURRENT)


@pytest.mark.parametrize(("winner", "loser"), [*itertools.combinations(LAYERS, 2)])
def test_each_layer_wins_over_each_one_below_it(winner, loser):
    value = effective_with({winner, loser})
    assert value.value == LAYERS[winner]
    assert value.origin.startswith(ORIGINS[winner])


def test_the_default_holds_when_nobody_says_anything():
    value = effective_with(set())
    assert (value.value, value.origin, value.default) == (3, "default", "3")


def test_the_origin_in_a_dotenv_file_tells_its_path():
    assert effective_with({".env"}).origin == f".env file {Path('.env').absolute()}"


def test_an_empty_variable_is_not_set():
    assert load(dotenv=f"{CONCURRENT}=7", **{CONCURRENT: ""}).download.max_concurrent_downloads == 7


def test_no_dotenv_file_is_read_when_none_is_wanted():
    Path(".env").write_text(f"{CONCURRENT}=7")
    assert load_settings(env={}, dotenv=None).download.max_concurrent_downloads == 3


def test_the_process_environment_is_read_at_the_call(monkeypatch):
    monkeypatch.setenv(CONCURRENT, "4")
    assert load_settings().download.max_concurrent_downloads == 4


def test_settings_built_by_hand_never_read_the_environment(monkeypatch):
    monkeypatch.setenv(CONCURRENT, "4")
    assert Settings().download.max_concurrent_downloads == 3


def test_every_setting_is_shown_with_a_value_and_an_origin():
    values = effective(env={}, dotenv=None).values
    assert [value.name for value in values] == [definition.name for definition in definitions()]
    assert {value.origin for value in values} == {"default"}


def test_settings_are_frozen_and_travel_to_other_processes():
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.download.max_retries = 1
    assert pickle.loads(pickle.dumps(settings)) == settings


# --- numbers --------------------------------------------------------------------------------------------


def value_of(settings, name):
    return attrgetter(name)(settings)


def edges(definition):
    """Yield the last good and the first bad value at each bound of a setting."""
    step = 1 if definition.kind == "int" else 0.001
    if definition.minimum is not None:
        yield definition.minimum, definition.minimum - step
    if definition.above is not None:
        yield definition.above + step, definition.above
    if definition.maximum is not None:
        yield definition.maximum, definition.maximum + step


EDGES = [
    pytest.param(definition, good, bad, id=f"{definition.name}-{good}")
    for definition in NUMBERS
    for good, bad in edges(definition)
]


@pytest.mark.parametrize(("definition", "good", "bad"), EDGES)
def test_a_bound_holds_on_both_sides(definition, good, bad):
    text = str(int(good)) if definition.kind == "int" else str(good)
    assert value_of(load(**{definition.env_name: text}), definition.name) == good
    assert value_of(load({definition.name: good}), definition.name) == good
    message = refusal(**{definition.env_name: str(bad)}).message
    assert message.startswith(f"{definition.env_name} (environment): expected {definition.expected}, got ")
    assert refusal({definition.name: bad}).message.startswith(f"{definition.name} (argument): expected ")


def test_every_number_has_a_bound():
    bare = [item.name for item in NUMBERS if (item.minimum, item.above, item.maximum) == (None, None, None)]
    assert bare == ["download.max_retry_delay_seconds", "fallback.offer_score"]  # bounded by other settings, below


@pytest.mark.parametrize("definition", NUMBERS, ids=lambda definition: definition.name)
@pytest.mark.parametrize("text", ["nan", "inf", "three", "1,5"])
def test_what_is_no_finite_number_is_refused(definition, text):
    assert repr(text) in refusal(**{definition.env_name: text}).message


@pytest.mark.parametrize("name", [item.name for item in NUMBERS if item.minimum == 0])
def test_zero_stays_zero(name):
    assert value_of(load({name: 0}), name) == 0
    env_name = next(item.env_name for item in NUMBERS if item.name == name)
    assert value_of(load(**{env_name: "0"}), name) == 0


def test_false_stays_false():
    assert load({"features.usage_analytics": False}).features.usage_analytics is False


def test_the_longest_delay_is_not_below_the_first():
    same = {"download.retry_delay_seconds": 600, "download.max_retry_delay_seconds": 600}
    assert load(same).download.max_retry_delay_seconds == 600
    message = refusal({"download.retry_delay_seconds": 600}).message
    assert message.startswith("ENHANCED_MODEL_DOWNLOAD_MAX_RETRY_DELAY_SECONDS (default): ")
    assert "(retry_delay_seconds is 600), got 300" in message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fallback.floor_score": 0.65}, "ENHANCED_MODEL_FALLBACK_OFFER_SCORE (default): "),
        ({"fallback.offer_score": 0.2}, "(floor_score is 0.3), got 0.2"),
        ({"fallback.offer_score": 0.8}, "(offer_score is 0.8), got 0.7"),
    ],
    ids=["floor above offered", "offered below the floor", "offered above preferred"],
)
def test_what_is_preferred_is_offered_and_what_is_offered_is_above_the_floor(given, said):
    assert said in refusal(given).message


def test_scores_need_some_weight():
    weights = {f"fallback.{name}_weight": 0 for name in ("compatibility", "capability", "requirement")}
    assert "the other two weights are 0" in refusal(weights).message
    assert load({**weights, "fallback.capability_weight": 0.1}).fallback.capability_weight == 0.1


def test_units_are_decimal_gigabytes_and_binary_kibibytes():
    settings = load({"storage.max_storage_gb": 1.5})
    assert settings.storage.max_storage_bytes == 1_500_000_000
    assert settings.storage.min_free_bytes == 1_000_000_000
    assert settings.download.min_bytes_per_second == 4096


def test_zero_as_a_limit_means_none():
    assert load({"storage.max_storage_gb": 0}).storage.max_storage_bytes is None


# --- words ----------------------------------------------------------------------------------------------

ADMISSION = "ENHANCED_MODEL_ADMISSION_"
GOOD_WORDS = [
    ("admission.blocked_file_types", "exe, *.DLL,.sh", (".exe", ".dll", ".sh")),
    ("admission.blocked_file_types", "none", ()),
    ("admission.blocked_models", "bad/*, worse/model", ("bad/*", "worse/model")),
    ("admission.allowed_sources", "https://Mirror.example/hf/", ("https://mirror.example/hf",)),
    ("admission.allowed_file_types", ".safetensors", (".safetensors",)),
    ("admission.pickle_policy", "Scan", "scan"),
    ("hub.endpoint", "http://localhost:8080/", "http://localhost:8080"),
    ("hub.token_secret_block", "hf-token", "hf-token"),
    ("features.health_monitoring", "off", False),
    ("storage.models_directory", "~/models", Path("~/models").expanduser()),
]
BAD_WORDS = [
    ("admission.allowed_sources", "none", "comma-separated URLs"),
    ("admission.allowed_sources", "mirror.example", "a whole URL"),
    ("admission.allowed_file_types", "*,.bin", "let it stand alone"),
    ("admission.blocked_file_types", "*", "file endings, or `none`"),
    ("admission.blocked_file_types", "../x", "last ending of a name"),
    ("admission.blocked_models", "two words", "no blank"),
    ("admission.pickle_policy", "maybe", "`refuse`, `scan` or `allow`"),
    ("hub.endpoint", "s3://bucket", "only http and https"),
    ("hub.endpoint", "http://host:99999", "an http(s) URL"),
    ("hub.endpoint", "http://host/?x=1", "no ? or #"),
    ("features.usage_analytics", "maybe", "`true` or `false`"),
    ("storage.models_directory", "~no-such-user-here/x", "home directory"),
]


def env_name_of(name):
    return next(definition.env_name for definition in definitions() if definition.name == name)


@pytest.mark.parametrize(("name", "text", "value"), GOOD_WORDS)
def test_words_are_read_and_normalised(name, text, value):
    assert value_of(load(**{env_name_of(name): text}), name) == value


@pytest.mark.parametrize(("name", "text", "reason"), BAD_WORDS)
def test_bad_words_are_refused_with_the_reason(name, text, reason):
    assert reason in refusal(**{env_name_of(name): text}).message


def test_an_empty_path_is_not_the_working_directory():
    assert "an empty path" in refusal({"storage.models_directory": ""}).message


@pytest.mark.parametrize(
    "given",
    [
        {"ENHANCED_MODEL_HUB_TOKEN_SECRET_BLOCK": "My-Secret-1"},
        {"ENHANCED_MODEL_HUB_ENDPOINT": "https://me:My-Secret-1@host"},
        {"HF_ENDPOINT": "https://My-Secret-1@host"},
        {"ENHANCED_MODEL_LOG_LEVEL": "hf_MySecret1MySecret1MySecret1"},
        {"ENHANCED_MODEL_HUB_TOKEN": "My-Secret-1"},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(given):
    said = str(refusal(strict=True, **given).as_dict())
    assert "Secret-1" not in said
    assert "MySecret1" not in said


# --- errors ---------------------------------------------------------------------------------------------


def test_all_bad_values_are_told_at_once_with_their_places():
    error = refusal(
        {"download.connections": 65, "download.max_retry": 1},
        dotenv="ENHANCED_MODEL_DOWNLOAD_STALL_SECONDS=0",
        ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES="11",
    )
    places = [
        "download.connections (argument)",
        "download.max_retry (argument) is not a setting. Did you mean download.max_retries?",
        f"ENHANCED_MODEL_DOWNLOAD_STALL_SECONDS (.env file {Path('.env').absolute()})",
        "ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES (environment): expected a whole number, 0 to 10, got '11'",
    ]
    assert [place for place in places if place not in error.message] == []
    assert len(error.advice) == 3


def test_a_misspelled_variable_is_listed_with_the_nearest_name():
    found = effective(env={"ENHANCED_MODEL_DOWNLOAD_MAX_RETRYS": "0"}, dotenv=None)
    (unknown,) = found.unknown
    assert (unknown.origin, unknown.nearest) == ("environment", "ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES")
    assert found.settings.download.max_retries == 3


def test_a_misspelled_variable_is_refused_when_strict():
    error = refusal(dotenv="ENHANCED_MODEL_DOWNLOAD_MAX_RETRYS=0", strict=True)
    assert "Did you mean ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES?" in error.message


def test_a_variable_near_nothing_is_still_listed():
    (unknown,) = effective(env={"ENHANCED_MODEL_ZZZ": "1"}, dotenv=None).unknown
    assert unknown.nearest is None


def test_the_clients_variable_in_the_dotenv_file_is_listed_not_lost():
    Path(".env").write_text("HF_HUB_CACHE=/elsewhere\nUNRELATED=1\n")
    found = effective(env={})
    assert [unknown.env_name for unknown in found.unknown] == ["HF_HUB_CACHE"]
    assert "Export it" in found.unknown[0].sentence
    assert effective(env={"HF_HUB_CACHE": "/elsewhere"}).unknown == ()


def test_a_dotenv_file_that_is_no_text_is_an_error():
    Path(".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(env={})
