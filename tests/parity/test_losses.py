"""Activations, distances and losses beside PyTorch's: values, gradients, what is refused."""

import math

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

REDUCTIONS = ["mean", "sum", "none"]
EXTREMES = [0.0, -0.0, 0.5, -0.5, 3.0, -3.0, 6.0, 20.0, 300.0, -300.0, 1e4, -1e4]
DTYPES = {torch.float32: (1e-5, 1e-6), torch.float64: (1e-10, 1e-12)}


def rand(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moved(value, dtype, device):
    """For PyTorch and for tinynet: floats as `dtype`, tinynet's on `device`."""
    if not isinstance(value, torch.Tensor):
        return value, value
    theirs = value.detach().to(dtype) if value.is_floating_point() else value
    ours = converted(theirs).to(device)
    if value.requires_grad:
        theirs, ours = theirs.clone().requires_grad_(), ours.detach().requires_grad_()
    return theirs, ours


def run(module, call, inputs, order):
    """Results, and the gradients of their sum, weighted, up to an order."""
    y = call(*inputs)
    results = [y.detach()]
    leaves = [x for x in inputs if isinstance(x, (torch.Tensor, tn.Tensor)) and x.requires_grad]
    total = (y * y).sum() if y.requires_grad else y
    for _ in range(order if leaves else 0):
        if not total.requires_grad:
            break
        grads = module.autograd.grad(total, leaves, create_graph=order > 1, materialize_grads=True)
        results += [grad.detach() for grad in grads]
        total = sum((grad * grad).sum() for grad in grads)
    return results


def twice(call, inputs, once, order):
    """What `run` gives of PyTorch up to an order, where it has the derivatives; and the order."""
    try:
        return (run(torch, call, inputs, order), order) if order > 1 else (once, order)
    except RuntimeError as error:
        if "is not implemented" not in str(error):
            raise
        return once, 1


def check(name, inputs, options=None, order=2, device="cpu", rounded=False):
    """`nn.functional.name(*inputs, **options)` gives the same in both, or is refused by both.

    `rounded`: PyTorch rounds constants to float32.
    """
    for dtype in DTYPES:
        pairs = [moved(x, dtype, device) for x in inputs]
        named = {key: moved(x, dtype, device) for key, x in (options or {}).items()}
        theirs = lambda *x: getattr(torch.nn.functional, name)(  # noqa: E731
            *x, **{key: pair[0] for key, pair in named.items()}
        )
        ours = lambda *x: getattr(tn.nn.functional, name)(  # noqa: E731
            *x, **{key: pair[1] for key, pair in named.items()}
        )
        try:
            expected = run(torch, theirs, [pair[0] for pair in pairs], 1)
            order = order if dtype is torch.float64 else 1  # rounding grows
            expected, order = twice(theirs, [pair[0] for pair in pairs], expected, order)
        except (RuntimeError, ValueError, TypeError, IndexError):
            with pytest.raises((TinynetError, TypeError)):
                run(tn, ours, [pair[1] for pair in pairs], order)
            continue
        got = [x.cpu() for x in run(tn, ours, [pair[1] for pair in pairs], order)]
        found = differences(expected, got, DTYPES[torch.float32 if rounded else dtype])
        assert not found, f"{dtype}: {found}"


# Activations
ACTIVATIONS = {
    "relu6": [{}], "hardsigmoid": [{}], "hardswish": [{}], "hardshrink": [{}, {"lambd": 1.2}],
    "threshold": [{"threshold": 0.1, "value": -3.0}], "softshrink": [{}, {"lambd": 0.0}],
    "tanhshrink": [{}], "softsign": [{}], "logsigmoid": [{}], "mish": [{}],
    "celu": [{}, {"alpha": 0.3}, {"alpha": -0.5}], "rrelu": [{}, {"lower": 0.2, "upper": 0.2}],
    "softmin": [{"dim": 0}],
}  # fmt: skip
CASES = [(name, options) for name, many in ACTIVATIONS.items() for options in many]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_activation(device, name, options):
    more = {"device": device, "rounded": name in ("hardsigmoid", "hardswish", "celu")}
    for shape in [(), (5,), (3, 4), (2, 0, 3)]:
        check(name, [(rand(*shape) * 2).requires_grad_()], options, **more)
    x = torch.tensor(EXTREMES, dtype=torch.float64, requires_grad=True)
    if name != "softmin":
        check(name, [x], options, order=1, **more)
        for value in (math.inf, -math.inf, math.nan):
            if (name, value) != ("hardswish", -math.inf):  # PyTorch's -inf * 0
                check(name, [torch.tensor([value, 1.0], dtype=torch.float64)], options, **more)


@pytest.mark.parametrize("name", "relu6 hardsigmoid hardswish mish celu rrelu".split())
def test_in_place(name):
    x = rand(3, 4) * 4
    results = []
    for module, values in ((torch, x), (tn, converted(x))):
        y = values * 1
        assert getattr(module.nn.functional, name)(y, inplace=True) is y
        results.append(y)
    assert not differences(*results)


def test_prelu(device):
    for shape, n in [
        ((3, 4), 4),
        ((3, 4), 1),
        ((2, 3, 5), 3),
        ((4,), 1),
        ((2, 3, 2, 2), 3),
        ((), 1),
    ]:
        inputs = [rand(*shape).requires_grad_(), rand(n, seed=1).requires_grad_()]
        check("prelu", inputs, device=device)
    check("prelu", [rand(3, 4), rand(3)])
    check("prelu", [rand(3, 4), rand(2, 2)])


def test_glu(device):
    for shape, dim in [((6,), -1), ((3, 4), 1), ((4, 3), 0), ((2, 3, 4), -1)]:
        check("glu", [rand(*shape).requires_grad_(), dim], device=device)
    check("glu", [rand(3)])
    check("glu", [rand(3, 4), 2])


def test_arguments_of_activations():
    check("softshrink", [rand(3)], {"lambd": -1.0})
    check("celu", [rand(3)], {"alpha": 0.0})
    check("rrelu", [rand(3)], {"lower": 0.3, "upper": 0.2, "training": True})


# Distances
@pytest.mark.parametrize("eps", [1e-8, 0.5])
def test_cosine_similarity(device, eps):
    for shape, other, dim in [((3, 4), (3, 4), 1), ((3, 4), (4,), -1), ((2, 3, 4), (2, 1, 4), 2),
                              ((5,), (5,), 0), ((3, 0), (3, 0), 1)]:  # fmt: skip
        inputs = [rand(*shape).requires_grad_(), rand(*other, seed=1).requires_grad_(), dim, eps]
        check("cosine_similarity", inputs, device=device)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_pairwise_distance(device, p):
    for shape in [(3, 4), (4,), (2, 3, 4)]:
        inputs = [rand(*shape).requires_grad_(), rand(*shape, seed=1).requires_grad_(), p]
        check("pairwise_distance", inputs, device=device)
        check("pairwise_distance", inputs, {"keepdim": True}, device=device)


# Losses
def signs(*shape):
    return torch.where(rand(*shape, seed=7) > 0, 1.0, -1.0).double()


def losses():
    """Name, inputs, and options for each case."""
    x, y = rand(4, 5).requires_grad_(), rand(4, 5, seed=1)
    some = [x, y]
    for delta in (0.3, 1.0, 5.0):
        yield "huber_loss", some, {"delta": delta}
    yield "huber_loss", [rand(0, 3).requires_grad_(), rand(0, 3)], {}
    yield "huber_loss", some, {"weight": y.abs()}
    log = x.detach().log_softmax(1).requires_grad_()
    probabilities = y.softmax(1)
    yield "kl_div", [log, probabilities], {}
    yield "kl_div", [log, probabilities.log().requires_grad_()], {"log_target": True}
    yield "kl_div", [log, torch.where(y > 0, probabilities, 0.0)], {}
    yield "hinge_embedding_loss", [x, signs(4, 5)], {}
    yield "hinge_embedding_loss", [x, signs(4, 5)], {"margin": 0.2}
    yield "soft_margin_loss", [x, signs(4, 5)], {}
    for margin in (0.0, 0.7):
        yield "margin_ranking_loss", [x, y.requires_grad_(), signs(4, 5)], {"margin": margin}
    classes = torch.tensor([0, 3, 4, 3])
    for p in (1, 2):
        for margin in (1.0, 0.3):
            yield "multi_margin_loss", [x, classes], {"p": p, "margin": margin}
    yield "multi_margin_loss", [x, classes], {"weight": rand(5, seed=3).abs()}
    yield "multi_margin_loss", [rand(5).requires_grad_(), torch.tensor(2)], {}
    yield "multi_margin_loss", [rand(5).requires_grad_(), torch.tensor([2])], {}
    many = torch.tensor([[3, 0, -1, 2, 1], [-1, 1, 1, 1, 1], [0, 1, 2, 3, 4], [2, 2, -1, 0, 0]])
    yield "multilabel_margin_loss", [x, many], {}
    yield "multilabel_margin_loss", [rand(5).requires_grad_(), many[0]], {}
    labels = (rand(4, 5, seed=4) > 0).double()
    yield "multilabel_soft_margin_loss", [x, labels], {}
    yield "multilabel_soft_margin_loss", [x, labels, rand(5, seed=3).abs()], {}
    for margin in (0.0, 0.4):
        yield "cosine_embedding_loss", [x, y.requires_grad_(), signs(4)], {"margin": margin}
    yield "cosine_embedding_loss", [rand(5).requires_grad_(), rand(5, seed=1), signs(1)[0]], {}
    third = rand(4, 5, seed=2).requires_grad_()
    for options in ({}, {"swap": True}, {"p": 1.0, "margin": 0.4}, {"eps": 0.1}):
        yield "triplet_margin_loss", [x, y.requires_grad_(), third], options
    yield "triplet_margin_with_distance_loss", [x, y, third], {"swap": True}
    variance = (rand(4, 5, seed=5).abs() + 0.1).requires_grad_()
    for options in ({}, {"full": True}, {"eps": 0.5}):
        yield "gaussian_nll_loss", [x, y.requires_grad_(), variance], options
    yield "gaussian_nll_loss", [x, y, (rand(4, seed=5).abs() + 0.1).requires_grad_()], {}
    yield "gaussian_nll_loss", [x, y, (rand(4, 1, seed=5).abs() + 0.1).requires_grad_()], {}
    yield "gaussian_nll_loss", [x, y, 0.7], {}
    counts = torch.tensor([[0.0, 1.0, 2.0, 7.0, 30.0]] * 4).double()
    for options in ({}, {"full": True}):
        yield "poisson_nll_loss", [x, counts], options
        rates = rand(4, 5).abs().requires_grad_()
        yield "poisson_nll_loss", [rates, counts], {"log_input": False, **options}


LOSSES = [*losses()]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: f"{case[0]}-{[*case[2]]}")
def test_loss(device, case, reduction):
    name, inputs, options = case
    check(name, inputs, {**options, "reduction": reduction}, device=device)


