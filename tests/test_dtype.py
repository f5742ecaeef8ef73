"""Element types: the promotion rules of PyTorch, and their limits."""

import operator
import pickle
import re

import numpy as np
import pytest

import tinynet as tn
from tinynet import dtype as dtypes
from tinynet.dtype import promote, result_dtype
from tinynet.errors import DTypeError

# `torch.promote_types` of PyTorch 2.13; "--" where it raises
PROMOTIONS = """
        b u1 u2 u4 u8 i1 i2 i4 i8 f2 bf f4 f8
    b   b u1 -- -- -- i1 i2 i4 i8 f2 bf f4 f8
    u1 u1 u1 -- -- -- i2 i2 i4 i8 f2 bf f4 f8
    u2 -- -- u2 -- -- -- -- -- -- f2 bf f4 f8
    u4 -- -- -- u4 -- -- -- -- -- f2 bf f4 f8
    u8 -- -- -- -- u8 -- -- -- -- f2 bf f4 f8
    i1 i1 i2 -- -- -- i1 i2 i4 i8 f2 bf f4 f8
    i2 i2 i2 -- -- -- i2 i2 i4 i8 f2 bf f4 f8
    i4 i4 i4 -- -- -- i4 i4 i4 i8 f2 bf f4 f8
    i8 i8 i8 -- -- -- i8 i8 i8 i8 f2 bf f4 f8
    f2 f2 f2 f2 f2 f2 f2 f2 f2 f2 f2 f4 f4 f8
    bf bf bf bf bf bf bf bf bf bf f4 bf f4 f8
    f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 f8
    f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 f8
"""
NAMES = {
    "b": tn.bool, "u1": tn.uint8, "u2": tn.uint16, "u4": tn.uint32, "u8": tn.uint64,
    "i1": tn.int8, "i2": tn.int16, "i4": tn.int32, "i8": tn.int64,
    "f2": tn.float16, "bf": tn.bfloat16, "f4": tn.float32, "f8": tn.float64,
}  # fmt: skip
HEAD, *ROWS = (line.split() for line in PROMOTIONS.strip().splitlines())
CASES = [
    (NAMES[row[0]], NAMES[column], NAMES.get(entry))
    for row in ROWS
    for column, entry in zip(HEAD, row[1:], strict=True)
]


@pytest.mark.parametrize(("a", "b", "expected"), CASES, ids=str)
def test_promotion(a, b, expected):
    if expected is None:
        with pytest.raises(DTypeError, match=r"^add: .* and .* have no common dtype"):
            promote("add", a, b)
        with pytest.raises(DTypeError, match=r"^mul: "):
            tn.ones(1, dtype=a) * tn.ones(1, dtype=b)
    else:
        assert promote("add", a, b) is expected
        assert (tn.ones(1, dtype=a) * tn.ones(1, dtype=b)).dtype is expected


KINDS = [(tn.bool, True), (tn.int64, 1), (tn.float32, 1.0)]


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_numbers_count_only_where_their_kind_is_higher(dtype):
    for kind, number in KINDS:
        expected = kind if kind.rank > dtype.rank else dtype
        assert result_dtype("add", [dtype], [], [number]) is expected
        assert result_dtype("add", [], [dtype], [number]) is expected


@pytest.mark.parametrize("a", dtypes.ALL, ids=str)
@pytest.mark.parametrize("b", dtypes.ALL, ids=str)
def test_0_d_tensors_count_only_where_their_kind_is_higher(a, b):
    assert result_dtype("add", [a], [b], []) is (b if b.rank > a.rank else a)


def test_numbers_among_themselves():
    assert result_dtype("add", [], [], [True]) is tn.bool
    assert result_dtype("add", [], [], [True, 2]) is tn.int64
    assert result_dtype("add", [], [], [1, 2.5]) is tn.float32
    assert result_dtype("add", [tn.uint8], [tn.int64], [1.5]) is tn.float32


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_what_a_dtype_says_of_itself(dtype):
    name = "uint8" if dtype is tn.bfloat16 else dtype.name
    assert repr(dtype) == f"tinynet.{dtype.name}"
    assert dtypes.BY_NAME[dtype.name] is dtype
    assert dtype.itemsize == (2 if dtype is tn.bfloat16 else np.dtype(name).itemsize)
    assert dtype.is_floating_point == ("float" in dtype.name)
    assert dtype.is_signed == (not dtype.name.startswith("uint") and dtype is not tn.bool)
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    x = tn.ones(3, dtype=dtype)
    assert (x.element_size(), x.itemsize, x.nbytes) == (*[dtype.itemsize] * 2, 3 * dtype.itemsize)
    assert x.is_floating_point() == dtype.is_floating_point


