"""Measures the latency of a .tflite file on the installed runtime, and of each packed op in it, for 1 to N threads.

First checks the outputs: those of the chosen kernels must equal those of the scalar kernels, bit for bit. With
--reference also compares with another .tflite file of the same model, and measures both in turns in one run.

Examples:
  keras-bnn benchmark packed.tflite
  keras-bnn benchmark packed.tflite --reference float.tflite --threads 4
  keras-bnn benchmark packed.tflite --json > latency.json
"""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from keras_bnn.cli.arguments import positive_int, positive_seconds
from keras_bnn.cli.printable import printable
from keras_bnn.streams import path_or_content

if TYPE_CHECKING:
    import numpy as np

    from keras_bnn.converter import Inspection
    from keras_bnn.runtime import Interpreter

HELP = "measure latency, alone or against a reference .tflite"
_SAMPLES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("file", metavar="FILE", help=".tflite file, packed or not")
    parser.add_argument(
        "--reference", metavar="FILE", help="other .tflite file of the same model, such as its float one"
    )
    parser.add_argument(
        "--threads", type=positive_int, default=1, metavar="N", help="measure 1 to N threads (default 1)"
    )
    parser.add_argument("--batch", type=positive_int, default=1, help="samples of one run (default 1)")
    parser.add_argument("--seconds", type=positive_seconds, default=1.0, help="time for each measurement (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Checks, measures and prints."""
    from keras_bnn.cli.latency import measure
    from keras_bnn.runtime import Interpreter, cpu_info, stock_runtime

    files = {"file": args.file} if args.reference is None else {"file": args.file, "reference": args.reference}
    models = {name: path_or_content(path) for name, path in files.items()}
    inputs = _random_inputs(Interpreter(models["file"]), max(_SAMPLES, args.batch))
    result: dict[str, Any] = {
        **files,
        "runtime": str(stock_runtime()),
        "cpu": cpu_info(),
        "batch": args.batch,
        "bytes": {name: _size(model) for name, model in models.items()},
        "check": _check(files, models, inputs),
        "latency_us": [],
        "memory_bytes": [],
    }
    batch = {name: array[: args.batch] for name, array in inputs.items()}
    for threads in range(1, args.threads + 1):
        interpreters = {name: Interpreter(model, num_threads=threads) for name, model in models.items()}
        for interpreter in interpreters.values():
            interpreter.predict(batch, batch_size=args.batch)
        latencies = measure({name: each.invoke for name, each in interpreters.items()}, args.seconds)
        result["latency_us"].append({"threads": threads, **{name: each._asdict() for name, each in latencies.items()}})
        result["memory_bytes"].append({"threads": threads, **_memory(interpreters["file"])})
    inspection, result["inspection_error"] = _inspect(models["file"])
    result["profile"] = _profiles(models["file"], args, batch, inspection)
    print(json.dumps(result, indent=2) if args.json else printable(_table(result)))
    return 0


def _size(model: str | os.PathLike[str] | bytes) -> int:
    return len(model) if isinstance(model, bytes) else os.path.getsize(model)


def _inspect(model: str | os.PathLike[str] | bytes) -> tuple[Inspection | None, str | None]:
    """What the file holds, or the reason why that is not known."""
    try:
        from keras_bnn.converter import inspect
    except ImportError as error:  # the runtime runs files, but brings no schema to read them with
        return None, str(error)
    return inspect(model), None


def _profiles(
    model: str | os.PathLike[str] | bytes,
    args: argparse.Namespace,
    batch: dict[str, np.ndarray],
    inspection: Inspection | None,
) -> list[dict[str, Any]]:
    """The times of the ops, for each number of threads."""
    from keras_bnn.cli.op_profile import profile_ops
    from keras_bnn.runtime import Interpreter

    profiles = []
    for threads in range(1, args.threads + 1):
        interpreter = Interpreter(model, num_threads=threads, profile=True)
        interpreter.predict(batch, batch_size=args.batch)
        profiles.append(profile_ops(interpreter, inspection, threads, args.batch, args.seconds))
    return profiles


def _random_inputs(interpreter: Interpreter, samples: int) -> dict[str, np.ndarray]:
    """Seeded inputs: normal floats, integers over the whole range of 8-bit types."""
    import numpy as np

    rng = np.random.default_rng(0)
    inputs = {}
    for spec in interpreter.inputs:
        if None in spec.shape[1:]:
            raise ValueError(
                f"Input {spec.name!r} has the shape {spec.shape}: only the batch size may be free, so "
                "export it with fixed sizes."
            )
        shape = (samples, *(size for size in spec.shape[1:] if size is not None))
        if spec.dtype.kind == "f":
            inputs[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
        elif spec.dtype.itemsize == 1 and spec.dtype.kind in "iu":
            limits = np.iinfo(spec.dtype)
            inputs[spec.name] = rng.integers(limits.min, limits.max + 1, shape).astype(spec.dtype)
        else:
            raise ValueError(
                f"Input {spec.name!r} is {spec.dtype}: benchmarks know float and 8-bit inputs only; measure a "
                "file with such ones."
            )
    return inputs


def _check(
    files: dict[str, str], models: dict[str, str | os.PathLike[str] | bytes], inputs: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Compares the outputs with those of the scalar kernels and with those of the reference."""
    import numpy as np

    from keras_bnn.runtime import Interpreter

    def outputs(interpreter: Interpreter) -> list[np.ndarray]:
        result = interpreter.predict(inputs)
        return result if isinstance(result, list) else [result]

    path, reference = files["file"], files.get("reference")
    mine = outputs(Interpreter(models["file"]))
    scalar = outputs(Interpreter(models["file"], isa="scalar"))
    if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(mine, scalar, strict=True)):
        raise RuntimeError(
            f"{path} gives other outputs than on the scalar kernels: report this with `keras-bnn doctor`."
        )
    check: dict[str, Any] = {"samples": len(next(iter(inputs.values()))), "equal_to_scalar_kernels": True}
    if reference is not None:
        try:
            theirs = outputs(Interpreter(models["reference"]))
        except ValueError as error:
            raise ValueError(f"{reference} does not run on the inputs of {path}: {error}") from error
        shapes = [[array.shape[1:] for array in arrays] for arrays in (mine, theirs)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{path} gives outputs of the shapes {shapes[0]}, but {reference} of {shapes[1]}: pass "
                "files of the same model."
            )
        check["largest_difference"] = max(
            float(np.max(np.abs(a.astype(np.float64) - b))) for a, b in zip(mine, theirs, strict=True)
        )
        check["equal_arg_max"] = min(
            float(np.mean(a.argmax(-1) == b.argmax(-1))) for a, b in zip(mine, theirs, strict=True)
        )
    return check


def _memory(interpreter: Interpreter) -> dict[str, int]:
    """What the packed ops hold besides the runtime's tensors, whose partitions have one place for activations."""
    partitions = interpreter.memory()
    return {
        "activations": max((each.activations for each in partitions), default=0),
        "scratch": sum(each.scratch for each in partitions),
        "weights": sum(each.weights for each in partitions),
    }


def _table(result: dict[str, Any]) -> str:
    """The result as text."""
    from keras_bnn.cli.op_profile_text import profile_text

    check, cpu = result["check"], result["cpu"]
    lines = [
        f"{result['runtime']}, {cpu['machine']}, kernels {cpu['chosen_kernel_set']}, batch {result['batch']}",
        f"check: outputs equal to those of the scalar kernels on {check['samples']} random samples",
    ]
    if "reference" in result:
        lines.append(
            f"check: largest difference to the reference {check['largest_difference']:.3g}, "
            f"equal arg-max {check['equal_arg_max']:.2%}"
        )
    for name in ("file", "reference"):
        if name in result:
            lines.append(f"{name}: {result[name]}, {result['bytes'][name]:,} bytes")
    lines += ["", "latency in microseconds: median (10 % to 90 %)"]
    for row in result["latency_us"]:
        cells = [f"{name} {_cell(row[name])}" for name in ("file", "reference") if name in row]
        if "reference" in row:
            cells.append(f"{row['reference']['median'] / row['file']['median']:.2f} times as fast")
        lines.append(f"{row['threads']} thread{'s' if row['threads'] > 1 else ' '}  " + "   ".join(cells))
    lines += ["", "memory of the packed ops in bytes: activations, scratch, repacked weights"]
    for row in result["memory_bytes"]:
        cells = [f"{row[kind]:,}" for kind in ("activations", "scratch", "weights")]
        lines.append(f"{row['threads']} thread{'s' if row['threads'] > 1 else ' '}  " + "   ".join(cells))
    for profile in result["profile"]:
        lines += ["", *profile_text(profile)]
    if result["inspection_error"] is not None:
        lines += ["", f"no shapes and MACs of ops: {result['inspection_error']}"]
    return "\n".join(lines)


def _cell(latency: dict[str, float]) -> str:
    return f"{latency['median']:.1f} ({latency['p10']:.1f} to {latency['p90']:.1f})"
