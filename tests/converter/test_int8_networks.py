"""Random networks in int8: the packed file computes what the quantized one does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from support.float_graphs import random_input, rewrite, run_file
from support.random_network import RandomNetwork

from keras_bnn import runtime
from keras_bnn.converter.conversion import _rewritten_names
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.int8 import IO_TYPES, quantize_to_int8
from keras_bnn.converter.quantization import per_tensor

pytest.importorskip("ai_edge_quantizer")

_FAR_FROM_TIES = 0.9
"""The least share of an output's values that are at most one int8 step apart.

Where y / scale lies next to a half, kernels round either way; ranges make that common, since their ends are values of
sums. A sign or a convolution behind it carries it on.
"""


def _equal(seed: int) -> bool:
    """Checks a random network and returns whether all outputs are equal."""
    random = Random(seed)
    network = RandomNetwork(random, exact=False)
    source = network.build()
    try:
        names = _rewritten_names(source)
    except ValueError:  # nothing in it can be packed
        return True
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
    all_equal = True
    for result, want in zip(results, expected, strict=True):
        assert result.dtype == want.dtype, f"seed {seed}"
        step = 1 if result.dtype != np.float32 else 0
        differences = np.abs(result.astype(np.float64) - want)
        # The scale of an integer input is part of the packed op's multiplier, and rounded with it.
        near = np.mean(differences <= step + 1e-6 * (1 + np.abs(want.astype(np.float64))))
        assert near >= _FAR_FROM_TIES, f"seed {seed}: {1 - near:.0%} of the values differ, by {differences.max():.3g}"
        all_equal &= bool(np.allclose(result.astype(np.float64), want, rtol=1e-6, atol=1e-6))
    return all_equal


def test_networks() -> None:
    equal = [_equal(seed) for seed in range(10)]
    assert sum(equal) >= 9


@pytest.mark.slow
def test_many_networks() -> None:
    # The stock runtime itself aborts on what ai-edge-quantizer makes of network 162.
    equal = [_equal(seed) for seed in range(300) if seed != 162]
    assert sum(equal) >= 0.95 * len(equal)
