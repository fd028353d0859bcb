"""What the runtime's own profiler reads of our nodes, through the C structs of the stock runtime.

Its profiler shows a node of a delegate as "<custom name>/<profiling string>". A second delegate, which replaces
nothing, looks at the nodes that ours left, as that profiler does.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

from keras_bnn import runtime


class IntArray(Structure):
    _fields_ = (("size", c_int), ("data", c_int * 100))


class Registration(Structure):
    _fields_ = (
        ("init", c_void_p),
        ("free", c_void_p),
        ("prepare", c_void_p),
        ("invoke", c_void_p),
        ("profiling_string", CFUNCTYPE(c_char_p, c_void_p, c_void_p)),
        ("builtin_code", c_int32),
        ("custom_name", c_char_p),
    )


class Context(Structure):
    _fields_ = (
        ("tensors_size", c_size_t),
        ("GetExecutionPlan", CFUNCTYPE(c_int, c_void_p, POINTER(POINTER(IntArray)))),
        ("unused", c_void_p * 5),
        (
            "GetNodeAndRegistration",
            CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_void_p), POINTER(POINTER(Registration))),
        ),
    )


PREPARE = CFUNCTYPE(c_int, POINTER(Context), c_void_p)


class Delegate(Structure):
    _fields_ = (
        ("data", c_void_p),
        ("Prepare", PREPARE),
        ("buffers", c_void_p * 3),
        ("flags", c_int64),
        ("opaque_delegate_builder", c_void_p),
    )


class Onlooker:
    """A delegate that writes down what the profiler would show of each node of a delegate."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._delegate = Delegate(Prepare=PREPARE(self._look), flags=1)

    def _get_native_delegate_pointer(self) -> int:
        return ctypes.addressof(self._delegate)

    def _look(self, context: ctypes._Pointer[Context], _: int) -> int:
        plan = POINTER(IntArray)()
        assert context.contents.GetExecutionPlan(context, byref(plan)) == 0
        for index in plan.contents.data[: plan.contents.size]:
            node, registration = c_void_p(), POINTER(Registration)()
            assert context.contents.GetNodeAndRegistration(context, index, byref(node), byref(registration)) == 0
            describe = registration.contents.profiling_string
            if registration.contents.custom_name is not None and describe:
                self.found.append(f"{registration.contents.custom_name.decode()}/{describe(context, node).decode()}")
        return 0


def test_runtime_reads_what_a_node_holds(dense_file: Path) -> None:
    onlooker = Onlooker()
    delegates = [runtime.load_delegate(), onlooker]
    interpreter = runtime.stock_runtime().Interpreter(model_path=str(dense_file), experimental_delegates=delegates)
    interpreter.allocate_tensors()
    assert onlooker.found == ["KerasBnnDelegate/BnnQuantize+BnnFullyConnected"]
