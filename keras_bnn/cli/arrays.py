"""Arrays from the files that users pass."""

from __future__ import annotations

import io
import os
from typing import Any

from keras_bnn.streams import path_or_content


def load_arrays(path: str | os.PathLike[str]) -> Any:
    """Returns the array of a .npy file, or a dict of those of a .npz file by their names.

    Raises:
        OSError: when there is no such file, or it may not be read.
        ValueError: when it is another file, or a damaged one.
    """
    import numpy as np

    try:
        content = path_or_content(path)
        loaded = np.load(io.BytesIO(content) if isinstance(content, bytes) else content)
        return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: pass a .npy or .npz file.") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # on damaged bytes numpy raises whatever its own readers of Python and zip files do
        raise ValueError(f"{path} is no whole file of numbers: write it with numpy.save or numpy.savez.") from error
