"""A layer to measure, with seeded weights and inputs, and what it computes in plain +-1 arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

PIXEL_STEP = 1 / 64
"""Real inputs are multiples of this, multipliers are powers of two and biases multiples of 1/8: then float32 sums are
exact in any order, and every float output has to be equal to the last bit."""


@dataclass(frozen=True)
class Layer:
    """A binary layer, SAME padding with zeros.

    Attributes:
        op: "Conv2D", "DepthwiseConv2D", "TransposeConv2D" or "FullyConnected".
        shape: Shape of the input without the batch; channels last.
        filters: Output channels, a multiple of 32.
        kernel: Height and width of the kernel.
        stride: Pixels from one window to the next, in both directions; of a transposed convolution, in its output.
        is_first: Whether the layer reads real numbers rather than their signs.
        groups: Groups of channels of a convolution.
        batch: Images or rows.
    """

    op: str
    shape: tuple[int, ...]
    filters: int
    kernel: int = 3
    stride: int = 1
    is_first: bool = False
    groups: int = 1
    batch: int = 1

    @property
    def channels(self) -> int:
        """Input channels."""
        return self.shape[-1]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output, with the batch."""
        if self.op == "TransposeConv2D":
            return (self.batch, *(size * self.stride for size in self.shape[:-1]), self.filters)
        return (self.batch, *(-(-size // self.stride) for size in self.shape[:-1]), self.filters)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel in docs/format.md, in channels: output channels first, of a depthwise layer last."""
        if self.op == "FullyConnected":
            return (self.filters, self.channels)
        if self.op == "DepthwiseConv2D":
            return (self.kernel, self.kernel, self.filters)
        return (self.filters, self.kernel, self.kernel, self.channels // self.groups)

    @cached_property
    def integers(self) -> np.ndarray:
        """The input as int8 of the scale PIXEL_STEP, with zeros and both ends of the range."""
        return np.random.default_rng(0).integers(-128, 128, (self.batch, *self.shape), np.int8)

    @cached_property
    def signs(self) -> np.ndarray:
        """The kernel, +1 and -1 in float32."""
        negative = np.random.default_rng(1).random(self.kernel_shape) < 0.4
        return np.where(negative, np.float32(-1), np.float32(1))

    @cached_property
    def multiplier(self) -> np.ndarray:
        """What each output channel's sum is multiplied by."""
        return np.exp2(np.random.default_rng(2).integers(-3, 3, self.filters)).astype(np.float32)

    @cached_property
    def bias(self) -> np.ndarray:
        """What each output channel gets added, about as large as its sums, so that both signs come up."""
        products = np.prod(self.kernel_shape) / self.filters
        steps = np.random.default_rng(3).normal(scale=8 * np.sqrt(products), size=self.filters)
        return (np.round(steps) / 8).astype(np.float32)

    @property
    def real_input(self) -> np.ndarray:
        """The input in float32."""
        return self.integers.astype(np.float32) * np.float32(PIXEL_STEP)

    @property
    def summed_input(self) -> np.ndarray:
        """What the products are made of: real numbers in a first layer, else +1 and -1."""
        return self.real_input if self.is_first else np.where(self.real_input < 0, np.float32(-1), np.float32(1))

    @cached_property
    def sums(self) -> np.ndarray:
        """The sums of products, exact in float64."""
        x, signs = self.summed_input.astype(np.float64), self.signs.astype(np.float64)
        if self.op == "FullyConnected":
            return x @ signs.T
        if self.op == "TransposeConv2D":
            return self._transposed_sums(x, signs)
        pads = []
        for size, outputs in zip(self.shape, self.output_shape[1:-1], strict=False):
            missing = max(0, (outputs - 1) * self.stride + self.kernel - size)
            pads.append((missing // 2, missing - missing // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
        _, height, width, _ = self.output_shape
        sums = np.zeros(self.output_shape)
        for row, column in np.ndindex(self.kernel, self.kernel):
            window = x[:, row :: self.stride, column :: self.stride][:, :height, :width]
            if self.op == "DepthwiseConv2D":
                sums += np.repeat(window, self.filters // self.channels, axis=-1) * signs[row, column]
            else:
                parts = np.split(window, self.groups, -1), np.split(signs[:, row, column], self.groups)
                sums += np.concatenate([part @ kernel.T for part, kernel in zip(*parts, strict=True)], -1)
        return sums

    def _transposed_sums(self, x: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """What the taps of each input pixel add to the output, whose margins are cut off."""
        _, height, width, _ = self.output_shape
        whole = np.zeros((self.batch, height + self.kernel, width + self.kernel, self.filters))
        for row, column in np.ndindex(self.kernel, self.kernel):
            whole[:, row:, column:][:, : height : self.stride, : width : self.stride] += x @ signs[:, row, column].T
        top = self.transposed_pads[0]
        return whole[:, top : top + height, top : top + width]

    @property
    def transposed_pads(self) -> tuple[int, int]:
        """Pixels that SAME cuts off before and behind the output of a transposed convolution; fewer than 0 add some."""
        excess = self.kernel - self.stride
        before = max(0, excess) // 2
        return before, excess - before

    @property
    def outputs(self) -> np.ndarray:
        """The float32 output."""
        return self.sums.astype(np.float32) * self.multiplier + self.bias
