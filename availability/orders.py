"""What people want of downloads: orders that lie beside the downloads' records until they are carried out or lifted.

Nobody is called: a running download looks here twice a second, one that starts looks before it does anything, and so
an order outlives every process. Who gave it is part of it. One file for each kind, so that two people who order
different things at once do not undo each other's.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import inf
from pathlib import Path
from time import time
from typing import Any, assert_never
from uuid import uuid4

from availability.catalog import Priority
from availability.durable import write_atomically
from availability.model import ModelId


class OrderKind(StrEnum):
    """What can be ordered of a download."""

    PAUSE = "pause"
    """Neither this download nor a later one moves bytes, until the order is lifted."""
    CANCEL = "cancel"
    """The downloads that were there when it was given end for good."""
    PRIORITY = "priority"
    """How urgent it is, whatever was said when it was asked for."""
    LIMIT = "limit"
    """A speed limit for this download alone."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        kind: what is wanted.
        repo_id: of which model.
        revision: at which branch, tag or commit.
        by: who gave it: a user's name, or a flow run.
        at: when, seconds since the epoch.
        order_id: its id; an event that tells of it has the same one.
        value: a priority's word, or a limit in Mbit/s (0 is none); None for the kinds that have none.
        download_ids: with `CANCEL`, the downloads it is meant for.
    """

    kind: OrderKind
    repo_id: str
    revision: str
    by: str
    at: float
    order_id: str
    value: str | float | None = None
    download_ids: tuple[str, ...] = ()

    @property
    def model(self) -> ModelId:
        """The model and its revision."""
        return ModelId(self.repo_id, self.revision)


class Orders:
    """The orders of a store: `<root>/<model>.<kind>.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def give(
        self,
        kind: OrderKind,
        model: ModelId,
        *,
        by: str,
        value: str | float | None = None,
        download_ids: tuple[str, ...] = (),
    ) -> Order:
        """Give an order, in place of one of its kind that stands."""
        order = Order(kind, model.repo_id, model.revision, by, time(), str(uuid4()), value, download_ids)
        write_atomically(self._path(kind, model), json.dumps(asdict(order)).encode())
        return order

    def standing(self, kind: OrderKind, model: ModelId) -> Order | None:
        """Return the order of a kind that stands for a model, None when there is none."""
        return _read(self._path(kind, model))

    def cancelled(self, model: ModelId, download_id: str) -> Order | None:
        """Return the order to cancel this very download, None when nobody gave one."""
        order = self.standing(OrderKind.CANCEL, model)
        return order if order is not None and download_id in order.download_ids else None

    def all(self, kind: OrderKind) -> Iterator[Order]:
        """Yield every order of a kind that stands."""
        for path in sorted(self._root.glob(f"*.{kind}.json")):
            order = _read(path)
            if order is not None:
                yield order

    def lift(self, kind: OrderKind, model: ModelId) -> Order | None:
        """Take back what stands, and return it."""
        order = self.standing(kind, model)
        self._path(kind, model).unlink(missing_ok=True)
        return order

    def _path(self, kind: OrderKind, model: ModelId) -> Path:
        return self._root / f"{model.key}.{kind}.json"


def _read(path: Path) -> Order | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        kind, ids = OrderKind(content.pop("kind")), tuple(map(str, content.pop("download_ids")))
        return Order(kind=kind, download_ids=ids, value=_value(kind, content.pop("value")), **content)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _value(kind: OrderKind, value: object) -> str | float | None:
    match kind:
        case OrderKind.PRIORITY:
            return Priority(value).value
        case OrderKind.LIMIT:
            limit = float(str(value))
            if not 0 <= limit < inf:
                raise ValueError(value)
            return limit
        case OrderKind.PAUSE | OrderKind.CANCEL:
            return None
        case _:
            assert_never(kind)