def test_batchmean():
    x = rand(4, 5).log_softmax(1).requires_grad_()
    check("kl_div", [x, rand(4, 5).softmax(1)], {"reduction": "batchmean"})


X, ROW = rand(3, 4), torch.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("name", "inputs", "options"),
    [
        ("huber_loss", [X, X], {"delta": 0.0}), ("huber_loss", [X, X], {"reduction": "average"}),
        ("kl_div", [X, X], {"reduction": "average"}),
        ("multi_margin_loss", [X, ROW], {"p": 3}), ("multi_margin_loss", [X, ROW[:2]], {}),
        ("multi_margin_loss", [X, torch.tensor([0, 1, 4])], {}),
        ("multi_margin_loss", [X, ROW.double()], {}), ("multi_margin_loss", [X[None], ROW], {}),
        ("multi_margin_loss", [X, ROW], {"weight": rand(3)}),
        ("multilabel_margin_loss", [X, ROW], {}),
        ("multilabel_margin_loss", [X, torch.full((3, 4), 4)], {}),
        ("margin_ranking_loss", [X, X[0], X], {}),
        ("cosine_embedding_loss", [X, X, X], {}), ("cosine_embedding_loss", [X, X[0], X[:, 0]], {}),
        ("triplet_margin_loss", [X, X[0], X], {}), ("triplet_margin_loss", [X, X, X, 0.0], {}),
        ("triplet_margin_with_distance_loss", [X, X, X], {"margin": -1.0}),
        ("gaussian_nll_loss", [X, X, -X.abs()], {}), ("gaussian_nll_loss", [X, X, X[0].abs()], {}),
        ("poisson_nll_loss", [X, X], {"reduction": "average"}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(name, inputs, options):
    check(name, inputs, options)


MODULES = [
    ("PReLU", (), {}), ("PReLU", (3, 0.1), {}), ("CELU", (0.5,), {}), ("Mish", (True,), {}),
    ("Hardsigmoid", (), {}), ("Hardswish", (True,), {}), ("Softsign", (), {}),
    ("LogSigmoid", (), {}), ("GLU", (0,), {}), ("ReLU6", (), {}), ("ReLU6", (True,), {}),
    ("Threshold", (0.1, 20), {}), ("Hardshrink", (0.3,), {}), ("Softshrink", (), {}),
    ("Tanhshrink", (), {}), ("Softmin", (1,), {}), ("Softmax2d", (), {}), ("RReLU", (), {}),
    ("CosineSimilarity", (), {}), ("PairwiseDistance", (), {}), ("HuberLoss", (), {}),
    ("KLDivLoss", (), {}), ("HingeEmbeddingLoss", (), {}), ("MarginRankingLoss", (), {}),
    ("MultiMarginLoss", (), {"weight": torch.ones(3)}), ("SoftMarginLoss", (), {}),
    ("MultiLabelMarginLoss", (), {}), ("MultiLabelSoftMarginLoss", (), {"weight": torch.ones(3)}),
    ("CosineEmbeddingLoss", (), {}), ("TripletMarginLoss", (), {}),
    ("TripletMarginWithDistanceLoss", (), {}), ("GaussianNLLLoss", (), {}),
    ("PoissonNLLLoss", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES, ids=str)
def test_modules_read_and_default_as_pytorch_s(name, args, kwargs):
    expected = getattr(torch.nn, name)(*args, **kwargs)
    got = getattr(tn.nn, name)(*args, **converted(kwargs))
    assert repr(got) == repr(expected)
    assert list(got.state_dict()) == list(expected.state_dict())
    for key, value in vars(expected).items():
        if isinstance(value, (bool, int, float, str)) and not key.startswith("_"):
            assert vars(got).get(key) == value, key


@pytest.mark.parametrize("case", LOSSES[::3], ids=lambda case: f"{case[0]}-{[*case[2]]}")
def test_modules_of_losses(case):
    name, inputs, options = case
    names = {"kl_div": "KLDivLoss", "gaussian_nll_loss": "GaussianNLLLoss",
             "poisson_nll_loss": "PoissonNLLLoss", "multilabel_margin_loss": "MultiLabelMarginLoss",
             "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss"}  # fmt: skip
    kind = names.get(name, "".join(word.title() for word in name.split("_")))
    if name == "huber_loss" and "weight" in options:
        pytest.skip("the module has no weights")
    pairs = [moved(x, torch.float64, "cpu") for x in inputs]
    expected = getattr(torch.nn, kind)(**options)(*[pair[0] for pair in pairs])
    got = getattr(tn.nn, kind)(**converted(options))(*[pair[1] for pair in pairs])
    assert not differences(expected.detach(), got.detach(), (1e-10, 1e-12))
