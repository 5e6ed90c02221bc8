"""The page of labelled requests, read: models, declared compatibilities, requests; and a decision asked for each."""

import re
from dataclasses import dataclass
from pathlib import Path

from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.decide import Situation, decide
from availability.fallback.estimate import UNKNOWN_WAIT, WaitEstimate
from availability.fallback.facts import GIGABYTE, ModelFacts
from availability.fallback.recovery import RECOVERIES, FailureKind
from availability.fallback.requirements import Requirements
from availability.fallback.strategies import FallbackContext, strategies_for
from availability.model import ModelId
from availability.settings import FallbackSettings, Settings

PAGE = Path(__file__).with_name("labelled_requests.md")
BLOCKED = ("spam/*",)
SETTINGS = FallbackSettings()
FAILED = {"gone": RECOVERIES[FailureKind.GATED], "down": RECOVERIES[FailureKind.NETWORK]}


def tables(text):
    """The rows of each table below its heading, without the head, the cells by the head's words."""
    found = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE):
        lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
        if lines:
            head = [cell.strip() for cell in lines[0]]
            found[part.partition("\n")[0]] = [
                dict(zip(head, (cell.strip() for cell in line), strict=True)) for line in lines[2:]
            ]
    return found


TABLES = tables(PAGE.read_text())
MODELS = {row["model"]: row for row in TABLES.pop("Models")}
DECLARED = {
    row["wanted"]: {name: float(score) for name, score in (pair.split() for pair in row["stand-ins"].split(","))}
    for row in TABLES.pop("Declared compatibilities")
}
ON_SHELF = [name for name, row in MODELS.items() if row["is"] != "wanted"]


def id_of(name):
    return ModelId(f"{'spam' if name.startswith('spam') else 'org'}/{name}")


def words(cell):
    return None if cell == "?" else frozenset() if cell == "none" else frozenset(cell.split())


def number(cell, unit=1):
    return None if cell == "?" else round(float(cell) * unit)


def facts_of(name):
    row = MODELS[name]
    return ModelFacts(
        task=None if row["task"] == "?" else row["task"],
        modality=None if row["modality"] == "?" else row["modality"],
        licence=None if row["licence"] == "?" else row["licence"],
        formats=words(row["format"]),
        size_bytes=number(row["size"], GIGABYTE),
        vram_bytes=number(row["VRAM"], GIGABYTE),
        context_length=number(row["context"]),
        capabilities=words(row["can"]),
        others=dict(pair.split("=") for pair in row["also"].split()),
    )


def minutes(cell):
    return UNKNOWN_WAIT if cell == "?" else WaitEstimate(float(cell) * 60, 0.8, "10.0 MB/s, as it is written")


def candidate_of(name):
    readiness, _, wait = MODELS[name]["is"].partition(" ")
    return Candidate(id_of(name), facts_of(name), Readiness(readiness), wait=minutes(wait or "?"))


def requirements_of(cell):
    asked = [re.fullmatch(r"(\w+)(<=|>=|=)(.+)", part).groups() for part in cell.split()]
    values = {name: [value for other, _, value in asked if other == name] for name, _, _ in asked}
    limits = {"vram": "max_vram_gb", "size": "max_size_gb"}
    plain = {"task", "modality"}
    fields = {limits[name]: float(value) for name, (value, *_) in values.items() if name in limits}
    fields |= {name: value for name, (value, *_) in values.items() if name in plain}
    if "context" in values:
        fields["min_context_length"] = int(values["context"][0])
    lists = {"licence": "licences", "format": "formats", "can": "capabilities"}
    fields |= {field: tuple(values[name]) for name, field in lists.items() if name in values}
    known = {*limits, *plain, *lists, "context"}
    return Requirements(**fields, attributes={name: value for name, (value, *_) in values.items() if name not in known})


@dataclass(frozen=True)
class Asked:
    """One request of the page."""

    section: str
    row: dict[str, str]

    @property
    def wanted(self):
        name = self.row["wanted"]
        declared = {str(id_of(other)): score for other, score in DECLARED.get(name, {}).items()}
        return Wanted(id_of(name), facts_of(name), requirements_of(self.row["asked for"]), declared)

    @property
    def shelf(self):
        named, _, but = self.row["on the shelf"].partition("every")
        names = named.split()
        if "every" in self.row["on the shelf"]:
            names = [name for name in ON_SHELF if name not in but.split()]
        return [candidate_of(name) for name in names]

    @property
    def situation(self):
        how, _, wait = self.row["how it stands"].partition(" ")
        return Situation(
            reason="It cannot be had.",
            substitution=self.row["policy"],
            is_running=how == "fetching",
            can_fetch=how in {"down", "missing"},
            wait=minutes(wait or "?"),
            recovery=FAILED.get(how),
        )

    def decide(self, shelf=None, strategies=None):
        if strategies is None:
            strategies = strategies_for(FallbackContext(Settings(), self.wanted)).items
        found = self.shelf if shelf is None else shelf
        return decide(self.wanted, self.situation, found, SETTINGS, strategies, blocked=BLOCKED)


REQUESTS = [Asked(section, row) for section, rows in TABLES.items() for row in rows]
