"""Requirements as people write them, in the catalog and in forms: checked at the door, frozen values behind it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from availability.fallback.requirements import Requirements

_Text = Annotated[str, Field(min_length=1)]


class RequirementsForm(BaseModel):
    """What is needed of a model that stands in for another; what is left empty is not asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: _Text | None = Field(None, description="What it must be for; empty: the same as the wanted model.")
    modality: _Text | None = Field(
        None, description="What it must read and write; empty: the same as the wanted model, where that is known."
    )
    licences: tuple[_Text, ...] = Field(
        (), description="One of these; empty: the wanted model's own, and those that the settings accept."
    )
    formats: tuple[_Text, ...] = Field((), description="One of these, such as safetensors; empty: the wanted model's.")
    max_size_gb: Annotated[float, Field(gt=0)] | None = Field(None, description="The most its files may take, in GB.")
    max_vram_gb: Annotated[float, Field(gt=0)] | None = Field(
        None, description="The most memory of the accelerator it may need, in GB."
    )
    min_context_length: Annotated[int, Field(ge=1)] | None = Field(None, description="The least tokens of input.")
    capabilities: tuple[_Text, ...] = Field((), description="What it should be able to do; each counts for it.")
    attributes: dict[_Text, str | int | float | bool] = Field(
        default_factory=dict, description="Values that its attributes in the catalog should have; each counts for it."
    )

    def value(self) -> Requirements:
        """Return the requirements as a frozen value."""
        return Requirements(**self.model_dump())
