"""Lists the ops of a .tflite file: which are packed, which are not and why, and what each takes of the file.

Example:
  keras-bnn inspect model.tflite
"""

from __future__ import annotations

import argparse

HELP = "list the ops of a .tflite file and which of them are packed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("file", metavar="FILE", help=".tflite file, packed or not")


def run(args: argparse.Namespace) -> int:
    """Prints the table of ops."""
    import keras_bnn

    print(keras_bnn.converter.inspect(args.file))
    return 0
