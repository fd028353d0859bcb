"""Makes, resizes, runs and drops interpreters, and tells what the process holds before and after.

    leaks.py LIBRARY FOLDER CYCLES SEED

A cycle makes an interpreter of each packed file with a delegate, of which every second one serves both files, and runs
two cases on each. The control makes those of the float files without our delegate: what grows there is the runtime's.
"""

import ctypes
import gc
import json
import os
import sys
from pathlib import Path

from workload import Workload, run


class _Mallinfo2(ctypes.Structure):
    """The result of glibc's mallinfo2."""

    _fields_ = (
        *((f"unused_{number}", ctypes.c_size_t) for number in range(4)),
        ("mapped", ctypes.c_size_t),
        *((f"unused_{number}", ctypes.c_size_t) for number in range(4, 6)),
        ("allocated", ctypes.c_size_t),
        *((f"unused_{number}", ctypes.c_size_t) for number in range(6, 8)),
    )


def held():
    """Bytes of resident memory and bytes that malloc has handed out, file descriptors, and threads of the process."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)  # so that free memory does not count as resident
    libc.mallinfo2.restype = _Mallinfo2
    info = libc.mallinfo2()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "resident": int(status["RssAnon"].split()[0]) * 1024,
        "allocated": info.allocated + info.mapped,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
    }


def packed_cycle(workload, number):
    """One cycle with our delegate."""
    shared = workload.delegate() if number % 2 else None
    for name in workload.models:
        interpreter = workload.interpreter(name, shared, num_threads=1 + number % 3)
        for _ in range(2):
            workload.check(name, interpreter)


def control_cycle(workload, number):
    """The same without it."""
    for name, cases in workload.cases.items():
        interpreter = workload.stock_interpreter(Path(workload.folder, f"{name}.float"))
        for _ in range(2):
            run(interpreter, workload.random.choice(cases)[0])


def growth(cycle, workload, cycles):
    """How much more is held after all cycles than after the first tenth of them."""
    warm_up = max(cycles // 10, 50)
    for number in range(warm_up):
        cycle(workload, number)
    before = held()
    for number in range(cycles):
        cycle(workload, number)
    after = held()
    return {what: after[what] - before[what] for what in before}


if __name__ == "__main__":
    library, folder, count, seed = sys.argv[1:]
    work = Workload(library, folder, int(seed))
    print(json.dumps({name: growth(globals()[f"{name}_cycle"], work, int(count)) for name in ("control", "packed")}))
