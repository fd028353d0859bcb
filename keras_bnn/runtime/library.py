"""The shared library, on Linux libkeras_bnn.so: where it is, and what it can do on this machine."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from pathlib import Path
from typing import TypedDict

import keras_bnn

LIBRARY_NAME = {"darwin": "libkeras_bnn.dylib", "win32": "keras_bnn.dll"}.get(sys.platform, "libkeras_bnn.so")


class CpuInfo(TypedDict):
    """What `cpu_info` returns. Kernel sets are named by their instruction set, best first."""

    machine: str
    kernel_sets: list[str]
    supported_kernel_sets: list[str]
    chosen_kernel_set: str | None
    library_version: str
    library_path: str


class OpProfileStruct(ctypes.Structure):
    """KerasBnnOpProfile of keras_bnn.h."""

    _fields_ = (
        ("partition", ctypes.c_int),
        ("node", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("output", ctypes.c_char_p),
        ("nanoseconds", ctypes.c_uint64),
    )


class MemoryStruct(ctypes.Structure):
    """KerasBnnMemory of keras_bnn.h."""

    _fields_ = (
        ("activations", ctypes.c_uint64),
        ("scratch", ctypes.c_uint64),
        ("weights", ctypes.c_uint64),
    )


def delegate_path() -> str:
    """Returns the path of the shared library, which is an external delegate for every TFLite and LiteRT runtime.

    Use it where a program asks for a delegate's file: `--external_delegate_path` of TFLite's benchmark tool, or
    `TfLiteExternalDelegateOptionsDefault` in C++.

    Raises:
        FileNotFoundError: when the package was not built.
    """
    # An editable installation has two folders: the sources and, for the library, the one in site-packages.
    for folder in keras_bnn.__path__:
        path = Path(folder, "lib", LIBRARY_NAME)
        if path.is_file():
            return str(path)
    raise FileNotFoundError(
        f"{LIBRARY_NAME} is not in keras_bnn/lib under {list(keras_bnn.__path__)}: install the package with "
        "'pip install .' in the folder of its sources, which builds the library."
    )


@functools.cache
def load_library() -> ctypes.CDLL:
    """Loads the shared library and declares its functions, but those that a runtime calls.

    Raises:
        FileNotFoundError: when the package was not built.
        OSError: when the library was built for another machine.
    """
    path = delegate_path()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise OSError(f"{path} does not load on this machine ({platform.machine()}): {error}") from error
    for name, restype, argtypes in (
        ("KerasBnnVersion", ctypes.c_char_p, []),
        ("KerasBnnKernelSetCount", ctypes.c_int, []),
        ("KerasBnnKernelSetName", ctypes.c_char_p, [ctypes.c_int]),
        ("KerasBnnKernelSetSupported", ctypes.c_int, [ctypes.c_int]),
        ("KerasBnnChosenKernelSet", ctypes.c_char_p, []),
        (
            "KerasBnnGetProfile",
            ctypes.c_int,
            [ctypes.c_void_p, ctypes.POINTER(OpProfileStruct), ctypes.c_int],
        ),
        ("KerasBnnGetMemory", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(MemoryStruct), ctypes.c_int]),
        ("KerasBnnWeightBytes", ctypes.c_uint64, []),
        ("KerasBnnMeasurePeak", ctypes.c_double, [ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype = restype
        function.argtypes = argtypes
    return library


def cpu_info() -> CpuInfo:
    """Returns the kernel sets of the library and which of them run here.

    Returns:
        A dict with the keys machine; kernel_sets (those that were built, best first); supported_kernel_sets (those
        that this CPU runs); chosen_kernel_set (the one that a delegate without the option `isa` takes: the best one,
        or the one that the environment variable KERAS_BNN_ISA names, or None when that names none of the supported
        ones); library_version; library_path.

    Raises:
        OSError: when the library is missing or was built for another machine.

    Example:

    >>> keras_bnn.runtime.cpu_info()["kernel_sets"][-1]
    'scalar'
    """
    library = load_library()
    count = library.KerasBnnKernelSetCount()
    names = [library.KerasBnnKernelSetName(index).decode() for index in range(count)]
    chosen = library.KerasBnnChosenKernelSet()
    return CpuInfo(
        machine=platform.machine(),
        kernel_sets=names,
        supported_kernel_sets=[name for i, name in enumerate(names) if library.KerasBnnKernelSetSupported(i)],
        chosen_kernel_set=None if chosen is None else chosen.decode(),
        library_version=library.KerasBnnVersion().decode(),
        library_path=delegate_path(),
    )
