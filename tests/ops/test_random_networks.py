"""Random packed networks give the bits of format_reference on every kernel set."""

from __future__ import annotations

from random import Random

import pytest
from format_reference import run_packed
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from support.delegate import Session, assert_same_bits
from support.networks import OPS, random_network

_RANDOMS = st.integers(0, 2**32).map(Random)


def _settings(max_examples: int) -> settings:
    return settings(
        max_examples=max_examples, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
    )


def _check_with_resizes(random: Random, length: int, ops: tuple[str, ...], isa: str, num_threads: int) -> None:
    network = random_network(random, length, ops)
    note(network.description)
    session = Session(network.model, isa, num_threads)
    for batch in (network.shape[0], 1, 3, 2):
        inputs = network.inputs(batch)
        assert_same_bits(session.run(inputs), run_packed(network.model, inputs))


@pytest.mark.parametrize("op", OPS)
@_settings(max_examples=40)
@given(random=_RANDOMS, num_threads=st.sampled_from([1, 2]))
def test_one_op(isa: str, op: str, random: Random, num_threads: int) -> None:
    _check_with_resizes(random, 1, (op,), isa, num_threads)


@_settings(max_examples=80)
@given(random=_RANDOMS, length=st.integers(2, 5), num_threads=st.sampled_from([1, 2, 4]))
def test_chain(isa: str, random: Random, length: int, num_threads: int) -> None:
    _check_with_resizes(random, length, OPS, isa, num_threads)


@pytest.mark.slow
@_settings(max_examples=3000)
@given(random=_RANDOMS, length=st.integers(1, 5), num_threads=st.sampled_from([1, 2, 4]))
def test_many_chains(isa: str, random: Random, length: int, num_threads: int) -> None:
    _check_with_resizes(random, length, OPS, isa, num_threads)
