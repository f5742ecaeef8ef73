"""Calls PyTorch and tinynet alike, and compares what they return or raise.

A case is written in PyTorch's terms: tensors, dtypes and plain Python values. `converted` makes
tinynet's out of them; `differences` says in words where two results are unlike.
"""

import math

import ml_dtypes
import numpy as np
import torch

import tinynet as tn

DTYPES = {
    torch.bool: tn.bool, torch.uint8: tn.uint8, torch.int8: tn.int8, torch.int16: tn.int16,
    torch.int32: tn.int32, torch.int64: tn.int64, torch.float16: tn.float16,
    torch.bfloat16: tn.bfloat16, torch.float32: tn.float32, torch.float64: tn.float64,
    torch.uint16: tn.uint16, torch.uint32: tn.uint32, torch.uint64: tn.uint64,
}  # fmt: skip
# Relative and absolute; float64 and float32 leave room for sums in another order.
TOLERANCES = {
    torch.float64: (1e-10, 1e-10), torch.float32: (1e-5, 1e-5),
    torch.float16: (2e-3, 1e-3), torch.bfloat16: (1.6e-2, 1e-2),
}  # fmt: skip


def to_numpy(x):
    """A PyTorch tensor's values; bfloat16 as ml_dtypes has it."""
    x = x.detach().resolve_neg()
    if x.dtype is torch.bfloat16:
        return x.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy(force=True)  # PyTorch's gradients may be zeros without memory


def converted(value):
    """`value` with tinynet's tensors and dtypes for PyTorch's, in lists, tuples and dicts too."""
    if isinstance(value, torch.Tensor):
        kept = tn.tensor(np.array(to_numpy(value)))
        return kept.requires_grad_() if value.requires_grad else kept
    if isinstance(value, torch.dtype):
        return DTYPES[value]
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, dict):
        return {key: converted(item) for key, item in value.items()}
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(item) for item in value)
    if isinstance(value, slice):
        return slice(converted(value.start), converted(value.stop), converted(value.step))
    return value


