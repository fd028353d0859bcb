"""Eight threads, each with an interpreter that it makes anew now and then; every second delegate serves two threads."""

import random
import threading
import time

from workload import main

THREADS = 8
RUNS = 40  # of an interpreter


def scenario(workload, deadline):
    """Returns the runs of all threads."""
    names = list(workload.models)
    shared = [workload.delegate() for _ in range(THREADS // 4)]
    counts, failures = [0] * THREADS, []

    def work(number):
        generator = random.Random(workload.seed * THREADS + number)
        try:
            while time.monotonic() < deadline and not failures:
                name = generator.choice(names)
                delegate = shared[number // 4] if number % 2 else workload.delegate()
                interpreter = workload.interpreter(name, delegate, num_threads=1 + number % 3)
                for _ in range(RUNS):
                    workload.check(name, interpreter, generator)
                    counts[number] += 1
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return {"runs": sum(counts), "runs of the slowest thread": min(counts)}


if __name__ == "__main__":
    main(scenario)
