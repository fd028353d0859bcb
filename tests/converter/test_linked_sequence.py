"""The linked sequence behaves as a list of different items does, whatever is added and removed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bnn.converter.linked_sequence import LinkedSequence

_CHANGES = st.lists(st.tuples(st.sampled_from(("append", "insert_before", "remove")), st.integers(0, 2**16)))


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 20), _CHANGES)
def test_is_a_list_of_different_items(length: int, changes: list[tuple[str, int]]) -> None:
    expected = list(range(length))
    sequence = LinkedSequence(expected)
    for new, (change, place) in enumerate(changes, length):
        if change == "append" or not expected:
            sequence.append(new)
            expected.append(new)
        elif change == "insert_before":
            sequence.insert_before(expected[place % len(expected)], new)
            expected.insert(place % len(expected), new)
        else:
            sequence.remove(expected[place % len(expected)])
            del expected[place % len(expected)]
    assert list(sequence) == expected == list(reversed(list(reversed(sequence))))
    assert sequence == expected
    assert len(sequence) == len(expected)
    assert sorted(expected, key=sequence.rank) == expected
    assert [sequence.after(item) for item in expected] == [*expected[1:], None][: len(expected)]
    assert [sequence.index(item) for item in expected] == list(range(len(expected)))
    assert [item in sequence for item in range(length + len(changes))] == [
        item in expected for item in range(length + len(changes))
    ]
    assert sequence[1:-1] == expected[1:-1]


def test_ranks_outlive_removals() -> None:
    sequence = LinkedSequence("abcd")
    ranks = {item: sequence.rank(item) for item in sequence}
    sequence.remove("b")
    assert [sequence.rank(item) for item in "acd"] == [ranks[item] for item in "acd"]
    sequence.insert_before("c", "b2")
    assert sorted(["c", "b2", "d", "a"], key=sequence.rank) == ["a", "b2", "c", "d"]
    sequence.remove("a")
    with pytest.raises(ValueError, match="a is not in the sequence"):
        sequence.rank("a")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda sequence: sequence.append("b"),
        lambda sequence: sequence.insert_before("a", "b"),
        lambda sequence: sequence.insert_before("x", "y"),
        lambda sequence: sequence.remove("x"),
        lambda sequence: sequence.after("x"),
        lambda sequence: sequence.rank("x"),
        lambda sequence: sequence.index("x"),
    ],
)
def test_unknown_and_repeated_items_are_refused(wrong: Callable[[LinkedSequence[str]], object]) -> None:
    sequence = LinkedSequence(["a", "b"])
    with pytest.raises(ValueError, match=r"sequence|list"):
        wrong(sequence)
    assert list(sequence) == ["a", "b"]


def test_changes_take_constant_time() -> None:
    """A list would need some 10 s for this."""
    items = list(range(100_000))
    sequence = LinkedSequence(items)
    start = time.process_time()
    for item in items[:-1]:
        sequence.insert_before(items[-1], -1 - item)
        assert item in sequence
        sequence.remove(item)
    assert time.process_time() - start < 5
    assert sequence[0] == -1
