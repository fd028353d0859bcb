"""Packs the binary layers of a model: 1 bit a weight, XNOR and popcount at run time.

The input is a .keras file, a SavedModel folder or a .tflite file. Prints which ops were packed, which not and why, and
the sizes before and after. Nothing is written unless the whole conversion succeeds.

Examples:
  keras-bnn convert model.keras packed.tflite --reference float.tflite
  keras-bnn convert unpacked.tflite packed.tflite --no-verify
"""

from __future__ import annotations

import argparse

from keras_bnn.cli.quiet import quiet_stderr

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


def run(args: argparse.Namespace) -> int:
    """Converts and prints the report."""
    import keras_bnn

    with quiet_stderr():
        report = keras_bnn.convert(args.input, args.output, reference_path=args.reference, verify=args.verify)
    print(report)
    return 0
