"""Files as Larq Compute Engine writes them: its custom ops with their flexbuffer options."""

from __future__ import annotations

import numpy as np
from flatbuffers import flexbuffers

from keras_bnn.converter.graph import Graph, Tensor


def words_of(signs: np.ndarray) -> np.ndarray:
    """Packs the last axis of +-1 values bit by bit: channel c is bit c mod 32 of word c div 32."""
    words = np.zeros((*signs.shape[:-1], -(-signs.shape[-1] // 32)), np.uint32)
    for channel in range(signs.shape[-1]):
        words[..., channel // 32] |= (signs[..., channel] < 0).astype(np.uint32) << np.uint32(channel % 32)
    return words.view(np.int32)


class LarqGraph(Graph):
    """A graph with one method for each op of Larq Compute Engine."""

    def quantize(self, x: Tensor) -> Tensor:
        """Adds LceQuantize."""
        return self._op("LceQuantize", [x], (*x.dims[:-1], -(-x.dims[-1] // 32)), np.int32, None)

    def dequantize(self, x: Tensor, channels: int) -> Tensor:
        """Adds LceDequantize."""
        return self._op("LceDequantize", [x], (*x.dims[:-1], channels), np.float32, None)

    def conv(
        self,
        x: Tensor,
        signs: np.ndarray,
        channels_in: int,
        *,
        multiplier: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
    ) -> Tensor:
        """Adds a VALID LceBconv2d; signs are [O, kh, kw, C / groups]. It gives bits where thresholds are given."""
        number = len(self.ops)
        arrays = {"weights": words_of(signs), "multiplier": multiplier, "bias": bias, "thresholds": thresholds}
        inputs = [
            None if values is None else self.add_constant(f"conv_{number}/{name}", values)
            for name, values in arrays.items()
        ]
        filters, height, width, _ = signs.shape
        pixels = (x.dims[1] - height + 1, x.dims[2] - width + 1)
        is_packed = thresholds is not None
        channels = -(-filters // 32) if is_packed else filters
        options = {"channels_in": channels_in, "dilation_height_factor": 1, "dilation_width_factor": 1}
        options |= {
            "fused_activation_function": 0,
            "pad_values": 0,
            "padding": 1,
            "stride_height": 1,
            "stride_width": 1,
        }
        dtype = np.int32 if is_packed else np.float32
        return self._op("LceBconv2d", [x, *inputs], (x.dims[0], *pixels, channels), dtype, options)

    def pool(self, x: Tensor) -> Tensor:
        """Adds a 2x2 LceBMaxPool2d."""
        options = {"filter_height": 2, "filter_width": 2, "padding": 1, "stride_height": 2, "stride_width": 2}
        dims = (x.dims[0], x.dims[1] // 2, x.dims[2] // 2, x.dims[3])
        return self._op("LceBMaxPool2d", [x], dims, np.int32, options)

    def _op(
        self,
        kind: str,
        inputs: list[Tensor | None],
        dims: tuple[int, ...],
        dtype: type,
        options: dict[str, int] | None,
    ) -> Tensor:
        output = self.add_tensor(f"{kind}_{len(self.ops)}", dims, dtype)
        encoded = None if options is None else np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
        self.add_op(kind, inputs, [output], encoded)
        return output
