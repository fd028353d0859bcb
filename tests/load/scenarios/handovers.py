"""Interpreters made in one thread, used in turns by others, and dropped in yet another one."""

import queue
import threading
import time

from workload import main

THREADS = 4
HANDOVERS = 30  # of an interpreter


def scenario(workload, deadline):
    """Returns the handovers."""
    waiting, failures, handovers = queue.Queue(), [], [0] * THREADS
    for _ in range(3):
        for name in workload.models:
            waiting.put((name, workload.interpreter(name, num_threads=2), 0))

    def work(number):
        try:
            while time.monotonic() < deadline and not failures:
                name, interpreter, uses = waiting.get()
                if uses == HANDOVERS:
                    interpreter, uses = workload.interpreter(name, num_threads=1 + number % 3), 0
                workload.check(name, interpreter)
                handovers[number] += 1
                waiting.put((name, interpreter, uses + 1))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return {"handovers": sum(handovers)}


if __name__ == "__main__":
    main(scenario)
