"""Anomaly mode names the operation that first made a NaN or an infinity."""

import threading
from concurrent import futures

import pytest

import tinynet as tn
from tinynet.errors import AnomalyError


@pytest.fixture(autouse=True)
def watching(on_device):
    with tn.autograd.detect_anomaly():
        yield


FORWARD = {
    "log: made -inf from finite inputs of shape (2,)": lambda x: (x * 0).log(),
    "div: made inf from finite inputs of shape (2,) and (2,)": lambda x: x / (x * 0),
    "sqrt: made nan from finite inputs of shape (2,)": lambda x: (-x).sqrt(),
    "exp: made inf from finite inputs of shape (2,)": lambda x: (x * 1000).exp(),
    "log: made -inf from finite inputs of shape (1,)": lambda x: (x * 0)[:1].log(),
}


@pytest.mark.parametrize("message", FORWARD)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_forward(message, requires_grad):
    with pytest.raises(AnomalyError) as caught:
        FORWARD[message](tn.tensor([1.0, 2.0], requires_grad=requires_grad))
    assert str(caught.value) == message


def test_what_was_there_before_is_not_blamed():
    x = tn.tensor([float("nan"), 1.0])
    assert (x * 2).exp().isnan().tolist() == [True, False]


def test_backward_names_the_rule_and_where_it_was_recorded():
    x = tn.zeros(2, requires_grad=True)
    y = x.sqrt()
    with pytest.raises(AnomalyError) as caught:
        y.sum().backward()
    assert str(caught.value).startswith(
        "backward: SqrtBackward made a gradient with inf, shape (2,); "
        "the operation was recorded at\n"
    )
    assert "y = x.sqrt()" in str(caught.value)


def test_what_a_rule_masks_is_no_anomaly():
    x = tn.zeros(2, requires_grad=True)
    x.norm().backward()
    (x**0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


class Explosive(tn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return tn.full((2,), float("inf"))


def test_backward_of_a_users_operation():
    x = tn.ones(2, requires_grad=True)
    y = Explosive.apply(x)
    with pytest.raises(AnomalyError) as caught:
        y.sum().backward()
    assert str(caught.value).startswith(
        "backward: ExplosiveBackward made a gradient with inf, shape (2,); "
        "the operation was recorded at\n"
    )
    assert "y = Explosive.apply(x)" in str(caught.value)


class Slow(tn.autograd.Function):
    """Its rule waits."""

    entered, goes_on = threading.Event(), threading.Event()

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        Slow.entered.set()
        assert Slow.goes_on.wait(30)
        return (grad * 0).log() * 0 + grad  # no anomaly inside of a rule, but what it gives is


def test_a_rule_in_another_thread():
    y = Slow.apply(tn.ones(1, requires_grad=True)).sum()
    with futures.ThreadPoolExecutor(1) as other:
        done = other.submit(y.backward)
        try:
            assert Slow.entered.wait(30)
            with pytest.raises(AnomalyError):
                tn.zeros(2).log()
        finally:
            Slow.goes_on.set()
        with pytest.raises(AnomalyError, match="SlowBackward made a gradient with nan"):
            done.result()
    with tn.autograd.set_detect_anomaly(False):
        assert tn.zeros(1).log().item() == -float("inf")


def test_anomaly_mode_that_ends_while_a_rule_runs():
    Slow.entered.clear()
    Slow.goes_on.clear()
    y = Slow.apply(tn.ones(1, requires_grad=True)).sum()
    with futures.ThreadPoolExecutor(1) as other:
        done = other.submit(y.backward)
        assert Slow.entered.wait(30)
        tn.autograd.set_detect_anomaly(False)
        Slow.goes_on.set()
        assert isinstance(done.exception(), AnomalyError)
    assert tn.zeros(1).log().item() == -float("inf")


def test_several_outputs():
    x = tn.ones(4, requires_grad=True)
    a, b = x.split(2)
    (a * b).sum().backward()
    assert x.grad.tolist() == [1.0] * 4
    with pytest.raises(AnomalyError):
        Explosive.apply(x.split(2)[0]).sum().backward()


def test_integers_are_never_blamed():
    assert (tn.tensor([1, 2]) * 3).tolist() == [3, 6]


def test_off_again():
    with tn.autograd.set_detect_anomaly(False):
        assert tn.zeros(1).log().item() == -float("inf")
    with pytest.raises(AnomalyError):
        tn.zeros(1).log()


def test_as_a_function():
    tn.autograd.set_detect_anomaly(False)
    assert tn.zeros(1).log().item() == -float("inf")
    tn.autograd.set_detect_anomaly(True)
    with pytest.raises(AnomalyError):
        tn.zeros(1).log()
