"""Embeddings, bags, one-hot vectors and bilinear maps beside PyTorch."""

import math

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences, gradient_differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

DTYPES = [torch.float32, torch.float64]


def rand(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def as_of(module, *values):
    """`values` for PyTorch or for tinynet."""
    return values if module is torch else converted(values)


def check(name, *args, gradients=True, **kwargs):
    """`nn.functional.name` gives and refuses what PyTorch's does, gradients of gradients too."""
    theirs, ours = getattr(torch.nn.functional, name), getattr(tn.nn.functional, name)
    mine = converted(list(args)), converted(kwargs)
    try:
        expected = theirs(*args, **kwargs)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError):
        with pytest.raises(TinynetError):
            ours(*mine[0], **mine[1])
        return
    got = ours(*mine[0], **mine[1])
    assert not differences(expected, got), differences(expected, got)
    if gradients:
        found = gradient_differences(theirs, ours, args, kwargs)
        assert not found, found


LOOKUPS = {
    "plain": {}, "padding": {"padding_idx": 1}, "padding from the end": {"padding_idx": -2},
    "by frequency": {"scale_grad_by_freq": True},
    "by frequency with padding": {"scale_grad_by_freq": True, "padding_idx": 2},
}  # fmt: skip


@pytest.mark.parametrize("options", LOOKUPS.values(), ids=LOOKUPS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_embedding(options, dtype, on_device):
    weight = rand(4, 3, dtype=dtype).requires_grad_()
    for index in ([[0, 2, 2], [1, 3, 2]], [], 2):
        check("embedding", torch.tensor(index, dtype=torch.int64), weight, **options)
        check("embedding", torch.tensor(index, dtype=torch.int32), weight, **options)


def test_embedding_of_views(on_device):
    weight = rand(6, 8).T[::2, 1:].detach().requires_grad_()
    check("embedding", torch.tensor([[0, 1, 2], [3, 2, 1]]).T, weight)


def test_embedding_with_padding_forgets_even_nan(on_device):
    for module in (torch, tn):
        weight = module.ones(3, 2, requires_grad=True)
        y = module.nn.functional.embedding(module.tensor([0, 1]), weight, padding_idx=1)
        y.backward(module.tensor([[1.0, 2.0], [math.nan, math.inf]]))
        assert weight.grad.tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0, 0.0])
@pytest.mark.parametrize("max_norm", [1.0, 0.0, 100.0, -1.0])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_max_norm(max_norm, norm_type, dtype, on_device):
    values = rand(5, 3, dtype=dtype)
    values[3] = 0
    results = []
    for module in (torch, tn):
        weight = values.clone() if module is torch else converted(values)
        weight.requires_grad_()
        index = module.tensor([[0, 3], [0, 4]])
        y = module.nn.functional.embedding(index, weight, None, max_norm, norm_type)
        (y * y).sum().backward()
        results.append([y, weight, weight.grad])
    assert not differences(*results), differences(*results)


@pytest.mark.parametrize(
    ("index", "weight", "options"),
    [
        ([1.0], (4, 3), {}), ([True], (4, 3), {}), ([4], (4, 3), {}), ([-1], (4, 3), {}),
        ([0], (4,), {}), ([0], (4, 3, 2), {}), ([0], (4, 3), {"padding_idx": 4}),
        ([0], (4, 3), {"padding_idx": -5}), ([0], (0, 3), {}),
    ],
)  # fmt: skip
def test_what_embedding_refuses(index, weight, options, on_device):
    check("embedding", torch.tensor(index), rand(*weight), **options)
    check("embedding", torch.tensor([1], dtype=torch.uint8), rand(4, 3))


def test_one_hot(on_device):
    for x in ([0, 2], [[1, 1], [3, 0]], 2):
        check("one_hot", torch.tensor(x))
        check("one_hot", torch.tensor(x), 4)
        check("one_hot", torch.tensor(x), num_classes=5)
    check("one_hot", torch.zeros(0, 2, dtype=torch.int64), 3)


