"""Binary networks from the literature, in the manner of `keras.applications`.

Each function returns a `keras.Model` with random weights, or with those of a local file. Images are channels_last.

>>> BinaryNetCIFAR10().output_shape
(None, 10)
"""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.applications.alexnet import BinaryAlexNet
from keras_bnn.applications.binarynet import BinaryNetCIFAR10, BinaryNetMNIST, BinaryNetSVHN
from keras_bnn.applications.birealnet import BiRealNet18
from keras_bnn.applications.densenet import BinaryDenseNet28, BinaryDenseNet37, BinaryDenseNet45
from keras_bnn.applications.quicknet import QuickNet, QuickNetLarge, QuickNetSmall
from keras_bnn.applications.reactnet import ReActNetA
from keras_bnn.applications.real_to_binary import RealToBinaryNet
from keras_bnn.applications.resnet_e import BinaryResNetE18
from keras_bnn.applications.xnornet import XNORNet

__all__ = [
    "BiRealNet18",
    "BinaryAlexNet",
    "BinaryDenseNet28",
    "BinaryDenseNet37",
    "BinaryDenseNet45",
    "BinaryNetCIFAR10",
    "BinaryNetMNIST",
    "BinaryNetSVHN",
    "BinaryResNetE18",
    "QuickNet",
    "QuickNetLarge",
    "QuickNetSmall",
    "ReActNetA",
    "RealToBinaryNet",
    "XNORNet",
]
