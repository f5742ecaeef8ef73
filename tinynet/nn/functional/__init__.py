"""Functions that layers are made of: `tinynet.nn.functional`, `F` for short.

`activations`, `dropout`, `losses`, `normalization` and `upsampling` hold what they say; `pad` and
the shuffles are operations of `tinynet.ops`. Arguments that PyTorch calls
deprecated (`size_average`, `reduce`) are left out; those behind them go by name only.
"""

from tinynet.nn.functional.activations import (
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
from tinynet.nn.functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
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
from tinynet.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
)
from tinynet.nn.functional.upsampling import interpolate
from tinynet.ops.elementwise import sigmoid, tanh
from tinynet.ops.linear import linear
from tinynet.ops.padding import pad
from tinynet.ops.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle

__all__ = [
    "alpha_dropout",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "channel_shuffle",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "feature_alpha_dropout",
    "gelu",
    "group_norm",
    "hardtanh",
    "instance_norm",
    "interpolate",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "normalize",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "tanh",
]
