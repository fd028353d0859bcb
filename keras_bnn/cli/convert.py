"""Packs the binary layers of a model: 1 bit a weight, XNOR and popcount at run time.

The input is a .keras file, a SavedModel folder or a .tflite file. Prints which ops were packed, which not and why, and
the sizes before and after. Nothing is written unless the whole conversion succeeds.

Examples:
  keras-bnn convert model.keras packed.tflite --reference float.tflite
  keras-bnn convert unpacked.tflite packed.tflite --no-verify
  keras-bnn convert model.keras int8.tflite --representative-data images.npy --input-type int8
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from keras_bnn.cli.arrays import load_arrays
from keras_bnn.cli.printable import printable
from keras_bnn.quiet import quiet_output

IO_TYPES = ("float32", "int8", "uint8")

HELP = "pack a .keras file, SavedModel or .tflite into a packed .tflite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("input", metavar="IN", help=".keras file, SavedModel folder or .tflite file")
    parser.add_argument("output", metavar="OUT", help="packed .tflite file to write")
    parser.add_argument("--reference", metavar="FILE", help="also write the float .tflite file, which runs anywhere")
    parser.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compare the packed file with the reference on random inputs (default: for models under 50 MB)",
    )
    parser.add_argument(
        "--representative-data",
        metavar="FILE",
        help="typical inputs, for int8 in all that is not binary: a .npy of the shape (samples, ...), or for several "
        "inputs a .npz with an array for each by its name; needs ai-edge-quantizer",
    )
    for side in ("input", "output"):
        parser.add_argument(
            f"--{side}-type", choices=IO_TYPES, default="float32", help=f"type of the {side}s of an int8 model"
        )


def run(args: argparse.Namespace) -> int:
    """Converts and prints the report."""
    import keras_bnn

    data = None if args.representative_data is None else _representative_data(Path(args.representative_data))
    with quiet_output(2):
        report = keras_bnn.convert(
            args.input,
            args.output,
            reference_path=args.reference,
            verify=args.verify,
            representative_dataset=data,
            inference_input_type=args.input_type,
            inference_output_type=args.output_type,
        )
    print(printable(report))
    return 0


def _representative_data(path: Path) -> Any:
    """Returns the array of a .npy file, or of a .npz file the arrays by their names, or the only one."""
    if path.suffix not in (".npy", ".npz") and not path.is_fifo():
        raise ValueError(f"{path} has the suffix {path.suffix!r}: pass representative data as a .npy or .npz file.")
    arrays = load_arrays(path)
    return next(iter(arrays.values())) if isinstance(arrays, dict) and len(arrays) == 1 else arrays
