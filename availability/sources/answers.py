"""What a server's refusal means: status and headers in, the error that says so out.

The codes are the Hub's own (`X-Error-Code`); servers that do not speak them are judged by the status alone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from availability.errors import (
    AccessDeniedError,
    EnhancedModelAvailabilityError,
    FileNotServedError,
    GatedModelError,
    ModelNotFoundError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from availability.model import ModelId
from availability.sources.request_budget import Headers, RequestBudget

_LOGIN_ADVICE = "Set HF_TOKEN to a token that may read the model (a Prefect Secret block can hold it for workers)."


def error_of(
    source: str,
    model: ModelId,
    status: int,
    headers: Mapping[str, str],
    *,
    path: str | None,
    authorized: bool,
    now: datetime,
) -> EnhancedModelAvailabilityError:
    """Return the error that an answer other than success stands for.

    Args:
        source: the source's name, for the sentence.
        model: the model that was asked for.
        status: HTTP status.
        headers: the answer's headers, in any case.
        path: the file that was asked for, None when it was the listing.
        authorized: whether a token was sent.
        now: the present, for a `Retry-After` that is a date.
    """
    told = {name.lower(): value for name, value in headers.items()}
    code, message = told.get("x-error-code", ""), told.get("x-error-message", "")
    what = f"{path} of {model}" if path else str(model)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status >= 500 and "retry-after" in told):
        wait = retry_after_seconds(told, now)
        asked = f" and asked to come back in {wait:.0f} s" if wait is not None else ""
        return RateLimitedError(f"{source} answered {status} for {what}{asked}", retry_after_seconds=wait)
    if status >= 500 or status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        said = f": {message}" if message else ""
        return SourceUnavailableError(f"{source} answered {status} for {what}{said}", kind="server_error")
    if code == "GatedRepo":
        return GatedModelError(
            f"{model} is gated: its publisher wants the conditions accepted first ({source} answered {status}).",
            advice=(f"Accept the conditions on the model's page at {source}, logged in.", _LOGIN_ADVICE),
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _denied(source, model, what, status, code, authorized=authorized)
    return _absent(source, model, what, status, told, is_file=path is not None)


def note_limits(budget: RequestBudget, status: int, headers: Headers) -> None:
    """Let a budget take note of what an answer says about requests."""
    is_refusal = status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500
    told = {name.lower(): value for name, value in headers.items()} if is_refusal else {}
    budget.told(status, headers, retry_after_seconds(told, datetime.now(UTC)) if is_refusal else None)


def _denied(
    source: str, model: ModelId, what: str, status: int, code: str, *, authorized: bool
) -> EnhancedModelAvailabilityError:
    if status == HTTPStatus.UNAUTHORIZED and (code == "RepoNotFound" or not authorized):
        # The Hub says 401 for a model that does not exist as well as for a private one, so as not to give it away.
        return ModelNotFoundError(
            str(model), reason=f"{source} answered 401, as it does for absent models and for private ones"
        )
    token = "the token it was sent" if authorized else "a request without a token"
    return AccessDeniedError(f"{source} refuses {what} to {token} (it answered {status}).", advice=(_LOGIN_ADVICE,))


def _absent(
    source: str, model: ModelId, what: str, status: int, told: Mapping[str, str], *, is_file: bool
) -> EnhancedModelAvailabilityError:
    code, message = told.get("x-error-code", ""), told.get("x-error-message", "")
    if code == "RevisionNotFound":
        return RevisionNotFoundError(model.repo_id, model.revision)
    if code == "RepoNotFound" or (status == HTTPStatus.NOT_FOUND and not is_file):
        return ModelNotFoundError(str(model), reason=f"{source} does not have it")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return FileNotServedError(f"{source} lists {what} but does not serve it (it answered {status}).")
    said = f": {message}" if message else ""
    return SourceRefusedError(f"{source} answered {status} for {what}{said}.")


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long a server asks to be left alone, None when it does not say.

    `Retry-After` is seconds or a date (RFC 9110, 10.2.3); `RateLimit` is the Hub's `"api";r=0;t=55`, read by
    huggingface_hub (draft-ietf-httpapi-ratelimit-headers).
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # noqa: PLC0415  half a second, only ever after a refusal

    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    if asked:
        try:
            moment = parsedate_to_datetime(asked)
        except (ValueError, OverflowError):
            moment = None
        if moment is not None:
            return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
