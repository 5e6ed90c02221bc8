"""Extension points: what other packages may add without a change here.

An extension is a name, a factory and its own validated settings. It comes by a call or decorator, or by an entry point
of an installed package, and the built-in ones come by the same way. What an extension does is for the room to say that
asks for it; here they are only found, ordered and made. A broken one is told as a problem and costs nobody the others.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from availability.errors import UsageError

if TYPE_CHECKING:
    from availability.actions import Action, ActionContext
    from availability.checkers.base import HealthChecker, HealthContext
    from availability.fallback.strategies import FallbackContext, FallbackStrategy
    from availability.sources.context import Made as MadeSources
    from availability.sources.context import SourceContext

Context = TypeVar("Context")
Item = TypeVar("Item")
Made = TypeVar("Made", bound=Callable[..., Any])

_ENTRY_POINTS = "enhanced_model_availability"
_COMMON = frozenset({"enabled", "priority"})


class ExtensionSettings(BaseModel):
    """The settings of an extension; one that has none takes this as it is. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Common(BaseModel):
    """What can be said of every extension."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    enabled: bool
    priority: int


@dataclass(frozen=True, slots=True)
class Extension(Generic[Context, Item]):
    """One thing that was registered.

    Attributes:
        name: its name among those of its kind.
        make: given the context and the settings, returns the item.
        priority: higher comes first; equal ones by name.
        enabled: whether it is used when nobody says otherwise.
        settings: what its configuration is validated with.
        conditions: what must hold for it to be used, each `name:value`; what they are about, the room says that asks.
    """

    name: str
    make: Callable[[Context, Any], Item]
    priority: int = 0
    enabled: bool = True
    settings: type[BaseModel] = ExtensionSettings
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an extension is not used: its name, and a sentence."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Chosen(Generic[Item]):
    """What is used, in its order and by name, and what could not be."""

    items: Mapping[str, Item] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Registry(Generic[Context, Item]):
    """One extension point."""

    def __init__(self, kind: str, group: str, *, built_in: Sequence[str] = ()) -> None:
        """Make an extension point.

        Args:
            kind: what is registered here, for sentences.
            group: the last part of its entry-point group.
            built_in: modules of ours that register something when they are imported.
        """
        self._kind = kind
        self.group = f"{_ENTRY_POINTS}.{group}"
        self._built_in = tuple(built_in)
        self._extensions: dict[str, Extension[Context, Item]] = {}
        self._problems: list[Problem] = []
        self._is_loaded = False
        self._lock = RLock()

    def register(
        self,
        name: str,
        *,
        priority: int = 0,
        enabled: bool = True,
        settings: type[BaseModel] = ExtensionSettings,
        conditions: tuple[str, ...] = (),
    ) -> Callable[[Made], Made]:
        """Return a decorator that registers a class or a function of (context, settings) under a name.

        Args:
            name: its name.
            priority: higher comes first.
            enabled: whether it is used when nobody says otherwise.
            settings: what its configuration is validated with.
            conditions: what must hold for it to be used, each `name:value`.
        """

        def decorate(make: Made) -> Made:
            self.add(Extension(name, make, priority, enabled, settings, conditions))
            return make

        return decorate

    def add(self, extension: Extension[Context, Item]) -> None:
        """Register an extension.

        Raises:
            UsageError: another one has its name, or a condition is not `name:value`.
        """
        odd = [condition for condition in extension.conditions if not all(condition.partition(":")[::2])]
        if odd:
            raise UsageError(
                f"The condition {odd[0]!r} of the {self._kind} {extension.name!r} is none.",
                advice=("Write name:value, such as model_type:custom.",),
            )
        with self._lock:
            if extension.name in self._extensions:
                raise UsageError(
                    f"There are two of the name {extension.name!r} among the {self._kind}s.",
                    advice=("Give one of them another name, or remove the first before you add the second.",),
                )
            self._extensions[extension.name] = extension

    def remove(self, name: str) -> None:
        """Take an extension out again, such as a built-in one that another is to replace."""
        self.load()
        with self._lock:
            self._extensions.pop(name, None)

    def load(self) -> None:
        """Import the built-in ones, then what installed packages name; once in a process."""
        with self._lock:
            if self._is_loaded:
                return
            self._is_loaded = True
            for module in self._built_in:
                importlib.import_module(module)
            for entry_point in sorted(entry_points(group=self.group), key=lambda found: (found.name, found.value)):
                self._load(entry_point)

    def names(self) -> tuple[str, ...]:
        """Return the names of all that are registered, in their order."""
        self.load()
        return tuple(extension.name for extension in sorted(self._extensions.values(), key=_order))

    def choose(
        self,
        context: Context,
        configuration: Mapping[str, Mapping[str, object]] | None = None,
        *,
        holds: Callable[[str], bool] = lambda _: False,
    ) -> Chosen[Item]:
        """Make the items that are enabled, the one of the highest priority first.

        Args:
            context: handed to each.
            configuration: by name, the settings of an extension, and `enabled` and `priority`.
            holds: says of a condition whether it holds.
        """
        self.load()
        configuration = configuration or {}
        unknown = [
            Problem(name, f"There is no {self._kind} {name!r}; there are {', '.join(self.names())}.")
            for name in sorted(configuration.keys() - self._extensions.keys())
        ]
        problems = [*self._problems, *unknown]
        ready: list[tuple[Extension[Context, Item], BaseModel]] = []
        for extension in self._extensions.values():
            try:
                ready.append(_configured(extension, configuration.get(extension.name, {})))
            except ValidationError as error:
                problems.append(Problem(extension.name, f"Its configuration cannot be used: {_words(error)}."))
        items: dict[str, Item] = {}
        for extension, settings in sorted(ready, key=lambda pair: _order(pair[0])):
            if extension.enabled and all(map(holds, extension.conditions)):
                try:
                    items[extension.name] = extension.make(context, settings)
                except Exception as error:  # noqa: BLE001  code of others; one broken extension must not cost the rest
                    problems.append(Problem(extension.name, f"It could not be made: {_told(error)}."))
        return Chosen(items, tuple(problems))

    def make(self, name: str, context: Context, said: Mapping[str, object]) -> Item:
        """Make the one item of a name, whether it is enabled or not.

        Args:
            name: its name.
            context: handed to it.
            said: its settings.

        Raises:
            UsageError: there is none of this name, or the settings are not its.
        """
        self.load()
        extension = self._extensions.get(name)
        if extension is None:
            told = f"there are {', '.join(self.names())}" if self._extensions else "there is none at all"
            problems = tuple(f"{problem.name}: {problem.sentence}" for problem in self._problems)
            raise UsageError(f"There is no {self._kind} {name!r}; {told}.", tried=problems)
        try:
            settings = extension.settings.model_validate(said)
        except ValidationError as error:
            raise UsageError(f"The {self._kind} {name!r} cannot take its parameters: {_words(error)}.") from None
        return extension.make(context, settings)

    def _load(self, entry_point: EntryPoint) -> None:
        before = set(self._extensions)
        try:
            loaded = entry_point.load()
            # What was not decorated is registered under the name the package gave it.
            if callable(loaded) and set(self._extensions) == before and not self._has(loaded):
                self.add(Extension(entry_point.name, loaded))
        except Exception as error:  # noqa: BLE001  whatever another package does when it is imported
            sentence = f"The entry point {entry_point.value} cannot be loaded: {_told(error)}."
            self._problems.append(Problem(entry_point.name, sentence))

    def _has(self, make: object) -> bool:
        return any(extension.make is make for extension in self._extensions.values())


def _order(extension: Extension[Any, Any]) -> tuple[int, str]:
    return -extension.priority, extension.name


def _configured(
    extension: Extension[Context, Item], said: Mapping[str, object]
) -> tuple[Extension[Context, Item], BaseModel]:
    own = {name: value for name, value in said.items() if name not in _COMMON}
    settings = extension.settings.model_validate(own)
    common = _Common.model_validate({"enabled": extension.enabled, "priority": extension.priority} | _common(said))
    return replace(extension, priority=common.priority, enabled=common.enabled), settings


def _common(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if name in _COMMON}


def _words(error: ValidationError) -> str:
    told = (f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors(include_url=False))
    return "; ".join(told)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")


health_checkers: "Registry[HealthContext, HealthChecker]" = Registry(
    "health checker",
    "health_checkers",
    built_in=(
        "availability.checkers.integrity",
        "availability.checkers.format",
        "availability.checkers.storage",
        "availability.checkers.performance",
    ),
)
"""Judges of one aspect of a model's health; see `availability.checkers.base`."""

fallback_strategies: "Registry[FallbackContext, FallbackStrategy]" = Registry(
    "fallback strategy", "fallback_strategies", built_in=("availability.fallback.strategies",)
)
"""Who suggests another model when the wanted one cannot be had; see `availability.fallback.strategies`."""

actions: "Registry[ActionContext, Action]" = Registry("action", "actions")
"""Actions of one's own that a flow can run; see `availability.actions`."""

sources: "Registry[SourceContext, MadeSources]" = Registry(
    "source",
    "sources",
    built_in=("availability.sources.providers",),
)
"""Where bytes come from; see `availability.sources.base` and `availability.sources.context`."""
