"""Delegates that interpreters share. They are all dropped in random order, by this thread and by others.

A delegate that is destroyed while interpreters of it live is out of the runtime's own contract, and within ours.
"""

import gc
import threading
import time

from workload import main


def scenario(workload, deadline):
    """Returns what was dropped."""
    dropped = {"interpreters": 0, "delegates before their interpreters": 0}
    while time.monotonic() < deadline:
        delegates = [workload.delegate() for _ in range(3)]
        interpreters = []
        for _ in range(5):
            name = workload.random.choice(list(workload.models))
            used = workload.interpreter(name, workload.random.choice(delegates), workload.random.randint(1, 3))
            interpreters.append((name, used))
        del used
        while interpreters or delegates:
            if delegates and workload.random.random() < 0.4:
                delegate = delegates.pop(workload.random.randrange(len(delegates)))
                if workload.random.random() < 0.5:
                    delegate.__del__()  # destroys it at once; interpreters hold references to the object
                    dropped["delegates before their interpreters"] += 1
                del delegate
            elif interpreters:
                place = workload.random.randrange(len(interpreters))
                if workload.random.random() < 0.5:
                    workload.check(*interpreters[place])
                if workload.random.random() < 0.5:
                    last = [interpreters.pop(place)]
                    thread = threading.Thread(target=last.clear)
                    thread.start()
                    thread.join()
                else:
                    del interpreters[place]
                dropped["interpreters"] += 1
            if workload.random.random() < 0.2:
                gc.collect()
    return dropped


if __name__ == "__main__":
    main(scenario)
