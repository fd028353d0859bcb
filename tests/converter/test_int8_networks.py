"""Random networks in int8: the packed file computes what the quantized one does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.float_graphs import random_input, rewrite, run_file
from support.random_network import RandomNetwork

from keras_bnn import runtime
from keras_bnn.converter.conversion import _rewritten_names
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.int8 import IO_TYPES, quantize_to_int8
from keras_bnn.converter.quantization import per_tensor

pytest.importorskip("ai_edge_quantizer")

_RANDOMS = st.randoms(use_true_random=False)
_FEW, _MANY = (
    settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    for count in (10, 300)
)


def _check(random: Random) -> None:
    """Scales are any real numbers: no value lies halfway between two int8 ones, which kernels round either way."""
    network = RandomNetwork(random, exact=False)
    source = network.build()
    try:
        names = _rewritten_names(source)
    except ValueError:  # nothing in it can be packed
        assume(False)
    free_batch = network.x.dims[0] < 0
    x = random_input((8, *network.x.dims[1:]) if free_batch else network.x.dims, random.randrange(2**16))
    samples = [x[index : index + 1] for index in range(len(x))] if free_batch else [x]
    input_type, output_type = random.choice(IO_TYPES), random.choice(IO_TYPES)
    quantized = quantize_to_int8(source, names, samples, input_type=input_type, output_type=output_type)
    packed, graph = rewrite(quantized)
    parameters = per_tensor(graph.inputs[0])
    if parameters is not None:
        scale, zero_point = parameters
        limits = np.iinfo(input_type)
        x = np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(input_type)
    expected = run_file(exact_reference(quantized), [x])
    results = run_file(packed, [x], [runtime.load_delegate()])
    for result, want in zip(results, expected, strict=True):
        assert result.dtype == want.dtype
        # The scale of an integer input is part of the packed op's multiplier, and rounded with it.
        np.testing.assert_allclose(result.astype(np.float64), want, rtol=1e-6, atol=1e-6)


@_FEW
@given(_RANDOMS)
def test_networks(random: Random) -> None:
    _check(random)


@pytest.mark.slow
@_MANY
@given(_RANDOMS)
def test_many_networks(random: Random) -> None:
    _check(random)
