"""Float graphs as the stock converter writes them for binary layers, and how a rewritten one is checked.

Scales are powers of two and biases multiples of 1/8, so that the stock runtime's float sums are exact in any order, and
a packed file must equal them bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import format_reference
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_bnn import runtime
from keras_bnn.converter.checker import check_graph
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Graph, Model, Op, Tensor
from keras_bnn.converter.passes import Refusal, find_refusals, run_pipeline

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3


class FloatGraph(Graph):
    """A graph with one method for each thing that the stock converter writes."""

    def __init__(self, seed: int = 0):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def op(self, kind: str, inputs: Sequence[Tensor | None], dims: Sequence[int], options: object = None) -> Tensor:
        """Adds an op with one float32 output."""
        output = self.add_tensor(f"{kind.lower()}_{len(self.ops)}", dims)
        self.add_op(kind, inputs, [output], options)
        return output

    def constant(self, values: object) -> Tensor:
        """Adds a constant; Python numbers become float32."""
        values = np.asarray(values)
        values = values.astype(np.float32) if values.dtype == np.float64 else values
        return self.add_constant(f"constant_{len(self.tensors)}", values)

    def integers(self, values: object) -> Tensor:
        """Adds an int32 constant."""
        return self.constant(np.asarray(values, np.int32))

    def sign(self, x: Tensor, form: str = "less") -> Tensor:
        """Adds the sign in one of the forms that converters write."""
        plus, minus, zero = self.constant(1.0), self.constant(-1.0), self.constant(0.0)
        if form == "larq":
            shifted = self.op("ADD", [self.op("SIGN", [x], x.dims), self.constant(0.1)], x.dims, schema.AddOptionsT())
            return self.op("SIGN", [shifted], x.dims)
        if form == "mended":
            condition = self.compare("EQUAL", x, zero)
            return self.op("SELECT_V2", [condition, plus, self.op("SIGN", [x], x.dims)], x.dims)
        if form == "cast from one":
            cast = self.op("CAST", [self.compare("LESS", x, zero)], x.dims, schema.CastOptionsT())
            doubled = self.op("MUL", [self.constant(2.0), cast], x.dims, schema.MulOptionsT())
            return self.op("SUB", [plus, doubled], x.dims, schema.SubOptionsT())
        if form == "not":
            condition = self.compare("LESS", x, zero)
            opposite = self.add_tensor(f"not_{len(self.ops)}", x.dims, np.bool_)
            self.add_op("LOGICAL_NOT", [condition], [opposite])
            return self.op("SELECT_V2", [opposite, plus, minus], x.dims)
        if form == "cast":
            condition = self.compare("GREATER_EQUAL", x, zero)
            cast = self.op("CAST", [condition], x.dims, schema.CastOptionsT())
            doubled = self.op("MUL", [cast, self.constant(2.0)], x.dims, schema.MulOptionsT())
            return self.op("SUB", [doubled, plus], x.dims, schema.SubOptionsT())
        if form == "broadcast":
            condition = self.compare("GREATER_EQUAL", x, zero)
            shape = self.add_tensor(f"shape_{len(self.ops)}", [len(x.dims)], np.int32)
            self.add_op("SHAPE", [x], [shape], _int32_shape())
            plus, minus = (self.op("BROADCAST_TO", [value, shape], x.dims) for value in (plus, minus))
            for op in self.find("BROADCAST_TO"):
                op.version = 2  # the first one in the runtime
            return self.op("SELECT_V2", [condition, plus, minus], x.dims)
        kinds = {
            "less": "LESS",
            "greater_equal": "GREATER_EQUAL",
            "zero_greater": "GREATER",
            "zero_less_equal": "LESS_EQUAL",
        }
        operands = (zero, x) if form.startswith("zero") else (x, zero)
        condition = self.compare(kinds[form], *operands)
        values = (minus, plus) if form in ("less", "zero_greater") else (plus, minus)
        return self.op("SELECT_V2", [condition, *values], x.dims)

    def compare(self, kind: str, one: Tensor, two: Tensor) -> Tensor:
        """Adds a comparison of a tensor with a constant, in either order."""
        dims = one.dims if two.is_constant else two.dims
        output = self.add_tensor(f"{kind.lower()}_{len(self.ops)}", dims, np.bool_)
        self.add_op(kind, [one, two], [output])
        return output

    def kernel(self, shape: Sequence[int], scales: object = None) -> np.ndarray:
        """Random weights +-scale, output channels first; by default scales are powers of two that differ."""
        signs = np.where(
            self.rng.random(shape) < self.rng.uniform(0.2, 0.8, (shape[0], *[1] * (len(shape) - 1))), -1, 1
        )
        chosen = 2.0 ** self.rng.integers(-3, 3, shape[0]) if scales is None else np.asarray(scales)
        return (signs * np.broadcast_to(chosen, shape[0]).reshape(-1, *[1] * (len(shape) - 1))).astype(np.float32)

    def bias(self, channels: int) -> np.ndarray:
        """Random multiples of 1/8, zeros included."""
        return (self.rng.integers(-40, 40, channels) / 8).astype(np.float32) * (self.rng.random(channels) < 0.8)

    def conv(
        self,
        x: Tensor,
        weights: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = VALID,
        activation: int = NONE,
    ) -> Tensor:
        """Adds CONV_2D; weights are [O, kh, kw, I / groups]."""
        options = schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        size = []
        for axis in (0, 1):
            length, reach = x.dims[1 + axis], (weights.shape[1 + axis] - 1) * dilation[axis] + 1
            size.append(-(-length // stride[axis]) if padding == SAME else (length - reach) // stride[axis] + 1)
        bias = np.zeros(len(weights), np.float32) if bias is None else bias
        dims = (x.dims[0], *size, len(weights))
        return self.op("CONV_2D", [x, self.constant(weights), self.constant(bias)], dims, options)

    def dense(
        self, x: Tensor, weights: np.ndarray, bias: np.ndarray | None = None, *, activation: int = NONE
    ) -> Tensor:
        """Adds FULLY_CONNECTED; weights are [O, I]."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        rows = -1 if -1 in x.dims else int(np.prod(x.dims)) // weights.shape[1]
        inputs = [x, self.constant(weights), None if bias is None else self.constant(bias)]
        return self.op("FULLY_CONNECTED", inputs, (rows, len(weights)), options)

    def pool(
        self,
        x: Tensor,
        window: tuple[int, int] = (2, 2),
        *,
        stride: tuple[int, int] | None = None,
        padding: int = VALID,
    ) -> Tensor:
        """Adds MAX_POOL_2D."""
        options = schema.Pool2DOptionsT()
        options.padding = padding
        options.filterHeight, options.filterWidth = window
        options.strideH, options.strideW = stride or window
        step = (options.strideH, options.strideW)
        size = [
            -(-x.dims[1 + axis] // step[axis])
            if padding == SAME
            else (x.dims[1 + axis] - window[axis]) // step[axis] + 1
            for axis in (0, 1)
        ]
        return self.op("MAX_POOL_2D", [x], (x.dims[0], *size, x.dims[3]), options)

    def pad(self, x: Tensor, amounts: Sequence[Sequence[int]], value: float | None = None) -> Tensor:
        """Adds PAD, or PADV2 when a value is given; amounts are (before, after) for each dimension."""
        dims = [size if size < 0 else size + sum(amount) for size, amount in zip(x.dims, amounts, strict=True)]
        if value is None:
            return self.op("PAD", [x, self.integers(amounts)], dims, schema.PadOptionsT())
        return self.op("PADV2", [x, self.integers(amounts), self.constant(value)], dims, schema.PadV2OptionsT())

    def scale(self, x: Tensor, values: object, *, activation: int = NONE) -> Tensor:
        """Adds MUL by a constant."""
        options = schema.MulOptionsT()
        options.fusedActivationFunction = activation
        return self.op("MUL", [x, self.constant(values)], x.dims, options)

    def shift(self, x: Tensor, values: object, *, activation: int = NONE) -> Tensor:
        """Adds ADD of a constant."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = activation
        return self.op("ADD", [x, self.constant(values)], x.dims, options)

    def reshape(self, x: Tensor, dims: Sequence[int]) -> Tensor:
        """Adds RESHAPE with a constant shape."""
        return self.op("RESHAPE", [x, self.integers(dims)], dims)

    def flatten(self, x: Tensor) -> Tensor:
        """Adds Flatten as the stock converter writes it: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
        row = int(np.prod(x.dims[1:]))
        number = len(self.ops)
        shape = self.add_tensor(f"shape_{number}", [len(x.dims)], np.int32)
        batch = self.add_tensor(f"batch_{number}", [], np.int32)
        packed = self.add_tensor(f"pack_{number}", [2], np.int32)
        self.add_op("SHAPE", [x], [shape], _int32_shape())
        slice_options = schema.StridedSliceOptionsT()
        slice_options.shrinkAxisMask = 1
        bounds = [self.integers([0]), self.integers([1]), self.integers([1])]
        self.add_op("STRIDED_SLICE", [shape, *bounds], [batch], slice_options)
        pack_options = schema.PackOptionsT()
        pack_options.valuesCount = 2
        self.add_op("PACK", [batch, self.integers(row)], [packed], pack_options)
        return self.op("RESHAPE", [x, packed], (x.dims[0], row))

    def finish(self, *outputs: Tensor) -> bytes:
        """Makes the tensors outputs and returns the file."""
        self.outputs = list(outputs)
        check_graph(self)
        return write_model(Model([self]))


def _int32_shape() -> schema.ShapeOptionsT:
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT32
    return options


def random_input(dims: Sequence[int], seed: int = 1, batch: int = 3) -> np.ndarray:
    """Random multiples of 1/4 with zeros and -0.0; a free dimension gets the size `batch`."""
    rng = np.random.default_rng(seed)
    shape = [batch if size < 0 else size for size in dims]
    x = (rng.integers(-12, 16, shape) / 4).astype(np.float32)
    x[rng.random(shape) < 0.1] = 0.0
    x[rng.random(shape) < 0.1] = -0.0
    return x


def run_file(model: bytes, inputs: Sequence[np.ndarray], delegates: Sequence[object] = ()) -> list[np.ndarray]:
    """Runs a file on the stock runtime, by default without our delegate."""
    interpreter = Interpreter(model_content=model, experimental_delegates=list(delegates))
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], values.shape)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def rewrite(source: bytes) -> tuple[bytes, Graph]:
    """Runs the pipeline with the checker after every pass, and once more to see that it finds nothing."""
    model = read_model(source)
    for graph in model.graphs:
        run_pipeline(graph, after_pass=lambda graph, _: check_graph(graph))
    packed = write_model(model)
    again = read_model(packed)
    for graph in again.graphs:
        run_pipeline(graph)
    assert write_model(again) == packed, "a second run of the pipeline changes the graph"
    return packed, again.graphs[0]


def rewrite_and_compare(source: bytes, *inputs: np.ndarray, numpy_reference: bool = True) -> Graph:
    """Rewrites a file and compares it, bit for bit, with the file on the stock runtime.

    Args:
        source: The float file.
        inputs: Its inputs.
        numpy_reference: Whether to evaluate the packed file in numpy too; False where ops stay that numpy lacks here.

    Returns:
        The rewritten graph.
    """
    packed, graph = rewrite(source)
    expected = run_file(source, inputs)
    results = [run_file(packed, inputs, [runtime.load_delegate()])]
    if numpy_reference:
        results.append(format_reference.run_packed(packed, inputs))
    for outputs in results:
        for output, want in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(output, want)
    return graph


def kinds(graph: Graph) -> list[str]:
    """The ops of a graph in the order in which they run."""
    return [op.kind for op in graph.ops]


def only(graph: Graph, kind: str) -> Op:
    """The one op of a kind."""
    (op,) = graph.find(kind)
    return op


def refusals(graph: Graph) -> dict[str, Refusal]:
    """What is refused in a graph, by the kind of the op; the first refusal of each."""
    found: dict[str, Refusal] = {}
    for op, _, refusal in find_refusals(graph):
        found.setdefault(op.kind, refusal)
    return found
