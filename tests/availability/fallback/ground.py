"""An installation with a catalog of models that can stand in for each other, and the hub that has them."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from availability import ensure_models, open_workspace
from availability.catalog import Catalog, load_catalog
from availability.desk import Desk
from availability.errors import NoRunsError
from availability.model import ModelId
from availability.runner import Started
from deployments.sample import write_model
from service.faults import FaultyHub
from tests.builders import flipped

WANTED, TWIN, FAR, ODD = (ModelId(f"org/{name}") for name in ("wanted", "twin", "far", "odd"))
KIB = 1024

CARD = b"---\nlicense: apache-2.0\npipeline_tag: text-generation\nlanguage: [en, de]\n---\n# A model\n"
FILES = {
    "README.md": CARD,
    "config.json": b'{"model_type": "llama", "max_position_embeddings": 4096}',
    "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
}
CHAT = {
    "task": "text-generation",
    "modality": "text",
    "licence": "apache-2.0",
    "format": "safetensors",
    "capabilities": ["chat", "language:en", "language:de"],
}


def publish(store: Path, *, weights_bytes: int = 300 * KIB) -> None:
    """Write the models that the hub has; `odd` has none of the attributes in the catalog, and says them itself."""
    for seed, model in enumerate((WANTED, TWIN, FAR, ODD)):
        write_model(store, model.repo_id, {**FILES, "model.safetensors": weights_bytes}, seed=seed)


@dataclass
class Recorder:
    """A runner that keeps a list: the first to ask for a run begins it.

    Attributes:
        asked: every run that was asked for: what, of which model, how many seconds later.
        queue_reason: why nothing will run, None when it will.
        refuses: whether no run can be started at all.
    """

    asked: list[tuple[str, ModelId, float]] = field(default_factory=list)
    queue_reason: str | None = None
    refuses: bool = False

    def download(self, model, _priority, *, after_seconds=0.0):
        return self._start("download", model, after_seconds)

    def repair(self, model):
        return self._start("repair", model, 0.0)

    def current(self, model):
        found = [what for what, asked, _ in self.asked if asked == model]
        return Started(f"{found[0]}-{model.repo_id}", False) if found else None

    def _start(self, what, model, after_seconds):
        if self.refuses:
            raise NoRunsError("There is no server.")
        is_new = not any(asked[:2] == (what, model) for asked in self.asked)
        if is_new:
            self.asked.append((what, model, after_seconds))
        return Started(f"{what}-{model.repo_id}", is_new, self.queue_reason, 1 if self.queue_reason else None)


@dataclass
class Ground:
    """One installation."""

    root: Path
    hub: FaultyHub
    runner: Recorder = field(default_factory=Recorder)

    def catalog(self, substitution: str = "auto", **more: object) -> Catalog:
        entries = [
            {
                "id": WANTED.repo_id,
                "substitution": substitution,
                "attributes": {**CHAT, "compatible_with": {TWIN.repo_id: 0.9, FAR.repo_id: 0.8}},
                **more,
            },
            {"id": TWIN.repo_id, "attributes": CHAT},
            {"id": FAR.repo_id, "attributes": CHAT},
        ]
        path = self.root / "catalog.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "models": entries}))
        return load_catalog(path)

    def workspace(self, **settings: object):
        said = {name.replace("__", "."): value for name, value in settings.items()}
        return open_workspace(
            {
                "storage.models_directory": self.root / "store",
                "storage.cache_directory": self.root / "state",
                "storage.min_free_gb": 0,
                "download.max_retries": 0,
                "hub.endpoint": self.hub.url,
                "catalog": self.root / "catalog.yaml",
                **said,
            }
        )

    def desk(self, substitution: str = "auto", *, entry: dict[str, object] | None = None, **settings: object) -> Desk:
        catalog = self.catalog(substitution, **(entry or {}))
        return Desk(self.workspace(**settings), catalog, self.runner)

    def ensure(self, *models: ModelId) -> None:
        if not (self.root / "catalog.yaml").exists():
            self.catalog()
        outcomes = ensure_models([str(model) for model in models], workspace=self.workspace())
        assert [outcome.error for outcome in outcomes] == [None] * len(models)
        self.hub.reset_counters()

    def damage(self, model: ModelId) -> Path:
        """Turn one byte over, and have it found; return the blob."""
        blob = next((self.root / "store" / model.folder / "snapshots").glob("*/model.safetensors")).resolve()
        self._turn(model, blob, is_intact=False)
        return blob

    def mend(self, model: ModelId, blob: Path) -> None:
        """Turn the byte back, and have it found."""
        self._turn(model, blob, is_intact=True)

    def _turn(self, model: ModelId, blob: Path, *, is_intact: bool) -> None:
        blob.write_bytes(flipped(blob.read_bytes(), 5))
        from availability import check  # noqa: PLC0415  the function, whose room has the same name

        assert [outcome.is_intact for outcome in check([str(model)], workspace=self.workspace())] == [is_intact]
