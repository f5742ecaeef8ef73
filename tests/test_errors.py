"""Typical mistakes, and the whole of what tinynet says to each.

A message names the operation, what came and what was expected; the exception is tinynet's own and
also the builtin that one would catch. It comes from the line with the mistake, on every device.
"""

import copy
import operator
import pickle

import numpy as np
import pytest

import tinynet as tn
from tinynet.backends import MODULES
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DimError,
    DTypeError,
    GradientError,
    ShapeError,
    TinynetError,
)
from tinynet.ops.linear import linear


def ones():
    return tn.ones(2, requires_grad=True)


def backward_twice():
    y = (ones() ** 2).sum()
    y.backward()
    y.backward()


def change_what_backward_needs():
    x = ones() * 1
    y = x.exp() * x
    x.add_(1)
    y.sum().backward()


MISTAKES = [
    # Making tensors
    (lambda: tn.tensor([[1, 2], [3]]), ShapeError,
     "tensor: nested sequences must be regular, got a list of 2 beside a list of 1"),
    (lambda: tn.tensor(["one"]), DTypeError,
     "tensor: expected numbers, arrays or nested sequences of them, got ['one']"),
    (lambda: tn.tensor([None]), DTypeError,
     "tensor: expected numbers, arrays or nested sequences of them, got [None]"),
    (lambda: tn.tensor([300], dtype=tn.uint8), DTypeError,
     "tensor: 300 does not fit tinynet.uint8"),
    (lambda: tn.tensor([2**70]), DTypeError,
     "tensor: 1180591620717411303424 does not fit tinynet.int64"),
    (lambda: tn.tensor([1.0], dtype="float32"), ArgumentTypeError,
     "tensor: expected a dtype such as tinynet.float32, got 'float32'"),
    (lambda: tn.tensor([1, 2], requires_grad=True), DTypeError,
     "requires_grad_: only floats have gradients, got tinynet.int64"),
    (lambda: tn.zeros(2, -1), ShapeError, "zeros: sizes cannot be negative, got (2, -1)"),
    (lambda: tn.zeros(2.5), ArgumentTypeError, "zeros: size must be an int, got 2.5 (float)"),
    (lambda: tn.full((2,), "7"), ArgumentTypeError, "full: fill_value must be a number, got '7'"),
    (lambda: tn.ones_like([1, 2]), ArgumentTypeError,
     "ones_like: input must be a Tensor, got list"),
    (lambda: tn.arange(0, 5, -1), ArgumentError, "arange: step -1 does not lead from 0 to 5"),
    (lambda: tn.arange(0, 5, 0), ArgumentError, "arange: step cannot be 0"),
    (lambda: tn.arange(float("inf")), ArgumentError,
     "arange: bounds must be finite, got 0, inf, 1"),
    (lambda: tn.arange("5"), ArgumentTypeError, "arange: a bound must be a number, got '5'"),
    (lambda: tn.linspace(0, 1, 2.5), ArgumentTypeError,
     "linspace: steps must be an int, got 2.5 (float)"),
    (lambda: tn.from_numpy([1, 2]), ArgumentTypeError, "from_numpy: expected an ndarray, got list"),
    (lambda: tn.from_numpy(np.array(["a"])), DTypeError, "from_numpy: no tensor dtype for <U1"),
    (lambda: tn.from_dlpack([1, 2]), ArgumentTypeError,
     "from_dlpack: expected an array with __dlpack__, got list"),
    # Devices
    (lambda: tn.zeros(2, device="cuda"), DeviceError,
     "device: no device 'cuda', there is {devices}"),
    (lambda: tn.zeros(2, device=0), ArgumentTypeError,
     "device: expected a name such as 'cpu', got 0"),
    (lambda: tn.zeros(2).to("gpu"), DeviceError, "device: no device 'gpu', there is {devices}"),
    (lambda: tn.zeros(2).to(3), ArgumentTypeError,
     "to: expected a dtype, a device or a tensor, got 3"),
    # Shapes
    (lambda: tn.zeros(2, 3) + tn.zeros(2, 4), ShapeError,
     "add: shapes (2, 3) and (2, 4) do not broadcast: sizes 3 and 4 at dim -1"),
    (lambda: tn.zeros(6).reshape(4, 2), ShapeError, "reshape: (6,) has 6 elements, (4, 2) has 8"),
    (lambda: tn.zeros(6).reshape(-1, -1), ShapeError,
     "reshape: only one size can be -1, got (-1, -1)"),
    (lambda: tn.zeros(2, 3).T.view(6), ShapeError,
     "view: strides of the tensor of shape (3, 2) allow no view of shape (6,), use "
     "reshape()"),
    (lambda: tn.zeros(2, 3).permute(0, 0), ShapeError,
     "permute: dims (0, 0) must name each of 2 dims once"),
    (lambda: tn.zeros(2, 3).transpose(0, 2), DimError,
     "transpose: dim 2 is out of range for 2 dims [-2, 1]"),
    (lambda: tn.zeros(2, 3).expand(4, 3), ShapeError,
     "expand: (2, 3) does not expand to (4, 3): only sizes of 1 grow"),
    (lambda: tn.zeros(3, 2).flatten(1, 0), ShapeError,
     "flatten: start_dim 1 lies behind end_dim 0"),
    (lambda: tn.zeros(3).squeeze(1), DimError, "squeeze: dim 1 is out of range for 1 dims [-1, 0]"),
    (lambda: tn.zeros(3).split([1, 1]), ShapeError,
     "split: sizes [1, 1] do not add up to 3, dim 0"),
    (lambda: tn.zeros(3).chunk(0), ArgumentError, "chunk: chunks must be positive, got 0"),
    (lambda: tn.zeros(3).narrow(0, 1, 3), ShapeError,
     "narrow: start 1 and length 3 do not fit dim 0 of shape (3,)"),
    (lambda: tn.zeros(2, 2, 2).t(), ShapeError,
     "t: expected at most 2 dims, got shape (2, 2, 2); use transpose or mT"),
    (lambda: tn.zeros(3).tril(), ShapeError, "tril: expected at least 2 dims, got shape (3,)"),
    (lambda: tn.zeros(3).repeat_interleave(tn.tensor([1, 2])), ShapeError,
     "repeat_interleave: got 2 repeats for dim 0 of shape (3,), expected 1 or 3"),
    # Joining
    (lambda: tn.cat([]), ArgumentError, "cat: expected at least one tensor"),
    (lambda: tn.cat(tn.zeros(2, 3)), ArgumentTypeError,
     "cat: expected a list or tuple of tensors, got Tensor"),
    (lambda: tn.cat([tn.zeros(2), 3]), ArgumentTypeError,
     "cat: every item must be a Tensor, got int"),
    (lambda: tn.cat([tn.zeros(2, 3), tn.zeros(3, 2)]), ShapeError,
     "cat: (2, 3) and (3, 2) differ outside dim 0"),
    (lambda: tn.cat([tn.tensor(1.0), tn.tensor(2.0)]), ShapeError,
     "cat: 0-d tensors cannot be joined, use stack"),
    (lambda: tn.stack([tn.zeros(2), tn.zeros(3)]), ShapeError,
     "stack: shapes differ: (2,) and (3,)"),
    # Products
    (lambda: tn.zeros(2, 3) @ tn.zeros(2, 3), ShapeError,
     "matmul: inner sizes differ: (2, 3) @ (2, 3), 3 != 2"),
    (lambda: tn.zeros(2, 3) @ 2, ArgumentTypeError, "matmul: other must be a Tensor, got int"),
    (lambda: tn.zeros(2, 3) @ tn.zeros(3, 2, dtype=tn.float64), DTypeError,
     "matmul: operands must have one dtype, got tinynet.float32 and tinynet.float64"),
    (lambda: tn.mm(tn.zeros(2), tn.zeros(2, 2)), ShapeError,
     "mm: input must have 2 dims, got shape (2,)"),
    (lambda: tn.bmm(tn.zeros(2, 3, 4), tn.zeros(5, 4, 3)), ShapeError,
     "bmm: batch sizes differ: (2, 3, 4) and (5, 4, 3)"),
    (lambda: tn.einsum("ij,jk->ik", tn.zeros(2, 3), tn.zeros(4, 5)), ShapeError,
     "einsum: 'j' in 'ij,jk->ik' has sizes 3 and 4"),
    (lambda: tn.einsum("ij->ik", tn.zeros(2, 3)), ArgumentError,
     "einsum: the result 'ik' of 'ij->ik' must name known dims once"),
    (lambda: tn.einsum("ij,jk->ik", tn.zeros(2, 3)), ArgumentError,
     "einsum: 'ij,jk->ik' names 2 operands, got 1"),
    (lambda: tn.einsum(tn.zeros(2, 3), "ij->i"), ArgumentTypeError,
     "einsum: expected an equation such as 'ij,jk->ik' first, got Tensor"),
    (lambda: tn.tensordot(tn.zeros(2, 3), tn.zeros(2, 3), 1), ShapeError,
     "tensordot: sizes differ: [3] of (2, 3), [2] of (2, 3)"),
    (lambda: linear(tn.zeros(4, 3), tn.zeros(3, 5)), ShapeError,
     "linear: input (4, 3) does not fit weight (3, 5): the last sizes must agree, weight "
     "is (out, in)"),
    (lambda: linear(tn.zeros(4, 3), tn.zeros(5, 3), tn.zeros(3)), ShapeError,
     "linear: bias has shape (3,), expected (5,)"),
    # Dims
    (lambda: tn.zeros(2, 3).sum(2), DimError, "sum: dim 2 is out of range for 2 dims [-2, 1]"),
    (lambda: tn.zeros(2, 3).sum(1.0), ArgumentTypeError,
     "sum: dim must be an int, got 1.0 (float)"),
    (lambda: tn.zeros(2, 3).sum((0, 0)), ShapeError, "sum: a dim appears twice in (0, 0)"),
    (lambda: tn.zeros(2, 3).softmax("rows"), ArgumentTypeError,
     "softmax: dim must be an int, got 'rows' (str)"),
    (lambda: tn.zeros(0).max(), ShapeError,
     "max: no elements to compare along dims (0,) of shape (0,)"),
    (lambda: tn.zeros(3).topk(5), ShapeError, "topk: k is 5, dim -1 of shape (3,) has 3 elements"),
    (lambda: tn.zeros(3).topk(1.5), ArgumentTypeError, "topk: k must be an int, got 1.5 (float)"),
    # Dtypes
    (lambda: tn.tensor([1, 2]).mean(), DTypeError,
     "mean: expected a floating dtype, got tinynet.int64"),
    (lambda: -tn.tensor([True]), DTypeError,
     "neg: not defined for tinynet.bool, use logical_* operations or .to()"),
    (lambda: tn.tensor([True]) - tn.tensor([False]), DTypeError,
     "sub: not defined for tinynet.bool, use logical_* operations or .to()"),
    (lambda: ~tn.tensor([1.5]), DTypeError,
     "invert: expected integers or bools, got tinynet.float32"),
    (lambda: tn.tensor([1]) & 1.5, DTypeError,
     "bitwise_and: expected integers or bools, got tinynet.float32"),
    (lambda: tn.tensor([1]) << 1.5, DTypeError,
     "left_shift: expected integers, got tinynet.float32"),
    (lambda: tn.tensor([True]) >> tn.tensor([True]), DTypeError,
     "right_shift: not defined for tinynet.bool, use logical_* operations or .to()"),
    (lambda: tn.zeros(1, dtype=tn.uint16) + tn.zeros(1, dtype=tn.int32), DTypeError,
     "add: tinynet.uint16 and tinynet.int32 have no common dtype, convert one of them "
     "with .to()"),
    (lambda: tn.where(tn.tensor([1, 0]), 1.0, 2.0), DTypeError,
     "where: condition must have dtype tinynet.bool, got tinynet.int64"),
    (lambda: tn.zeros(2).masked_fill(tn.tensor([1, 0]), 5), DTypeError,
     "masked_fill: mask must have dtype tinynet.bool, got tinynet.int64"),
    (lambda: tn.zeros(2).to("float64"), ArgumentTypeError,
     "to: got 'float64', a dtype is written tinynet.float64"),
    (lambda: tn.tensor([2]) ** -1, ArgumentError,
     "pow: integers to a negative power are not integers, got exponent -1"),
    (lambda: tn.tensor([1]) // 0, ArgumentError, "floor_divide: integer division by zero"),
    (lambda: tn.tensor([7]) % tn.tensor([0]), ArgumentError, "remainder: integer division by zero"),
    # What is no tensor
    (lambda: tn.exp(2.0), ArgumentTypeError, "exp: input must be a Tensor, got float"),
    (lambda: tn.exp([1.0, 2.0]), ArgumentTypeError, "exp: input must be a Tensor, got list"),
    (lambda: tn.zeros(2) + "1", ArgumentTypeError, "add: expected a tensor or a number, got str"),
    (lambda: tn.zeros(2) + {1, 2}, ArgumentTypeError,
     "add: expected a tensor or a number, got set"),
    (lambda: tn.zeros(2).clamp(), ArgumentError,
     "clamp: at least one of min and max must be given"),
    (lambda: tn.add(1, 2), ArgumentTypeError, "add: expected at least one tensor, got (1, 2)"),
    (lambda: tn.zeros(2).gather(0, [0]), ArgumentTypeError,
     "gather: index must be a Tensor, got list"),
    (lambda: tn.zeros(2).masked_fill(tn.tensor([True, False]), tn.zeros(2)), ShapeError,
     "masked_fill: value must be a number or 0-d, got shape (2,)"),
    (lambda: tn.zeros(3).div(2, rounding_mode="up"), ArgumentError,
     "div: rounding_mode must be None, 'floor' or 'trunc', got 'up'"),
    (lambda: tn.zeros(3).norm("nuclear"), ArgumentError,
     "norm: p must be a number or 'fro', got 'nuclear'"),
    # Indices
    (lambda: tn.zeros(3)[3], DimError, "index: index 3 is out of range for dim 0 of size 3"),
    (lambda: tn.zeros(3)[0, 0], DimError, "index: 2 indices for a tensor of shape (3,)"),
    (lambda: tn.zeros(3)[1.0], ArgumentTypeError,
     "index: expected ints, slices, None, Ellipsis or tensors of integers or bools, got "
     "float"),
    (lambda: tn.zeros(3)[::0], ArgumentError, "index: a slice's step cannot be 0"),
    (lambda: tn.zeros(3)[0.5:], ArgumentTypeError,
     "index: a slice bound must be an int, got 0.5 (float)"),
    (lambda: tn.tensor(1.0)[0], DimError, "index: 1 indices for a tensor of shape ()"),
    (lambda: tn.zeros(3)[tn.tensor([0, 3])], DimError,
     "index: index 3 is out of range for dim 0 of size 3"),
    (lambda: tn.zeros(3)[tn.tensor([0.0])], DTypeError,
     "index: tensors must hold integers or bools, got tinynet.float32"),
    (lambda: tn.zeros(3)[tn.tensor([True, False])], DimError,
     "index: a mask of shape (2,) does not fit dims 0 to 0 of shape (3,)"),
    (lambda: tn.zeros(3, 3)[tn.tensor([0, 1]), tn.tensor([0, 1, 2])], ShapeError,
     "index: shapes (2,) and (3,) do not broadcast: sizes 2 and 3 at dim -1"),
    (lambda: tn.zeros(3).gather(0, tn.tensor([5])), DimError,
     "index: index 5 is out of range for dim 0 of size 3"),
    (lambda: tn.zeros(3).index_put((0,), tn.zeros(1)), ArgumentTypeError,
     "index_put: indices must be a tuple of tensors, got (0,)"),
    (lambda: tn.bincount(tn.tensor([-1])), ArgumentError,
     "bincount: the input has negative elements"),
    (lambda: operator.setitem(tn.zeros(3), 5, 1.0), DimError,
     "index: index 5 is out of range for dim 0 of size 3"),
    (lambda: operator.setitem(tn.zeros(3), 0, tn.zeros(2)), ShapeError,
     "index: a value of shape (2,) does not fit ()"),
    (lambda: operator.setitem(tn.zeros(3), tn.tensor([0, 1]), tn.zeros(3)), ShapeError,
     "index: shapes (3,) and (2,) do not broadcast: sizes 3 and 2 at dim -1"),
    (lambda: operator.setitem(tn.zeros(3), 0, "one"), ArgumentTypeError,
     "index: expected a tensor or a number, got str"),
    # Python
    (lambda: tn.zeros(2).item(), ShapeError, "item: expected a single element, got shape (2,)"),
    (lambda: bool(tn.zeros(2)), ShapeError,
     "bool: the truth of 2 elements is ambiguous, use any() or all()"),
    (lambda: int(tn.zeros(2)), ShapeError, "item: expected a single element, got shape (2,)"),
    (lambda: len(tn.tensor(1.0)), ArgumentTypeError, "len: a 0-d tensor has no length"),
    (lambda: list(tn.tensor(1.0)), ArgumentTypeError, "iter: a 0-d tensor cannot be iterated over"),
    (lambda: [1, 2, 3][tn.tensor(1.0)], ArgumentTypeError,
     "index: only a single integer is an index, got tinynet.float32 of ()"),
    (lambda: f"{tn.zeros(2):.2f}", ArgumentTypeError,
     "format: '.2f' of a tensor of shape (2,), expected a single number"),
    (lambda: tn.zeros(2).size(2), DimError, "size: dim 2 is out of range for 1 dims [-1, 0]"),
    # Random numbers
    (lambda: tn.manual_seed("seed"), ArgumentTypeError,
     "manual_seed: seed must be an int, got 'seed' (str)"),
    (lambda: tn.rand(2, generator=42), ArgumentTypeError,
     "rand: generator must be a Generator, got 42"),
    (lambda: tn.rand(2, dtype=tn.int64), DTypeError,
     "rand: expected a floating dtype, got tinynet.int64"),
    (lambda: tn.randint(5), ArgumentTypeError, "randint: expected a size: randint(high, size)"),
    (lambda: tn.randint(5, 5, (2,)), ArgumentError, "randint: high must be above low, got 5 and 5"),
    (lambda: tn.randperm(-1), ArgumentError, "randperm: n cannot be negative, got -1"),
    (lambda: tn.normal(0.0, 1.0), ArgumentTypeError,
     "normal: with numbers for mean and std, size must be given"),
    (lambda: tn.normal(0.0, -1.0, (2,)), ArgumentError, "normal: std cannot be negative, got -1.0"),
    (lambda: tn.bernoulli(tn.tensor([1.5])), ArgumentError,
     "bernoulli: probabilities must lie between 0 and 1, got 1.5 to 1.5"),
    (lambda: tn.multinomial(tn.tensor([1.0, -1.0]), 1), ArgumentError,
     "multinomial: weights must be finite and not negative"),
    (lambda: tn.multinomial(tn.tensor([1.0, 0.0]), 2), ArgumentError,
     "multinomial: cannot draw 2 without replacement from 1 positive weights"),
    (lambda: tn.set_rng_state(5), ArgumentTypeError,
     "set_state: expected get_state's result, got 5"),
    # Gradients
    (lambda: tn.ones(2).backward(), GradientError,
     "backward: a tensor of shape (2,) does not require grad and has no graph"),
    (lambda: tn.ones(2, requires_grad=True).backward(), GradientError,
     "backward: a gradient can start only from a single number, got shape (2,); reduce "
     "it, or pass the gradient to start from"),
    (lambda: ones().sum().backward(inputs=[]), ArgumentError,
     "backward: inputs is empty, expected tensors, or None for all"),
    (lambda: ones().sum().backward(tn.ones(2)), GradientError,
     "backward: the gradient passed has shape (2,), the tensor ()"),
    (lambda: ones().numpy(), GradientError,
     "numpy: the tensor requires grad, use .detach().numpy()"),
    (lambda: tn.autograd.grad(tn.ones(1), ones()), GradientError,
     "grad: a tensor of shape (1,) does not require grad and has no graph"),
    (lambda: tn.autograd.grad(ones().sum(), ones()), GradientError,
     "grad: the outputs do not depend on input 0, shape (2,); pass allow_unused=True to "
     "get None for it"),
    (lambda: (ones() * 2).requires_grad_(False), GradientError,
     "requires_grad_: only a leaf can stop requiring grad, use detach() or no_grad()"),
    (lambda: ones().register_hook(3), ArgumentTypeError,
     "register_hook: expected a function, got int"),
    (lambda: pickle.dumps(ones() * 2), GradientError,
     "pickle: only leaves can be pickled, use .detach()"),
    (lambda: copy.deepcopy(ones() * 2), GradientError,
     "deepcopy: only leaves can be copied, use .detach() or .clone()"),
    (backward_twice, GradientError,
     "backward: the values SquareBackward saved are freed already; pass "
     "retain_graph=True to the first backward to run a second one"),
    (change_what_backward_needs, GradientError,
     "backward: MulBackward needs a tensor of shape (2,) that was changed in place after "
     "the operation; clone it before the change, or use an out-of-place operation"),
    # In place
    (lambda: ones().add_(1), GradientError,
     "add_: a leaf tensor that requires grad cannot be changed in place while recording; "
     "do it under no_grad()"),
    (lambda: ones()[0].add_(1), GradientError,
     "add_: a view of a leaf tensor that requires grad cannot be changed in place while "
     "recording; do it under no_grad()"),
    (lambda: operator.setitem(ones(), 0, 1.0), GradientError,
     "copy_: a view of a leaf tensor that requires grad cannot be changed in place while "
     "recording; do it under no_grad()"),
    (lambda: tn.zeros(3, 1).expand(3, 2).add_(1), ArgumentError,
     "add_: the tensor of shape (3, 2) cannot be written: its memory is read-only or "
     "several elements share it (expand); clone() it first"),
    (lambda: tn.zeros(2).add_(tn.zeros(3)), ShapeError,
     "add_: shapes (2,) and (3,) do not broadcast: sizes 2 and 3 at dim -1"),
    (lambda: tn.zeros(2).add_(tn.zeros(2, 2)), ShapeError,
     "add_: a result of shape (2, 2) does not fit (2,) in place"),
    (lambda: tn.zeros(2, dtype=tn.int64).add_(0.5), DTypeError,
     "add_: a result of tinynet.float32 cannot be written into tinynet.int64"),
    (lambda: tn.zeros(2).fill_(tn.zeros(2)), ShapeError,
     "fill_: expected a number or a 0-d tensor, got shape (2,)"),
    (lambda: tn.zeros(2, dtype=tn.int8).fill_(200), DTypeError,
     "fill_: 200 does not fit tinynet.int8"),
]  # fmt: skip


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_message(mistake, error, message):
    with pytest.raises(error) as raised:
        mistake()
    assert str(raised.value) == message.replace("{devices}", ", ".join(MODULES))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(ShapeError, ValueError), (ArgumentError, ValueError), (ArgumentTypeError, TypeError),
     (DTypeError, TypeError), (DimError, IndexError), (DeviceError, RuntimeError),
     (GradientError, RuntimeError)],
)  # fmt: skip
def test_errors_are_builtin_ones_too(error, builtin):
    assert issubclass(error, builtin)
    assert issubclass(error, TinynetError)


def test_default_device_that_is_not_there(monkeypatch):
    monkeypatch.setenv("TINYNET_DEVICE", "gpu")
    with pytest.raises(DeviceError, match=r"^device: no device 'gpu', there is cpu"):
        tn.zeros(2)


def test_a_failed_write_changes_nothing():
    x = tn.zeros(2, 3)
    for mistake in (
        lambda: x.add_(tn.ones(4)),
        lambda: x.copy_(tn.ones(4)),
        lambda: operator.setitem(x, 0, tn.ones(2)),
        lambda: operator.setitem(x, tn.tensor([0, 5]), 1.0),
        lambda: x.index_put_((tn.tensor([0, 5]),), tn.tensor(1.0), accumulate=True),
    ):
        with pytest.raises(TinynetError):
            mistake()
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert x._version == 0
