"""The command line program `keras-bnn`: one file per command.

A command's module has `HELP`, `add_arguments(parser)` and `run(args)`, which returns the exit code.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
import traceback

from keras_bnn.cli.printable import printable

COMMANDS = ("demo", "convert", "inspect", "run", "benchmark", "doctor")
_TRAIN_EXTRA = ("keras", "tensorflow", "sklearn")
_EXIT_CODES = "exit codes: 0 success, 1 failure (one sentence on standard error), 2 wrong usage"


def main(argv: list[str] | None = None) -> int:
    """Runs the program and returns its exit code.

    Args:
        argv: Arguments without the program's name; those of the process when None.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # paths and tensors' names may be what it cannot write
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        _drop_stdout()
        return 0
    except KeyboardInterrupt:
        return 130
    except (ImportError, MemoryError, OSError, RuntimeError, ValueError) as error:
        print(f"keras-bnn {args.command}: {printable(_sentence(error), keep='')}", file=sys.stderr)
        if _is_of_stdout(error):
            _drop_stdout()
        return 1
    except Exception as error:
        cause = printable(f"{type(error).__name__}: {error}", keep="")
        print(
            f"keras-bnn {args.command}: this is a bug of keras-bnn ({cause}): report it with the lines below and what "
            f"`keras-bnn doctor` prints.\n{printable(traceback.format_exc()).rstrip()}",
            file=sys.stderr,
        )
        return 1
    return code


def _is_of_stdout(error: Exception) -> bool:
    """Whether writing failed, and not of a file: those say which they are."""
    kinds = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)
    return isinstance(error, OSError) and error.errno in kinds and error.filename is None


def _drop_stdout() -> None:
    """Lets nothing more be written to standard output, also what it still holds at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in _TRAIN_EXTRA:
        return f"{error.name} is not installed: pip install 'keras-bnn[train]'"
    if isinstance(error, MemoryError):
        return f"Memory ran out ({error}): free some, or pass a smaller file or batch."
    reason = (error.strerror or "").lower() if isinstance(error, OSError) else ""
    if _is_of_stdout(error):
        return f"standard output cannot be written ({reason}): make room, or write it to another place."
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"{error.filename} cannot be opened ({reason}): pass the path of another file, or change this one's."
    return str(error).removeprefix("keras-bnn: ")  # the delegate's own


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-bnn",
        description="Binarized neural networks: convert, run and measure packed models.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"keras_bnn.cli.{name}")
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import keras_bnn

        print(f"keras-bnn {keras_bnn.__version__}")
        parser.exit()
