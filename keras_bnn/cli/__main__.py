"""`python -m keras_bnn.cli` is `keras-bnn`."""

from __future__ import annotations

import sys

from keras_bnn.cli.guard import main

sys.exit(main())
