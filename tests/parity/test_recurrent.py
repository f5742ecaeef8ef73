"""Recurrent networks, embeddings and bilinear layers beside PyTorch's, from the same weights."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences, tensors_in  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:dropout option adds:UserWarning")

DTYPES = {torch.float32: (1e-5, 2e-6), torch.float64: (1e-10, 1e-12)}
OURS = {torch.float32: tn.float32, torch.float64: tn.float64}


def rand(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def moved(value, device):
    if isinstance(value, torch.Tensor):
        x = converted(value.detach()).to(device)
        return x.requires_grad_() if value.requires_grad else x
    if isinstance(value, (tuple, list)):
        return type(value)(moved(x, device) for x in value)
    return value


def outcome(module, kind, model, args, order):
    """Results, and gradients of their squares with regard to inputs and weights."""
    results = tensors_in(model(*args), kind)
    leaves = [*[x for x in tensors_in(args, kind) if x.requires_grad], *model.parameters()]
    found = [y.detach() for y in results]
    total = sum((y * y).sum() for y in results)
    for _ in range(order):
        grads = module.autograd.grad(total, leaves, create_graph=order > 1, materialize_grads=True)
        found += [g.detach() for g in grads]
        total = sum((g * g).sum() for g in grads)
    return found


def check(name, args, options, inputs, device, dtype=torch.float64, order=1, training=True):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, dtype=dtype, **options).train(training)
    ours = getattr(tn.nn, name)(*args, **options).to(device, OURS[dtype]).train(training)
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({key: moved(value, device) for key, value in state.items()})
    assert repr(ours) == repr(theirs)
    inputs = [as_dtype(x, dtype) for x in inputs]
    expected = outcome(torch, torch.Tensor, theirs, inputs, order)
    got = outcome(tn, tn.Tensor, ours, [moved(x, device) for x in inputs], order)
    found = differences(expected, [x.cpu() for x in got], DTYPES[dtype])
    assert not found, found


def as_dtype(value, dtype):
    if isinstance(value, tuple):
        return tuple(as_dtype(x, dtype) for x in value)
    needs_grad = value.requires_grad
    return value.detach().to(dtype).requires_grad_(needs_grad)


OPTIONS = [
    {},
    {"num_layers": 3},
    {"bias": False, "bidirectional": True},
    {"batch_first": True, "num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "dropout": 1.0},
]
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("LSTM", {"proj_size": 3}),
         ("GRU", {})]  # fmt: skip
CASES = [(name, {**more, **options}) for (name, more), options in itertools.product(KINDS, OPTIONS)]


def first_state(name, options, n, seed=5):
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    size = options.get("proj_size", 0) or 6
    batch = () if n is None else (n,)
    h = rand(count, *batch, size, seed=seed).requires_grad_()
    return (h, rand(count, *batch, 6, seed=seed + 1).requires_grad_()) if name == "LSTM" else h


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_sequences(device, name, options, dtype):
    shape = (3, 5, 4) if options.get("batch_first") else (5, 3, 4)
    x = rand(*shape).requires_grad_()
    check(name, (4, 6), options, [x], device, dtype)
    check(name, (4, 6), options, [x, first_state(name, options, 3)], device, dtype)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_without_a_batch(name, options):
    x = rand(5, 4).requires_grad_()
    check(name, (4, 6), options, [x], "cpu")
    check(name, (4, 6), options, [x, first_state(name, options, None)], "cpu", training=False)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_second_order_and_edges(device, name):
    check(name, (4, 6), {}, [rand(3, 2, 4).requires_grad_()], device, order=2)
    check(name, (4, 6), {}, [rand(1, 1, 4).requires_grad_()], device)
    check(name, (1, 1), {"num_layers": 2}, [rand(2, 2, 1).requires_grad_()], device)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (3,)], ids=str)
def test_cells(device, name, bias, batch):
    x = rand(*batch, 4).requires_grad_()
    h, c = (rand(*batch, 6, seed=i).requires_grad_() for i in (1, 2))
    for dtype in DTYPES:
        check(name, (4, 6), {"bias": bias}, [x], device, dtype)
        check(name, (4, 6), {"bias": bias}, [x, (h, c) if name == "LSTMCell" else h], device, dtype)
    if name == "RNNCell":
        check(name, (4, 6), {"nonlinearity": "relu"}, [x, h], device, order=2)


@pytest.mark.parametrize(
    ("name", "args", "options", "inputs"),
    [
        ("LSTM", (4, 6), {}, [rand(5, 3, 5)]), ("LSTM", (4, 6), {}, [rand(4)]),
        ("LSTM", (4, 6), {}, [rand(5, 3, 4), (rand(1, 2, 6), rand(1, 3, 6))]),
        ("LSTM", (4, 6), {}, [rand(5, 3, 4), (rand(1, 3, 6), rand(1, 3, 5))]),
        ("GRU", (4, 6), {}, [rand(5, 3, 4), rand(2, 3, 6)]),
        ("GRU", (4, 6), {}, [rand(5, 4), rand(1, 1, 6)]), ("RNN", (4, 6), {}, [rand(0, 3, 4)]),
        ("RNN", (4, 6), {"nonlinearity": "sigmoid"}, []), ("RNN", (4, 0), {}, []),
        ("LSTM", (4, 6), {"proj_size": 6}, []), ("LSTM", (4, 6), {"num_layers": 0}, []),
        ("GRU", (4, 6), {"dropout": 1.5}, []), ("LSTMCell", (4, 6), {}, [rand(3, 5)]),
        ("GRUCell", (4, 6), {}, [rand(3, 4), rand(2, 6)]), ("RNNCell", (4, 6), {}, [rand(1, 3, 4)]),
        ("Embedding", (5, 3), {"padding_idx": 5}, []), ("Embedding", (5, 3), {}, [rand(3)]),
        ("Embedding", (5, 3), {}, [torch.tensor([5])]),
        ("Embedding", (5, 3), {}, [torch.tensor([-6])]), ("Bilinear", (0, 2, 3), {}, []),
        ("Bilinear", (2, 3, 4), {}, [rand(5, 2), rand(4, 3)]),
        ("Bilinear", (2, 3, 4), {}, [rand(5, 3), rand(5, 3)]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(name, args, options, inputs):
    with pytest.raises((RuntimeError, ValueError, IndexError, AssertionError)):
        getattr(torch.nn, name)(*args, dtype=torch.float64, **options)(*inputs)
    with pytest.raises(TinynetError):
        getattr(tn.nn, name)(*args, **options).double()(*moved(inputs, "cpu"))


# Embedding
INDICES = torch.tensor([[0, 2, 2], [4, 1, 2]])


SETTINGS = [
    {}, {"padding_idx": 2}, {"padding_idx": -1}, {"max_norm": 1.0},
    {"max_norm": 0.5, "norm_type": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_embedding(device, options):
    for dtype in DTYPES:
        results = []
        for module in (torch, tn):
            torch.manual_seed(0)
            theirs = torch.nn.Embedding(5, 3, dtype=dtype, **options)
            layer, places = theirs, INDICES
            if module is tn:
                layer = tn.nn.Embedding(5, 3, **options).to(device, OURS[dtype])
                layer.load_state_dict(moved_state(theirs, device))
                places = moved(INDICES, device)
                assert repr(layer) == repr(theirs)
            y = layer(places)
            (y * y).sum().backward()
            results.append([y.detach(), layer.weight.grad, layer.weight.detach()])
        found = differences(results[0], [x.cpu() for x in results[1]], DTYPES[dtype])
        assert not found, found


def moved_state(module, device):
    return {key: moved(value, device) for key, value in module.state_dict().items()}


def test_pretrained_vectors():
    values = rand(4, 3)
    for freeze in (True, False):
        theirs = torch.nn.Embedding.from_pretrained(values, freeze, padding_idx=1)
        ours = tn.nn.Embedding.from_pretrained(converted(values), freeze, padding_idx=1)
        assert ours.weight.requires_grad == theirs.weight.requires_grad
        places = torch.tensor([1, 3])
        assert not differences(theirs(places).detach(), ours(converted(places)).detach())


def test_one_hot(device):
    for x, count in [(INDICES, -1), (INDICES, 7), (torch.tensor(2), 4), (torch.empty(0).long(), 3)]:
        expected = torch.nn.functional.one_hot(x, count)
        assert not differences(expected, tn.nn.functional.one_hot(moved(x, device), count).cpu())
    for x, count in [(INDICES, 4), (-INDICES, -1), (torch.empty(0).long(), -1), (rand(2), -1)]:
        with pytest.raises((RuntimeError, ValueError)):
            torch.nn.functional.one_hot(x, count)
        with pytest.raises(TinynetError):
            tn.nn.functional.one_hot(moved(x, device), count)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=str)
def test_bilinear(device, batch, bias):
    inputs = [rand(*batch, 3).requires_grad_(), rand(*batch, 4, seed=1).requires_grad_()]
    check("Bilinear", (3, 4, 2), {"bias": bias}, inputs, device, order=2)
    check("Bilinear", (3, 4, 2), {"bias": bias}, inputs, device, torch.float32)
