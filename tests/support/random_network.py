"""Random float networks of binary layers, as the stock converter writes them."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_bnn.converter.graph import Tensor
from support.float_graphs import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, FloatGraph

FORMS = ("less", "greater_equal", "broadcast", "cast", "cast from one", "larq", "mended", "not")
CHANNELS = (1, 2, 5, 8, 31, 32, 33, 40, 64, 65)
ACTIVATIONS = {RELU: "RELU", RELU_N1_TO_1: "RELU_N1_TO_1", RELU6: "RELU6"}
BEHIND_A_SUM = (
    *((), ("norm",), ("norm",), ("norm", "activation"), ("activation", "norm"), ("prelu", "norm"), ("norm", "prelu")),
    *(("activation",), ("prelu",), ("activation", "norm", "activation"), ("shift", "prelu", "shift"), ("norm", "norm")),
    *(("maximum", "norm"), ("activation", "maximum", "norm"), ("norm", "maximum")),
)
"""What may stand behind a convolution or dense layer, in order."""

_FUSES = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MUL")
_EXACT_BITS = 23


class Range(NamedTuple):
    """What values of a tensor may be: multiples of a power of two, up to a largest absolute value."""

    quantum: float
    largest: float

    @property
    def is_exact(self) -> bool:
        """Whether float32 holds all of them, so that a sum has the same bits in any order."""
        return self.largest <= 2**_EXACT_BITS * self.quantum


SIGNS = Range(1.0, 1.0)


class RandomNetwork:
    """A network with random depth, branches, geometry and parameters.

    With `exact`, all numbers have few bits, so that the stock runtime rounds nowhere; else scales and biases are any
    real numbers, and all real-valued sums stay stock ops.

    Args:
        random: Where the structure comes from.
        exact: Whether no float operation may round.

    Attributes:
        graph: The network.
        x: Its input.
    """

    def __init__(self, random: Random, *, exact: bool):
        self.random, self.exact = random, exact
        self.graph = FloatGraph(random.randrange(2**32))
        self.rng = self.graph.rng
        self.ranges: dict[Tensor, Range] = {}
        shape = (random.choice((-1, 1, 2)), random.randint(3, 7), random.randint(3, 7), random.choice((1, 3, 32, 40)))
        self.x = self.graph.add_input("x", shape)
        self.ranges[self.x] = Range(0.25, 4.0)

    def build(self) -> bytes:
        """Adds the layers and returns the file."""
        y, outputs = self.x, []
        if self.exact and self.random.random() < 0.3:
            y = self.behind(self.convolution(y))
        for _ in range(self.random.randint(0, 4)):
            blocks = [self.layer, self.residual, self.residual, self.downsample, self.fork, self.joined, self.gated]
            if y.dims[0] > 0 and max(y.dims[1:3]) < 8:  # the stock op has the output's shape as a constant
                blocks.append(self.upsample)
            y = self.random.choice(blocks)(y)
            if self.random.random() < 0.2:
                y = self.pool(y)
            if self.random.random() < 0.15:
                outputs.append(y)
        if self.random.random() < 0.7:
            y = self.flatten(y)
            for _ in range(self.random.randint(1, 2)):
                y = self.dense(y)
        return self.graph.finish(y, *(output for output in outputs if output is not y))

    # ------------------------------------------------------------------------------------------------------- blocks

    def layer(self, x: Tensor) -> Tensor:
        """A binary convolution of any geometry."""
        sign = self.sign(x)
        y = self.convolution(self.pool(sign) if self.random.random() < 0.2 else sign)
        return self.behind(self.pool(y) if self.random.random() < 0.3 else y)

    def residual(self, x: Tensor) -> Tensor:
        """A binary convolution with an identity shortcut; ReActNet shifts x in front of the sign."""
        sign = self.sign(self.shift(x) if self.random.random() < 0.3 else x)
        return self.add(x, self.behind(self.convolution(sign, outputs=x.dims[3], keeps_size=True)))

    def downsample(self, x: Tensor) -> Tensor:
        """A binary convolution with stride 2 and a real-valued shortcut."""
        outputs = self.random.choice(CHANNELS)
        y = self.behind(self.convolution(self.sign(x), outputs=outputs, keeps_size=True, stride=(2, 2)))
        return self.add(self.pointwise(self.pool(x, (2, 2), stride=(2, 2), padding=SAME), outputs), y)

    def upsample(self, x: Tensor) -> Tensor:
        """A transposed convolution."""
        random, graph = self.random, self.graph
        size, stride = (random.randint(1, 3), random.randint(1, 3)), (random.randint(1, 2), random.randint(1, 3))
        options = schema.TransposeConvOptionsT()
        options.padding = random.choice((SAME, VALID))
        options.strideH, options.strideW = stride
        added = (0, 0) if options.padding == SAME else [max(size[axis] - stride[axis], 0) for axis in (0, 1)]
        image = (x.dims[1 + axis] * stride[axis] + added[axis] for axis in (0, 1))
        weights, scale, bias = self.kernel((random.choice(CHANNELS), *size, x.dims[3]))
        dims = (x.dims[0], *image, len(weights))
        inputs = [graph.integers(dims), graph.constant(weights), self.sign(x), graph.constant(bias)]
        y = graph.op("TRANSPOSE_CONV", inputs, dims, options)
        assert y.producer is not None
        y.producer.version = 3  # the first one with a bias
        return self.behind(self.result(y, self.scaled(Range(1.0, math.prod(weights.shape[1:])), scale, bias)))

    def fork(self, x: Tensor) -> Tensor:
        """Two binary convolutions of one sign, or of two signs with shifts of their own."""
        outputs = self.random.choice(CHANNELS)
        signs = [self.sign(x)] * 2 if self.random.random() < 0.5 else [self.sign(self.shift(x)) for _ in range(2)]
        one, two = (self.behind(self.convolution(sign, outputs=outputs, keeps_size=True)) for sign in signs)
        return self.add(one, two) if self.random.random() < 0.5 else self.concat(one, two)

    def joined(self, x: Tensor) -> Tensor:
        """A binary convolution whose output goes on beside its input, as in DenseNet."""
        return self.concat(x, self.behind(self.convolution(self.sign(x), keeps_size=True)))

    def gated(self, x: Tensor) -> Tensor:
        """A binary convolution times one factor for each image and channel."""
        y = self.behind(self.convolution(self.sign(x), keeps_size=True))
        one, two = self.ranges[y], self.behind_pointwise(x)
        product = Range(one.quantum * two.quantum, one.largest * two.largest)
        if not self.fits(product):
            return y
        gate = self.pointwise(self.pool(x, (x.dims[1], x.dims[2]), padding=VALID), y.dims[3])
        operands = [y, gate] if self.random.random() < 0.5 else [gate, y]
        return self.result(self.graph.op("MUL", operands, y.dims, schema.MulOptionsT()), product)

    # ------------------------------------------------------------------------------------------------------- layers

    def convolution(
        self,
        x: Tensor,
        *,
        outputs: int | None = None,
        keeps_size: bool = False,
        stride: tuple[int, int] | None = None,
    ) -> Tensor:
        """A convolution with a binary kernel, grouped or depthwise now and then, batch normalization folded or not."""
        random, graph, channels, given = self.random, self.graph, x.dims[3], self.ranges[x]
        size = (random.randint(1, 3), random.randint(1, 3))
        stride = stride or ((1, 1) if keeps_size else (random.randint(1, 2), random.randint(1, 3)))
        dilation = (random.randint(1, 2), 1) if stride == (1, 1) and random.random() < 0.2 else (1, 1)
        padding, is_padded = SAME, not keeps_size and random.random() < 0.4
        if not keeps_size:
            if is_padded:
                pads = [(0, 0), *((random.randint(0, 2), random.randint(0, 2)) for _ in range(2)), (0, 0)]
                x = graph.pad(x, pads, random.choice((None, 0.0, 1.0, -1.0)))
            if all(x.dims[1 + axis] > (size[axis] - 1) * dilation[axis] for axis in (0, 1)):
                padding = random.choice((SAME, VALID))
        is_depthwise = random.random() < 0.15 and (outputs is None or outputs % channels == 0)
        # A padded depthwise convolution that pads again stays a stock op, whose sums of +-scale are not exact.
        is_depthwise &= self.exact or padding == VALID or not is_padded
        if is_depthwise:
            outputs = outputs or channels * random.randint(1, 2)
            groups = channels
        else:
            divisors = [g for g in range(1, channels + 1) if channels % g == 0 and (outputs or g) % g == 0]
            groups = random.choice(divisors) if random.random() < 0.3 else 1
            outputs = outputs or (random.choice(CHANNELS) if groups == 1 else groups * random.randint(1, 3))
        shape = (outputs, *size, channels // groups)
        weights, scale, bias = self.kernel(shape)
        if is_depthwise:
            y = self.depthwise(x, weights, bias, stride=stride, dilation=dilation, padding=padding)
        else:
            y = graph.conv(x, weights, bias, stride=stride, dilation=dilation, padding=padding)
        products = math.prod(shape[1:])
        return self.result(y, self.scaled(Range(given.quantum, products * max(given.largest, 1.0)), scale, bias))

    def depthwise(
        self,
        x: Tensor,
        weights: np.ndarray,
        bias: np.ndarray,
        *,
        stride: tuple[int, int],
        dilation: tuple[int, int],
        padding: int,
    ) -> Tensor:
        """Adds DEPTHWISE_CONV_2D with the weights `[O, kh, kw, 1]` of CONV_2D."""
        like = self.graph.conv(x, weights, stride=stride, dilation=dilation, padding=padding)
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, (options.strideH, options.strideW) = padding, stride
        options.dilationHFactor, options.dilationWFactor = dilation
        options.depthMultiplier = len(weights) // x.dims[3]
        assert like.producer is not None
        kernel = self.graph.constant(weights.transpose(3, 1, 2, 0))
        self.graph.morph(like.producer, "DEPTHWISE_CONV_2D", [x, kernel, self.graph.constant(bias)], options)
        return like

    def dense(self, x: Tensor) -> Tensor:
        """A binary dense layer, with a shortcut where the units allow one."""
        units = self.random.choice((*CHANNELS, x.dims[1]))
        sign = self.sign(x)
        weights, scale, bias = self.kernel((units, x.dims[1]))
        has_bias = bias.any() or self.random.random() < 0.5
        y = self.graph.dense(sign, weights, bias if has_bias else None)
        y = self.behind(self.result(y, self.scaled(Range(1.0, float(x.dims[1])), scale, bias)))
        return self.add(x, y) if y.dims == x.dims and self.random.random() < 0.5 else y

    def pointwise(self, x: Tensor, outputs: int) -> Tensor:
        """A real-valued 1x1 convolution, of signs where the sums would need too many bits."""
        result, channels = self.behind_pointwise(x), x.dims[3]
        values = self.rng.integers(-4, 5, (outputs, 1, 1, channels)) / 4
        kernel = values if self.exact else values + self.rng.normal(0, 0.1, values.shape)
        kernel[0, 0, 0, :1] = 3.0  # so that it has more than one absolute value where there is more than one weight
        if not self.fits(self.summed(x)):
            x = self.sign(x)
        return self.result(self.graph.conv(x, kernel.astype(np.float32)), result)

    def summed(self, x: Tensor) -> Range:
        """The range of weighted sums over the channels of a tensor."""
        return Range(self.ranges[x].quantum / 4, 3 * x.dims[3] * self.ranges[x].largest)

    def behind_pointwise(self, x: Tensor) -> Range:
        """The range behind a 1x1 convolution."""
        summed = self.summed(x)
        return summed if self.fits(summed) else Range(0.25, 3.0 * x.dims[3])

    def behind(self, y: Tensor) -> Tensor:
        """Batch normalization and activations in one of the orders."""
        for what in self.random.choice(BEHIND_A_SUM):
            y = getattr(self, what)(y)
        return y

    # ---------------------------------------------------------------------------------------------- elementwise ops

    def sign(self, x: Tensor) -> Tensor:
        return self.result(self.graph.sign(x, self.random.choice(FORMS)), SIGNS)

    def norm(self, y: Tensor) -> Tensor:
        """Batch normalization as MUL and ADD."""
        scale, bias = self.scale_and_bias(y.dims[-1])
        result = self.scaled(self.ranges[y], scale, bias)
        if not self.fits(result):
            return y
        if self.random.random() < 0.1 and scale.all():
            y = self.graph.op("DIV", [y, self.graph.constant(1 / scale)], y.dims, schema.DivOptionsT())
        else:
            y = self.graph.scale(y, scale)
        return self.result(self.graph.shift(y, bias), result)

    def shift(self, y: Tensor) -> Tensor:
        _, bias = self.scale_and_bias(y.dims[-1])
        result = self.scaled(self.ranges[y], np.ones(1, np.float32), bias)
        return self.result(self.graph.shift(y, bias), result) if self.fits(result) else y

    def activation(self, y: Tensor) -> Tensor:
        """An activation, fused or as an op of its own."""
        kind, op = self.random.choice(list(ACTIVATIONS)), y.producer
        assert op is not None
        if op.kind in _FUSES and op.options.fusedActivationFunction == NONE and self.random.random() < 0.6:
            op.options.fusedActivationFunction = kind
            return y
        return self.result(self.graph.op(ACTIVATIONS[kind], [y], y.dims), self.ranges[y])

    def prelu(self, y: Tensor) -> Tensor:
        channels, given = y.dims[-1], self.ranges[y]
        if self.exact:
            slope = self.rng.choice([-1, -0.5, 0, 0.25, 0.5, 1, 2], channels)
        else:
            slope = self.rng.normal(0.2, 0.5, channels)
        result = Range(given.quantum / 4, 2 * given.largest)
        if not self.fits(result):
            return y
        shape = (1,) * (len(y.dims) - 2) + (channels,)
        return self.result(
            self.graph.op("PRELU", [y, self.graph.constant(slope.astype(np.float32).reshape(shape))], y.dims), result
        )

    def maximum(self, y: Tensor) -> Tensor:
        """A max-pool that keeps the size of an image."""
        return self.pool(y, (2, 2), stride=(1, 1), padding=SAME) if len(y.dims) == 4 else y

    def add(self, one: Tensor, two: Tensor) -> Tensor:
        """The sum of two tensors in either order, or the first where float32 could not hold the sum."""
        ranges = self.ranges[one], self.ranges[two]
        result = Range(min(r.quantum for r in ranges), sum(r.largest for r in ranges))
        if not self.fits(result):
            return two
        options = schema.AddOptionsT()
        options.fusedActivationFunction = self.random.choice((NONE, NONE, NONE, RELU, RELU_N1_TO_1, RELU6))
        operands = [one, two] if self.random.random() < 0.5 else [two, one]
        return self.result(self.graph.op("ADD", operands, two.dims, options), result)

    def concat(self, one: Tensor, two: Tensor) -> Tensor:
        options = schema.ConcatenationOptionsT()
        options.axis = 3
        ranges = self.ranges[one], self.ranges[two]
        result = Range(min(r.quantum for r in ranges), max(r.largest for r in ranges))
        if not self.fits(result):
            return two
        dims = (*one.dims[:3], one.dims[3] + two.dims[3])
        return self.result(self.graph.op("CONCATENATION", [one, two], dims, options), result)

    def pool(
        self,
        x: Tensor,
        window: tuple[int, int] | None = None,
        *,
        stride: tuple[int, int] | None = None,
        padding: int | None = None,
    ) -> Tensor:
        # LiteRT 2.3 does not resize the output of RELU and a 1x1 max-pool: the float file itself is then wrong.
        window = window or self.random.choice(((1, 2), (2, 1), (2, 2)))
        if padding is None:
            does_fit = x.dims[1] >= window[0] and x.dims[2] >= window[1]
            padding = self.random.choice((SAME, VALID)) if does_fit else SAME
        return self.result(self.graph.pool(x, window, stride=stride, padding=padding), self.ranges[x])

    def flatten(self, x: Tensor) -> Tensor:
        row = math.prod(x.dims[1:])
        y = self.graph.flatten(x) if self.random.random() < 0.5 else self.graph.reshape(x, (x.dims[0], row))
        return self.result(y, self.ranges[x])

    # --------------------------------------------------------------------------------------------------- parameters

    def kernel(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights +-scale, the scale, and a bias: those of a folded batch normalization, or +-1 and 0."""
        scale, bias = np.ones(shape[0], np.float32), np.zeros(shape[0], np.float32)
        if self.random.random() < 0.5:
            scale, bias = self.scale_and_bias(shape[0])
        return self.graph.kernel(shape, scale), scale, bias

    def scale_and_bias(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """One factor and summand per channel, some of them negative and 0."""
        if self.exact:
            scale, bias = self.rng.choice([-1, -0.5, -0.25, 0.25, 0.5, 1], channels), self.graph.bias(channels)
        else:
            scale = self.rng.normal(0, 0.3, channels)
            # A third of the biases cancel a small sum exactly, so that the sign of 0 counts.
            cancels = self.rng.random(channels) < 0.3
            bias = np.where(
                cancels, -scale.astype(np.float32) * self.rng.integers(-3, 4, channels), self.rng.normal(0, 1, channels)
            )
        if self.random.random() < 0.3:
            scale = np.abs(scale)
        for zero in (0.0, -0.0):
            scale[self.rng.random(channels) < 0.05] = zero
            bias[self.rng.random(channels) < 0.05] = zero
        return scale.astype(np.float32), bias.astype(np.float32)

    def scaled(self, given: Range, scale: np.ndarray, bias: np.ndarray) -> Range:
        """The range behind a factor and a summand."""
        quantum = given.quantum if (np.abs(scale) == 1).all() else given.quantum / 4
        largest = given.largest * max(1.0, float(np.abs(scale).max())) + float(np.abs(bias).max(initial=0))
        return Range(min(quantum, 0.125) if bias.any() else quantum, largest)

    def fits(self, result: Range) -> bool:
        """Whether a tensor may have the range."""
        return not self.exact or result.is_exact

    def result(self, tensor: Tensor, given: Range) -> Tensor:
        """Notes the range of a tensor."""
        assert self.fits(given)
        self.ranges[tensor] = given
        return tensor
