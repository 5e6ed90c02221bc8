"""The law of refusals: what a server says decides whether it can pass, whose fault it is, and what a person can do."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.errors import (
    AccessDeniedError,
    FileNotServedError,
    FinalError,
    GatedModelError,
    ModelNotFoundError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
    TransientError,
)
from availability.model import ModelId
from availability.sources.answers import error_of, retry_after_seconds
from tests.builders import no_deadline

MODEL = ModelId("org/tiny", "v1")
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
PATH = "model.safetensors"
CODES = ["", "RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo", "Unheard"]


def error(status, code="", *, path=PATH, authorized=True, **headers):
    told = {"X-Error-Code": code} if code else {}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    return error_of("hub", MODEL, status, told, path=path, authorized=authorized, now=NOW)


@pytest.mark.parametrize(
    ("status", "code", "path", "authorized", "kind"),
    [
        (400, "", PATH, True, SourceRefusedError),
        (401, "", None, True, AccessDeniedError),
        (401, "", None, False, ModelNotFoundError),
        (401, "", PATH, False, ModelNotFoundError),
        (401, "RepoNotFound", None, True, ModelNotFoundError),
        (401, "RepoNotFound", None, False, ModelNotFoundError),
        (401, "GatedRepo", PATH, False, GatedModelError),
        (403, "", PATH, True, AccessDeniedError),
        (403, "", PATH, False, AccessDeniedError),
        (403, "GatedRepo", PATH, True, GatedModelError),
        (403, "GatedRepo", None, True, GatedModelError),
        (403, "Unheard", None, True, AccessDeniedError),
        (404, "", None, True, ModelNotFoundError),
        (404, "", PATH, True, FileNotServedError),
        (404, "RepoNotFound", None, True, ModelNotFoundError),
        (404, "RepoNotFound", PATH, True, ModelNotFoundError),
        (404, "RevisionNotFound", None, True, RevisionNotFoundError),
        (404, "RevisionNotFound", PATH, True, RevisionNotFoundError),
        (404, "EntryNotFound", PATH, True, FileNotServedError),
        (404, "GatedRepo", PATH, True, GatedModelError),
        (405, "", None, True, SourceRefusedError),
        (408, "", PATH, True, SourceUnavailableError),
        (410, "", PATH, True, FileNotServedError),
        (416, "", PATH, True, SourceUnavailableError),
        (418, "", PATH, True, SourceRefusedError),
        (429, "", PATH, True, RateLimitedError),
        (429, "GatedRepo", None, True, RateLimitedError),
        (451, "", PATH, True, SourceRefusedError),
        (500, "", PATH, True, SourceUnavailableError),
        (502, "", None, True, SourceUnavailableError),
        (503, "", None, False, SourceUnavailableError),
        (503, "RepoNotFound", None, False, SourceUnavailableError),
        (504, "", PATH, True, SourceUnavailableError),
        (304, "", PATH, True, SourceRefusedError),
    ],
)
def test_each_answer_is_one_error(status, code, path, authorized, kind):
    assert type(error(status, code, path=path, authorized=authorized)) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_is_down_and_says_until_when_is_waited_for(status):
    told = error(status, Retry_After="7")
    assert isinstance(told, RateLimitedError)
    assert told.retry_after_seconds == 7
    assert told.message == f"hub answered {status} for model.safetensors of org/tiny@v1 and asked to come back in 7 s"


def test_whoever_says_too_much_and_not_how_long_leaves_it_open():
    told = error(429, path=None)
    assert told.retry_after_seconds is None
    assert told.message == "hub answered 429 for org/tiny@v1"


@no_deadline
@given(
    st.integers(300, 599),
    st.sampled_from(CODES),
    st.sampled_from([None, PATH]),
    st.booleans(),
    st.text(max_size=20),
)
def test_every_answer_is_judged_and_only_what_can_pass_can_pass(status, code, path, authorized, message):
    told = error(status, code, path=path, authorized=authorized, X_Error_Message=message)
    assert isinstance(told, TransientError | FinalError)
    can_pass = status >= 500 or status in (408, 416, 429)
    assert isinstance(told, TransientError) is can_pass
    assert "org/tiny" in told.message


def test_headers_are_read_in_any_case():
    told = error_of("hub", MODEL, 404, {"x-ERROR-code": "RevisionNotFound"}, path=None, authorized=True, now=NOW)
    assert isinstance(told, RevisionNotFoundError)


def test_what_the_server_said_is_passed_on():
    assert "the disk burns" in error(500, X_Error_Message="the disk burns").message
    assert "no teapots" in error(418, X_Error_Message="no teapots").message


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        (error(403, "GatedRepo"), "Accept the conditions on the model's page at hub"),
        (error(403), "Set HF_TOKEN"),
        (error(401, authorized=False), "HF_TOKEN"),
    ],
    ids=["gated", "denied", "unknown or private"],
)
def test_a_refusal_says_what_a_person_can_do(told, advice):
    assert any(advice in sentence for sentence in told.advice)


def test_a_refusal_tells_whether_a_token_was_sent():
    assert "to the token it was sent" in error(403, authorized=True).message
    assert "to a request without a token" in error(403, authorized=False).message


# --- how long -------------------------------------------------------------------------------------------


def date(seconds):
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 5 "}, 5),
        ({"retry-after": date(90)}, 90),
        ({"retry-after": date(-90)}, 0),
        ({"retry-after": format_datetime((NOW + timedelta(seconds=30)).astimezone(timezone(timedelta(hours=5))))}, 30),
        ({"retry-after": "Mon, 04 May 2026 12:00:20"}, 20),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
        ({"retry-after": "7", "ratelimit": '"api";r=0;t=55'}, 7),
        ({"retry-after": "soon", "ratelimit": '"api";r=0;t=55'}, 55),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": ""}, None),
        ({"ratelimit": "nonsense"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_server_is_left_alone_for_as_long_as_it_asks(headers, seconds):
    assert retry_after_seconds(headers, NOW) == seconds


@no_deadline
@given(st.text(st.characters(max_codepoint=255)) | st.from_regex(r"[A-Z][a-z]{2}, \d+ (Jan|May) \d+ \d+:\d+:\d+ .*"))
def test_no_header_makes_us_stumble(text):
    for name in ("retry-after", "ratelimit"):
        seconds = retry_after_seconds({name: text}, NOW)
        assert seconds is None or seconds >= 0
