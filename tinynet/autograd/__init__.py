"""Reverse-mode automatic differentiation.

`graph` is tensors and nodes, `operation` the class of operations, `engine` the backward walk,
`hooks` what users hang on it, `mode` the recording switch, `function` operations of several outputs
and users' own, `inplace` writes, `anomaly` the search for NaNs, `gradcheck` numerical checks,
`functional` Jacobians and products, `checkpoint` recomputation, `observing` who looks on.
"""

from tinynet.autograd import functional
from tinynet.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinynet.autograd.checkpoint import checkpoint
from tinynet.autograd.engine import backward, grad
from tinynet.autograd.gradcheck import check_gradient, gradcheck, gradgradcheck
from tinynet.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinynet.autograd.operation import Function

__all__ = [
    "Function",
    "backward",
    "check_gradient",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
