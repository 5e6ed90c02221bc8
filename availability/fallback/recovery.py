"""What is done about each kind of failure: one table, in words for people, with bounds on attempts and time.

The road itself repeats, resumes and refetches while it is under way; what is listed here as automatic beyond that is
another attempt later. A person's part is named as such, because nobody else can do it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypedDict

from availability.errors import (
    AccessDeniedError,
    DownloadCancelledError,
    DownloadFailedError,
    DownloadIntegrityError,
    DownloadPausedError,
    EnhancedModelAvailabilityError,
    FeatureOffError,
    FileNotServedError,
    GatedModelError,
    IncompleteModelError,
    InsufficientStorageError,
    ModelNotFoundError,
    NoRunsError,
    NothingSelectedError,
    OfflineError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceRefusedError,
    StorageError,
    TransientError,
    UnsafeModelError,
    UnverifiableError,
    UsageError,
)


class FailureKind(StrEnum):
    """Why a model cannot be had, as far as it decides what to do."""

    NETWORK = auto()
    RATE_LIMITED = auto()
    PARTIAL = auto()
    CORRUPT = auto()
    DISK_FULL = auto()
    GATED = auto()
    ACCESS_DENIED = auto()
    VANISHED = auto()
    NOT_FOUND = auto()
    REFUSED = auto()
    OFFLINE = auto()
    UNVERIFIABLE = auto()
    STORAGE = auto()
    SWITCHED_OFF = auto()
    CANCELLED = auto()
    UNFORESEEN = auto()


class RecoveryStep(StrEnum):
    """One thing that is done about a failure; its value is the name, `sentence` the words."""

    BACK_OFF = auto()
    OTHER_SOURCE = auto()
    RESUME = auto()
    REFETCH_RANGE = auto()
    RETRY_LATER = auto()
    PROPOSE_CLEAN_UP = auto()
    KEEP_LAST_COPY = auto()
    ASK_FOR_ACCESS = auto()
    CORRECT_NAME = auto()
    CHANGE_POLICY = auto()
    GO_ONLINE = auto()
    LOOK_AT_DISK = auto()
    SWITCH_ON = auto()
    READ_LOG = auto()

    @property
    def sentence(self) -> str:
        """What is done, in words."""
        return _SENTENCES[self]


_SENTENCES: Mapping[RecoveryStep, str] = {
    RecoveryStep.BACK_OFF: "It is tried again after growing pauses, as often as max_retries says.",
    RecoveryStep.OTHER_SOURCE: "Every configured source is asked for the same bytes.",
    RecoveryStep.RESUME: "What has arrived is kept, and the next attempt goes on from there.",
    RecoveryStep.REFETCH_RANGE: "Only the ranges that are wrong are fetched again.",
    RecoveryStep.RETRY_LATER: "It is tried again later.",
    RecoveryStep.PROPOSE_CLEAN_UP: "Make room: delete what the advice names, or enlarge the disk; then ask again.",
    RecoveryStep.KEEP_LAST_COPY: "The copy that is here is the last one: it is protected from clean-up.",
    RecoveryStep.ASK_FOR_ACCESS: "Accept the publisher's conditions, and give a token that may read it (HF_TOKEN).",
    RecoveryStep.CORRECT_NAME: "Correct the id: org/name[@revision], or an alias of the catalog.",
    RecoveryStep.CHANGE_POLICY: "Change what was asked for, or the policy that refuses it, if you trust the model.",
    RecoveryStep.GO_ONLINE: "Let the network be used: unset HF_HUB_OFFLINE.",
    RecoveryStep.LOOK_AT_DISK: "See to the disk: it cannot be read or written.",
    RecoveryStep.SWITCH_ON: "Switch on what is switched off (ENHANCED_MODEL_FEATURES_*), or start what does not run.",
    RecoveryStep.READ_LOG: "Read the run's log, and report what it says.",
}


class RecoveryRecord(TypedDict):
    """A `Recovery` as plain data; the steps as sentences, in order."""

    failure_kind: str
    steps: list[str]
    retry_after_seconds: float | None
    max_attempts: int
    within_seconds: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is done about one kind of failure.

    Attributes:
        kind: which.
        steps: in order.
        retry_after_seconds: when it is tried again by itself, after each failed attempt; None: it is not.
        max_attempts: how many such attempts there are at most; 0 where there are none.
        within_seconds: no attempt is begun later than so long after the first failure.
    """

    kind: FailureKind
    steps: tuple[RecoveryStep, ...]
    retry_after_seconds: float | None = None
    max_attempts: int = 0
    within_seconds: float = 0.0

    def may_retry(self, attempts: int, seconds_since_first: float) -> bool:
        """Say whether another attempt is within the bounds.

        Args:
            attempts: how many were made after the first failure.
            seconds_since_first: how long ago that was.
        """
        after = self.retry_after_seconds
        return after is not None and attempts < self.max_attempts and seconds_since_first + after <= self.within_seconds

    def as_dict(self) -> RecoveryRecord:
        """Return it as plain data."""
        return RecoveryRecord(
            failure_kind=self.kind.value,
            steps=[step.sentence for step in self.steps],
            retry_after_seconds=self.retry_after_seconds,
            max_attempts=self.max_attempts,
            within_seconds=self.within_seconds,
        )


