"""The custom ops of Larq Compute Engine's files: plain numpy, and files of them written op by op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Graph, Model, Tensor

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
_LIMITS = {RELU: (0, np.inf), RELU_N1_TO_1: (-1, 1), RELU6: (0, 6)}


class LceGraph(Graph):
    """A graph with one method for each op of Larq Compute Engine."""

    def op(
        self,
        kind: str,
        inputs: Sequence[Tensor | None],
        dims: Sequence[int],
        dtype: type,
        options: Mapping[str, int] | None = None,
        quantization: tuple[float, int] | None = None,
    ) -> Tensor:
        """Adds an op with one output; ops without options get none at all, as Larq writes them."""
        parameters = None if quantization is None else _quantization(*quantization)
        output = self.add_tensor(f"tensor_{len(self.tensors)}", dims, dtype, quantization=parameters)
        encoded = None if options is None else np.frombuffer(bytes(flexbuffers.Dumps(dict(options))), np.uint8)
        self.add_op(kind, inputs, [output], encoded)
        return output

    def quantized_input(self, dims: Sequence[int], scale: float, zero_point: int) -> Tensor:
        """Adds an int8 tensor that the user feeds."""
        tensor = self.add_tensor("x", dims, np.int8, quantization=_quantization(scale, zero_point))
        self.inputs.append(tensor)
        return tensor

    def bconv2d(
        self,
        x: Tensor,
        weights: np.ndarray,
        dims: Sequence[int],
        dtype: type,
        *,
        multiplier: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
        quantization: tuple[float, int] | None = None,
        **options: int,
    ) -> Tensor:
        """Adds LceBconv2d with packed weights; what is None is left out of the inputs."""
        names = ("weights", "multiplier", "bias", "thresholds")
        constants = [
            None if values is None else self.add_constant(f"{name}_{len(self.tensors)}", values)
            for name, values in zip(names, (weights, multiplier, bias, thresholds), strict=True)
        ]
        return self.op("LceBconv2d", [x, *constants], dims, dtype, options, quantization)

    def file(self, *outputs: Tensor) -> bytes:
        """The file's bytes."""
        self.outputs = list(outputs)
        return bytes(write_model(Model([self])))


def conv_options(channels_in: int, **changes: int) -> dict[str, int]:
    """All options of LceBconv2d: stride 1, no dilation, VALID, no activation, and `changes`."""
    options = {"channels_in": channels_in, "dilation_height_factor": 1, "dilation_width_factor": 1}
    options |= {"fused_activation_function": NONE, "pad_values": 0, "padding": VALID}
    options |= {"stride_height": 1, "stride_width": 1}
    return options | changes


def differing_bits(x: np.ndarray, kernel: np.ndarray, options: Mapping[str, int]) -> tuple[np.ndarray, int]:
    """Counts what LceBconv2d counts, on +1 and -1.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[O, kh, kw, C / groups]`.
        options: As `conv_options` gives them.

    Returns:
        For each output, the pairs of x and kernel that differ, `[N, OH, OW, O]`; and the number of all pairs. A tap
        outside the image counts as half differing when `pad_values` is 0, and as +1 when it is 1.
    """
    taps = kernel.shape[1:3]
    steps = options["stride_height"], options["stride_width"]
    gaps = options["dilation_height_factor"], options["dilation_width_factor"]
    sizes, pads = [], []
    for length, size, step, gap in zip(x.shape[1:3], taps, steps, gaps, strict=True):
        reach = (size - 1) * gap + 1
        same = options["padding"] == SAME
        sizes.append(-(-length // step) if same else (length - reach) // step + 1)
        total = max((sizes[-1] - 1) * step + reach - length, 0) if same else 0
        pads.append((total // 2, total - total // 2))
    image = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=options["pad_values"])
    products = np.zeros((len(x), *sizes, len(kernel)), np.int64)
    groups = x.shape[-1] // kernel.shape[-1]
    for i in range(taps[0]):
        for j in range(taps[1]):
            rows = slice(i * gaps[0], i * gaps[0] + (sizes[0] - 1) * steps[0] + 1, steps[0])
            columns = slice(j * gaps[1], j * gaps[1] + (sizes[1] - 1) * steps[1] + 1, steps[1])
            parts = zip(np.split(image[:, rows, columns], groups, -1), np.split(kernel[:, i, j], groups), strict=True)
            products += np.concatenate([part @ weights.T for part, weights in parts], -1).astype(np.int64)
    pairs = int(np.prod(kernel.shape[1:]))
    doubled = pairs - products
    assert (doubled % 2 == 0).all(), "zero padding takes an even number of channels"
    return doubled // 2, pairs


def outputs_of_sums(
    differing: np.ndarray,
    pairs: int,
    multiplier: np.ndarray,
    bias: np.ndarray,
    activation: int,
    scale: float,
    zero: int,
) -> np.ndarray:
    """Larq's arithmetic behind the sums: constants in float64 rounded to float32 once, then float32."""
    low, high = _LIMITS.get(activation, (-np.inf, np.inf))
    low, high = pairs - min(high, pairs), pairs - max(low, -pairs)
    doubled = np.clip(2 * differing, low, high).astype(np.float32)
    wide = multiplier.astype(np.float64), bias.astype(np.float64)
    slope = (-wide[0] / np.float64(np.float32(scale))).astype(np.float32)
    start = ((wide[1] + pairs * wide[0]) / np.float64(np.float32(scale)) + zero).astype(np.float32)
    return doubled * slope + start


def to_int8(y: np.ndarray) -> np.ndarray:
    """Rounds halves away from 0 and saturates."""
    wide = y.astype(np.float64)
    return np.clip(np.trunc(wide + np.copysign(0.5, wide)), -128, 127).astype(np.int8)


def _quantization(scale: float, zero_point: int) -> schema.QuantizationParametersT:
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [scale], [zero_point]
    return parameters
