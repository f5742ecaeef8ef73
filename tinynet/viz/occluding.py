"""Occlusion: how much the score of a class needs each part of an image."""

from __future__ import annotations

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import Module
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange
from tinynet.ops.joining import cat
from tinynet.tensor import Tensor
from tinynet.viz.layers import evaluating
from tinynet.windows import as_sizes


@no_grad()
def occlusion(
    model: Module,
    x: Tensor,
    target: int,
    size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    fill: float | Tensor = 0.0,
    batch_size: int = 256,
) -> Tensor:
    """What `model` scores class `target` while a patch of `fill` hides a part of one image.

    `x` is the image, (channels, height, width). The patch has `size` pixels (or rows and columns)
    and moves by `stride` of them; entry (i, j) of the result is the score with the patch's first
    pixel at (i * stride, j * stride), for all places where the whole patch is in the image. `fill`
    is a number or a tensor that broadcasts to the image's shape; 0 is the mean of normalized
    pixels. Scores are what the model, in evaluation mode, returns: probabilities if it ends with a
    softmax, else logits. It runs on `batch_size` places at a time.

    Zeiler & Fergus 2014, section 4.2, arXiv:1311.2901.
    """
    if x.ndim != 3:
        raise ShapeError(f"occlusion: x is {x.shape}, expected one image (channels, height, width)")
    if batch_size < 1:
        raise ArgumentError(f"occlusion: batch_size is {batch_size}, expected at least 1")
    sizes = as_sizes("occlusion", "size", size, 2, least=1)
    strides = as_sizes("occlusion", "stride", stride, 2, least=1)
    if sizes[0] > x.shape[1] or sizes[1] > x.shape[2]:
        raise ShapeError(f"occlusion: the patch {sizes} is larger than the image {x.shape[1:]}")
    device = str(x.device)
    rows, columns = (_patches(*dim, device) for dim in zip(x.shape[1:], sizes, strides))
    scores = []
    with evaluating(model):
        for batch in arange(len(rows) * len(columns), device=device).split(batch_size):
            i, j = batch // len(columns), batch % len(columns)
            is_hidden = rows[i][:, None, :, None] & columns[j][:, None, None, :]
            scores.append(_score(model(where(is_hidden, fill, x)), target))
    return cat(scores).reshape(len(rows), len(columns))


def _patches(n: int, size: int, stride: int, device: str) -> Tensor:
    """Whether a patch hides a row: a bool for each of its places, and each of `n` rows."""
    starts = arange(0, n - size + 1, stride, device=device)[:, None]
    row = arange(n, device=device)
    return (row >= starts) & (row < starts + size)


def _score(output: Tensor, target: int) -> Tensor:
    if output.ndim != 2 or not -output.shape[1] <= target < output.shape[1]:
        raise ShapeError(
            f"occlusion: the model gave {output.shape}, expected (n, classes) with class {target}"
        )
    return output[:, target]
