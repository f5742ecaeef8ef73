"""The product of two inputs with a weight between them."""

from __future__ import annotations

from tinynet.errors import ShapeError
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.tensor import Tensor


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input1 @ weight[k] @ input2 + bias[k]` for each output k.

    `input1` (*, m) and `input2` (*, n), `weight` (outputs, m, n), `bias` (outputs,).
    """
    op = "bilinear"
    a, b, w = (require_tensor(op, x) for x in (input1, input2, weight))
    require_same_device(op, a, b, w)
    if a.shape[:-1] != b.shape[:-1] or w.ndim != 3 or w.shape[1:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            f"{op}: input1 {a.shape}, input2 {b.shape} and weight {w.shape} do not fit, expected "
            "(*, m), (*, n) and (outputs, m, n)"
        )
    outputs, m, n = w.shape
    rows = a.reshape(-1, m) @ w.permute(1, 0, 2).reshape(m, outputs * n)
    y = (rows.reshape(-1, outputs, n) @ b.reshape(-1, n, 1)).reshape(*a.shape[:-1], outputs)
    return y if bias is None else y + bias
