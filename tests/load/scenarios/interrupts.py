"""KeyboardInterrupt at any moment, and inputs that an op refuses: the same interpreters go on with right results."""

import signal
import time

import numpy as np
from workload import main, run


def scenario(workload, deadline):
    """Returns the runs and what came between."""
    interpreters = {name: workload.interpreter(name, num_threads=2) for name in workload.models}
    counts = {"runs": 0, "interrupts": 0, "refusals": 0}

    def refuse():
        # The other file has ops of the runtime, and tflite-runtime 2.14 crashes behind a size that it has refused.
        x = np.zeros((2, 5), np.float32)
        try:
            run(interpreters["dense"], x)
        except (RuntimeError, ValueError):
            counts["refusals"] += 1
        else:
            raise AssertionError(f"The dense layer takes an input of the shape {x.shape}.")

    signal.signal(signal.SIGALRM, signal.default_int_handler)  # what Ctrl-C does
    while time.monotonic() < deadline:
        try:
            signal.setitimer(signal.ITIMER_REAL, workload.random.uniform(0.0002, 0.01))
            while True:
                if workload.random.random() < 0.1:
                    refuse()
                for name, interpreter in interpreters.items():
                    workload.check(name, interpreter)
                    counts["runs"] += 1
        except KeyboardInterrupt:
            counts["interrupts"] += 1
    return counts


if __name__ == "__main__":
    main(scenario)
