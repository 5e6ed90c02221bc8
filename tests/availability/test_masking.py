"""The law of masking: what is a secret by its form or by its variable is shown to nobody, the rest stays."""

import json

import pytest

from availability.masking import masked, masked_data, secrets_of

SECRET = "s3cretW0rds"

SHOWN = {
    "a token of the Hub": (f"token hf_{SECRET} here", "token *** here"),
    "a key of Prefect": (f"pnu_{SECRET}", "***"),
    "a login in an address": (f"http://me:{SECRET}@host/x", "http://***@host/x"),
    "a signed address": (f"http://host/x?a=1&Signature={SECRET}&b=2", "http://host/x?a=1&Signature=***&b=2"),
    "a header": (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
}


@pytest.mark.parametrize("text", SHOWN)
def test_what_has_the_form_of_a_secret_is_masked_and_nothing_around_it(text):
    given, shown = SHOWN[text]
    assert masked(given) == shown


@pytest.mark.parametrize("text", ["org/name@main", "http://127.0.0.1:8970/api?limit=50", "hf_hub", "a@b", ""])
def test_what_is_no_secret_stays(text):
    assert masked(text) == text


def test_what_is_known_to_be_a_secret_is_masked_in_values_and_keys_however_deep():
    data = {"a": [{SECRET: f"before {SECRET} after"}, 1, None, True, 0.5], "b": (SECRET,)}
    told = masked_data(data, [SECRET])
    assert told == {"a": [{"***": "before *** after"}, 1, None, True, 0.5], "b": ["***"]}
    assert json.loads(json.dumps(told)) == told


def test_a_variable_is_a_secret_by_its_name_and_what_is_too_short_is_none():
    env = {"HF_TOKEN": SECRET, "PREFECT_API_KEY": "longest" + SECRET, "MY_PASSWORD": "on", "HOME": "/home/somebody"}
    assert secrets_of(env) == ("longest" + SECRET, SECRET)
