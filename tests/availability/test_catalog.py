"""The law of the catalog: what is written is checked, and a name means one model or none."""

import pickle

import pytest

from availability.catalog import Catalog, Priority, load_catalog
from availability.errors import CatalogError, InvalidModelIdError, ModelNotFoundError
from availability.fallback.facts import facts_of_entry
from availability.fallback.requirements import Requirements
from availability.model import ModelId


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "catalog.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def catalog(write):
    return load_catalog(
        write(
            """
version: 1
defaults: {priority: high, substitution: ask, attributes: {licence: mit, task: chat}}
models:
  - {id: org/low, priority: low}
  - id: Qwen/Qwen3-0.6B
    revision: v1
    aliases: [chat, small]
    include: ["*.json"]
    exclude: ["onnx/*"]
    variant: fp16
    pinned: true
    target: 99.9
    substitution: auto
    attributes:
      licence: apache-2.0
      context_length: 32768
      languages: [de, en]
      compatible_with: {org/low: 0.5}
  - {id: org/urgent@v2, priority: critical, aliases: [urgent]}
  - {id: gpt2, priority: normal}
  - {id: org/many@v1}
  - {id: org/many@v2}
"""
        )
    )


# --- reading --------------------------------------------------------------------------------------------


def test_every_key_of_an_entry_is_read(catalog):
    entry = catalog.entry(ModelId("Qwen/Qwen3-0.6B", "v1"))
    assert (entry.aliases, entry.include, entry.exclude) == (("chat", "small"), ("*.json",), ("onnx/*",))
    assert (entry.variant, entry.pinned, entry.target, entry.substitution) == ("fp16", True, 99.9, "auto")
    assert entry.compatible_with == {"org/low": 0.5}
    assert entry.attributes["languages"] == ("de", "en")


def test_an_entry_wins_over_the_defaults_attribute_by_attribute(catalog):
    entry = catalog.entry(ModelId("Qwen/Qwen3-0.6B", "v1"))
    assert (entry.priority, entry.attributes["licence"], entry.attributes["task"]) == (
        Priority.HIGH,
        "apache-2.0",
        "chat",
    )


def test_what_fallback_compares_and_needs_is_typed_and_laid_over_the_defaults(write):
    path = write(
        """
version: 1
defaults: {requirements: {max_vram_gb: 24, licences: [mit]}, attributes: {format: safetensors}}
models:
  - id: org/one
    attributes: {format: [gguf, safetensors], size_gb: 1.5, capabilities: [chat], speed: fast}
    requirements: {max_vram_gb: 8, attributes: {speed: fast}}
  - id: org/two
"""
    )
    one, two = load_catalog(path)
    facts = facts_of_entry(one)
    assert (facts.formats, facts.size_bytes, facts.capabilities) == ({"gguf", "safetensors"}, 1_500_000_000, {"chat"})
    assert facts.others == {"speed": "fast"}
    assert one.requirements == Requirements(licences=("mit",), max_vram_gb=8, attributes={"speed": "fast"})
    assert (facts_of_entry(two).formats, two.requirements.max_vram_gb) == ({"safetensors"}, 24)
    assert facts_of_entry(two).task is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("requirements: {max_vram_gb: 0}", "`requirements.max_vram_gb`: expected greater than 0, got 0"),
        ("requirements: {vram: 8}", "`requirements.vram` is not a key"),
        ("requirements: {licences: mit}", "`requirements.licences`"),
        ("attributes: {format: 7}", "`attributes.format"),
        ("attributes: {size_gb: -1}", "`attributes.size_gb`"),
        ("attributes: {capabilities: chat}", "`attributes.capabilities`"),
        ("attributes: {compatible_with: {org/two: 1.1}}", "`attributes.compatible_with.org/two`"),
    ],
)
def test_what_fallback_cannot_compare_is_told_with_its_line(write, said, told):
    path = write(f"version: 1\nmodels:\n  - id: org/one\n    {said}\n")
    with pytest.raises(CatalogError) as error:
        load_catalog(path)
    assert told in error.value.message
    assert ":4: org/one: " in error.value.message


