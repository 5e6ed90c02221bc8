"""One event: its fields with their bounds, its id, its line in the spool, its sentence.

The columns of the history are these fields and nothing else; `analytics.columns` reads them back as data. Checking one
event here costs microseconds; a batch is checked at the store's door (`analytics.schemas`).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from analytics.kinds import KINDS, STATUSES, Kind

SCHEMA_VERSION = 1
"""Of what this code writes; it goes up when a field changes its meaning, not when one is added."""

KIND_PATTERN = r"^[a-z][a-z_]{0,39}$"
ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

_NAMESPACE = UUID("5b0c2d5e-6f0b-4f0e-9b5f-2f6d6a1c7e11")
_FIELD = re.compile(r"\{(\w+)\}")
_MOST = 2**63 - 1


def _bytes(description: str) -> Any:
    return Field(None, ge=0, le=_MOST, description=description)


def _text(description: str) -> Any:
    return Field(None, max_length=1000, description=description)


class Event(BaseModel):
    """Something that happened to a model, as it will be kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    event_id: str = Field(
        default_factory=lambda: str(uuid4()),
        pattern=ID_PATTERN,
        description="One event has one id, however often it is sent.",
    )
    event_time: AwareDatetime = Field(
        default_factory=lambda: datetime.now(UTC), description="When it happened; kept in UTC."
    )
    kind: str = Field(pattern=KIND_PATTERN, description="What happened; see the kinds.")
    model_id: str | None = Field(None, min_length=1, max_length=300, description="The model, as `org/name`.")
    revision: str | None = _text("The revision that was asked for, such as `main`.")
    commit_hash: str | None = _text("The commit it pointed to.")
    store: str | None = _text("Which store, where there are several.")
    run_id: str | None = _text("The run that recorded it.")
    host: str | None = _text("The machine that recorded it.")
    user_hash: str | None = _text("The salted hash of the user who acted or asked.")
    actor: str | None = _text("Who ordered or approved it, where a name must be answerable; never for uses.")
    success: bool | None = Field(None, description="Whether it worked.")
    seconds: float | None = Field(None, ge=0, le=1e9, description="How long it took.")
    attempts: int | None = Field(None, ge=0, le=1_000_000, description="How often it was tried, the last included.")
    source: str | None = _text("Where bytes came from or went to.")
    bytes_needed: int | None = _bytes("The bytes that were wanted.")
    bytes_fetched: int | None = _bytes("The bytes that were transferred for it.")
    bytes_freed: int | None = _bytes("The bytes that were given back.")
    size_bytes: int | None = _bytes("The size of the model, or of what is concerned.")
    error_kind: str | None = _text("The kind of failure or of defect, one word.")
    action: str | None = _text("What was decided, ordered or done, one word.")
    status: str | None = Field(None, description="The observed status: " + ", ".join(STATUSES) + ".")
    pinned: bool | None = Field(None, description="Whether clean-up must leave it alone.")
    target: float | None = Field(None, ge=0, le=1, description="The share of time it should be available.")
    score: float | None = Field(None, ge=0, le=1, description="Health, compatibility or confidence, 0 to 1.")
    decision_id: str | None = _text("What ties an outcome to its decision.")
    substitute: str | None = _text("The model that stands in.")
    details: dict[str, JsonValue] | None = Field(None, description="Anything else, as JSON.")
    schema_version: int = Field(SCHEMA_VERSION, ge=1, le=32767, description="Of the writer.")

    @field_validator("status")
    @classmethod
    def _one_of_five(cls, status: str | None) -> str | None:
        if status is not None and status not in STATUSES:
            raise ValueError(f"expected one of {', '.join(STATUSES)}")
        return status

    @model_validator(mode="after")
    def _complete(self) -> Self:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"there is no kind {self.kind!r}")
        absent = [name for name in kind.required if getattr(self, name) is None]
        if absent:
            raise ValueError(f"an event of kind {self.kind!r} needs {', '.join(absent)}")
        return self

    @property
    def row(self) -> Kind:
        """The line of the table of kinds."""
        return KINDS[self.kind]

    @property
    def is_kept(self) -> bool:
        """Whether it is history; what is not is only announced."""
        return self.row.kept

    def line(self) -> bytes:
        """Return the event as the spool keeps it."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"

    def payload(self) -> dict[str, Any]:
        """Return the event as Prefect's event stream carries it."""
        return self.model_dump(mode="json", exclude_none=True)

    def sentence(self) -> str:
        """Return what happened, for people."""
        return sentence(self.kind, self.model_dump())


def sentence(kind: str, fields: Mapping[str, Any]) -> str:
    """Return what an event says; what it does not carry shows as `?`."""
    row = KINDS.get(kind)
    if row is None:
        return f"{kind}: {fields.get('model_id') or '?'}"
    words = row.failure if fields.get("success") is False and row.failure else row.sentence
    return _FIELD.sub(lambda found: _shown(found[1], fields.get(found[1])), words)


def event_id(
    flow_run_id: str | None, task_run_id: str | None, run_count: int | None, kind: str, sequence: int | str = 0
) -> str:
    """Return an event's id, the same for a resend and another for a real second attempt.

    Args:
        flow_run_id: the flow run, None outside of one.
        task_run_id: the task run, None outside of one.
        run_count: which attempt of that run it is.
        kind: of the event.
        sequence: what tells events of one kind and attempt apart, such as a number or the model.
    """
    if flow_run_id is None and task_run_id is None:
        return str(uuid4())
    name = "\x1f".join(str(part) for part in (flow_run_id, task_run_id, run_count, kind, sequence))
    return str(uuid5(_NAMESPACE, name))


def content_id(content: str) -> str:
    """Return the id of an event that is known by its content alone, such as a line of a foreign log."""
    return str(uuid5(_NAMESPACE, content))


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:,.3g}" if name == "seconds" else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
