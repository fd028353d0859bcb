"""Lists the ops of a .tflite file: which are packed, which are not and why, and what each takes of the file.

Packed files may be those of keras-bnn or of Larq Compute Engine. With --html it also writes one page, which needs
nothing else, with the graph, its bits and floats, and histograms of weights and thresholds.

Examples:
  keras-bnn inspect model.tflite
  keras-bnn inspect model.tflite --html model.html
"""

from __future__ import annotations

import argparse

from keras_bnn.cli.printable import printable
from keras_bnn.whole_file import check_apart, check_writable

HELP = "list the ops of a .tflite file and which of them are packed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("file", metavar="FILE", help=".tflite file, packed or not")
    parser.add_argument("--html", metavar="OUT", help="also write the graph, sizes and histograms as one HTML page")


def run(args: argparse.Namespace) -> int:
    """Prints the table of ops, and writes the page."""
    import keras_bnn

    if args.html is not None:
        check_writable(args.html)
        check_apart(args.html, args.file)
    inspection = keras_bnn.converter.inspect(args.file)
    if args.html is not None:
        inspection.to_html(args.html)
    print(printable(inspection))
    return 0
