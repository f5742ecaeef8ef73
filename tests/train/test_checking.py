"""The gradient check of models: right ones, planted faults by name, kinks, what makes no sense."""

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from tinynet.ops.creation import widest_float
from tinynet.train import gradient_check

X = tn.tensor(np.random.default_rng(0).standard_normal((6, 3)), dtype=tn.float32)
Y = tn.tensor([0, 1, 1, 0, 1, 0])


class Square(tn.autograd.Function):
    """x * x, whose gradient is `factor` times the right one."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * grad * x * ctx.factor, None


class Squared(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return Square.apply(x, self.factor)


def network(middle):
    return nn.Sequential(nn.Linear(3, 8), middle, nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def test_devices(device):
    x, y = tn.ones(2, 3, device=device), tn.zeros(2, 1, device=device)
    report = gradient_check(nn.Linear(3, 1, device=device), nn.MSELoss(), x, y, elements=1)
    most = 1e-6 if widest_float(device) is tn.float64 else 1e-3
    assert report.is_right
    assert max(row.worst.relative_error for row in report.rows) < most


def test_right_gradients():
    model = network(nn.Sigmoid())
    before = {name: x.clone() for name, x in model.state_dict().items()}
    report = gradient_check(model, nn.CrossEntropyLoss(), X, Y, elements=3)
    assert report.is_right
    assert all(row.worst.relative_error < 1e-6 for row in report.rows)
    assert [row.slopes for row in report.rows] == [4, 4, 4, 4, 4, 3]
    report.require_right()
    assert all((x == before[name]).all() for name, x in model.state_dict().items())
    assert all(x.grad is None and x.dtype is tn.float32 for x in model.parameters())


def test_slopes_are_derivatives():
    """loss = mean((w * x)**2): its derivative is known."""
    model = nn.Linear(1, 1, bias=False)
    with tn.no_grad():
        model.weight.fill_(3.0)
    report = gradient_check(model, nn.MSELoss(), tn.tensor([[2.0]]), tn.zeros(1, 1))
    (row,) = report.rows
    assert (row.name, row.shape, row.worst.place) == ("weight", (1, 1), (0, 0))
    assert row.worst.analytic == pytest.approx(24)
    assert row.worst.numeric == pytest.approx(24, rel=1e-9)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.001, -1.0, float("nan"), float("inf")])
def test_a_planted_fault_is_found_and_named(factor):
    model = network(Squared(factor))
    assert gradient_check(network(Squared()), nn.CrossEntropyLoss(), X, Y).is_right
    report = gradient_check(model, nn.CrossEntropyLoss(), X, Y)
    assert report.wrong == ["0.weight", "0.bias"]
    with pytest.raises(GradientError, match=r"wrong gradients of \['0.weight', '0.bias'\]\npara"):
        report.require_right()
    assert any("look first at what follows '0.bias'" in sentence for sentence in report.advice)
    lines = str(report).splitlines()
    assert lines[0].split()[:2] == ["parameter", "shape"]
    assert [line.endswith("WRONG") for line in lines[1:7]] == [True] * 2 + [False] * 4


class OneElement(nn.Module):
    """A weight whose gradient is wrong in one of 400 places."""

    class Doubled(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            grad = grad * 2
            grad[13, 7] *= 1.5
            return grad

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(tn.randn(20, 20))
        self.bias = nn.Parameter(tn.randn(20))

    def forward(self, x):
        return (x @ self.Doubled.apply(self.weight) + self.bias).tanh()


def test_one_wrong_element_is_found_along_a_direction():
    x, y = tn.randn(4, 20), tn.randn(4, 20)
    report = gradient_check(OneElement(), nn.MSELoss(), x, y, elements=2)
    assert report.wrong == ["weight"]
    assert report.rows[0].worst.place == "along a direction"
    report = gradient_check(OneElement(), nn.MSELoss(), x, y, elements=None)
    assert report.rows[0].worst.place == (13, 7)
    assert report.rows[0].slopes == 401


@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_no_faults(seed):
    """ReLU at 0 exactly (zero inputs, zero biases), and within a step of 0."""
    tn.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    nn.init.zeros_(model[0].bias)
    x = X.clone()
    x[0] = 0
    report = gradient_check(model, nn.CrossEntropyLoss(), x, Y)
    assert report.is_right
    assert sum(row.kinks for row in report.rows) > 0
    assert any("the loss has a kink there" in sentence for sentence in report.advice)
    coarse = gradient_check(model, nn.CrossEntropyLoss(), x, Y, step=1e-3, tolerance=1e-3)
    assert coarse.is_right


def test_a_fault_beside_kinks_is_found():
    model = nn.Sequential(
        nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), Squared(0.9), nn.Linear(8, 2)
    )  # fmt: skip
    nn.init.zeros_(model[0].bias)
    x = X.clone()
    x[0] = 0
    report = gradient_check(model, nn.CrossEntropyLoss(), x, Y)
    assert report.wrong == ["0.weight", "2.weight", "2.bias"]
    assert (
        report.rows[1].kinks == report.rows[1].slopes == 9
    )  # of the zeros: no slope tells anything
    assert "Nothing is known of ['0.bias']: all slopes lie at kinks." in report.advice
    assert str(report).splitlines()[2].endswith("kink")


def test_dropout_is_off_and_statistics_stay():
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))
    report = gradient_check(model, nn.CrossEntropyLoss(), X, Y)
    assert report.is_right
    assert "Dropout was off, in 1 modules." in report.advice
    assert model[2].training
    assert model[1].num_batches_tracked.item() == 0


def test_a_gradient_that_does_not_arrive():
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()

    report = gradient_check(nn.Sequential(nn.Linear(3, 2), Cut(), nn.Linear(2, 2)),
                            nn.CrossEntropyLoss(), X, Y)  # fmt: skip
    assert report.wrong == ["0.weight", "0.bias"]
    assert any("No gradient reached ['0.weight', '0.bias']" in x for x in report.advice)
    with pytest.raises(GradientError, match=r"the loss has no graph, .* look for detach\(\)"):
        gradient_check(nn.Sequential(nn.Linear(3, 2), Cut()), nn.CrossEntropyLoss(), X, Y)


def test_advice():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    with tn.no_grad():
        model[0].bias.fill_(-100.0)
    model[2].bias.requires_grad_(False)
    x, y = tn.randn(32, 3, dtype=tn.float64), tn.zeros(32, dtype=tn.int64)
    report = gradient_check(model, nn.CrossEntropyLoss(), x, y)
    assert [row.name for row in report.rows] == ["0.weight", "0.bias", "2.weight"]
    assert report.advice[0].startswith("There are 32 samples: 2 to 16 say as much")
    assert not any("copy in float64" in sentence for sentence in report.advice)

    class Single(nn.Linear):
        def forward(self, input):
            return super().forward(input).float()

    report = gradient_check(Single(3, 2), nn.CrossEntropyLoss(), X, Y)
    assert report.is_right
    assert report.advice[0].startswith("The loss is float32, of which differences keep three")
    assert gradient_check(nn.Sequential(nn.Linear(3, 8), Squared(0.5), Single(8, 2)),
                          nn.CrossEntropyLoss(), X, Y).wrong == ["0.weight", "0.bias"]  # fmt: skip


def test_several_inputs_and_shared_parameters():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = nn.Linear(3, 2)

        def forward(self, a, b):
            return self.first(a) * self.second(b)

    report = gradient_check(Shared(), nn.MSELoss(), (X, X + 1), tn.zeros(6, 2))
    assert report.is_right
    assert [row.name for row in report.rows] == ["first.weight", "first.bias"]


def test_what_makes_no_sense():
    class Noisy(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x, 0.5, self.training)

    noisy = nn.Sequential(nn.Linear(3, 2), Noisy())
    with pytest.raises(ArgumentError, match=r"when it is computed again, expected the same; turn"):
        gradient_check(noisy, nn.CrossEntropyLoss(), X, Y)
    assert gradient_check(noisy, nn.CrossEntropyLoss(), X, Y, also=[Noisy]).is_right
    with pytest.raises(ArgumentError, match="the loss is nan, expected a finite number"):
        gradient_check(nn.Linear(3, 2), nn.CrossEntropyLoss(), X * float("nan"), Y)
    with pytest.raises(ShapeError, match=r"the loss is \(6,\), expected a 0-d tensor"):
        gradient_check(nn.Linear(3, 2), nn.CrossEntropyLoss(reduction="none"), X, Y)
    with pytest.raises(ArgumentError, match=r"the loss is tinynet\.float16, expected float64"):
        gradient_check(nn.Linear(3, 2), lambda y, t: y.sum().half(), X, Y)
    with pytest.raises(ArgumentError, match="elements is 0, expected 1 or more"):
        gradient_check(nn.Linear(3, 2), nn.CrossEntropyLoss(), X, Y, elements=0)
    with pytest.raises(ArgumentTypeError, match="model is a function, expected a Module"):
        gradient_check(tn.relu, nn.CrossEntropyLoss(), X, Y)
    with pytest.raises(ArgumentError, match="no parameter requires grad"):
        gradient_check(nn.Linear(3, 2).requires_grad_(False), nn.CrossEntropyLoss(), X, Y)
