"""Every error a caller can meet, in two families: what can pass, and what is final.

An error says what happened, to which model, what was tried and what a person can do. Only `TransientError`
is worth another attempt (`availability.retry` asks for exactly that); everything else ends the road at once.
"""

from collections.abc import Sequence
from typing import Literal

from availability.error import EnhancedModelAvailabilityError as EnhancedModelAvailabilityError  # noqa: PLC0414

# --- wrong usage: nothing was started -------------------------------------------------------------------


class UsageError(EnhancedModelAvailabilityError):
    """What was asked for cannot be understood; nothing was started."""


class InvalidModelIdError(UsageError):
    """The text is not a model id of the form `org/name[@revision]`."""


class SettingsError(UsageError):
    """A setting is out of its bounds or cannot be read."""


class CatalogError(UsageError):
    """The catalog file cannot be read or breaks its schema."""


# --- what can pass: worth another attempt ---------------------------------------------------------------


class TransientError(EnhancedModelAvailabilityError):
    """It did not work this time; another attempt can."""


FailureKind = Literal[
    "unreachable", "stalled", "slow", "broken_off", "server_error", "malformed", "rate_limited", "unavailable"
]
"""How a source failed, as its record counts it; `unavailable` where nobody said more."""


class SourceUnavailableError(TransientError):
    """A source could not be reached, broke off or answered with a fault of its own.

    Attributes:
        kind: how it failed.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind = "unavailable",
        tried: Sequence[str] = (),
        advice: Sequence[str] = (),
    ) -> None:
        super().__init__(message, tried=tried, advice=advice)
        self.kind: FailureKind = kind


class RateLimitedError(SourceUnavailableError):
    """A source asked us to come back later.

    Attributes:
        retry_after_seconds: what it asked for, None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None,
        tried: Sequence[str] = (),
        advice: Sequence[str] = (),
    ) -> None:
        super().__init__(message, kind="rate_limited", tried=tried, advice=advice)
        self.retry_after_seconds = retry_after_seconds


class BudgetSpentError(RateLimitedError):
    """A source takes no more requests for a while, by what it told before; it was not asked, and refused nothing."""


class LeaseLostError(TransientError):
    """Another process took the model over because this one had not renewed its lease in time.

    It may be asked for again; whoever has lost it cannot go on.
    """


class DownloadIntegrityError(TransientError):
    """What arrived is not what the publisher's digest says; nothing of it was published.

    Attributes:
        path: the file, relative to the snapshot.
        expected: the publisher's digest.
        got: the digest of what arrived.
    """

    def __init__(self, message: str, *, path: str, expected: str, got: str) -> None:
        super().__init__(message)
        self.path = path
        self.expected = expected
        self.got = got


# --- what is final: the model, or what we may do with it ------------------------------------------------


class FinalError(EnhancedModelAvailabilityError):
    """Another attempt would end the same way."""


class ModelNotFoundError(FinalError):
    """No source knows the model.

    Attributes:
        model_id: the id as it was asked for.
        near: known ids that look like it.
        reason: what the source said; empty when none was asked.
    """

    def __init__(self, model_id: str, *, near: Sequence[str] = (), reason: str = "") -> None:
        near_text = f" Did you mean {', '.join(near)}?" if near else ""
        super().__init__(
            f"Model {model_id!r} was not found{': ' + reason if reason else ''}.{near_text}",
            advice=(
                "Check the spelling: an id is org/name[@revision], or an alias from the catalog.",
                "If the model is private or gated, set HF_TOKEN to a token that may read it.",
            ),
        )
        self.model_id = model_id
        self.near = tuple(near)
        self.reason = reason


class RevisionNotFoundError(FinalError):
    """The model exists, but not this revision of it."""

    def __init__(self, model_id: str, revision: str) -> None:
        super().__init__(
            f"{model_id} has no revision {revision!r}.",
            advice=("Ask for a branch, a tag or a commit of the model, or leave the revision out for main.",),
        )
        self.model_id = model_id
        self.revision = revision


class AccessDeniedError(FinalError):
    """The source knows the model and will not give it to us (401, 403)."""


class GatedModelError(AccessDeniedError):
    """The model's publisher wants its conditions accepted first."""


class FileNotServedError(FinalError):
    """A source lists a file and then does not have it."""


class SourceRefusedError(FinalError):
    """A source refused for a reason that no rule of ours knows."""


class UnsafeModelError(FinalError):
    """The supply-chain policy refuses the model; nothing of it was written.

    Attributes:
        reasons: one sentence for each thing refused.
    """

    def __init__(self, model_id: str, reasons: Sequence[str], *, advice: Sequence[str] = ()) -> None:
        shown = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
        super().__init__(f"{model_id} is refused: {shown}.", advice=advice)
        self.model_id = model_id
        self.reasons = tuple(reasons)


class NothingSelectedError(FinalError):
    """The include, exclude and variant patterns leave no file of the model."""


class OfflineError(FinalError):
    """The network is needed and switched off (`HF_HUB_OFFLINE`)."""


class UnverifiableError(FinalError):
    """The publisher's digest of some content is not known, so it cannot be proven right or wrong."""


class InsufficientStorageError(FinalError):
    """The plan does not fit on the disk or in the quota: stopped before the first byte, or when others had filled it.

    Attributes:
        needed_bytes: what the plan still writes.
        available_bytes: what it may use.
    """

    def __init__(self, message: str, *, needed_bytes: int, available_bytes: int, advice: Sequence[str] = ()) -> None:
        super().__init__(message, advice=advice)
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes


class StorageError(FinalError):
    """The store cannot be read or written: full, read-only, or not ours."""


class IncompleteModelError(FinalError):
    """A folder does not hold all of what the publisher lists, or holds something else under a listed name."""


class HealthCheckFailedError(FinalError):
    """A model could not be checked, so nothing is known of it; that is not the same as damage."""


class FeatureOffError(FinalError):
    """What was asked for is switched off in the settings; nothing was started."""


class NoRunsError(FinalError):
    """No Prefect run can be started: there is no server, or nothing is deployed there."""


class DownloadCancelledError(FinalError):
    """Somebody cancelled the download; cancelling is final and never retried."""


class DownloadPausedError(FinalError):
    """Somebody paused the download; it moves no byte until somebody lets it go on."""


class NoDownloadError(FinalError):
    """There is no download that the order could be meant for."""


class DownloadFailedError(FinalError):
    """The download was given up: every attempt and source is in `tried`.

    Attributes:
        model_id: the model.
        reason: the last cause.
        retry_count: how many retries there were after the first attempt.
        cause: the last error, None when it is not known.
    """

    def __init__(
        self,
        model_id: str,
        reason: str,
        retry_count: int,
        *,
        tried: Sequence[str] = (),
        advice: Sequence[str] = (),
        cause: EnhancedModelAvailabilityError | None = None,
    ) -> None:
        attempts = retry_count + 1
        super().__init__(
            f"{model_id} could not be downloaded after {attempts} attempt{'s' * (attempts != 1)}: {reason}",
            tried=tried,
            advice=advice,
        )
        self.model_id = model_id
        self.reason = reason
        self.retry_count = retry_count
        self.cause = cause
