"""How far vectors are from each other."""

from __future__ import annotations

from tinynet import shape as shapes
from tinynet.ops.operands import require_floating, require_same_device, require_tensor
from tinynet.tensor import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; lengths count as `eps` at least.

    Shapes broadcast; the result has them without `dim`.
    """
    x, y = _checked("cosine_similarity", x1, x2)
    shape = shapes.broadcast("cosine_similarity", x.shape, y.shape)
    x, y = x.expand(shape), y.expand(shape)
    lengths = [z.norm(2, dim, keepdim=True).clamp(min=eps) for z in (x, y)]
    return (x / lengths[0] * (y / lengths[1])).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The `p`-norm of `x1 - x2 + eps` along the last dim."""
    x, y = _checked("pairwise_distance", x1, x2)
    return (x - y + eps).norm(p, -1, keepdim=keepdim)


def _checked(op: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    x, y = require_tensor(op, x1, "x1"), require_tensor(op, x2, "x2")
    require_same_device(op, x, y)
    require_floating(op, x, y)
    return x, y
