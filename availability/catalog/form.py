"""What an entry of the catalog file may look like: pydantic at the door, frozen values behind it.

Only shapes and ranges; what one entry says about another (a name used twice) is judged in `file`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from availability.catalog.entries import (
    AttributeValue,
    CatalogEntry,
    EntrySources,
    Priority,
    Scalar,
    Substitution,
)
from availability.errors import InvalidModelIdError
from availability.fallback.form import RequirementsForm
from availability.model import DEFAULT_REVISION, ModelId, parse_model_id
from availability.settings.words import Endpoints, Replicas, SourceNames

_ALIAS = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"


def _model_id(text: str) -> str:
    try:
        return str(parse_model_id(text))
    except InvalidModelIdError as error:
        raise ValueError(error.message) from error


def _alias(text: str) -> str:
    if not re.fullmatch(_ALIAS, text):
        raise ValueError("an alias is letters, digits, '-', '_' and '.', with no '/' or '@'")
    return text


def _attribute(value: object) -> AttributeValue:
    if isinstance(value, Scalar):
        return value
    if isinstance(value, list) and all(isinstance(item, Scalar) for item in value):
        return tuple(value)
    raise ValueError("expected a text, a number, true or false, or a list of them")


_Attribute = Annotated[object, AfterValidator(_attribute)]
_Id = Annotated[str, AfterValidator(_model_id)]
_Alias = Annotated[str, AfterValidator(_alias)]
_Text = Annotated[str, Field(min_length=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AttributesForm(_Form):
    """What fallback compares. The known ones are typed; others may be added, as scalars or lists of them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Attribute]

    task: _Text | None = None
    modality: _Text | None = None
    licence: _Text | None = None
    format: _Text | tuple[_Text, ...] | None = None
    size_gb: Annotated[float, Field(ge=0)] | None = None
    capabilities: tuple[_Text, ...] | None = None
    parameters: Annotated[float, Field(gt=0)] | None = None
    context_length: Annotated[int, Field(ge=1)] | None = None
    vram_gb: Annotated[float, Field(ge=0)] | None = None
    compatible_with: dict[_Id, _Share] | None = None


class SourcesForm(_Form):
    """Where a model's bytes come from; what is left out is as the settings say."""

    mirrors: Endpoints | None = None
    peers: Endpoints | None = None
    replicas: Replicas | None = None
    order: SourceNames | None = None


class DefaultsForm(_Form):
    """What holds for every entry that does not say otherwise."""

    priority: Priority = Priority.NORMAL
    include: tuple[_Text, ...] = ()
    exclude: tuple[_Text, ...] = ()
    variant: _Text | None = None
    pinned: bool = False
    target: Annotated[float, Field(gt=0, le=100)] | None = None
    substitution: Substitution = "never"
    attributes: AttributesForm = Field(default_factory=AttributesForm)
    requirements: RequirementsForm = Field(default_factory=RequirementsForm)
    sources: SourcesForm | None = None


class EntryForm(DefaultsForm):
    """One model."""

    id: _Id
    revision: _Text | None = None
    aliases: tuple[_Alias, ...] = ()

    @model_validator(mode="after")
    def _one_revision(self) -> "EntryForm":
        if self.revision is not None:
            if parse_model_id(self.id).revision != DEFAULT_REVISION:
                raise ValueError("the revision is said twice, in `id` and in `revision`")
            _model_id(f"{self.id}@{self.revision}")
        return self

    def entry(self) -> CatalogEntry:
        """Return the entry as a frozen value."""
        model = parse_model_id(self.id)
        fields: dict[str, Any] = {name: getattr(self, name) for name in DefaultsForm.model_fields}
        fields["attributes"] = self.attributes.model_dump(exclude_none=True)
        fields["requirements"] = self.requirements.value()
        fields["sources"] = EntrySources(**self.sources.model_dump()) if self.sources else None
        return CatalogEntry(
            model=ModelId(model.repo_id, self.revision or model.revision), aliases=self.aliases, **fields
        )


class HeadForm(_Form):
    """The top of the file; its parts are judged one by one."""

    version: Literal[1]
    defaults: dict[str, Any] = Field(default_factory=dict)
    models: list[dict[str, Any]] = Field(default_factory=list)
