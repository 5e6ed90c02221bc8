"""The settings of fallback: weights, thresholds, who is asked and for how long. One definition each, as in `groups`."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from availability.settings.group import Group
from availability.settings.words import LowerCase, Seconds, Shown, Words

ApprovalDefault = Literal["decline", "accept"]


class FallbackSettings(Group):
    """What happens when a model cannot be had: what counts as an alternative, what comes first, who is asked."""

    compatibility_weight: float = Field(
        0.4, ge=0, le=1, description="Weight of the compatibility that the catalog declares."
    )
    capability_weight: float = Field(0.4, ge=0, le=1, description="Weight of the capabilities that both models have.")
    requirement_weight: Annotated[float, Shown(expected="0 to 1; not all three 0")] = Field(
        0.2, ge=0, le=1, description="Weight of the requirements that are met."
    )
    floor_score: Annotated[float, Shown(expected="0 to `offer_score`")] = Field(
        0.3, ge=0, description="Below this score nobody may suggest a model, own strategies included."
    )
    offer_score: Annotated[float, Shown(expected="`floor_score` to `prefer_score`")] = Field(
        0.6, description="From this score on, a model is offered as an alternative."
    )
    prefer_score: Annotated[float, Shown(expected="`offer_score` to 1")] = Field(
        0.7, le=1, description="From this score on, an alternative comes before a long wait."
    )
    fetch_first_minutes: Annotated[float, Shown(unit="min")] = Field(
        30, ge=0, description="A shorter wait for the model itself comes before every alternative."
    )
    accepted_licences: Words = Field(
        ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause"),
        description="Licences that any alternative may have, beside the wanted model's own.",
    )
    approval_minutes: Annotated[float, Shown(unit="min")] = Field(
        60, gt=0, le=10080, description="How long a form waits for an answer where the catalog says `ask`."
    )
    approval_default: Annotated[ApprovalDefault, LowerCase] = Field(
        "decline", description="What happens when nobody has answered by then."
    )
    answer_seconds: Seconds = Field(
        5, ge=1, le=60, description="How long a source may keep an answer to a request waiting."
    )
    max_waiting_requests: int = Field(
        100, ge=1, le=200, description="How many requests may wait at once for models that are being fetched."
    )

    @field_validator("requirement_weight")
    @classmethod
    def _some_weight(cls, weight: float, info: ValidationInfo) -> float:
        others = (info.data.get("compatibility_weight", 1.0), info.data.get("capability_weight", 1.0))
        if not weight and not any(others):
            raise ValueError("the other two weights are 0")
        return weight

    @field_validator("offer_score")
    @classmethod
    def _not_below_the_floor(cls, score: float, info: ValidationInfo) -> float:
        floor = info.data.get("floor_score", score)
        if score < floor:
            raise ValueError(f"floor_score is {floor:g}")
        return score

    @field_validator("prefer_score")
    @classmethod
    def _not_below_what_is_offered(cls, score: float, info: ValidationInfo) -> float:
        offered = info.data.get("offer_score", score)
        if score < offered:
            raise ValueError(f"offer_score is {offered:g}")
        return score
