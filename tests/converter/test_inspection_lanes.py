"""The lanes beside the table: every line leads from the op that computes a tensor to those that read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bnn.converter.inspection.lanes import Lane, Node, RowOfLanes, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Random graphs: each row reads some tensors of the rows above it."""
    nodes: list[Node] = []
    count = 0
    for _ in range(draw(st.integers(1, 25))):
        inputs = draw(st.lists(st.sampled_from(range(count)), unique=True, max_size=4)) if count else []
        outputs = range(count, count + draw(st.integers(0, 2)))
        count += len(outputs)
        nodes.append(Node(tuple(inputs), tuple(outputs)))
    return nodes


@given(graphs())
def test_every_line_leads_where_it_should(nodes: list[Node]) -> None:
    rows = lay_out(nodes)
    readers = {tensor: [row for row, node in enumerate(nodes) if tensor in node.inputs] for tensor in range(99)}
    assert len(rows) == len(nodes)
    place: dict[int, int] = {}
    for index, (row, node) in enumerate(zip(rows, nodes, strict=True)):
        assert [lane.tensor for lane in row.inputs] == list(node.inputs)
        assert [lane.tensor for lane in row.outputs] == [tensor for tensor in node.outputs if readers[tensor]]
        assert {lane.tensor for lane in row.through} == {tensor for tensor in place if readers[tensor][-1] > index}
        for lane in (*row.inputs, *row.through):
            assert place[lane.tensor] == lane.place  # a tensor keeps its lane
        place |= {lane.tensor: lane.place for lane in row.outputs}
        below = [lane.place for lane in (*row.through, *row.outputs)]
        assert len(set(below)) == len(below)  # one tensor in a lane
        assert row.node not in [lane.place for lane in row.through]  # no line runs through another row's op
        place = {tensor: where for tensor, where in place.items() if readers[tensor][-1] > index}
        assert row.width == max(row.node, *below, *(lane.place for lane in row.inputs), -1) + 1


def test_chain_is_one_straight_line() -> None:
    rows = lay_out([Node((), (0,)), *(Node((index,), (index + 1,)) for index in range(5)), Node((5,), ())])
    assert {lane.place for row in rows for lane in (*row.inputs, *row.outputs)} == {0}
    assert all(row.node == 0 and row.through == () for row in rows)


def test_shortcut_runs_beside_the_branch() -> None:
    """x, quantize, convolution, sum of both: the branch has the second lane."""
    rows = lay_out([Node((), (0,)), Node((0,), (1,)), Node((1,), (2,)), Node((0, 2), (3,)), Node((3,), ())])
    assert [row.node for row in rows] == [0, 1, 1, 0, 0]
    assert rows[3] == RowOfLanes(0, (), (Lane(0, 0), Lane(1, 2)), (Lane(0, 3),))


@pytest.mark.parametrize("count", [1, 40])
def test_many_tensors_side_by_side(count: int) -> None:
    rows = lay_out([*(Node((), (index,)) for index in range(count)), Node(tuple(range(count)), ())])
    assert max(row.width for row in rows) == count
