"""What whoever asks for a model needs of one that stands in for it.

What is left out is not asked for, with three exceptions, because a stand-in that fails there is none: the task is the
wanted model's, its licence must be acceptable, and its format one that can be loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Wish = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is needed; None or empty asks for nothing.

    Attributes:
        task: what it must be for; None takes the wanted model's.
        modality: what it must read and write; None takes the wanted model's, where that is known.
        licences: one of them; none takes the wanted model's and those that the settings accept.
        formats: one of them; none takes the wanted model's.
        max_size_gb: the most its files may take.
        max_vram_gb: the most memory of the accelerator it may need.
        min_context_length: the least tokens of input.
        capabilities: what it should be able to do; each that is met counts for it.
        attributes: values that attributes of the catalog should have; each that is met counts for it.
    """

    task: str | None = None
    modality: str | None = None
    licences: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    max_size_gb: float | None = None
    max_vram_gb: float | None = None
    min_context_length: int | None = None
    capabilities: tuple[str, ...] = ()
    attributes: Mapping[str, Wish] = field(default_factory=dict, hash=False)

    def over(self, below: "Requirements") -> "Requirements":
        """Return these requirements, with those of another where these ask for nothing."""
        return Requirements(
            task=self.task or below.task,
            modality=self.modality or below.modality,
            licences=self.licences or below.licences,
            formats=self.formats or below.formats,
            max_size_gb=below.max_size_gb if self.max_size_gb is None else self.max_size_gb,
            max_vram_gb=below.max_vram_gb if self.max_vram_gb is None else self.max_vram_gb,
            min_context_length=self.min_context_length or below.min_context_length,
            capabilities=self.capabilities or below.capabilities,
            attributes={**below.attributes, **self.attributes},
        )


NOTHING_REQUIRED = Requirements()
