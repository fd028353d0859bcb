"""A sequence in which every change takes constant time, however long it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class _Node(Generic[T]):
    __slots__ = ("after", "before", "item")

    def __init__(self, item: T | None = None):
        self.item = item
        self.before: _Node[T] = self
        self.after: _Node[T] = self


class LinkedSequence(Sequence[T]):
    """Items in order, each once. Adding, removing and looking up an item takes constant time.

    Args:
        items: What it holds at first.
    """

    def __init__(self, items: Iterable[T] = ()):
        self._end: _Node[T] = _Node()  # behind the last item and in front of the first
        self._nodes: dict[T, _Node[T]] = {}
        self._ranks: dict[T, int] | None = None
        for item in items:
            self.append(item)

    def append(self, item: T) -> None:
        """Adds an item at the end.

        Raises:
            ValueError: when the sequence holds it already.
        """
        self._link(item, self._end)

    def insert_before(self, successor: T, item: T) -> None:
        """Adds an item right in front of another.

        Raises:
            ValueError: when the sequence holds the item already, or not its successor.
        """
        self._link(item, self._node(successor))

    def remove(self, item: T) -> None:
        """Takes an item out.

        Raises:
            ValueError: when the sequence does not hold it.
        """
        node = self._node(item)
        del self._nodes[item]
        node.before.after, node.after.before = node.after, node.before

    def after(self, item: T) -> T | None:
        """Returns the item behind another, or None behind the last.

        Raises:
            ValueError: when the sequence does not hold it.
        """
        return self._node(item).after.item

    def rank(self, item: T) -> int:
        """Returns a number that grows along the sequence; it holds until the next item is added.

        The first call after an item was added takes linear time, the next ones constant time.

        Raises:
            ValueError: when the sequence does not hold it.
        """
        if self._ranks is None:
            self._ranks = {item: place for place, item in enumerate(self)}
        self._node(item)  # a removed item keeps its rank
        return self._ranks[item]

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Returns the position of an item, in linear time.

        Raises:
            ValueError: when the sequence does not hold it.
        """
        return list(self).index(value, start, len(self) if stop is None else stop)

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __contains__(self, item: object) -> bool:
        return item in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[T]:
        node = self._end.after
        while node is not self._end:
            assert node.item is not None
            yield node.item
            node = node.after

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LinkedSequence({list(self)})"

    def _node(self, item: T) -> _Node[T]:
        node = self._nodes.get(item)
        if node is None:
            raise ValueError(f"{item} is not in the sequence")
        return node

    def _link(self, item: T, successor: _Node[T]) -> None:
        if item in self._nodes:
            raise ValueError(f"{item} is in the sequence already")
        node = self._nodes[item] = _Node(item)
        node.before, node.after = successor.before, successor
        node.before.after = node.after.before = node
        self._ranks = None