def tensors_in(value, kind):
    """All tensors of class `kind` in `value`, in order."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [x for item in value for x in tensors_in(item, kind)]
    return []


def differences(expected, got, tolerance=None, has_values=True):
    """Where tinynet's result differs from PyTorch's, "" where it does not."""
    if isinstance(expected, (list, tuple)) and not isinstance(expected, torch.Size):
        return _differences_of_items(expected, got, tolerance, has_values)
    if not isinstance(expected, torch.Tensor):
        expected = tuple(expected) if isinstance(expected, torch.Size) else expected
        is_nan = isinstance(expected, float) and math.isnan(expected)
        is_same = math.isnan(got) if is_nan else expected == got
        is_same = is_same and type(expected) is type(got)
        return "" if is_same else f"expected {expected!r}, got {got!r}"
    if not isinstance(got, tn.Tensor):
        return f"expected a tensor, got {type(got).__name__}"
    if DTYPES[expected.dtype] is not got.dtype:
        return f"dtype: expected {expected.dtype}, got {got.dtype}"
    if tuple(expected.shape) != got.shape:
        return f"shape: expected {tuple(expected.shape)}, got {got.shape}"
    return _differences_of_values(expected, got, tolerance) if has_values else ""


def _differences_of_items(expected, got, tolerance, has_values):
    if not isinstance(got, (list, tuple)) or len(expected) != len(got):
        return f"expected {len(expected)} results, got {got!r:.80}"
    names = [name for name in ("values", "indices") if hasattr(expected, name)]
    if any(not hasattr(got, name) for name in names):
        return f"expected fields {names}, got {type(got).__name__}"
    for i, (y, z) in enumerate(zip(expected, got, strict=True)):
        found = differences(y, z, tolerance, has_values)
        if found:
            return f"result {i}: {found}"
    return ""


def _differences_of_values(expected, got, tolerance):
    relative, absolute = tolerance or TOLERANCES.get(expected.dtype, (0, 0))
    y, z = to_numpy(expected), got.numpy(force=True)
    if z.dtype != y.dtype:
        return f"array dtype: expected {y.dtype}, got {z.dtype}"
    if y.dtype.kind not in "biu":
        y, z = y.astype(np.float64), z.astype(np.float64)
        with np.errstate(all="ignore"):
            is_close = np.isclose(z, y, relative, absolute, equal_nan=True)
    else:
        is_close = y == z
    if is_close.all():
        return ""
    place = tuple(int(i) for i in np.argwhere(~is_close)[0])
    return f"{(~is_close).sum()} of {y.size} values, at {place} expected {y[place]}, got {z[place]}"


def gradient_differences(call, mimic, arguments, keywords):
    """Where first and second gradients of `mimic` (tinynet) differ from those of `call`.

    Differentiated is the product of outputs with fixed weights; then that of gradients.
    """
    theirs = tensors_in((arguments, keywords), torch.Tensor)
    our_arguments, our_keywords = converted(arguments), converted(keywords)
    ours = tensors_in((our_arguments, our_keywords), tn.Tensor)
    pairs = [(x, y) for x, y in zip(theirs, ours, strict=True) if x.requires_grad]
    theirs, ours = [x for x, _ in pairs], [y for _, y in pairs]
    expected = _floats(call(*arguments, **keywords), torch.Tensor)
    got = _floats(mimic(*our_arguments, **our_keywords), tn.Tensor)
    for order in ("gradient", "second gradient"):
        flags = [[y.requires_grad for y in results] for results in (expected, got)]
        if flags[0] != flags[1]:
            return f"{order}: expected requires_grad {flags[0]}, got {flags[1]}"
        expected = [y for y in expected if y.requires_grad]
        got = [y for y in got if y.requires_grad]
        if not expected:
            return ""
        seeds = [_weights(y) for y in expected]
        options = {"create_graph": True, "allow_unused": True, "materialize_grads": False}
        expected = torch.autograd.grad(expected, theirs, seeds, **options)
        got = tn.autograd.grad(got, ours, converted(seeds), **options)
        for i, (y, z) in enumerate(zip(expected, got, strict=True)):
            y = torch.zeros_like(theirs[i]) if y is None else y
            z = ours[i].new_zeros(ours[i].shape) if z is None else z
            found = differences(y, z)
            if found:
                return f"{order} of tensor {i}: {found}"
        used = [i for i, (y, z) in enumerate(zip(expected, got, strict=True))
                if y is not None and z is not None
                and y.requires_grad and z.requires_grad]  # fmt: skip
        expected, got = [expected[i] for i in used], [got[i] for i in used]
    return ""


def _floats(value, kind):
    found = tensors_in(value, kind)
    return [y for y in found if y.dtype.is_floating_point]


def _weights(like):
    generator = torch.Generator().manual_seed(like.numel())
    return torch.rand(like.shape, generator=generator, dtype=torch.float64).to(like.dtype) + 0.5


# What PyTorch says where only its kernel is missing: tinynet may compute all the same.
GAPS = (
    "not implemented for", "not supported", "does not support", "not currently implemented",
    "only support", "only supports", "is only implemented", "could not infer output dtype",
    "Promotion for uint16",
)  # fmt: skip


def unlike(case, *tensors):
    """How `case(library, *tensors)` differs between PyTorch and tinynet; "" where it does not.

    Both may raise; tinynet then raises an error of its own, or Python a TypeError.
    """
    mine = converted(tensors)
    try:
        expected = case(torch, *tensors)
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        if any(gap in str(error) for gap in GAPS):
            return ""
        return _unlike_error(case, mine, error)
    try:
        got = case(tn, *mine)
    except Exception as error:  # noqa: BLE001 (an error of any kind is the finding)
        return f"expected {expected}, got {error!r}"
    return differences(expected, got)


def _unlike_error(case, tensors, expected):
    try:
        got = case(tn, *tensors)
    except (tn.errors.TinynetError, TypeError):
        return ""
    except Exception as error:  # noqa: BLE001
        return f"expected an error of tinynet's, got {error!r}"
    return f"expected an error like {str(expected).splitlines()[0]!r}, got {got}"