def test_the_most_urgent_come_first_and_the_rest_as_written(catalog):
    assert [str(entry.model) for entry in catalog] == [
        "org/urgent@v2",
        "Qwen/Qwen3-0.6B@v1",
        "org/many@v1",
        "org/many@v2",
        "gpt2",
        "org/low",
    ]


def test_priorities_sort_by_urgency_and_not_by_their_word():
    assert sorted(Priority, key=lambda priority: priority) == list(Priority)
    assert [priority.value for priority in sorted(Priority)] == ["critical", "high", "normal", "low"]
    assert Priority.CRITICAL < Priority.LOW
    assert Priority.LOW >= Priority.NORMAL


def test_a_catalog_travels_to_other_processes(catalog):
    assert pickle.loads(pickle.dumps(catalog)) == catalog
    assert hash(next(iter(catalog))) == hash(next(iter(catalog)))


def test_a_missing_file_is_an_error_unless_nobody_asked_for_it(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(CatalogError, match=r"none\.yaml is not there"):
        load_catalog(path)
    assert len(load_catalog(path, required=False)) == 0


# --- errors ---------------------------------------------------------------------------------------------

MODELS = "version: 1\nmodels:\n"
BAD = [
    ("", 1, "the file is empty"),
    ("version: 1\nmodels: ]\n", 2, "not YAML"),
    ("version: 1\nmodels: !!python/name:os.system\n", 2, "not YAML"),
    ("? [a]\n: 1\n", 1, "not YAML"),
    ("- a\n", 1, "expected a mapping"),
    ("models: []\n", 1, "`version` is missing"),
    ("version: 2\n", 1, "`version`: expected 1, got 2"),
    ("version: 1\nmodls: []\n", 2, "`modls` is not a key. Did you mean `models`?"),
    ("version: 1\nmodels: {a: 1}\n", 2, "`models`: expected a list"),
    (MODELS + "- org/name\n", 3, "expected a mapping, got 'org/name'"),
    ("version: 1\ndefaults: {id: a/b}\n", 2, "defaults: `id` is not a key"),
    ("version: 1\ndefaults:\n  priority: urgent\n", 3, "expected 'critical', 'high', 'normal' or 'low', got 'urgent'"),
    (MODELS + "- aliases: [a]\n", 3, "models[0]: `id` is missing"),
    (MODELS + "- id: a/b\n  priorty: high\n", 4, "a/b: `priorty` is not a key. Did you mean `priority`?"),
    (MODELS + "- id: a b\n", 3, "'a b' is not a model id"),
    (MODELS + "- id: a/b\n  revision: 1.0\n", 4, "`revision`: expected a text, got 1.0. Put it in quotes."),
    (MODELS + "- id: a/b\n  revision: a..b\n", 3, "is not the name of a branch, a tag or a commit"),
    (MODELS + "- id: a/b@v1\n  revision: v2\n", 3, "the revision is said twice"),
    (MODELS + "- id: a/b\n  aliases:\n  - x\n  - y/z\n", 6, "an alias is letters, digits"),
    (MODELS + "- id: a/b\n  include: '*.json'\n", 4, "`include`: expected a list"),
    (MODELS + "- id: a/b\n  target: 0\n", 4, "`target`: expected greater than 0, got 0"),
    (MODELS + "- id: a/b\n  target: 100.1\n", 4, "`target`: expected less than or equal to 100"),
    (MODELS + "- id: a/b\n  pinned: sometimes\n", 4, "`pinned`: expected a boolean"),
    (MODELS + "- id: a/b\n  substitution: maybe\n", 4, "expected 'never', 'ask' or 'auto'"),
    (MODELS + "- id: a/b\n  attributes:\n    vram_gb: -1\n", 5, "`attributes.vram_gb`: expected greater than or equal"),
    (MODELS + "- id: a/b\n  attributes:\n    since: 2024-01-01\n", 5, "`attributes.since`: expected a text, a number"),
    (MODELS + "- id: a/b\n  attributes: {compatible_with: {c/d: 1.5}}\n", 4, "less than or equal to 1, got 1.5"),
    (MODELS + "- id: a/b\n  attributes: {compatible_with: {'c d': 1}}\n", 4, "'c d' is not a model id"),
    (MODELS + "- id: a/b\n  pinned: true\n  pinned: false\n", 5, "`pinned` stands twice"),
    (MODELS + "- id: a/b\n- id: a/b@main\n", 4, "a/b stands twice"),
    (MODELS + "- id: a/b\n- id: A/b\n", 4, "A/b and a/b differ only in case"),
    (MODELS + "- {id: a/b, aliases: [x]}\n- {id: c/d, aliases: [x]}\n", 4, "the alias `x` is already used by a/b"),
    (MODELS + "- {id: a/b, aliases: [GPT2]}\n- id: gpt2\n", 3, "the alias `GPT2` is the id of another model, gpt2"),
]


@pytest.mark.parametrize(("text", "line", "said"), BAD, ids=[said[:40] for _, _, said in BAD])
def test_an_error_tells_the_file_the_line_and_what_is_wrong(write, text, line, said):
    path = write(text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert said in caught.value.message


def test_all_errors_are_told_at_once_in_the_order_of_the_file(write):
    path = write(MODELS + "- id: a b\n- {id: a/b, priorty: 1, target: 200}\n- {}\n")
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    lines = [part.split(":")[1] for part in caught.value.message.split("\n- ")[1:]]
    assert lines == ["3", "4", "4", "5"]


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "catalog.yaml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "catalog.yaml", tmp_path):
        with pytest.raises(CatalogError, match="cannot be read"):
            load_catalog(path, required=False)


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("chat", ModelId("Qwen/Qwen3-0.6B", "v1")),
        (" chat ", ModelId("Qwen/Qwen3-0.6B", "v1")),
        ("chat@v9", ModelId("Qwen/Qwen3-0.6B", "v9")),
        ("Qwen/Qwen3-0.6B", ModelId("Qwen/Qwen3-0.6B", "v1")),
        ("Qwen/Qwen3-0.6B@main", ModelId("Qwen/Qwen3-0.6B", "main")),
        ("org/many", ModelId("org/many", "main")),
        ("org/many@v2", ModelId("org/many", "v2")),
        ("gpt2", ModelId("gpt2", "main")),
        ("bert-base", ModelId("bert-base", "main")),
        ("new/model", ModelId("new/model", "main")),
        ("new/model@v3", ModelId("new/model", "v3")),
        ("QWEN/disk", ModelId("QWEN/disk", "main")),
    ],
)
def test_a_name_means_one_model(catalog, text, model):
    assert catalog.resolve(text, known=["bert-base", "QWEN/disk"]) == model


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("chatt", "chat"),
        ("Chat", "chat"),
        ("Qwen3-0.6", "Qwen/Qwen3-0.6B"),
        ("bert-bas", "bert-base"),
        ("qwen/qwen3-0.6b", "Qwen/Qwen3-0.6B"),
        ("GPT2", "gpt2"),
        ("GPT2@v1", "gpt2"),
    ],
)
def test_an_unknown_name_is_refused_with_the_near_ones(catalog, text, near):
    with pytest.raises(ModelNotFoundError) as caught:
        catalog.resolve(text, known=["bert-base"])
    assert near in caught.value.near
    assert near in caught.value.message


def test_a_bare_name_near_nothing_is_refused_too():
    with pytest.raises(ModelNotFoundError) as caught:
        Catalog().resolve("chat")
    assert caught.value.near == ()


@pytest.mark.parametrize("text", ["", "a b", "chat@", "chat@a..b", "a/b/c"])
def test_what_can_be_no_id_is_refused(catalog, text):
    with pytest.raises(InvalidModelIdError):
        catalog.resolve(text)


def test_only_the_catalogued_revision_has_an_entry(catalog):
    assert catalog.entry(ModelId("Qwen/Qwen3-0.6B", "v1")) is not None
    assert catalog.entry(ModelId("Qwen/Qwen3-0.6B")) is None


def test_where_it_is_and_how_much_it_names_is_said(tmp_path):
    path = tmp_path / "catalog.yaml"
    assert load_catalog(path, required=False).described() == f"There is no catalog at {path}"
    path.write_text("version: 1\nmodels: []\n")
    assert load_catalog(path).described() == f"The catalog {path} names no models"
    path.write_text("version: 1\nmodels: [{id: org/a}, {id: org/b}]\n")
    assert load_catalog(path).described() == f"The catalog {path} names 2 models"
