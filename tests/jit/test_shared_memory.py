"""Memory that recorded functions share with what is outside: parts written, gradients kept."""

import copy

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import DimError, GradientError, RecordingError


@pytest.mark.parametrize(
    "change",
    [lambda g: g.mul_(10), lambda g: g.zero_(), lambda g: g[:1].mul_(10), lambda g: g.copy_(-g)],
)
def test_a_kept_gradient_that_is_written(on_device, change):
    w = tn.ones(2, requires_grad=True)

    @tn.jit
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    for i in range(8):
        step(tn.full((2,), float(i)))
        assert w.grad.tolist() == [i, i]
        change(w.grad)
    assert step.count == 1


def test_an_optimiser_outside_that_zeroes_gradients(on_device):
    def losses(decorate):
        tn.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

        @decorate
        def step(x):
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            return loss

        result = []
        for i in range(10):
            result.append(step(tn.full((4, 3), i / 5)).item())
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        return result

    assert losses(tn.jit) == pytest.approx(losses(lambda function: function), rel=1e-5)


ALIASES = [
    lambda g: g.flatten(), lambda g: g.detach(), lambda g: g.view(-1), lambda g: g[0],
    lambda g: g.t(),
]  # fmt: skip


@pytest.mark.parametrize("alias", ALIASES)
def test_a_view_of_a_gradient_is_returned(on_device, alias):
    w = tn.ones(3, 2, requires_grad=True)

    @tn.jit
    def step(x):
        w.grad = None
        (w.square() * x).sum().backward()
        return alias(w.grad)

    for i in range(5):
        result = step(tn.full((3, 2), float(i)))
        assert w.grad.tolist() == [[2.0 * i] * 2] * 3
        assert result.tolist() == alias(w.grad).tolist()


def test_two_gradients_on_one_memory(on_device):
    v, w = tn.ones(2, requires_grad=True), tn.ones(2, requires_grad=True)

    @tn.jit
    def step(x):
        w.grad = None
        (w * x).sum().backward()
        v.grad = w.grad.detach()

    for i in range(5):
        step(tn.full((2,), float(i)))
        assert v.grad.tolist() == w.grad.tolist() == [i, i]


def test_a_gradient_on_the_memory_of_a_state(on_device):
    w, s = tn.ones(2, requires_grad=True), tn.ones(2)

    @tn.jit
    def step(x):
        w.grad = s.detach()

    step(tn.ones(2))
    with pytest.raises(RecordingError, match=r"\.grad is set to a view of other memory"):
        step(tn.ones(2))


