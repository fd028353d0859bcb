"""A packed model as an object with one method, `predict`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_bnn.runtime.memory import PartitionMemory, read_memory
from keras_bnn.runtime.profile import OpProfile, read_profile
from keras_bnn.runtime.stock import load_delegate, stock_runtime
from keras_bnn.streams import path_or_content
from keras_bnn.whole_number import whole_number

Inputs = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: Its name in the model's signature, or the tensor's name where the file has no signature.
        shape: Its shape with the batch dimension; None for a dimension of any size.
        dtype: Its element type.
        quantization: (scale, zero point) of an integer tensor, real = scale * (q - zero point); None without one.
        index: Its tensor index in the file.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    quantization: tuple[float, int] | None
    index: int


class Interpreter:
    """Runs a packed .tflite file, or any other one, on the stock runtime.

    Not for use by several threads at once: make one interpreter for each.

    Args:
        model: Path of the file, or its bytes. What is no regular file, such as a pipe, is read into memory.
        num_threads: Threads of one prediction. The runtime's own default, one thread, when None.
        isa: Kernel set to use, one of `cpu_info()["supported_kernel_sets"]`; the best one when None.
        profile: Whether to time each packed op, for `profile()`.

    Attributes:
        inputs: `TensorSpec` of each input, in the order of the file, which is the Keras model's in one that
            `keras_bnn.convert` made of it.
        outputs: `TensorSpec` of each output, in the order in which the Keras model returned them.

    Raises:
        FileNotFoundError: when there is no such file.
        ImportError: when no runtime is installed, or numpy is too new for it.
        ValueError: when this is no .tflite file, or one that cannot run; when an argument has no meaning.
            (A damaged file may crash tflite-runtime, which does not check what it loads; LiteRT does.)

    Example:

    >>> interpreter = keras_bnn.runtime.Interpreter("model.tflite")  # doctest: +SKIP
    >>> interpreter.predict(images).argmax(-1)  # doctest: +SKIP
    array([7, 2, 1])
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | bytearray | memoryview,
        num_threads: int | None = None,
        isa: str | None = None,
        profile: bool = False,
    ) -> None:
        if num_threads is not None:
            num_threads = whole_number("num_threads", num_threads, ", or None for the runtime's default")
        self._name, source = _as_source(model)
        runtime = stock_runtime()
        options: dict[str, object] = {} if isa is None else {"isa": isa}
        self._delegate = load_delegate(**options, **({"profile": 1} if profile else {}))
        self._profile = profile
        try:
            self._interpreter = runtime.Interpreter(
                **source, experimental_delegates=[self._delegate], num_threads=num_threads
            )
            self.inputs, self.outputs = _signature(self._interpreter)
            if not self.inputs or not self.outputs:
                raise ValueError(f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs, expected some")
            if not any(None in spec.shape[1:] for spec in self.inputs):  # else the shapes in the file mean nothing
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{self._name} does not run on {runtime}: {_reason(error)}") from error
        self._shapes: list[tuple[int, ...]] = []

    def predict(self, x: Inputs, batch_size: int = 32) -> Any:
        """Returns the model's outputs for any number of samples.

        A file with a free batch dimension runs in batches of `batch_size`, one with a fixed batch in batches of that
        size, of which the last one is filled up with copies of the last sample.

        Args:
            x: Array of the shape (samples, ...); a list of arrays in the order of `inputs`, or a dict from their names
                to arrays, for a model with several inputs. A float input takes any real numbers; an integer input
                takes its own dtype only.
            batch_size: Most samples of one run.

        Returns:
            An array of the shape (samples, ...), or a list of them in the order of `outputs` when there are several.
            Quantized outputs come as the integers that they are.

        Raises:
            ValueError: when names, dtypes or shapes do not fit the model.
        """
        batch_size = whole_number("batch_size", batch_size)
        arrays = self._arrays(x)
        samples = len(arrays[0])
        fixed = next((spec.shape[0] for spec in self.inputs if spec.shape[0] is not None), None)
        step = fixed or min(batch_size, samples)
        runs = []
        for start in range(0, samples, step):
            batch = [array[start : start + step] for array in arrays]
            missing = step - len(batch[0]) if fixed else 0
            if missing:
                batch = [np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) for array in batch]
            runs.append(self._run(batch))
        outputs = [_joined(parts, samples, step) for parts in zip(*runs, strict=True)]
        return outputs[0] if len(outputs) == 1 else outputs

    def invoke(self) -> None:
        """Runs the model once more on the inputs of the last run: what a benchmark times."""
        self._interpreter.invoke()

    def profile(self) -> list[OpProfile]:
        """Returns how long each packed op took in the last run, in the order in which they ran.

        Raises:
            ValueError: when the interpreter was made without `profile=True`.
        """
        if not self._profile:
            raise ValueError(f"{self._name} is not profiled: make the interpreter with profile=True.")
        return read_profile(self._delegate_pointer())

    def memory(self) -> list[PartitionMemory]:
        """Returns what each partition of packed ops holds in memory, for the shapes of the last run."""
        return read_memory(self._delegate_pointer())

    def _delegate_pointer(self) -> int:
        pointer: int = self._delegate._get_native_delegate_pointer()  # the method that runtimes' interpreters call
        return pointer

    def _run(self, batch: list[np.ndarray]) -> list[np.ndarray]:
        """Runs one batch, after resizing the inputs where its shapes differ from those of the last run."""
        shapes = [array.shape for array in batch]
        try:
            if shapes != self._shapes:
                self._shapes = []  # unknown, should the allocation fail
                for spec, shape in zip(self.inputs, shapes, strict=True):
                    self._interpreter.resize_tensor_input(spec.index, shape)
                self._interpreter.allocate_tensors()
                self._shapes = shapes
            for spec, array in zip(self.inputs, batch, strict=True):
                self._interpreter.set_tensor(spec.index, array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(spec.index) for spec in self.outputs]
        except (RuntimeError, ValueError) as error:
            text = ", ".join(map(str, shapes))
            raise ValueError(f"{self._name} fails on inputs of the shape {text}: {_reason(error)}") from error

    def _arrays(self, x: Inputs) -> list[np.ndarray]:
        """Returns one array for each input, of the input's dtype and with equal numbers of samples."""
        names = [spec.name for spec in self.inputs]
        for spec in self.inputs:
            if not spec.shape:
                raise ValueError(
                    f"Input {spec.name!r} of {self._name} is a scalar, and predict takes samples: give it a batch "
                    "dimension, or make an interpreter of your runtime with `load_delegate()`."
                )
        if isinstance(x, Mapping):
            if set(x) != set(names):
                found = sorted(x, key=str)
                raise ValueError(f"x has the names {found}, but the model's inputs are {names}: use these names.")
            values: list[Any] = [x[name] for name in names]
        elif len(names) == 1:
            values = [x]
        elif isinstance(x, (list, tuple)) and len(x) == len(names):
            values = list(x)
        else:
            raise ValueError(f"The model has {len(names)} inputs: pass a dict with the names {names}, or a list.")
        arrays = [_as_input(_as_array(value, spec), spec) for value, spec in zip(values, self.inputs, strict=True)]
        counts = {len(array) for array in arrays}
        if len(counts) > 1:
            raise ValueError(
                f"All inputs need the same number of samples, but they have {sorted(counts)}: pass equally many."
            )
        if counts == {0}:
            raise ValueError(f"x holds no samples, but has the shape {arrays[0].shape}: pass one or more.")
        return arrays


