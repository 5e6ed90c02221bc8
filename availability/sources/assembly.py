"""Which sources a model has, in which order: made from settings, catalog and registry, each source once.

A source that cannot be made is a problem that is told, and costs nobody the others.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

from availability.catalog import Catalog
from availability.errors import SettingsError
from availability.model import ModelId
from availability.registry import Chosen, Problem, sources
from availability.settings import Settings
from availability.sources.base import Source
from availability.sources.context import Made, SourceContext, Wanted, secret_of
from availability.sources.member import Member
from availability.sources.providers import HUB
from availability.sources.standings import Standings

LOG = logging.getLogger(__name__)


class Assembly:
    """Makes the members of chains; safe to call from any thread."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        standings: Standings,
        *,
        token: str | None = None,
        secret: Callable[[str], str] = secret_of,
    ) -> None:
        """Prepare to make sources.

        Raises:
            SettingsError: the file of their configuration cannot be used.
        """
        self._settings = settings
        self._catalog = catalog
        self._standings = standings
        self._token = token
        self._secret = secret
        self._configuration = read_configuration(settings.sources.configuration)
        self._made: dict[str, Member] = {}
        self._chains: dict[Wanted, tuple[Member, ...]] = {}
        self._lock = Lock()
        self.problems: dict[str, Problem] = {}

    def members(self, model: ModelId | None = None) -> Sequence[Member]:
        """Return the sources of a model, the preferred one first; those of all that say nothing else for None."""
        wanted = self._wanted(model)
        chain = self._chains.get(wanted)
        if chain is None:
            with self._lock:
                chain = self._chains.get(wanted) or self._assemble(wanted)
                self._chains[wanted] = chain
        return chain

    def _wanted(self, model: ModelId | None) -> Wanted:
        said = self._settings.sources
        entry = self._catalog.entry(model) if model is not None else None
        own = entry.sources if entry is not None else None
        if own is None:
            return Wanted(said.mirrors, said.peers, said.replicas, said.order)
        return Wanted(
            said.mirrors if own.mirrors is None else own.mirrors,
            said.peers if own.peers is None else own.peers,
            said.replicas if own.replicas is None else own.replicas,
            said.order if own.order is None else own.order,
        )

    def _assemble(self, wanted: Wanted) -> tuple[Member, ...]:
        context = SourceContext(
            self._settings, self._settings.storage.models_directory, wanted, self._token, self._secret
        )
        chosen: Chosen[Made] = sources.choose(context, self._configuration)
        for problem in chosen.problems:
            self._tell(problem)
        members: dict[str, Member] = {}
        for kind in _in_order(wanted.order, [*chosen.items]):
            for source in _each(chosen.items[kind]):
                if self._is_allowed(kind, source):
                    members.setdefault(source.name, self._member(source, kind))
        return tuple(members.values())

    def _member(self, source: Source, kind: str) -> Member:
        if source.name not in self._made:
            account = self._standings.account(source.name)
            self._made[source.name] = Member(source, kind, account, is_trusted=kind == HUB)
        return self._made[source.name]

    def _is_allowed(self, kind: str, source: Source) -> bool:
        endpoint, allowed = getattr(source, "endpoint", None), self._settings.admission.allowed_sources
        if kind == HUB or endpoint is None or "*" in allowed or endpoint in allowed:
            return True
        why = f"{endpoint} is not among ENHANCED_MODEL_ADMISSION_ALLOWED_SOURCES, so it is not asked."
        self._tell(Problem(source.name, why))
        return False

    def _tell(self, problem: Problem) -> None:
        if self.problems.get(problem.name) != problem:
            self.problems[problem.name] = problem
            LOG.warning("The source %s is not used. %s", problem.name, problem.sentence)


def read_configuration(path: Path | None) -> Mapping[str, Mapping[str, object]]:
    """Return the settings of registered sources by name, out of a YAML file.

    Raises:
        SettingsError: it cannot be read, or is not a mapping of names to mappings.
    """
    if path is None:
        return {}
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unusable(path, str(error)) from None
    content = {} if content is None else content
    if not isinstance(content, dict) or not all(isinstance(said, dict) for said in content.values()):
        raise _unusable(path, "expected a mapping of the names of sources to their settings")
    return {str(name): said for name, said in content.items()}


def _unusable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"The configuration of sources {path} cannot be used: {why}.",
        advice=("Correct it, or unset ENHANCED_MODEL_SOURCES_CONFIGURATION; docs/sources.md shows one.",),
    )


def _in_order(order: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return the kinds that are there: those that are ordered, then the others, but a hub that is last stays last."""
    first = [name for name in order if name in there]
    last = [first.pop()] if first and first[-1] == HUB else []
    return [*dict.fromkeys([*first, *(name for name in there if name not in last), *last])]


def _each(made: Made) -> Sequence[Source]:
    return made if isinstance(made, Sequence) else (made,)
