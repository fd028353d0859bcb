"""Runs a .tflite file on arrays from a file, for any number of samples, and prints or writes the outputs.

A .npy file holds the input of a model with one input, (samples, ...). A .npz file holds one array per input, under the
inputs' names. The output file is .npy for one output, .npz for several.

Examples:
  keras-bnn run model.tflite --input images.npy
  keras-bnn run model.tflite --input images.npy --output scores.npy --threads 2
"""

from __future__ import annotations

import argparse
import zipfile
from typing import Any, BinaryIO

from keras_bnn.cli.arguments import positive_int
from keras_bnn.cli.arrays import load_arrays
from keras_bnn.cli.printable import printable
from keras_bnn.whole_file import check_apart, check_writable, whole_file

HELP = "run a .tflite file on the arrays of a .npy or .npz file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("file", metavar="FILE", help=".tflite file, packed or not")
    parser.add_argument("--input", required=True, metavar="X", help=".npy file, or .npz file for several inputs")
    parser.add_argument("--output", metavar="Y", help="file to write the outputs to; without it they are printed")
    parser.add_argument("--threads", type=positive_int, default=1, help="threads of one prediction (default 1)")


def run(args: argparse.Namespace) -> int:
    """Runs the model."""
    from keras_bnn.runtime import Interpreter

    if args.output is not None:
        check_writable(args.output)
        check_apart(args.output, args.file, args.input)
    interpreter = Interpreter(args.file, num_threads=args.threads)
    result = interpreter.predict(load_arrays(args.input))
    names = [spec.name for spec in interpreter.outputs]
    if len(set(names)) < len(names):  # in a file without signature
        names = [f"output_{number}" for number in range(len(names))]
    outputs = dict(zip(names, result if len(names) > 1 else [result], strict=True))
    if args.output is None:
        for name, array in outputs.items():
            print(printable(f"{name}: {array.dtype} {array.shape}\n{array}"))
    else:
        _save(args.output, outputs)
        print(printable(f"{args.output}: " + ", ".join(f"{name} {a.dtype} {a.shape}" for name, a in outputs.items())))
    return 0


def _save(path: str, outputs: dict[str, Any]) -> None:
    """Writes the outputs, whole or not at all."""
    import numpy as np

    with whole_file(path) as file:
        if len(outputs) == 1:
            np.save(file, next(iter(outputs.values())))
        else:
            _write_npz(file, outputs)


def _write_npz(file: BinaryIO, arrays: dict[str, Any]) -> None:
    """What numpy.savez writes, whose arrays cannot be named as its arguments are."""
    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