def test_names_of_the_same_dtype():
    assert (tn.float, tn.double, tn.half) == (tn.float32, tn.float64, tn.float16)
    assert (tn.int, tn.long, tn.bool) == (tn.int32, tn.int64, dtypes.bool_)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(300, tn.uint8, 44), (-1, tn.uint8, 255), (200, tn.int8, -56), (2**63, tn.int64, -(2**63)),
     (2.9, tn.int64, 2), (float("inf"), tn.int64, 0), (5, tn.bool, True),
     (2**60, tn.float32, 2.0**60), (3, tn.float32, 3)],
)  # fmt: skip
def test_numbers_wrap_into_an_operand_s_dtype(value, dtype, expected):
    assert dtypes.wrap_scalar(value, dtype) == expected


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(256, tn.uint8), (-256, tn.uint8), (128, tn.int8), (-129, tn.int8), (1e40, tn.float32),
     (float("nan"), tn.int64), (float("inf"), tn.int8)],
)  # fmt: skip
def test_numbers_that_do_not_fit(value, dtype):
    message = re.escape(f"{value} does not fit {dtype}")
    for create in (
        lambda: tn.full((2,), value, dtype=dtype),
        lambda: tn.ones(2, dtype=dtype).fill_(value),
        lambda: tn.ones(2, dtype=dtype).masked_fill(tn.tensor(True), value),
        lambda: operator.setitem(tn.ones(2, dtype=dtype), 0, value),
        lambda: operator.setitem(tn.ones(2, dtype=dtype), tn.tensor([0]), value),
    ):
        with pytest.raises(DTypeError, match=rf"^\w+: {message}$"):
            create()
    if dtype is not tn.float32:
        with pytest.raises(DTypeError, match=f"^tensor: {message}$"):
            tn.tensor([0, value], dtype=dtype)


@pytest.mark.parametrize("value", [10**400, -(10**5000)], ids=["400", "5000"])
def test_ints_that_are_no_floats(value):
    x = tn.ones(2)
    for create in (
        lambda: tn.full((2,), value),
        lambda: tn.full((2,), value, dtype=tn.float64),
        lambda: x.fill_(value),
        lambda: operator.setitem(x, 0, value),
        lambda: tn.where(x > 0, x, value),
        lambda: x + value,
        lambda: value - x,
        lambda: tn.ones(2, dtype=tn.int64) / value,
        lambda: tn.ones(2, dtype=tn.int64) + value,
        lambda: tn.tensor([value, 0]),
        lambda: tn.tensor([value, 0], dtype=tn.float64),
        lambda: tn.arange(value),
        lambda: tn.linspace(0, value, 3),
    ):
        message = rf"^\w+: an int of {value.bit_length()} bits does not fit tinynet\.\w+$"
        with pytest.raises(DTypeError, match=message):
            create()


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_operands_of_more_than_64_bits(value):
    with pytest.raises(DTypeError, match=f"^number: {value} does not fit tinynet.int8$"):
        tn.ones(2, dtype=tn.int8) * value


@pytest.mark.parametrize("dtype", [tn.uint64, tn.float64, tn.float32, tn.bfloat16, tn.bool])
def test_lists_of_more_than_int64_holds(dtype):
    made = tn.tensor([[2**64 - 1, 0], [1, 2**63]], dtype=dtype)
    assert made.dtype is dtype
    if dtype is tn.bool:
        assert made.tolist() == [[True, False], [True, True]]
    else:
        largest = 2**64 - (1 if dtype is tn.uint64 else 0)
        assert made.tolist() == [[largest, 0], [1, 2**63]]


def test_limits_are_for_one_kind():
    with pytest.raises(DTypeError, match=r"^finfo: got tinynet\.int8, expected a floating dtype$"):
        tn.finfo(tn.int8)
    with pytest.raises(DTypeError, match=r"^iinfo: got tinynet\.\w+16, expected an integer dtype$"):
        tn.iinfo(tn.float16)
