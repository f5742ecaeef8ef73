"""Random programs of operations, run by tinynet on each device and by PyTorch.

What PyTorch refuses is left out; all else must agree in dtype, shape, `requires_grad` and values,
and so must the gradients of what was computed. Writes in place: `test_inplace_views.py`.
"""

import random

import numpy as np
import pytest
import torch

import tinynet as tn
from tests.parity.comparing import DTYPES

SHAPES = [(3, 4), (4,), (2, 3, 4), (), (4, 3), (3, 1)]
CASTS = "float64 float32 int64 int32 uint8 int8 bool".split()
UNARY = "abs neg sin cos tanh sigmoid floor ceil round trunc relu erf atan isnan logical_not"
BINARY = (
    "add sub mul maximum minimum eq ne lt le gt ge logical_and logical_or logical_xor atan2 matmul"
)
ALONG = (
    "sum mean amax amin prod any all logsumexp var argmax argmin count_nonzero cumsum cumprod"
    " softmax log_softmax"
)
PAIRS = "max min median sort cummax cummin"  # of values and indices


def dim_of(x, r):
    return r.randrange(-x.ndim, x.ndim)


def slices(x, r):
    """A part of `x`: integers, slices and new dims."""
    key = [
        r.choice([r.randrange(n), slice(r.randrange(n), None, r.choice([1, 2])), slice(None)])
        for n in x.shape[: r.randrange(1, x.ndim + 1)]
    ]
    return x[(*key, None)] if r.random() < 0.2 else x[tuple(key)]


def places(library, x, d, r, count=3):
    return library.tensor([r.randrange(x.shape[d]) for _ in range(count)])


def grid(library, x, r):
    """A dim, and an index along it for each element of `x`."""
    d = dim_of(x, r)
    flat = [r.randrange(x.shape[d]) for _ in range(x.numel())]
    return d, library.tensor(flat).reshape(tuple(x.shape))


