"""The law of ids: what the client takes for one we take for one, and a name on the disk means one model."""

from pathlib import PurePosixPath

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st

from availability.errors import InvalidModelIdError
from availability.model import FileRecord, ModelId, is_commit, parse_model_id
from tests.builders import no_deadline

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MISPLACED = ["", "..", "../x", "a/../b", "a..b", "a//b", "/a", "a/", "a.", ".a", "a/.b", "a/./b", "-x"]
STRANGE = ["a b", "a\nb", "a@b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a\0b", "é", "a%2Fb"]

id_like = st.text(alphabet="aZ9-_./é\n ", max_size=12)
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
ids = st.builds("{}/{}".format, names, names)
revisions = st.text(alphabet="aZ9-_./+%~^: \n", min_size=1, max_size=12)


def client_accepts(text):
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def we_accept(text):
    try:
        parse_model_id(text)
    except InvalidModelIdError:
        return False
    return True


@no_deadline
@given(id_like | ids | st.text())
@example("a" * 96 + "/" + "b" * 96)
@example("a" * 97 + "/b")
@example("a/" + "b" * 97)
@example("a/b.git")
@example("a.git/b")
@example("a--b/c")
@example("a/b..c")
@example("a-/b")
@example("_a_/_b_")
@example("org/naïve")
@example("a/b/c")
@example("datasets/a/b")
def test_an_id_is_one_exactly_when_the_client_takes_it_for_one(text):
    if "@" not in text and text == text.strip():
        assert we_accept(text) == client_accepts(text)


@pytest.mark.parametrize(
    "revision",
    ["main", "v1.0", "1.0+cpu", "refs/pr/1", "feature/new-head", "a_b", COMMIT, COMMIT[:7], "v" * 200],
)
def test_a_branch_a_tag_or_a_commit_is_a_revision(revision):
    assert parse_model_id(f"org/name@{revision}") == ModelId("org/name", revision)


@pytest.mark.parametrize("revision", [*MISPLACED, *STRANGE, "v" * 201])
def test_what_git_refuses_as_a_name_is_no_revision(revision):
    assert not we_accept(f"org/name@{revision}")


@no_deadline
@given(revisions)
def test_an_accepted_revision_stays_in_the_folder_of_references_and_is_one_file_there(revision):
    if we_accept(f"org/name@{revision}"):
        model = parse_model_id(f"org/name@{revision}")
        path = PurePosixPath(model.revision)
        assert not path.is_absolute()
        assert "/".join(path.parts) == model.revision
        assert not {".", ".."} & {*path.parts}


@given(ids, revisions)
def test_an_id_reads_back_from_the_text_it_shows(repo_id, revision):
    if we_accept(f"{repo_id}@{revision}"):
        model = parse_model_id(f"{repo_id}@{revision}")
        assert parse_model_id(str(model)) == model


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("org/name", ModelId("org/name", "main")),
        ("  org/name@v1\n", ModelId("org/name", "v1")),
        ("gpt2", ModelId("gpt2", "main")),
        ("org/name@main", ModelId("org/name")),
    ],
)
def test_an_id_is_normalised(text, model):
    assert parse_model_id(text) == model


def test_main_is_not_shown():
    assert str(ModelId("org/name")) == "org/name"
    assert str(ModelId("org/name", "v1")) == "org/name@v1"


@pytest.mark.parametrize(
    "text", ["", "org/", "/name", "org/name@", "@main", "org//name", "../etc", "org/name/file", "a b"]
)
def test_a_refusal_quotes_the_text_and_shows_how_to_write_it(text):
    with pytest.raises(InvalidModelIdError) as caught:
        parse_model_id(text)
    assert repr(text) in caught.value.message
    assert "org/name@revision" in caught.value.advice[0]


def test_the_folder_is_the_one_of_the_client():
    assert ModelId("org/name", "v1").folder == "models--org--name"
    assert ModelId("gpt2").folder == "models--gpt2"


@given(ids, ids, revisions, revisions)
@example("a/b", "a/b", "x/y", "x-y")
@example("a/b", "a/b", "x/y", "x_y")
def test_two_models_never_share_a_key(first_id, second_id, first_revision, second_revision):
    first, second = ModelId(first_id, first_revision), ModelId(second_id, second_revision)
    if all(we_accept(f"{model.repo_id}@{model.revision}") for model in (first, second)):
        assert (first.key == second.key) == (first == second)


@pytest.mark.parametrize("revision", ["main", "refs/pr/1", "v" * 200, "a/" * 99 + "bb"])
def test_a_key_is_a_file_name_with_room_for_an_ending_and_a_temporary_twin(revision):
    model = parse_model_id(f"{'o' * 96}/{'n' * 96}@{revision}")
    assert "/" not in model.key
    assert len(f".{model.key}.download.json.01234567.tmp") <= 255


def test_long_keys_differ_where_their_models_do():
    models = [ModelId(f"{'o' * 96}/{'n' * 96}", "v" * 150 + last) for last in "abc"]
    assert len({model.key for model in models}) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COMMIT, True),
        (COMMIT.upper(), False),
        (COMMIT[:-1], False),
        (COMMIT + "0", False),
        (COMMIT + "\n", False),
        ("main", False),
    ],
)
def test_only_forty_lower_case_hexadecimal_digits_are_a_commit(text, expected):
    assert is_commit(text) is expected


def test_a_large_file_is_known_by_its_sha256_and_a_small_one_by_its_git_blob_id():
    large, small = FileRecord("a", 1, "b" * 40, "c" * 64), FileRecord("a", 1, "b" * 40)
    assert (large.digest, large.digest_kind) == ("c" * 64, "sha256")
    assert (small.digest, small.digest_kind) == ("b" * 40, "git-sha1")
