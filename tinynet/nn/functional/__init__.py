"""Functions that layers are made of: `tinynet.nn.functional`, `F` for short.

`activations` holds activations and dropout, `losses` the losses. Arguments that PyTorch calls
deprecated (`size_average`, `reduce`) are left out; those behind them go by name only.
"""

from tinynet.nn.functional.activations import (
    dropout,
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    silu,
    softmax,
    softmin,
    softplus,
)
from tinynet.nn.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from tinynet.ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from tinynet.ops.elementwise import sigmoid, tanh
from tinynet.ops.linear import linear

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "hardtanh",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "tanh",
]