@pytest.mark.parametrize(
    ("x", "classes"),
    [([3], 2), ([-1], 4), ([-1], -1), ([0], 0), ([0], -2), ([1.0], 3), ([], -1), ([], 0),
     ([True], 2)],
)  # fmt: skip
def test_what_one_hot_refuses(x, classes, on_device):
    dtype = torch.int64 if not x else None
    check("one_hot", torch.tensor(x, dtype=dtype), classes)
    check("one_hot", torch.tensor([1], dtype=torch.int32), 2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_bilinear(batch, dtype, on_device):
    a, b = rand(*batch, 3, dtype=dtype), rand(*batch, 5, dtype=dtype, seed=1)
    weight, bias = rand(2, 3, 5, dtype=dtype, seed=2), rand(2, dtype=dtype, seed=3)
    tensors = [x.requires_grad_() for x in (a, b, weight, bias)]
    check("bilinear", *tensors)
    check("bilinear", *tensors[:3])


@pytest.mark.parametrize(
    ("a", "b", "weight", "bias"),
    [
        ((1, 3), (4, 5), (2, 3, 5), (2,)), ((4, 3), (5,), (2, 3, 5), (2,)),
        ((4, 2), (4, 5), (2, 3, 5), (2,)), ((4, 3), (4, 4), (2, 3, 5), (2,)),
        ((4, 3), (4, 5), (2, 3, 5), (3,)), ((4, 3), (4, 5), (2, 3, 5), (1,)),
        ((4, 3), (4, 5), (2, 3), (2,)),
    ],
)  # fmt: skip
def test_what_bilinear_refuses(a, b, weight, bias):
    check("bilinear", rand(*a), rand(*b), rand(*weight), rand(*bias))
    check("bilinear", rand(4, 3), rand(4, 5).float(), rand(2, 3, 5))
    check("bilinear", rand(4, 3), rand(4, 5), rand(2, 3, 5).float())


# not scale_grad_by_freq: PyTorch divides by the counts of other rows
BAGS = {
    "sum": {"mode": "sum"}, "mean": {}, "max": {"mode": "max"},
    "sum with padding": {"mode": "sum", "padding_idx": 1}, "mean with padding": {"padding_idx": -3},
    "max with padding": {"mode": "max", "padding_idx": 1},
}  # fmt: skip


@pytest.mark.parametrize("options", BAGS.values(), ids=BAGS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bags(options, dtype, on_device):
    weight = rand(4, 3, dtype=dtype).requires_grad_()

    def compare(index, offsets=None, **more):
        kwargs = {**options, **more}
        results = []
        for module in (torch, tn):
            args = as_of(module, index, weight, offsets)
            y = module.nn.functional.embedding_bag(*args, **kwargs)
            scale = torch.rand(y.shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
            (scale,) = as_of(module, scale)
            results.append([y, *module.autograd.grad((y * scale).sum(), args[1])])
        assert not differences(*results), differences(*results)

    compare(torch.tensor([[0, 2, 2], [1, 3, 1]]))
    compare(torch.tensor([[1, 1]]))
    index = torch.tensor([0, 2, 2, 1, 3, 1])
    compare(index, torch.tensor([0, 2, 2, 5]))
    compare(index, torch.tensor([0, 3]))
    compare(index, torch.tensor([0, 2, 6]))
    compare(index, torch.tensor([0, 2, 6]), include_last_offset=True)
    compare(index.int(), torch.tensor([0, 4], dtype=torch.int32))


def test_weighted_bags(on_device):
    weight, factors = rand(4, 3).requires_grad_(), rand(2, 3, seed=1).requires_grad_()
    index = torch.tensor([[0, 2, 2], [1, 3, 1]])
    for options in ({}, {"padding_idx": 1}):
        results = []
        for module in (torch, tn):
            x, w, f = as_of(module, index, weight, factors)
            bag = module.nn.functional.embedding_bag
            y = bag(x, w, mode="sum", per_sample_weights=f, **options)
            results.append([y, *module.autograd.grad((y * y).sum(), [w, f])])
        assert not differences(*results), differences(*results)


def test_max_norm_of_bags(on_device):
    values, results = rand(4, 3), []
    for module in (torch, tn):
        weight = values.clone() if module is torch else converted(values)
        y = module.nn.functional.embedding_bag(module.tensor([[0, 2]]), weight, max_norm=0.5)
        results.append([y, weight])
    assert not differences(*results), differences(*results)


@pytest.mark.parametrize(
    ("index", "offsets", "options"),
    [
        ([0, 1], None, {}), ([[0, 1]], [0], {}), ([0, 1], [1], {}), ([0, 1], [0, 3], {}),
        ([0, 1], [[0]], {}), ([[[0]]], None, {}), ([[0]], None, {"mode": "product"}),
        ([[0]], None, {"mode": "max", "scale_grad_by_freq": True}), ([[9]], None, {}),
        ([[0]], None, {"per_sample_weights": torch.ones(1, 1)}),
        ([[0]], None, {"mode": "sum", "per_sample_weights": torch.ones(1)}),
        ([[0]], None, {"padding_idx": 4}),
    ],
)  # fmt: skip
def test_what_bags_refuse(index, offsets, options):
    offsets = None if offsets is None else torch.tensor(offsets)
    check(
        "embedding_bag",
        torch.tensor(index),
        rand(4, 3).float(),
        offsets,
        gradients=False,
        **options,
    )


MODULES = [
    ("Embedding", (4, 3), {}), ("Embedding", (4, 3, -1, 1, 3.0, True), {}),
    ("EmbeddingBag", (4, 3), {}), ("Bilinear", (2, 3, 4), {}), ("Bilinear", (2, 3, 4, False), {}),
    ("EmbeddingBag", (4, 3, 1.5, 3.0, True, "sum"), {"padding_idx": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES)
def test_modules_read_and_default_as_pytorch_s(name, args, kwargs):
    expected = getattr(torch.nn, name)(*args, **kwargs)
    got = getattr(tn.nn, name)(*args, **kwargs)
    assert repr(got) == repr(expected)
    assert {key: tuple(x.shape) for key, x in expected.state_dict().items()} == {
        key: x.shape for key, x in got.state_dict().items()
    }
