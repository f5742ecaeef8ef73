"""Normalisation over a batch, channels, groups or the last dims."""

from __future__ import annotations

from typing import Any

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import dtype_of
from tinynet.tensor import Tensor


def batch_norm(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Any:
    """By the statistics given; in `training_mode` by the batch's own, giving the moved ones too."""
    eps = node.get("epsilon", 1e-5)
    if not node.flag("training_mode", 0):
        if node.opset < 14 and len([name for name in node.outputs if name]) > 1:
            node.refuse("asks for the statistics that opsets before 14 give in training")
        return functional.batch_norm(x, mean, var, scale, bias, eps=eps)
    momentum = node.get("momentum", 0.9)
    dims = (0, *range(2, x.ndim))
    batch_mean, batch_var = x.mean(dims), x.var(dims, correction=0)
    y = functional.batch_norm(x, batch_mean, batch_var, scale, bias, eps=eps)
    moved = (
        mean * momentum + batch_mean * (1 - momentum),
        var * momentum + batch_var * (1 - momentum),
    )
    return y, *moved


def instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    eps = node.get("epsilon", 1e-5)
    return functional.instance_norm(x, weight=scale, bias=bias, eps=eps)


def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Before opset 21 with a scale and bias for each group, then for each channel."""
    groups, eps = node.need("num_groups"), node.get("epsilon", 1e-5)
    if node.opset < 21:
        repeats = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(repeats), bias.repeat_interleave(repeats)
    return functional.group_norm(x, groups, scale, bias, eps)


def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    """Over the dims from `axis` on; the statistics, where asked for, in `stash_type`."""
    axis, eps = node.axis(x.ndim, node.get("axis", -1)), node.get("epsilon", 1e-5)
    shape = x.shape[axis:]
    y = functional.layer_norm(
        x, shape, scale.expand(shape), None if bias is None else bias.expand(shape), eps
    )
    if not (node.has_output(1) or node.has_output(2)):
        return y
    dims, wide = (
        tuple(range(axis, x.ndim)),
        x.to(dtype_of(f"onnx: {node}", node.get("stash_type", 1))),
    )
    mean = wide.mean(dims, True)
    return y, mean, (wide.var(dims, correction=0, keepdim=True) + eps).rsqrt()


def rms_norm(node: Node, x: Tensor, scale: Tensor) -> Any:
    axis, eps = node.axis(x.ndim, node.get("axis", -1)), node.get("epsilon", 1e-5)
    wide = x.to(dtype_of(f"onnx: {node}", node.get("stash_type", 1)))
    y = wide * ((wide * wide).mean(tuple(range(axis, x.ndim)), True) + eps).rsqrt()
    return y.to(x.dtype) * scale


def local_response_norm(node: Node, x: Tensor) -> Tensor:
    """A window of even size has one channel more behind than before; in ours it is the other way.

    So channels are turned round for it.
    """
    size = node.need("size")
    y = functional.local_response_norm(
        x if size % 2 else x.flip(1),
        size,
        node.get("alpha", 1e-4),
        node.get("beta", 0.75),
        node.get("bias", 1.0),
    )
    return y if size % 2 else y.flip(1)


def lp_normalization(node: Node, x: Tensor) -> Any:
    """Zeros stay zeros."""
    axis = node.get("axis", -1)
    size = x.abs().sum(axis, True) if node.get("p", 2) == 1 else (x * x).sum(axis, True).sqrt()
    return x / (size + (size == 0).to(size.dtype))


def mean_variance(node: Node, x: Tensor) -> Tensor:
    """`(x - mean) / (standard deviation + 1e-9)`."""
    axes = node.get("axes", (0, 2, 3))
    centered = x - x.mean(axes, True)
    return centered / ((centered * centered).mean(axes, True).sqrt() + 1e-9)


OPERATORS: dict[str, Operator] = {
    "BatchNormalization": Operator(batch_norm, 9),
    "InstanceNormalization": Operator(instance_norm, 6),
    "GroupNormalization": Operator(group_norm, 18),
    "LayerNormalization": Operator(layer_norm, 17),
    "RMSNormalization": Operator(rms_norm, 23),
    "LRN": Operator(local_response_norm),
    "LpNormalization": Operator(lp_normalization),
    "MeanVarianceNormalization": Operator(mean_variance, 9),
}
