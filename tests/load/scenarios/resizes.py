"""One interpreter of each file for the whole time, with a batch and an image of another size in each run."""

import time

from workload import main


def scenario(workload, deadline):
    """Returns the runs."""
    interpreters = {name: workload.interpreter(name, num_threads=2) for name in workload.models}
    runs = 0
    while time.monotonic() < deadline:
        for name, interpreter in interpreters.items():
            workload.check(name, interpreter)
            runs += 1
    return {"runs": runs}


if __name__ == "__main__":
    main(scenario)
