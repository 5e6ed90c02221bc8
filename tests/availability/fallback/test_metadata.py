"""The law of published facts: what the files say, and nothing that they do not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.fallback.facts import ModelFacts
from availability.fallback.metadata import published_facts
from availability.model import FileRecord
from tests.builders import no_deadline


def facts(**contents):
    """The facts of a model of these files; `__` stands for a dot."""
    files = {name.replace("__", "."): content for name, content in contents.items()}
    return published_facts(
        [FileRecord(name, len(content), "") for name, content in files.items()], lambda file: files[file.path]
    )


def card(text):
    return facts(README__md=f"---\n{text}\n---\n# A model\n".encode())


def config(**said):
    return facts(config__json=json.dumps(said).encode())


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("license: Apache-2.0", "apache-2.0"),
        ("license: other\nlicense_name: Club-1.0", "club-1.0"),
        ("license: other", "other"),
        ("license: [mit]", "mit"),
        ("license: [mit, apache-2.0]", None),
        ("license: ''", None),
        ("license: 7", None),
        ("language: en", None),
    ],
)
def test_the_licence_is_the_cards(text, licence):
    assert card(text).licence == licence


@pytest.mark.parametrize(
    ("text", "capabilities"),
    [
        ("language: en", {"language:en"}),
        ("language: [en, DE]", {"language:en", "language:de"}),
        ("language: [en, 7]", {"language:en"}),
        ("license: mit", None),
    ],
)
def test_languages_are_capabilities_and_none_said_is_none_known(text, capabilities):
    assert card(text).capabilities == capabilities


def test_the_task_is_the_cards():
    assert card("pipeline_tag: text-generation").task == "text-generation"
    assert card("tags: [text-generation]").task is None


@pytest.mark.parametrize(
    "content",
    [
        b"# No front matter",
        b"---\nlicense: mit\n",
        b"---\n- license\n---\n",
        b"---\n: : :\n---\n",
        b"---\nmade: 2024-99-99\n---\n",
        b"\xff\xfe---\nlicense: mit\n---",
        b"",
    ],
)
def test_a_card_that_cannot_be_understood_says_nothing(content):
    assert (facts(README__md=content).licence, facts(README__md=content).task) == (None, None)


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 8192}}, 8192),
        ({"max_position_embeddings": 2048, "text_config": {"max_position_embeddings": 8192}}, 2048),
        ({"max_position_embeddings": "4096"}, None),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": -1}, None),
        ({"hidden_size": 4096}, None),
    ],
)
def test_the_context_length_is_the_configurations(said, length):
    assert config(**said).context_length == length


def test_a_chat_template_makes_a_chat_model_wherever_it_lies():
    assert facts(tokenizer_config__json=b'{"chat_template": "x"}').capabilities == {"chat"}
    assert facts(chat_template__jinja=b"x").capabilities == {"chat"}
    assert facts(tokenizer_config__json=b"{}").capabilities is None


def test_formats_and_size_are_the_listings():
    known = facts(model__safetensors=b"12345", model__onnx=b"1", README__md=b"")
    assert (known.formats, known.size_bytes) == ({"safetensors", "onnx"}, 6)
    assert facts(README__md=b"x").formats is None
    assert published_facts([], lambda _: None) == ModelFacts()


def test_a_file_that_is_too_large_to_be_what_it_is_called_is_not_read():
    huge = [FileRecord("config.json", 5 * 2**20, "")]
    assert published_facts(huge, lambda _: pytest.fail("it was read")).context_length is None


@no_deadline
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_the_files_hold_nothing_is_raised(readme, configuration, tokenizer):
    facts(README__md=b"---\n" + readme + b"\n---\n", config__json=configuration, tokenizer_config__json=tokenizer)