# (library, x, y, r): `x` has dims and elements, `y` is anything.
STATEMENTS = {
    "unary": lambda m, x, y, r: getattr(m, r.choice(UNARY.split()))(x),
    "binary": lambda m, x, y, r: getattr(m, r.choice(BINARY.split()))(x, y),
    "number": lambda m, x, y, r: r.choice([
        lambda x: x + 2, lambda x: 1.5 - x, lambda x: x * -0.5, lambda x: x / 3, lambda x: x**2,
        lambda x: x.detach() // 2, lambda x: x.detach() % 3, lambda x: x >= 0.5,
        lambda x: x + True,
    ])(x),
    "cast": lambda m, x, y, r: x.to(getattr(m, r.choice(CASTS))),
    "where": lambda m, x, y, r: m.where(x > 0, x, r.choice([y, 0.5, 2])),
    "masked_fill": lambda m, x, y, r: x.masked_fill(x > 0, 0.25),
    "along": lambda m, x, y, r: getattr(m, r.choice(ALONG.split()))(x, dim=dim_of(x, r)),
    "pair": lambda m, x, y, r: getattr(m, r.choice(PAIRS.split()))(x, dim=dim_of(x, r))[0],
    "all": lambda m, x, y, r: getattr(m, r.choice(["sum", "mean", "any", "all", "prod"]))(x),
    "transpose": lambda m, x, y, r: x.transpose(dim_of(x, r), dim_of(x, r)),
    "slices": lambda m, x, y, r: slices(x, r),
    "flat": lambda m, x, y, r: x.reshape(-1),
    "view": lambda m, x, y, r: x.view(-1) if x.is_contiguous() else x.contiguous().view(-1),
    "expand": lambda m, x, y, r: x.expand(2, *x.shape),
    "unsqueeze": lambda m, x, y, r: x.unsqueeze(dim_of(x, r)),
    "flip": lambda m, x, y, r: m.flip(x, (dim_of(x, r),)),
    "roll": lambda m, x, y, r: m.roll(x, r.randrange(-3, 4), dim_of(x, r)),
    "unfold": lambda m, x, y, r: x.unfold(-1, 1 + x.shape[-1] // 2, 1),
    "tril": lambda m, x, y, r: m.tril(x, r.randrange(-1, 2)),
    "repeat": lambda m, x, y, r: m.repeat_interleave(x, 2, dim=dim_of(x, r)),
    "cat": lambda m, x, y, r: m.cat([x, r.choice([x, y])], dim_of(x, r)),
    "stack": lambda m, x, y, r: m.stack([x, r.choice([x, y])], dim_of(x, r)),
    "at": lambda m, x, y, r: x[places(m, x, 0, r)],
    "behind": lambda m, x, y, r: x[..., places(m, x, -1, r)],
    "select": lambda m, x, y, r: m.index_select(x, -1, places(m, x, -1, r)),
    "gather": lambda m, x, y, r: m.gather(x, *grid(m, x, r)),
    "scatter": lambda m, x, y, r: m.scatter_add(x, *grid(m, x, r), x),
    "layer_norm": lambda m, x, y, r: m.nn.functional.layer_norm(x, tuple(x.shape[-1:])),
    "pad": lambda m, x, y, r: m.nn.functional.pad(x, (r.randrange(-1, 2), 1), value=0.5),
}  # fmt: skip


def run(library, seed, refused):
    """The program of this seed: its statements, all tensors, and those that are leaves.

    `refused`: numbers of statements to leave out; PyTorch's run adds what it refuses.
    """
    r = random.Random(seed)
    numbers = np.random.default_rng(seed)
    tensors = []
    for shape in SHAPES:
        kind = r.choice(["float64", "float64", "float64", "int64", "bool"])
        x = library.tensor((numbers.normal(size=shape) * 2).tolist(), dtype=library.float64)
        tensors.append(x.to(getattr(library, kind)).requires_grad_(kind == "float64"))
    leaves = [x for x in tensors if x.requires_grad]
    names = []
    for number in range(r.randrange(2, 12)):
        name = r.choice([*STATEMENTS])
        x, y = r.choice([x for x in tensors if x.ndim and x.numel()]), r.choice(tensors)
        details = random.Random(r.random())
        if number in refused:
            continue
        try:
            tensors.append(STATEMENTS[name](library, x, y, details))
        except (RuntimeError, IndexError, TypeError, ValueError):
            if library is tn:
                raise
            refused.add(number)
        else:
            names.append(name)
    return names, tensors, leaves


def gradients(library, tensors, leaves):
    """The gradients of all that was computed."""
    used = [x for x in tensors if x.requires_grad]
    loss = sum((x.to(library.float64) * (i + 1)).sum() for i, x in enumerate(used))
    grads = library.autograd.grad(loss, leaves, allow_unused=True) if used else ()
    return [g for g in grads if g is not None]


def check(seed):
    """Compare one program; how many statements it has, and whether PyTorch knew its gradients."""
    refused = set()
    names, expected, leaves = run(torch, seed, refused)
    _, found, found_leaves = run(tn, seed, refused)
    assert [(DTYPES[x.dtype], tuple(x.shape), x.requires_grad) for x in expected] == [
        (x.dtype, x.shape, x.requires_grad) for x in found
    ]
    is_single = any(x.dtype is torch.float32 for x in expected)
    bound = 1e-4 if is_single else 1e-9
    pairs = [*zip(expected, found, strict=True)]
    grads = gradients(tn, found, found_leaves)
    has_gradients = True
    try:
        pairs += zip(gradients(torch, expected, leaves), grads, strict=True)
    except RuntimeError as error:  # of rules that subtract from what is a bool beside floats
        assert "bool" in str(error)  # noqa: PT017
        has_gradients = False
    for place, (e, g) in enumerate(pairs):
        e, g = e.numpy(force=True), g.numpy(force=True)
        np.testing.assert_allclose(g, e, rtol=bound, atol=bound, err_msg=f"{place} of {names}")
    return len(names), has_gradients


@pytest.mark.parametrize("start", range(0, 800, 200))
def test_programs(on_device, start):
    checked = [check(seed) for seed in range(start, start + 200)]
    assert sum(length for length, _ in checked) > 800
    assert sum(has_gradients for _, has_gradients in checked) > 190
