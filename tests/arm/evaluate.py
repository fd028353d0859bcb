"""Runs in the userland: `evaluate.py FOLDER ISA` runs each FOLDER/NAME.tflite on FOLDER/NAME.inputs.npz.

Each array of the inputs is one run. The outputs go to FOLDER/NAME.ISA.npz under the same names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from support.session import Session

folder, isa = sys.argv[1:]
for model in sorted(Path(folder).glob("*.tflite")):
    session = Session(model.read_bytes(), isa, num_threads=2)
    with np.load(model.with_suffix(".inputs.npz")) as inputs:
        outputs = {name: session.run([x])[0] for name, x in inputs.items()}
    np.savez(model.with_suffix(f".{isa}.npz"), **outputs)