_MINUTE, _HOUR = 60.0, 3600.0

_BACK_OFF, _SOURCE, _RESUME = RecoveryStep.BACK_OFF, RecoveryStep.OTHER_SOURCE, RecoveryStep.RESUME
_LATER = RecoveryStep.RETRY_LATER

_TABLE = (
    Recovery(FailureKind.NETWORK, (_BACK_OFF, _SOURCE, _RESUME, _LATER), 5 * _MINUTE, 6, 24 * _HOUR),
    Recovery(FailureKind.RATE_LIMITED, (_BACK_OFF, _SOURCE, _RESUME, _LATER), 15 * _MINUTE, 6, 24 * _HOUR),
    Recovery(FailureKind.PARTIAL, (_SOURCE, _RESUME, _LATER), 5 * _MINUTE, 6, 24 * _HOUR),
    Recovery(FailureKind.CORRUPT, (RecoveryStep.REFETCH_RANGE, _SOURCE, _LATER), 30 * _MINUTE, 3, 24 * _HOUR),
    Recovery(FailureKind.DISK_FULL, (RecoveryStep.PROPOSE_CLEAN_UP, _RESUME, _LATER), 60 * _MINUTE, 3, 24 * _HOUR),
    Recovery(FailureKind.GATED, (_SOURCE, RecoveryStep.ASK_FOR_ACCESS)),
    Recovery(FailureKind.ACCESS_DENIED, (_SOURCE, RecoveryStep.ASK_FOR_ACCESS)),
    Recovery(FailureKind.VANISHED, (RecoveryStep.KEEP_LAST_COPY, _SOURCE)),
    Recovery(FailureKind.NOT_FOUND, (_SOURCE, RecoveryStep.CORRECT_NAME)),
    Recovery(FailureKind.REFUSED, (RecoveryStep.CHANGE_POLICY,)),
    Recovery(FailureKind.OFFLINE, (RecoveryStep.GO_ONLINE,)),
    Recovery(FailureKind.UNVERIFIABLE, (_SOURCE, RecoveryStep.GO_ONLINE)),
    Recovery(FailureKind.STORAGE, (RecoveryStep.LOOK_AT_DISK,)),
    Recovery(FailureKind.SWITCHED_OFF, (RecoveryStep.SWITCH_ON,)),
    Recovery(FailureKind.CANCELLED, (_RESUME,)),
    Recovery(FailureKind.UNFORESEEN, (RecoveryStep.READ_LOG,)),
)

RECOVERIES: Mapping[FailureKind, Recovery] = {recovery.kind: recovery for recovery in _TABLE}
"""What is done about each kind of failure."""

# The first class that fits decides, so the narrower stand before the wider.
_KINDS: tuple[tuple[type[EnhancedModelAvailabilityError], FailureKind], ...] = (
    (RateLimitedError, FailureKind.RATE_LIMITED),
    (DownloadIntegrityError, FailureKind.CORRUPT),
    (FileNotServedError, FailureKind.PARTIAL),
    (IncompleteModelError, FailureKind.PARTIAL),
    (TransientError, FailureKind.NETWORK),
    (DownloadFailedError, FailureKind.NETWORK),
    (InsufficientStorageError, FailureKind.DISK_FULL),
    (GatedModelError, FailureKind.GATED),
    (AccessDeniedError, FailureKind.ACCESS_DENIED),
    (ModelNotFoundError, FailureKind.NOT_FOUND),
    (RevisionNotFoundError, FailureKind.NOT_FOUND),
    (UnsafeModelError, FailureKind.REFUSED),
    (SourceRefusedError, FailureKind.REFUSED),
    (NothingSelectedError, FailureKind.REFUSED),
    (UsageError, FailureKind.NOT_FOUND),
    (OfflineError, FailureKind.OFFLINE),
    (UnverifiableError, FailureKind.UNVERIFIABLE),
    (StorageError, FailureKind.STORAGE),
    (FeatureOffError, FailureKind.SWITCHED_OFF),
    (NoRunsError, FailureKind.SWITCHED_OFF),
    (DownloadCancelledError, FailureKind.CANCELLED),
    (DownloadPausedError, FailureKind.CANCELLED),
)


def failure_kind(
    error: EnhancedModelAvailabilityError, *, is_here: bool = False, has_begun: bool = False
) -> FailureKind:
    """Return the kind of a failure.

    Args:
        error: what ended the road.
        is_here: whether a version of the model is in the store; what no source knows any more has then vanished.
        has_begun: whether some of its bytes have arrived.
    """
    if isinstance(error, DownloadFailedError) and error.cause is not None:
        error = error.cause
    kind = next((kind for of, kind in _KINDS if isinstance(error, of)), FailureKind.UNFORESEEN)
    if kind is FailureKind.NOT_FOUND and is_here:
        return FailureKind.VANISHED
    return FailureKind.PARTIAL if kind is FailureKind.NETWORK and has_begun else kind
