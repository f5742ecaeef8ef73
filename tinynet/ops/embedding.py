"""Rows looked up in a table: what embeddings are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.operation import Op
from tinynet.dtype import int64
from tinynet.errors import DimError
from tinynet.numbers import is_recording
from tinynet.ops.arithmetic import choose
from tinynet.ops.indexing import put, take_at
from tinynet.ops.losses import LARGEST
from tinynet.ops.operands import cast_to

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Embedding(Op):
    """Rows of a table. `params`: places, the table's shape, the row without gradients, and whether
    gradients are divided by how often their row is there.
    """

    op = "embedding"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        places, shape, padding_idx, scale_grad_by_freq = ctx.params
        if scale_grad_by_freq:
            counts = grad.new_zeros(shape[:1])
            counts = put(counts, (places,), grad.new_ones(()), "add")
            grad = grad / take_at(counts, (places,)).unsqueeze(-1)
        if padding_idx is not None:
            grad = choose((places != padding_idx).unsqueeze(-1), grad, 0.0)
        return put(grad.new_zeros(shape), (places, None), grad, "add")


def take_rows(
    op: str,
    table: Tensor,
    index: Tensor,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """`table[index]` where no index is negative: (*) integers and (rows, size) make (*, size).

    Row `padding_idx` gets no gradient. No value is read on the host: what is out of range is for
    the backend to notice.
    """
    places = as_class_index(index)
    try:
        array = table.backend.take(table.array, (places.array, None))
    except DimError as error:
        raise range_error(error, op, index, len(table), "rows") from None
    params = (places, table.shape, padding_idx, scale_grad_by_freq)
    return result(Embedding, array, table.dtype, (table,), (), params)


def as_class_index(index: Tensor) -> Tensor:
    """An int64 index without sign bits: a negative one, which would count from the end, is then far
    out of range.
    """
    backend = index.backend
    array = backend.elementwise("bitwise_and", cast_to(index, int64).array, LARGEST)
    return wrap(array, int64, backend)


def range_error(error: DimError, op: str, index: Tensor, count: int, what: str) -> DimError:
    """What to raise about indices of which some are out of range, as a backend said by `error`."""
    if is_recording():  # nobody can look at them
        return error
    wrong = [i for i in index.reshape(-1).tolist() if not 0 <= i < count]
    return DimError(f"{op}: index {wrong[0]} is out of range for {count} {what}")
