"""The settings as data: what documents, forms, checks and error messages are made from.

Everything here is read back from `groups`; nothing is written twice, and no value is looked up.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from availability.settings.groups import PREFIX, Settings
from availability.settings.words import Shown

Kind = Literal["int", "float", "bool", "text"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One setting.

    Attributes:
        name: how an argument names it, such as `download.max_retries`.
        env_name: how the environment names it.
        group: `download`; empty at the top level.
        kind: `int`, `float`, `bool`, or `text` for what is read from words.
        bounds: the values it takes, without the unit.
        unit: of a number that has one; empty otherwise.
        default: the default as the variable would say it, or in words where it is computed.
        computed: the default depends on the machine.
        hidden: a wrong value is not repeated, because it may be a secret put in the wrong place.
        sentence: what it is for.
        minimum: the least value of a number, None when bounded otherwise.
        above: the value that a number must exceed, None when bounded otherwise.
        maximum: the greatest value of a number, None when it has none.
    """

    name: str
    env_name: str
    group: str
    kind: Kind
    bounds: str
    unit: str
    default: str
    computed: bool
    hidden: bool
    sentence: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None

    @property
    def bounds_and_unit(self) -> str:
        """The values it takes, for a table."""
        return f"{self.bounds} {self.unit}" if self.unit and self.bounds[-1].isdigit() else self.bounds

    @property
    def expected(self) -> str:
        """The values it takes, for an error."""
        article = {"int": "a whole number, ", "float": "a number, "}.get(self.kind, "")
        return article + self.bounds_and_unit


@dataclass(frozen=True, slots=True)
class EcosystemVariable:
    """A variable that is not ours and that is honoured."""

    env_name: str
    sentence: str


ECOSYSTEM = (
    EcosystemVariable("HF_TOKEN", "The token for private and gated models. It is never written anywhere."),
    EcosystemVariable("HF_ENDPOINT", "The hub, where `ENHANCED_MODEL_HUB_ENDPOINT` is not set."),
    EcosystemVariable("HF_HUB_CACHE", "The store, where `ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY` is not set."),
    EcosystemVariable("HF_HOME", "The client's home; the store is its folder `hub` where `HF_HUB_CACHE` is not set."),
    EcosystemVariable("HF_HUB_OFFLINE", "`1` forbids all use of the network."),
    EcosystemVariable("HTTP_PROXY", "The proxy for addresses that begin with `http:`."),
    EcosystemVariable("HTTPS_PROXY", "The proxy for addresses that begin with `https:`."),
    EcosystemVariable("NO_PROXY", "Hosts that are reached without a proxy, comma separated."),
)


@cache
def definitions() -> tuple[Definition, ...]:
    """Return every setting, the top level first, then group by group as written."""
    inside = groups()
    top = [_definition("", name, field) for name, field in Settings.model_fields.items() if name not in inside]
    grouped = [
        _definition(group, name, field) for group, model in inside.items() for name, field in model.model_fields.items()
    ]
    return (*top, *grouped)


def bounds_of(name: str) -> FieldInfo:
    """Return the bounds of a setting, such as `download.max_retries`, as the annotation of a form's field."""
    found = next(definition for definition in definitions() if definition.name == name)
    bounds: FieldInfo = Field(ge=found.minimum, gt=found.above, le=found.maximum)
    return bounds


def groups() -> dict[str, type[BaseModel]]:
    """Return the groups by name, as written."""
    annotations = ((name, field.annotation) for name, field in Settings.model_fields.items())
    return {name: kind for name, kind in annotations if isinstance(kind, type) and issubclass(kind, BaseModel)}


def shown(value: object) -> str:
    """Return a setting's value as its variable would say it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)


def _definition(group: str, field_name: str, field: FieldInfo) -> Definition:
    name = f"{group}.{field_name}" if group else field_name
    minimum, above, maximum = _limit(field, Ge, "ge"), _limit(field, Gt, "gt"), _limit(field, Le, "le")
    described = _said(field, "default")
    return Definition(
        name=name,
        env_name=PREFIX + name.replace(".", "_").upper(),
        group=group,
        kind=_kind(field.annotation),
        bounds=_said(field, "expected") or _bounds(field.annotation, minimum, above, maximum),
        unit=_said(field, "unit"),
        default=described or shown(field.default),
        computed=bool(described),
        hidden=bool(_said(field, "hidden")),
        sentence=field.description or "",
        minimum=minimum,
        above=above,
        maximum=maximum,
    )


def _said(field: FieldInfo, what: Literal["unit", "expected", "default", "hidden"]) -> str:
    words = (getattr(item, what) for item in field.metadata if isinstance(item, Shown))
    return next((word for word in words if word), "")


def _kind(annotation: object) -> Kind:
    kinds: dict[object, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(annotation, "text")


def _limit(field: FieldInfo, rule: type[Ge | Gt | Le], attribute: str) -> float | None:
    return next((getattr(item, attribute) for item in field.metadata if isinstance(item, rule)), None)


def _bounds(annotation: object, minimum: float | None, above: float | None, maximum: float | None) -> str:
    if annotation is bool:
        return "`true` or `false`"
    if get_origin(annotation) is Literal:
        *first, last = (f"`{choice}`" for choice in get_args(annotation))
        return f"{', '.join(first)} or {last}"
    if above is not None:
        return f"more than {shown(float(above))}"
    least = shown(float(minimum or 0))
    return f"at least {least}" if maximum is None else f"{least} to {shown(float(maximum))}"
