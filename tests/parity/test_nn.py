"""`nn` beside PyTorch: values, gradients of gradients, and what is refused."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

EXTREMES = [0.0, -0.0, 1.0, -1.0, 20.0, 20.1, 300.0, -300.0, 1e4, -1e4, 1e-40]
NOT_FINITE = [math.inf, -math.inf, math.nan]
EASY = {"dtype": torch.float64}


def rand(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def run(module, functional, name, args, kwargs, order):
    """The result, and the gradients of its sum, weighted, up to an order."""
    inputs = [x for x in args if hasattr(x, "requires_grad") and x.requires_grad]
    y = getattr(functional, name)(*args, **kwargs)
    results = [y]
    if not inputs or not y.requires_grad:
        return results
    weights = module.full_like(y, 0.7, requires_grad=False)
    grads = module.autograd.grad(y, inputs, weights, create_graph=order > 1)
    results += grads
    if order > 1:
        total = sum((g * g).sum() for g in grads)
        if not total.requires_grad:  # a constant, as it should be where PyTorch returns zeros
            return [*results, *(x.detach() * 0 for x in inputs)]
        results += module.autograd.grad(total, inputs, materialize_grads=True)
    return results


def check(name, *args, order=2, tolerance=None, **kwargs):
    """tinynet's `nn.functional.name` does what PyTorch's does, errors included."""
    ours = converted(list(args)), converted(kwargs)
    try:
        expected = run(torch, torch.nn.functional, name, args, kwargs, order)
    except (RuntimeError, ValueError, TypeError, IndexError):
        with pytest.raises(TinynetError):
            run(tn, tn.nn.functional, name, *ours, order)
        return
    got = run(tn, tn.nn.functional, name, *ours, order)
    assert not differences(expected, got, tolerance), differences(expected, got, tolerance)


ACTIVATIONS = [
    ("relu", {}), ("leaky_relu", {}), ("leaky_relu", {"negative_slope": -0.3}), ("elu", {}),
    ("elu", {"alpha": 0.4}), ("selu", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"}),
    ("silu", {}), ("sigmoid", {}), ("tanh", {}), ("softplus", {}),
    ("softplus", {"beta": 2.5, "threshold": 3.0}), ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.2, "max_val": 0.6}), ("softmax", {"dim": 0}),
    ("log_softmax", {"dim": -1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs"), ACTIVATIONS)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 0, 3)])
def test_activations(name, kwargs, shape):
    x = rand(*shape) * 2
    check(name, x.requires_grad_(), **kwargs)
    check(name, x.detach().float().requires_grad_(), **kwargs)


@pytest.mark.parametrize(("name", "kwargs"), ACTIVATIONS)
def test_activations_at_extremes(name, kwargs):
    check(name, torch.tensor(EXTREMES, requires_grad=True), order=1, **kwargs)
    check(name, torch.tensor(EXTREMES, dtype=torch.float64, requires_grad=True), order=1, **kwargs)
    for value in NOT_FINITE:
        if (name, value) != ("gelu", math.inf):  # PyTorch's vector code makes it NaN
            check(name, torch.tensor([value, 1.0]), **kwargs)


@pytest.mark.parametrize(("name", "kwargs"), ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_activations_in_half_precision(name, kwargs, dtype):
    check(name, rand(40, dtype=dtype).requires_grad_(), order=1, tolerance=(2e-2, 2e-2), **kwargs)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"])
def test_activations_of_integers(name):
    check(name, torch.arange(-2, 3))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "silu", "hardtanh"])
def test_activations_in_place(name):
    x = rand(3, 4)
    for module in (torch, tn):
        leaf = x.clone().requires_grad_() if module is torch else converted(x).requires_grad_()
        y = leaf * 1
        assert getattr(module.nn.functional, name)(y, inplace=True) is y
        (y * y).sum().backward()
        if module is torch:
            expected = y.detach(), leaf.grad
        else:
            assert not differences(expected, (y.detach(), leaf.grad))


def test_arguments_of_activations():
    check("gelu", rand(3), approximate="erf")
    check("hardtanh", rand(3), min_val=2.0, max_val=1.0)
    check("dropout", rand(3), p=1.5)
    check("dropout", rand(3), p=-0.1, training=False)
    check("dropout", rand(3), p=0.3, training=False)
    check("dropout", rand(3), p=0.0)
    check("dropout", rand(3).requires_grad_(), p=1.0)


REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss"])
def test_distances(name, reduction):
    for shape in [(), (4,), (3, 2), (0, 2)]:
        x, y = rand(*shape), rand(*shape, seed=1)
        check(name, x.requires_grad_(), y, reduction=reduction)
        check(name, x, y.requires_grad_(), reduction=reduction)
        check(name, x.detach().float().requires_grad_(), y.detach().float(), reduction=reduction)
        check(name, x.detach().float().requires_grad_(), y.detach(), reduction=reduction, order=1)
    check(name, rand(2, 3), rand(2, 3).long(), reduction=reduction)
    check(name, rand(2, 3), rand(2, 3), reduction="average")
    check(name, rand(3).requires_grad_(), rand(3), reduction=reduction)  # no gap


@pytest.mark.filterwarnings("ignore:.*broadcast.*:UserWarning")
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss"])
def test_distances_broadcast(name):
    for reduction in REDUCTIONS:
        check(name, rand(3, 4).requires_grad_(), rand(4, seed=1), reduction=reduction)
        check(name, rand(2, 3), rand(4, 3), reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_weighted_distances(name, reduction):
    x, y, weight = rand(3, 2).requires_grad_(), rand(3, 2, seed=1), rand(3, 2, seed=2).abs()
    check(name, x, y, reduction=reduction, weight=weight)
    check(name, x, y, reduction=reduction, weight=weight[0])


def test_smooth_l1_beta():
    for beta in (0.0, 0.3, 2.0, -1.0):
        check("smooth_l1_loss", rand(3, 4).requires_grad_(), rand(3, 4, seed=1), beta=beta)


CLASS_SHAPES = [(5,), (4, 5), (1, 1), (3, 4, 2), (2, 3, 2, 2), (0, 3), (2, 3, 0)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASS_SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_indices(shape, reduction, weighted, smoothing):
    dim = 1 if len(shape) > 1 else 0
    target = rand(*shape[:dim], *shape[dim + 1 :]).mul(100).long().abs() % shape[dim]
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = rand(shape[dim], seed=3).abs()
    x = rand(*shape).requires_grad_()
    check("cross_entropy", x, target, **options)
    check("cross_entropy", x, target, ignore_index=1, **options)
    if not smoothing:
        options.pop("label_smoothing")
        check("nll_loss", x, target, **options)
        check("nll_loss", x, target, ignore_index=0, **options)


def test_class_indices_in_bytes():
    check("cross_entropy", rand(3, 4), torch.tensor([0, 3, 2], dtype=torch.uint8))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASS_SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(shape, reduction, weighted):
    dim = 1 if len(shape) > 1 else 0
    options = {"weight": rand(shape[dim], seed=3).abs()} if weighted else {}
    x, y = rand(*shape), rand(*shape, seed=1).softmax(dim)
    for smoothing in (0.0, 0.2):
        check(
            "cross_entropy", x.requires_grad_(), y.requires_grad_(), reduction=reduction,
            label_smoothing=smoothing, **options,
        )  # fmt: skip


def test_cross_entropy_at_extremes():
    x = torch.tensor([[1e4, -1e4, 0.0], [math.inf, 0.0, 0.0], [-math.inf, 0.0, 1.0]])
    for target in itertools.product(range(3), repeat=3):
        for reduction in REDUCTIONS:
            check("cross_entropy", x, torch.tensor(target), reduction=reduction)
    ignored = torch.full((3,), -100)
    for reduction in REDUCTIONS:
        check("cross_entropy", rand(3, 4).requires_grad_(), ignored, reduction=reduction, order=1)
        for smoothing in (0.0, 0.1):
            check(
                "cross_entropy", rand(3, 4), ignored, reduction=reduction,
                label_smoothing=smoothing, weight=torch.ones(4, dtype=torch.float64),
            )  # fmt: skip
    minus_infinity = torch.tensor([[-math.inf, 0.0], [0.0, -math.inf]])
    check("nll_loss", minus_infinity, torch.tensor([0, 1]), ignore_index=0)
    check("nll_loss", minus_infinity, torch.tensor([0, 0]), ignore_index=1)


def test_cross_entropy_in_half_precision():
    for dtype in (torch.float16, torch.bfloat16):
        x = rand(30, 4, dtype=dtype).requires_grad_()
        check("cross_entropy", x, torch.arange(30) % 4, order=1, tolerance=(2e-2, 1e-2))


@pytest.mark.parametrize(
    ("shape", "target", "options"),
    [
        ((3, 4), torch.tensor([0, 1, 4]), {}),
        ((3, 4), torch.tensor([0, 1, -1]), {}),
        ((3, 4), torch.tensor([0, 1]), {}),
        ((3, 4), torch.tensor([[0], [1], [2]]), {}),
        ((3, 4), torch.tensor([0, 1, 2], dtype=torch.int32), {}),
        ((3, 4), torch.tensor([0.0, 1.0, 2.0]), {}),
        ((3, 4), torch.ones(3, 3, dtype=torch.float64), {}),
        ((3, 4), torch.ones(3, 4, dtype=torch.int64), {}),
        ((3, 4), torch.ones(3, 4, dtype=torch.float64), {"ignore_index": 2}),
        ((3, 4), torch.tensor([0, 1, 2]), {"reduction": "average"}),
        ((3, 4), torch.tensor([0, 1, 2]), {"label_smoothing": 1.5}),
        ((3, 4), torch.tensor([0, 1, 2]), {"weight": torch.ones(3, dtype=torch.float64)}),
        ((3, 4), torch.tensor([0, 1, 2]), {"weight": torch.ones(4)}),
        ((3, 4, 2), torch.tensor([0, 1, 2]), {}),
        ((3, 4, 2), torch.tensor([[0], [1], [2]]), {}),
        ((4,), torch.tensor([1]), {}),
        ((4,), torch.tensor([1, 2]), {}),
        ((4,), torch.tensor(7), {}),
        ((), torch.tensor(0), {}),
        ((3, 0), torch.tensor([0, 0, 0]), {}),
    ],
)
def test_cross_entropy_refuses_what_pytorch_does(shape, target, options):
    check("cross_entropy", rand(*shape), target, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, (3, 4), (4,), (3, 1)])
def test_binary_cross_entropy(reduction, weight):
    options = {"reduction": reduction}
    if weight is not None:
        options["weight"] = rand(*weight, seed=3).abs()
    y = rand(3, 4, seed=1).sigmoid()
    x = rand(3, 4).sigmoid().requires_grad_()
    check("binary_cross_entropy", x, y, **options)
    check("binary_cross_entropy", x, y.requires_grad_(), order=1, **options)
    scores = rand(3, 4).requires_grad_()
    check("binary_cross_entropy_with_logits", scores, y, **options)
    positive = rand(4, seed=4).abs()
    check("binary_cross_entropy_with_logits", scores, y, pos_weight=positive, **options)


def test_binary_cross_entropy_at_extremes():
    sides = torch.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    check("binary_cross_entropy", sides, torch.tensor([0.0, 0.0, 1.0, 1.0]), order=1)
    scores = torch.tensor(EXTREMES, requires_grad=True)
    for target in (0.0, 0.3, 1.0):
        y = torch.full_like(scores, target).detach()
        check("binary_cross_entropy_with_logits", scores, y, reduction="none", order=1)
    for value in NOT_FINITE:
        check("binary_cross_entropy_with_logits", torch.tensor([value]), torch.tensor([0.5]))


def test_binary_cross_entropy_refuses_what_pytorch_does():
    half = torch.full((3, 4), 0.5)
    for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        check(name, half, half[0])
        check(name, half, half.long())
        check(name, half, half, reduction="average")
        check(name, half, half, weight=torch.ones(3))
    check("binary_cross_entropy", half + 1, half)
    check("binary_cross_entropy", half, half.double())
    check("binary_cross_entropy_with_logits", half, half.double())
    check("binary_cross_entropy_with_logits", half, half, pos_weight=torch.ones(3))


MODULES = [
    ("Linear", (3, 2), {}), ("Linear", (3, 2), {"bias": False}), ("Dropout", (0.25,), {}),
    ("Flatten", (), {}), ("Flatten", (0, 1), {}), ("Unflatten", (1, (2, 3)), {}),
    ("Identity", (5,), {"x": 1}), ("ReLU", (), {}), ("ReLU", (True,), {}),
    ("LeakyReLU", (0.2,), {}),
    ("ELU", (), {}), ("ELU", (0.5, True), {}), ("SELU", (), {}), ("GELU", (), {}),
    ("GELU", ("tanh",), {}), ("SiLU", (), {}), ("SiLU", (True,), {}), ("Sigmoid", (), {}),
    ("Tanh", (), {}), ("Softplus", (), {}), ("Softplus", (2.0, 10.0), {}), ("Hardtanh", (), {}),
    ("Hardtanh", (-2, 2, True), {}), ("Softmax", (1,), {}), ("Softmax", (), {}),
    ("LogSoftmax", (1,), {}), ("MSELoss", (), {"reduction": "sum"}), ("L1Loss", (), {}),
    ("SmoothL1Loss", (), {"beta": 0.5}), ("CrossEntropyLoss", (), {}), ("NLLLoss", (), {}),
    ("BCELoss", (), {}), ("BCEWithLogitsLoss", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES)
def test_modules_read_and_default_as_pytorch_s(name, args, kwargs):
    expected = getattr(torch.nn, name)(*args, **kwargs)
    got = getattr(tn.nn, name)(*args, **kwargs)
    assert repr(got) == repr(expected)
    assert list(got.state_dict()) == list(expected.state_dict())


def networks():
    for nn in (torch.nn, tn.nn):
        layers = [nn.Linear(3, 4) for _ in range(3)]
        yield nn.Sequential(
            nn.Linear(2, 3), nn.ModuleList([*layers, nn.ReLU(inplace=True), nn.Linear(1, 2)]),
            nn.Sequential(nn.Flatten(), nn.Sequential()), nn.ModuleList(),
        )  # fmt: skip


def test_nested_repr():
    expected, got = networks()
    assert repr(got) == repr(expected)


def test_names_of_parts():
    expected, got = networks()
    assert list(got.state_dict()) == list(expected.state_dict())
    for walk in ("named_parameters", "named_modules", "named_children", "named_buffers"):
        names = [[name for name, _ in getattr(net, walk)()] for net in (expected, got)]
        assert names[1] == names[0]


@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
                                  "kaiming_normal_"])  # fmt: skip
@pytest.mark.parametrize("shape", [(30, 50), (8, 5, 7, 7)])
def test_initialisers_spread_as_pytorch_s(name, shape):
    options = [{}] if "xavier" in name else [{}, {"mode": "fan_out"}, {"a": 1.0}]
    options += [{"gain": 3.0}] if "xavier" in name else [{"nonlinearity": "relu"}]
    for kwargs in options:
        expected = getattr(torch.nn.init, name)(torch.empty(shape, **EASY), **kwargs)
        got = getattr(tn.nn.init, name)(tn.empty(*shape, dtype=tn.float64), **kwargs)
        assert got.std().item() == pytest.approx(expected.std().item(), rel=0.1)
        if "uniform" in name:
            assert got.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=0.02)


@pytest.mark.parametrize("name", [*tn.nn.init.GAINS, "leaky_relu"])
def test_gains(name):
    assert tn.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


def test_gain_of_leaky_relu():
    for param in (None, 0, 0.3, 2):
        expected = torch.nn.init.calculate_gain("leaky_relu", param)
        assert tn.nn.init.calculate_gain("leaky_relu", param) == expected


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(norm_type, max_norm):
    results = []
    for module in (torch, tn):
        leaves = [rand(3, 4), rand(5, seed=1)]
        leaves = leaves if module is torch else converted(leaves)
        for leaf in leaves:
            (leaf.requires_grad_() * leaf).sum().backward()
        total = module.nn.utils.clip_grad_norm_(leaves, max_norm, norm_type)
        results.append([total, *(leaf.grad for leaf in leaves)])
    assert not differences(*results)


def test_backward_hooks_see_what_pytorch_s_see():
    x, weight, bias = rand(4, 3), rand(2, 3, seed=1), rand(2, seed=2)
    seen = []
    for module in (torch, tn):
        values = [x, weight, bias] if module is torch else converted([x, weight, bias])
        layer = module.nn.Linear(3, 2).double()
        layer.load_state_dict({"weight": values[1], "bias": values[2]})
        calls = []
        layer.register_full_backward_pre_hook(
            lambda m, out, c=calls: c.append(out) or (out[0] * 2,)
        )
        layer.register_full_backward_hook(
            lambda m, into, out, c=calls: c.extend([into, out]) or (into[0] * 3,)
        )
        leaf = values[0].clone().requires_grad_()
        layer(leaf).square().sum().backward()
        seen.append([*calls, leaf.grad, layer.weight.grad])
    assert not differences(*seen)
