"""The law of orders: what one gives stands for everybody until it is lifted, and reaches whom it is meant for."""

import json

import pytest

from availability.model import ModelId
from availability.orders import OrderKind, Orders

MODEL, BRANCH = ModelId("org/tiny"), ModelId("org/tiny", "feature/x")
KINDS = {OrderKind.PAUSE: None, OrderKind.CANCEL: None, OrderKind.PRIORITY: "high", OrderKind.LIMIT: 2.5}

kinds = pytest.mark.parametrize(("kind", "value"), KINDS.items(), ids=str)


@pytest.fixture
def orders(tmp_path):
    return Orders(tmp_path / "controls")


@kinds
def test_an_order_stands_for_its_model_and_kind_until_it_is_lifted(orders, kind, value):
    given = orders.give(kind, BRANCH, by="ann", value=value, download_ids=("a", "b"))
    assert orders.standing(kind, BRANCH) == given
    assert (given.by, given.value, given.model, given.download_ids) == ("ann", value, BRANCH, ("a", "b"))
    assert orders.standing(kind, MODEL) is None
    assert {other: orders.standing(other, BRANCH) for other in KINDS if other is not kind} == {
        other: None for other in KINDS if other is not kind
    }
    assert [*orders.all(kind)] == [given]
    assert orders.lift(kind, BRANCH) == given
    assert orders.lift(kind, BRANCH) is None
    assert orders.standing(kind, BRANCH) is None


def test_a_cancel_reaches_the_downloads_it_was_meant_for_and_no_later_one(orders):
    given = orders.give(OrderKind.CANCEL, MODEL, by="ann", download_ids=("id-1",))
    assert orders.cancelled(MODEL, "id-1") == given
    assert orders.cancelled(MODEL, "id-2") is None
    assert orders.cancelled(BRANCH, "id-1") is None


@kinds
@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b"7", b"\xff", b'{"kind": "pause", "download_ids": []}'], ids=repr
)
def test_a_damaged_order_is_none(orders, tmp_path, kind, value, content):
    orders.give(kind, MODEL, by="ann", value=value)
    (path,) = (tmp_path / "controls").iterdir()
    path.write_bytes(content)
    assert orders.standing(kind, MODEL) is None
    assert [*orders.all(kind)] == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (OrderKind.PRIORITY, "urgent"),
        (OrderKind.PRIORITY, None),
        (OrderKind.LIMIT, "fast"),
        (OrderKind.LIMIT, -1),
        (OrderKind.LIMIT, "nan"),
    ],
    ids=str,
)
def test_a_value_that_is_none_makes_no_order(orders, tmp_path, kind, value):
    orders.give(kind, MODEL, by="ann", value=KINDS[kind])
    (path,) = (tmp_path / "controls").iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "value": value}))
    assert orders.standing(kind, MODEL) is None
