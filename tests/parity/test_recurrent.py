"""Recurrent layers, cells and packed sequences beside PyTorch."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences, tensors_in, unlike  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

KINDS = [
    ("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("LSTM", {"proj_size": 2}),
    ("GRU", {}),
]  # fmt: skip
CELLS = [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {})]
DTYPES = [torch.float32, torch.float64]
ERRORS = (RuntimeError, ValueError, TypeError, IndexError)


def name_of(value):
    return value if isinstance(value, str) else "-".join(f"{k}={v}" for k, v in value.items())


def rand(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layers(name, kwargs, dtype, sizes=(3, 4)):
    """A layer of PyTorch's and one of tinynet's with the same weights."""
    expected = getattr(torch.nn, name)(*sizes, dtype=dtype, **kwargs)
    got = getattr(tn.nn, name)(*sizes, **kwargs)
    got.to(tn.float64 if dtype is torch.float64 else tn.float32)
    assert repr(got) == repr(expected)
    assert list(got.state_dict()) == list(expected.state_dict())
    got.load_state_dict(converted(dict(expected.state_dict())))
    return expected, got


def compare(expected, got, arguments, order=2):
    """Outputs of two layers, and gradients up to an order, by inputs and weights."""
    results = []
    for module, layer, kind, args in (
        (torch, expected, torch.Tensor, arguments),
        (tn, got, tn.Tensor, converted(list(arguments))),
    ):
        values = tensors_in(layer(*args), kind)
        made = [y for y in values if y.requires_grad]
        leaves = [x for x in tensors_in(args, kind) if x.requires_grad] + [*layer.parameters()]
        seeds = [rand(*y.shape, seed=5).to(arguments[0].dtype) for y in made]
        seeds = seeds if module is torch else converted(seeds)
        grads = module.autograd.grad(made, leaves, seeds, create_graph=order > 1)
        results.append([*values, *grads])
        if order > 1:
            total = sum((g * g).sum() for g in grads)
            results[-1] += module.autograd.grad(total, leaves, materialize_grads=True)
    assert not differences(*results), differences(*results)


OPTIONS = list(itertools.product((1, 2), (True, False), (False, True), (False, True)))


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
@pytest.mark.parametrize(("num_layers", "bias", "batch_first", "bidirectional"), OPTIONS)
def test_options(name, kwargs, num_layers, bias, batch_first, bidirectional):
    options = {"num_layers": num_layers, "bias": bias, "batch_first": batch_first,
               "bidirectional": bidirectional}  # fmt: skip
    expected, got = layers(name, {**kwargs, **options}, torch.float64)
    compare(expected, got, [rand(5, 2, 3).requires_grad_()])


def states_of(name, kwargs, *batch, count=1, dtype=torch.float64):
    """Hidden states that require grad, as the layer takes them."""
    h = rand(count, *batch, kwargs.get("proj_size", 4), dtype=dtype, seed=1).requires_grad_()
    if name != "LSTM":
        return h
    return h, rand(count, *batch, 4, dtype=dtype, seed=2).requires_grad_()


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_devices_and_dtypes(name, kwargs, dtype, on_device):
    expected, got = layers(name, {**kwargs, "bidirectional": True}, dtype)
    states = states_of(name, kwargs, 2, count=2, dtype=dtype)
    compare(expected, got, [rand(3, 2, 3, dtype=dtype).requires_grad_(), states], 1)


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
def test_given_states(name, kwargs):
    expected, got = layers(name, {**kwargs, "batch_first": True}, torch.float64)
    compare(expected, got, [rand(2, 5, 3).requires_grad_(), states_of(name, kwargs, 2)])
    compare(expected, got, [rand(5, 3).requires_grad_(), states_of(name, kwargs)])  # no batch
    compare(expected, got, [rand(5, 3).requires_grad_()])
    compare(expected, got, [rand(4, 5, 6).transpose(0, 2)[::2, :, 1:].requires_grad_()], 1)


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
def test_a_batch_of_none_and_one_step(name, kwargs):
    expected, got = layers(name, {**kwargs, "bidirectional": True}, torch.float64)
    compare(expected, got, [rand(1, 2, 3).requires_grad_()])
    x = rand(3, 0, 3)
    y, z = expected(x), got(converted(x))
    assert not differences(tensors_in(y, torch.Tensor), tensors_in(z, tn.Tensor))


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
@pytest.mark.parametrize("chosen", [0, 2, (1, 3)])
def test_gradients_where_some_steps_do_not_count(name, kwargs, chosen):
    expected, got = layers(name, kwargs, torch.float64)

    def some(layer):
        def forward(x):
            y = layer(x)[0]
            return y[chosen[0] : chosen[1]] if isinstance(chosen, tuple) else y[chosen]

        forward.parameters = layer.parameters
        return forward

    compare(some(expected), some(got), [rand(5, 2, 3).requires_grad_()])


@pytest.mark.parametrize(("name", "kwargs"), KINDS, ids=name_of)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[5, 5], [2, 5, 3, 3], [1], [4, 1, 1]], ids=str)
def test_packed(name, kwargs, bidirectional, lengths):
    options = {**kwargs, "num_layers": 2, "bidirectional": bidirectional}
    expected, got = layers(name, options, torch.float64)
    states = states_of(name, kwargs, len(lengths), count=4 if bidirectional else 2)

    def packed(layer, home):
        def forward(x, states):
            row = home.pack_padded_sequence(x, lengths, enforce_sorted=False)
            y, last = layer(row, states)
            assert type(y) is home.PackedSequence
            return home.pad_packed_sequence(y)[0], last

        forward.parameters = layer.parameters
        return forward

    x = rand(max(lengths), len(lengths), 3).requires_grad_()
    theirs, ours = packed(expected, torch.nn.utils.rnn), packed(got, tn.nn.utils.rnn)
    compare(theirs, ours, [x, states])
    compare(theirs, ours, [x, None], 1)


@pytest.mark.parametrize(("name", "kwargs"), CELLS, ids=name_of)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cells(name, kwargs, dtype, on_device):
    order = 2 if on_device == "cpu" else 1  # compiling takes its time
    for bias in (True, False):
        expected, got = layers(name, {**kwargs, "bias": bias}, dtype)
        for batch in ((2,), ()):
            x = rand(*batch, 3, dtype=dtype).requires_grad_()
            h = rand(*batch, 4, dtype=dtype, seed=1).requires_grad_()
            c = rand(*batch, 4, dtype=dtype, seed=2).requires_grad_()
            compare(expected, got, [x, (h, c) if name == "LSTMCell" else h], order)
            compare(expected, got, [x], 1)
    compare(expected, got, [rand(0, 3, dtype=dtype)], 1)


def test_dropout_between_layers():
    for probability in (0.0, 1.0):
        for is_training in (True, False):
            options = {"num_layers": 3, "dropout": probability}
            expected, got = layers("LSTM", options, torch.float64)
            expected.train(is_training)
            got.train(is_training)
            compare(expected, got, [rand(4, 2, 3).requires_grad_()], 1)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_weights_start_as_pytorch_s(name):
    """All uniform up to 1 / sqrt(100): no deviation is further off than five of its own."""
    expected, got = getattr(torch.nn, name)(30, 100), getattr(tn.nn, name)(30, 100)
    for y, z in zip(expected.parameters(), got.parameters(), strict=True):
        for weights in (y, z):
            assert 0.09 < weights.abs().max().item() <= 0.1
            deviation = pytest.approx(0.1 / 3**0.5, rel=5 * (0.2 / weights.numel()) ** 0.5)
            assert weights.std().item() == deviation


BAD_LAYERS = [
    ((3, 4), {"dropout": 1.5}), ((3, 4), {"dropout": True}), ((3, 4, 0), {}), ((3.0, 4), {}),
    ((3, 4.0), {}), ((3, 4, 1.5), {}), ((3, 4), {"bias": 1}), ((3, 4), {"batch_first": 1}),
    ((3, 0), {}), ((0, 4), {}), ((3, 4), {"proj_size": 4}), ((3, 4), {"proj_size": -1}),
    ((3, 4), {"nonlinearity": "sigmoid"}),
]  # fmt: skip


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("args", "kwargs"), BAD_LAYERS)
def test_layers_refused(name, args, kwargs):
    with pytest.raises(ERRORS):
        getattr(torch.nn, name)(*args, **kwargs)
    with pytest.raises((TinynetError, TypeError)):
        getattr(tn.nn, name)(*args, **kwargs)


def calls_refused(name):
    x, h, double = rand(5, 2, 3).float(), rand(1, 2, 4).float(), rand(1, 2, 4)
    yield from [(x[0, 0],), (x[..., :2],), (x.double(),), (x[:0],), (x[None],)]
    states = [rand(1, 3, 4).float(), h[0], h[None], double, rand(2, 2, 4).float(), h[..., 1:]]
    states = [(s, s) if name == "LSTM" else s for s in states]
    yield from [(x, s) for s in states]
    yield x[:, 0], ((h, h) if name == "LSTM" else h)
    if name == "LSTM":
        yield from [(x, h), (x, (h,))]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_calls_refused(name):
    expected, got = layers(name, {}, torch.float32)
    for arguments in calls_refused(name):
        with pytest.raises(ERRORS):
            expected(*arguments)
        with pytest.raises(TinynetError):
            got(*converted(list(arguments)))


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_calls_of_cells_refused(name):
    expected, got = layers(name, {}, torch.float32)
    x, h = rand(2, 3).float(), rand(2, 4).float()
    cases = [(x[None],), (x[:, :2],), (x.double(),)]
    states = [rand(3, 4).float(), h[:1], h[:, :3], h[0], h[None], h.double()]
    cases += [(x, (s, s) if name == "LSTMCell" else s) for s in states]
    for arguments in cases:
        with pytest.raises(ERRORS):
            expected(*arguments)
        with pytest.raises(TinynetError):
            got(*converted(list(arguments)))


def home(library):
    return library.nn.utils.rnn if library is torch else tn.nn.utils.rnn


A, B, C = torch.arange(3.0), torch.arange(2.0), torch.arange(1.0)
X = torch.arange(24.0).reshape(3, 2, 4)
SEQUENCES = {
    "pad": lambda m, a, b, c, x: m.pad_sequence([a, b, c]),
    "pad left": lambda m, a, b, c, x: m.pad_sequence([b, a], True, -1.0, "left"),
    "pad rows": lambda m, a, b, c, x: m.pad_sequence([x[0], x[1, :1]], padding_value=2.0),
    "pad integers": lambda m, a, b, c, x: m.pad_sequence([a.long(), b], padding_value=1.5),
    "pad none": lambda m, a, b, c, x: m.pad_sequence([a[:0], b]),
    "pad a tensor": lambda m, a, b, c, x: m.pad_sequence(x),
    "pad nothing": lambda m, a, b, c, x: m.pad_sequence([]),
    "pad unlike": lambda m, a, b, c, x: m.pad_sequence([x[0], x[0, :, 1:]]),
    "pad numbers": lambda m, a, b, c, x: m.pad_sequence([a[0]]),
    "pad five": lambda m, a, b, c, x: m.pad_sequence(5),
    "pad above": lambda m, a, b, c, x: m.pad_sequence([a], padding_side="above"),
    "unpad": lambda m, a, b, c, x: m.unpad_sequence(x.clone(), b.long() + 2),
    "unpad batch first": lambda m, a, b, c, x: m.unpad_sequence(x, a.long(), True),
    "pack": lambda m, a, b, c, x: tuple(m.pack_sequence([a, b, c])),
    "pack unsorted": lambda m, a, b, c, x: tuple(m.pack_sequence([c, a, b], False)),
    "pack refused": lambda m, a, b, c, x: tuple(m.pack_sequence([c, a, b])),
    "pack empty": lambda m, a, b, c, x: tuple(m.pack_sequence([a, a[:0]])),
    "pack padded": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, [3, 1])),
    "pack shorter": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, [2, 1])),
    "pack by a tensor": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, b + 1, False, False)),
    "pack batch first": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, [2, 2, 1], True)),
    "pack too few": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, [2])),
    "pack negative": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, [2, -1])),
    "pack a vector": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(a, [1])),
    "pack by a matrix": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x, x[:, :, 0])),
    "pack nothing": lambda m, a, b, c, x: tuple(m.pack_padded_sequence(x[:0], [0, 0])),
    "unpack": lambda m, a, b, c, x: m.unpack_sequence(m.pack_sequence([c, a, b], False)),
    "unpack padded": lambda m, a, b, c, x: m.pad_packed_sequence(
        m.pack_padded_sequence(x, [1, 3], False, False), True, -1.0, 5
    ),
    "unpack too short": lambda m, a, b, c, x: m.pad_packed_sequence(
        m.pack_padded_sequence(x, [1, 3], False, False), total_length=2
    ),
    "invert": lambda m, a, b, c, x: m.invert_permutation((a.long() + 1) % 3),
    "made by hand": lambda m, a, b, c, x: tuple(m.PackedSequence(a, b.long(), (b + 1).long() % 2)),
    "made of a pair": lambda m, a, b, c, x: tuple(m.PackedSequence((a, b.long()))),
    "converted": lambda m, a, b, c, x: tuple(m.pack_sequence([a, b]).to(x.double().dtype)),
}


@pytest.mark.parametrize("case", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(case):
    found = unlike(lambda library, *tensors: case(home(library), *tensors), A, B, C, X)
    assert not found, found
