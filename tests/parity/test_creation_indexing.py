"""Creation and indexing: what PyTorch returns or refuses, tinynet does.

A case is a function of the library, `t`, and arguments; `unlike` runs it with both libraries.
"""

import pytest

torch = pytest.importorskip("torch")

from tests.parity.comparing import DTYPES, gradient_differences, unlike  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

INF, NAN = float("inf"), float("nan")

# Creation
BOUNDS = [(5,), (0,), (2, 7), (7, 2, -2), (0, 1, 0.25), (1.5, 4), (0.0, 1.0, 0.1), (-3, 3), (5, 2),
          (0, 5, 0), (0.0, 3), (1, 2, 5)]  # fmt: skip
SIZES = [((),), (0,), (3,), (2, 3), ((2, 3),), ([2, 3],), (2, 0), (-1,), (2.5,), ("a",)]
DATA = [
    1, 1.5, True, [], [[]], [1, 2], [1, 2.5], [True, 2], [[1, 2], [3, 4]], [[1], [2, 3]], (1, 2),
    [1.0, INF, NAN], [[True], [False]], "text", None, [None], 2**40, [[[]], [[]]], range(3),
]  # fmt: skip
CREATION = {
    "zeros": lambda t, n: t.zeros(*n),
    "ones": lambda t, n: t.ones(*n),
    "empty": lambda t, n: t.empty(*n).zero_(),
    "rand": lambda t, n: t.rand(*n).shape == t.zeros(*n).shape,
    "randn": lambda t, n: t.randn(*n).shape == t.zeros(*n).shape,
}


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_ranges(bounds):
    assert not unlike(lambda t, b: t.arange(*b), bounds)
    for dtype in (torch.float32, torch.float64, torch.int32, torch.float16):
        if dtype is torch.int32 and any(isinstance(x, float) for x in bounds):
            continue  # tinynet cuts the bounds first, PyTorch counts first
        assert not unlike(lambda t, b, d: t.arange(*b, dtype=d), bounds, dtype)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, -1, 2.0])
@pytest.mark.parametrize("name", ["linspace", "logspace"])
def test_spaces(name, steps):
    for start, end in [(0, 1), (1, -1), (0.5, 0.5), (-2, 3.5)]:
        assert not unlike(lambda t, a, b: getattr(t, name)(a, b, steps), start, end)
        assert not unlike(
            lambda t, a, b: getattr(t, name)(a, b, steps, dtype=t.float64), start, end
        )


@pytest.mark.parametrize("name", CREATION)
def test_sizes(name):
    for size in SIZES:
        assert not unlike(CREATION[name], size), size


@pytest.mark.parametrize("data", DATA, ids=str)
def test_data(data):
    assert not unlike(lambda t, x: t.tensor(x), data)
    assert not unlike(lambda t, x: t.as_tensor(x), data)
    for dtype in (torch.float64, torch.int32, torch.bool):
        if not (dtype is torch.int32 and str(data) in ("[1.0, inf, nan]", str(2**40))):
            assert not unlike(lambda t, x, d: t.tensor(x, dtype=d), data, dtype)


@pytest.mark.parametrize("value", [0, 1, -1, 2.5, True, INF, 300, -200])
@pytest.mark.parametrize("dtype", [None, *DTYPES], ids=str)
def test_full(dtype, value):
    assert not unlike(lambda t, v, d: t.full((2,), v, dtype=d), value, dtype)


@pytest.mark.parametrize("arguments", [(3,), (2, 4), (0,), (3, 0), (-1,)], ids=str)
def test_eye_and_triangles(arguments):
    assert not unlike(lambda t, n: t.eye(*n), arguments)
    square = arguments if len(arguments) == 2 else (*arguments, 3)
    for offset in (-2, 0, 1, 5):
        assert not unlike(lambda t, n, k: t.tril_indices(*n, k), square, offset)
        assert not unlike(lambda t, n, k: t.triu_indices(*n, offset=k), square, offset)


# Indexing
INDICES = [
    0, -1, 5, -9, slice(None), slice(1, None), slice(None, -1), slice(0, 9, 2), slice(3, 1), None,
    ..., True, False, (0, 0), (0, slice(None)), (slice(None), 1), (..., 0), (None, 0), (0, None),
    (..., None), (0, ...), (slice(None), None, 0), (), [0, 1], [0, -1], ([[0], [1]],),
    ([0, 1], [0, 1]), ([0, 1], 0), (0, [0, 1]), (slice(None), [1, 0]), ([0], slice(None), [0]),
    ([True, False],), 1.0, "a", (0, 0, 0, 0), slice(0, 0), ([], ), (slice(0, 2), [1]),
    torch.tensor(1), torch.tensor([1, 0]), torch.tensor([[0, 1], [1, 0]]),
    torch.tensor([True, False]),
    torch.tensor([], dtype=torch.int64), torch.tensor([0.5]), torch.tensor(True),
    (None, torch.tensor([1, 0])), (torch.tensor([0, 1]), torch.tensor([[1], [0]])),
    (torch.tensor([1, 0]), ..., torch.tensor([0, 1])), torch.tensor([1, 0], dtype=torch.int32),
    (slice(None), torch.tensor([True, False, True])),
    torch.tensor([[True, False, True], [False, True, False]]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_reading_at(index):
    for shape in [(), (2,), (2, 3), (3, 2), (2, 3, 4), (0,), (2, 0)]:
        x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
        assert not unlike(lambda t, x, i: x[i], x, index), shape


def written(x, index, value):
    x = x.clone()
    x[index] = value
    return x


@pytest.mark.parametrize("value", [7.5, torch.tensor(3.0), torch.tensor([8.0]), torch.ones(2),
                                   torch.ones(1, 3), torch.ones(5)], ids=str)  # fmt: skip
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_writing_at(index, value):
    for shape in [(), (2,), (2, 3), (2, 3, 4), (2, 0)]:
        if index is False:  # nothing is written, and PyTorch does not look at the value's shape
            continue
        x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
        assert not unlike(lambda t, x, i, v: written(x, i, v), x, index, value), shape


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_gradients_of_reading(index):
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).requires_grad_()
    try:
        x[index]
    except (IndexError, TypeError):
        pytest.skip("no such index")
    assert not gradient_differences(lambda x, i: x[i], lambda x, i: x[i], (x, index), {})