WRITES = [
    lambda s, x: s[0].copy_(x), lambda s, x: s[:, 1].copy_(x[:3]),
    lambda s, x: s.t()[0].copy_(x[:3]), lambda s, x: s.diagonal().copy_(x[:3]),
    lambda s, x: s.__setitem__(1, x),
    lambda s, x: s.index_put_((tn.tensor([2, 0]),), x), lambda s, x: s.data[1].mul_(x),
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
def test_part_of_a_state_is_written(on_device, write):
    def run(decorate):
        state, copies = tn.arange(12.0).reshape(3, 4), []
        step = decorate(lambda x: [write(state, x)][1:])
        for i in range(6):
            copies.append(state.clone())  # which has yet to read
            step(tn.arange(4.0) + 10 * i)
        return [x.tolist() for x in (*copies, state)]

    assert run(tn.jit) == run(lambda function: function)


@pytest.mark.parametrize("write", WRITES)
def test_part_of_an_input_that_is_a_view_is_written(on_device, write):
    step = tn.jit(lambda s, x: [write(s, x)][1:])
    for i in range(5):
        whole, expected = tn.zeros(4, 4), tn.zeros(4, 4)
        x = tn.arange(4.0) + i
        step(whole[1:], x)
        write(expected[1:], x)
        assert whole.tolist() == expected.tolist()


def test_indices_that_a_function_writes_stay_known(on_device):
    places, x = tn.tensor([0, 1]), tn.arange(4.0)
    put = tn.jit(lambda value: places.__setitem__(0, value))
    for i in range(4):
        put(tn.tensor(i))
        assert x[places].tolist() == [i, 1.0]
    put(tn.tensor(100_000))
    with pytest.raises(DimError):
        x[places].tolist()


def test_an_index_that_is_written_and_read_inside(on_device):
    places, x = tn.tensor([0, 1]), tn.arange(4.0)

    @tn.jit
    def step(value):
        places[0] = value
        return x[places]

    for i in range(4):
        assert step(tn.tensor(i)).tolist() == [i, 1.0]
    with pytest.raises((DimError, RecordingError)):
        step(tn.tensor(100_000))


@pytest.mark.parametrize("requires", [True, False])
def test_an_input_is_told_to_require_a_gradient(on_device, requires):
    step = tn.jit(lambda x: [x.requires_grad_(requires)][1:])
    for _ in range(4):
        x = tn.ones(2, requires_grad=not requires)
        step(x)
        assert x.requires_grad is requires


def test_transposed_inputs_stay_so(on_device):
    recorded = tn.jit(lambda x: (x * 2 if x.is_contiguous() else x * 3, x.sum(0), x @ x))
    written = tn.jit(lambda x: x.reshape(-1).zero_())
    for i in range(4):
        x = (tn.arange(4.0) + i).reshape(2, 2).t()
        expected = x.cpu().numpy().copy()
        tripled, sums, product = recorded(x)
        np.testing.assert_array_equal(tripled.cpu().numpy(), expected * 3)
        np.testing.assert_array_equal(sums.cpu().numpy(), expected.sum(0))
        np.testing.assert_allclose(product.cpu().numpy(), expected @ expected)
        written(x)
        np.testing.assert_array_equal(x.cpu().numpy(), expected)


def test_a_shallow_copy_shares_memory(on_device):
    x = tn.ones(2)
    y = copy.copy(x)
    y.add_(1)
    assert x.tolist() == y.tolist() == [2.0, 2.0]


def test_transposed_parts_of_other_places(on_device):
    recorded, whole = tn.jit(lambda x: x * 2), tn.arange(12.0).reshape(6, 2)
    for i in range(5):
        part = whole[i : i + 2].t()
        assert recorded(part).tolist() == (part * 2).tolist()


def test_a_recording_that_is_abandoned_has_written(on_device):
    kept = []

    def function(s, x):
        s[0] = x
        kept.append(x * 2)

    recorded = tn.jit(function)
    for i in range(2):  # the second is recorded, and given up
        whole = tn.zeros(3)
        recorded(whole[1:], tn.tensor(i + 1.0))
        assert whole.tolist() == [0.0, i + 1.0, 0.0]


def test_writing_into_a_shallow_copy_is_noticed(on_device):
    x = tn.ones(2, requires_grad=True)
    y = copy.copy(x.detach())
    z = (x * y).sum()
    copy.copy(y).add_(1)
    with pytest.raises(GradientError, match="changed in place"):
        z.backward()


def test_states_that_are_updated_twice_in_a_call(on_device):
    """Each in memory of its own, though new values are made where old ones were."""

    def train(wrap):
        weight, mean = tn.ones(4), tn.zeros(4)

        @wrap
        def two_steps(x):
            for _ in range(2):
                gradient = (x + weight).relu().sum(0)
                mean.mul_(0.9).add_(gradient * gradient * 0.1)
                weight.sub_(gradient / (mean.sqrt() + 1e-8) * 0.01)

        for _ in range(4):
            two_steps(tn.ones(2, 4))
        return [*weight.tolist(), *mean.tolist()]

    assert train(tn.jit) == pytest.approx(train(lambda function: function), rel=1e-5)


@pytest.mark.parametrize("kind", ["RMSprop", "Adam", "AdamW"])
def test_two_steps_of_an_optimizer_in_a_call(on_device, kind):
    def train(wrap):
        tn.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = getattr(tn.optim, kind)(model.parameters(), lr=0.01)

        @wrap
        def two_steps(x):
            for _ in range(2):
                optimizer.zero_grad()
                loss = (model(x) - 1).square().mean()
                loss.backward()
                optimizer.step()
            return loss

        return [two_steps(tn.full((4, 2), i / 5)).item() for i in range(8)]

    assert train(tn.jit) == pytest.approx(train(lambda function: function), rel=1e-4)
