"""YAML with its line numbers: the document as data, and where in the file each part of it stands.

A key that stands twice in one mapping is an error here, because YAML readers keep the last one in silence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where PyYAML was built with libyaml


@dataclass(frozen=True)
class Document:
    """One YAML document."""

    root: Node

    def data(self) -> Any:
        """Return the document as plain data."""
        return SafeConstructor().construct_document(self.root)

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line, from 1, of the deepest part of a path that the document has."""
        node, mark = self.root, self.root.start_mark
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            place, node = found
            mark = place.start_mark
        return int(mark.line) + 1

    def repeated_keys(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the key of every key that its mapping already has."""
        nodes, seen = [self.root], set[int]()
        while nodes:
            node = nodes.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, SequenceNode):
                nodes += node.value
            elif isinstance(node, MappingNode):
                nodes += [value for _, value in node.value]
                yield from _repeated(node)


def read_document(text: str) -> Document | None:
    """Parse a text; None when it holds no document.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    root = yaml.compose(text, Loader=_LOADER)
    return Document(root) if root else None


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    """Return where a part of a node is named, and the part."""
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    return None


def _repeated(node: MappingNode) -> Iterator[tuple[int, str]]:
    keys = [key for key, _ in node.value if isinstance(key, ScalarNode)]
    names = [key.value for key in keys]
    for at, key in enumerate(keys):
        if key.value in names[:at]:
            yield key.start_mark.line + 1, key.value