def _as_array(value: Any, spec: TensorSpec) -> np.ndarray:
    if np.ma.is_masked(value):
        raise ValueError(
            f"Input {spec.name!r} got a masked array: pass one whose gaps are filled, for example x.filled(0)."
        )
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise ValueError(
            f"Input {spec.name!r} got what is no array ({str(error).split('. ')[0]}): pass an array."
        ) from None


def _as_input(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Returns the array in the input's dtype, or says why it does not fit the input."""
    fits = array.ndim == len(spec.shape) and all(
        want in (None, have) for want, have in zip(spec.shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join(["samples", *("any" if size is None else str(size) for size in spec.shape[1:])])
        raise ValueError(
            f"Input {spec.name!r} needs the shape ({shape}), but x has the shape {array.shape}: "
            "pass an array of that shape."
        )
    if array.dtype == spec.dtype:
        return np.ascontiguousarray(array)
    if spec.dtype.kind != "f" or array.dtype.kind not in "fiub":
        hint = ""
        if spec.quantization is not None:
            scale, zero_point = spec.quantization
            hint = f" (quantize with round(x / {scale:g}) + {zero_point})"
        raise ValueError(f"Input {spec.name!r} needs {spec.dtype}{hint}, but x is {array.dtype}: convert it.")
    return array.astype(spec.dtype, order="C")


def _signature(interpreter: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Returns the inputs and the outputs with the names of the first signature, where the file has one.

    The order of the outputs in the file is any; the signature calls them output_0, output_1, ... in Keras's order.
    """
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for detail in inputs:
        shape, free = (tuple(map(int, detail[key])) for key in ("shape", "shape_signature"))
        if len(shape) != len(free) or any(size not in (-1, fixed) for fixed, size in zip(shape, free, strict=True)):
            name = detail["name"]
            raise ValueError(f"its input {name!r} has the shapes {shape} and {free}, which contradict each other")
    signatures = interpreter.get_signature_list()
    if not signatures:
        return tuple(_spec(detail) for detail in inputs), tuple(_spec(detail) for detail in outputs)
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    try:
        input_names = _names(runner.get_input_details())
        output_names = _names(runner.get_output_details())
    except TypeError as error:  # of a tensor's number that fits no int32
        raise ValueError("its signature names a tensor that does not exist") from error
    specs = [spec for detail in _each_once(outputs) for spec in _named(detail, output_names)]
    specs.sort(key=lambda spec: _output_number(spec.name))
    return tuple(spec for detail in inputs for spec in _named(detail, input_names)[:1]), tuple(specs)


def _names(details: Mapping[str, Any]) -> dict[int, list[str]]:
    """The names that a signature has for each tensor: a model may return one tensor several times."""
    names: dict[int, list[str]] = {}
    for name, detail in details.items():
        names.setdefault(detail["index"], []).append(name)
    return names


def _each_once(details: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return {detail["index"]: detail for detail in details}.values()


def _named(detail: dict[str, Any], names: Mapping[int, list[str]]) -> list[TensorSpec]:
    return [_spec(detail, name) for name in names.get(detail["index"], [detail["name"]])]


def _output_number(name: str) -> int:
    match = re.fullmatch(r"output_(\d+)", name)
    return int(match[1]) if match else 0


def _joined(parts: tuple[np.ndarray, ...], samples: int, step: int) -> np.ndarray:
    """Returns one output of all runs, without what filled up the last run."""
    if len(parts) == 1 and samples == step:
        return parts[0]
    if parts[0].shape[:1] != (step,):
        raise ValueError(
            f"An output has the shape {parts[0].shape} for {step} samples, so that {samples} samples cannot be run in "
            f"batches: pass {step} samples at a time."
        )
    return np.concatenate(parts)[:samples]


def _spec(detail: dict[str, Any], name: str | None = None) -> TensorSpec:
    return TensorSpec(
        name=detail["name"] if name is None else name,
        shape=tuple(None if size < 0 else int(size) for size in detail["shape_signature"]),
        dtype=np.dtype(detail["dtype"]),
        quantization=detail["quantization"] if detail["quantization"][0] else None,
        index=detail["index"],
    )


def _as_source(model: Any) -> tuple[str, dict[str, Any]]:
    """The model's name in messages, and the model as the runtime takes it.

    A regular file goes by its path: the runtime keeps in memory what it needs of it. The runtimes' own messages on what
    cannot be a .tflite file name neither the file nor the cause.
    """
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
        try:
            content = path_or_content(model)
            head = content[:8] if isinstance(content, bytes) else _first_bytes(name)
        except FileNotFoundError:
            raise FileNotFoundError(f"{name} does not exist: pass the path of a .tflite file.") from None
        except IsADirectoryError:
            raise IsADirectoryError(f"{name} is a folder: pass the path of a .tflite file.") from None
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise type(error)(f"{name} cannot be opened ({reason}): pass the path of another file.") from error
    elif isinstance(model, bytes | bytearray | memoryview):
        name, content = "The model", bytes(model)
        head = content[:8]
    else:
        raise ValueError(
            f"model is of the type {type(model).__name__}: pass the path of a .tflite file, or the file's bytes."
        )
    if head[4:] != b"TFL3":
        raise ValueError(
            f"{name} is no .tflite file: its bytes 4 to 7 are {head[4:]!r}, expected b'TFL3'; pass a .tflite file."
        )
    if isinstance(content, bytes):
        return name, {"model_content": content}
    try:
        name.encode()
    except UnicodeEncodeError:  # a name whose bytes are no UTF-8, which the runtimes do not take
        return name, {"model_content": Path(name).read_bytes()}
    return name, {"model_path": name}


def _first_bytes(path: str) -> bytes:
    if "\0" in path:
        raise FileNotFoundError
    with open(path, "rb") as file:
        return file.read(8)


def _reason(error: Exception) -> str:
    """The runtime's lines as one, and what to do about them."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in it is no text, so that it is damaged; export or download it again."
    text = re.sub(r"Node number \d+ \(KerasBnnDelegate\) failed to \w+", "", str(error))  # which tells nothing more
    text = " ".join(text.split()).removesuffix(".") or "it tells no reason, as when memory runs out"
    unresolved = re.search(r"unresolved custom op: (\w+)", text)
    if unresolved:
        return (
            f"it holds the op {unresolved[1]}, which neither the runtime nor keras-bnn has; make the file without it."
        )
    if "not a valid Flatbuffer" in text:
        return "it is damaged or cut off; export or download it again."
    return f"{text}; export it again, or try another runtime or input."
