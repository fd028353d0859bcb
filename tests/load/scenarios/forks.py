"""Processes that are forked and spawned from one that has used its interpreters; it goes on meanwhile and afterwards.

A forked process has no threads but the one that forked. Our ops do without them there; the runtime's may wait for them,
so that only the file that is all ours runs with several.
"""

import multiprocessing
import os
import signal
import time
import warnings

from workload import Workload, main

THREADS = {"dense": 3, "images": 1}
HANG = 150  # seconds, on however busy a machine


def use(workload, interpreters):
    """The given interpreters and new ones, in a process that must end by itself."""
    signal.alarm(HANG)
    for name, interpreter in interpreters.items():
        workload.check(name, interpreter)
        workload.check(name, workload.interpreter(name, num_threads=THREADS[name]))
        workload.check(name, interpreter)
    signal.alarm(0)


def use_anew(library, folder, seed):
    """The same in a process that was spawned."""
    workload = Workload(library, folder, seed)
    use(workload, {name: workload.interpreter(name) for name in workload.models})


def scenario(workload, deadline):
    """Returns the processes that there were."""
    warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)  # Python 3.12's, in a process with threads
    interpreters = {name: workload.interpreter(name, num_threads=THREADS[name]) for name in workload.models}
    counts = {"forks": 0, "multiprocessing's forks": 0, "spawns": 0}
    while counts["spawns"] == 0 or time.monotonic() < deadline:
        for _ in range(8):
            use(workload, interpreters)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    use(workload, interpreters)
                    interpreters.clear()
                    status = 0
                finally:
                    os._exit(status)
            use(workload, interpreters)
            _, status = os.waitpid(child, 0)
            if status:
                raise AssertionError(f"A forked process ended with the status {status}.")
            counts["forks"] += 1
        # These end in Python's usual way, which drops the interpreters.
        for method, what, target, args in (
            ("fork", "multiprocessing's forks", use, (workload, interpreters)),
            ("spawn", "spawns", use_anew, (workload.library, workload.folder, workload.seed)),
        ):
            process = multiprocessing.get_context(method).Process(target=target, args=args)
            process.start()
            use(workload, interpreters)
            process.join(HANG)
            if process.exitcode != 0:
                raise AssertionError(f"A process by {method} ended with the status {process.exitcode}.")
            counts[what] += 1
    return counts


if __name__ == "__main__":
    main(scenario)
