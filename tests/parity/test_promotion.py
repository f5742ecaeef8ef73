"""Result dtypes and values for every pair of dtypes, with tensors, 0-d tensors and numbers."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from tests.parity.comparing import DTYPES, unlike  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

BINARY = {
    "add": lambda t, a, b: a + b,
    "sub": lambda t, a, b: a - b,
    "mul": lambda t, a, b: a * b,
    "div": lambda t, a, b: a / b,
    "div floor": lambda t, a, b: t.div(a, b, rounding_mode="floor"),
    "div trunc": lambda t, a, b: t.div(a, b, rounding_mode="trunc"),
    "floor_divide": lambda t, a, b: a // b,
    "remainder": lambda t, a, b: a % b,
    "pow": lambda t, a, b: a**b,
    "eq": lambda t, a, b: a == b,
    "lt": lambda t, a, b: a < b,
    "ge": lambda t, a, b: a >= b,
    "bitwise_and": lambda t, a, b: a & b,
    "bitwise_or": lambda t, a, b: a | b,
    "bitwise_xor": lambda t, a, b: a ^ b,
    "left_shift": lambda t, a, b: a << b,
    "right_shift": lambda t, a, b: a >> b,
    "add alpha": lambda t, a, b: t.add(a, b, alpha=2),
}
OF_TENSORS = {  # PyTorch takes no numbers here, or none first
    "copysign": lambda t, a, b: t.copysign(a, b),
    "fmod": lambda t, a, b: t.fmod(a, b),
    "maximum": lambda t, a, b: t.maximum(a, b),
    "minimum": lambda t, a, b: t.minimum(a, b),
    "atan2": lambda t, a, b: t.atan2(a, b),
    "logical_and": lambda t, a, b: t.logical_and(a, b),
    "logical_xor": lambda t, a, b: t.logical_xor(a, b),
    "where": lambda t, a, b: t.where(t.tensor([True, False]), a, b),
    "cat": lambda t, a, b: t.cat([a.reshape(-1), b.reshape(-1)]),
    "clamp": lambda t, a, b: t.clamp(a, b),
    "outer": lambda t, a, b: t.outer(a.reshape(-1), b.reshape(-1)),
}
IN_PLACE = {
    "add_": lambda t, a, b: a.add_(b),
    "mul_": lambda t, a, b: a.mul_(b),
    "div_": lambda t, a, b: a.div_(b),
    "iadd": lambda t, a, b: a.__iadd__(b),
    "copy_": lambda t, a, b: a.copy_(b),
    "pow_": lambda t, a, b: a.pow_(b),
    "setitem": lambda t, a, b: a.__setitem__(0, b) or a if a.ndim else a,
}
NUMBERS = [True, 2, 2.5, -1, 0.0]


def tensors_of(dtype, values):
    """A vector and a 0-d tensor."""
    return torch.tensor(values, dtype=dtype), torch.tensor(values[0], dtype=dtype)


def findings(case, operands):
    """What is unlike among pairs of operands, one line each."""
    return [f"{a!r}, {b!r}: {found}" for a, b in operands if (found := unlike(case, a, b))]


PAIRS = [
    (a, b)
    for left, right in itertools.product(DTYPES, repeat=2)
    for a, b in itertools.product(tensors_of(left, [3, 2]), tensors_of(right, [2, 1]))
]
WITH_NUMBERS = [
    pair
    for dtype in DTYPES
    for x in tensors_of(dtype, [3, 2])
    for number in NUMBERS
    for pair in ((x, number), (number, x))
]


@pytest.mark.parametrize("case", [*BINARY.values(), *OF_TENSORS.values()],
                         ids=[*BINARY, *OF_TENSORS])  # fmt: skip
def test_tensors(case):
    assert findings(case, PAIRS) == []


@pytest.mark.parametrize("case", BINARY.values(), ids=BINARY)
def test_numbers(case):
    assert findings(case, WITH_NUMBERS) == []


@pytest.mark.parametrize("case", IN_PLACE.values(), ids=IN_PLACE)
def test_in_place(case):
    targets = [(a.clone(), b) for a, b in PAIRS]
    targets += [(a.clone(), b) for a, b in WITH_NUMBERS if isinstance(a, torch.Tensor)]
    assert findings(case, targets) == []


UNARY = """
    neg abs sign sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin
    acos atan sinh cosh tanh asinh acosh atanh sigmoid logit erf floor ceil round trunc isnan isinf
    isfinite nan_to_num logical_not bitwise_not relu sum mean prod max min amax amin argmax argmin
    any all var std norm count_nonzero median sort argsort unique
""".split()


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name):
    def case(t, x):
        return getattr(t, name)(x)

    tensors = [x for dtype in DTYPES for x in tensors_of(dtype, [1, 0])]
    assert [f"{x!r}: {found}" for x in tensors if (found := unlike(case, x))] == []


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "softmax", "log_softmax", "logsumexp",
                                  "cummax", "logcumsumexp"])  # fmt: skip
def test_along_a_dim(name):
    def case(t, x):
        return getattr(t, name)(x, dim=0)

    tensors = [x for dtype in DTYPES for x in tensors_of(dtype, [1, 0])]
    assert [f"{x!r}: {found}" for x in tensors if (found := unlike(case, x))] == []


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "cumsum", "cumprod", "softmax"])
def test_dtype_argument(name):
    """`dtype=` decides what is computed in."""
    dims = {"dim": 0} if name in ("cumsum", "cumprod", "softmax") else {}
    found = [
        (x, dtype, unlike(lambda t, x, d: getattr(t, name)(x, **dims, dtype=d), x, dtype))
        for source in DTYPES
        for dtype in DTYPES
        for x in tensors_of(source, [1, 0])
    ]
    assert [item for item in found if item[2]] == []


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_conversions(dtype):
    """Between all dtypes; what C leaves open (out of range, NaN to integers) is not asked."""
    for goal in DTYPES:
        for x in (torch.tensor([0, 1, 2]), torch.tensor([0.0, 1.75, 2.5]), torch.tensor(1)):
            assert not unlike(lambda t, x, a, b: x.to(a).to(b), x, dtype, goal)
