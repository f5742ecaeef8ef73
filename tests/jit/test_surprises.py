"""What surprises people about systems that record and replay, each with the right result."""

import collections
import contextlib
import copy
import decimal
import functools
import gc
import math
import pickle
import random
import signal
import threading
import types
import warnings
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet import backends, nn
from tinynet.backends import MODULES
from tinynet.backends.opencl.discovery import list_devices
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DimError,
    GradientError,
    RecordingError,
)


def run(function, *calls):
    """What a function returns for several calls, as lists."""
    return [function(*arguments).tolist() for arguments in calls]


def numbers(n=4):
    """Different tensors of one shape."""
    return [(tn.arange(3.0) + i,) for i in range(n)]


# Inputs and outputs
def test_new_inputs_give_new_results():
    double = tn.jit(lambda x: x * 2 + 1)
    assert run(double, *numbers()) == [[1 + 2 * i, 3 + 2 * i, 5 + 2 * i] for i in range(4)]


def test_a_function_may_be_the_first_to_use_its_device(monkeypatch):
    monkeypatch.setattr(backends, "opened", [])
    make = tn.jit(lambda: tn.ones(3) * 2, warm_up=False)
    assert run(make, (), (), ()) == [[2, 2, 2]] * 3
    assert make.tape is not None


def test_results_on_another_device_than_the_inputs(device, monkeypatch):
    other = next(name for name in MODULES if name != device)
    if other == "opencl" and not list_devices():
        pytest.skip("no OpenCL device")
    make = tn.jit(lambda x: tn.ones(3, device=other) * 2, warm_up=False)
    with pytest.raises(
        RecordingError, match=f"^jit: the function uses {device} and {other}, expected one device$"
    ):
        make(tn.ones(3))
    make = tn.jit(lambda: tn.ones(3, device=other) * 2, warm_up=False)
    with monkeypatch.context() as patch:
        patch.setattr(backends, "opened", [backends.open_backend(device)])
        with pytest.raises(RecordingError, match=f"^jit: nothing was on {other} before the functi"):
            make()
    tn.ones(1, device=other)
    assert run(make, (), ()) == [[2, 2, 2]] * 2


def test_outputs_are_kept_across_calls():
    double = tn.jit(lambda x: x * 2)
    kept = [double(*x) for x in numbers(5)]
    assert [y.tolist() for y in kept] == [[2 * i, 2 * i + 2, 2 * i + 4] for i in range(5)]
    kept[2].add_(100)
    assert double(tn.arange(3.0)).tolist() == [0, 2, 4]
    assert kept[3].tolist() == [6, 8, 10]


def test_inputs_are_not_kept():
    double = tn.jit(lambda x: x * 2)
    for x in numbers(3):
        double(*x)
    x = tn.ones(3)
    watches = [weakref.ref(x)]
    if x.device == tn.device("cpu"):  # the launches of others know the last call's memory
        watches.append(weakref.ref(x.array))
    double(x)
    del x
    assert [watch() for watch in watches] == [None] * len(watches)


def test_an_output_that_is_an_input():
    same = tn.jit(lambda x, y: (x, y + 1))
    for i in range(4):
        x = tn.ones(2) * i
        a, b = same(x, x)
        assert a is x
        assert b.tolist() == [i + 1, i + 1]


def test_an_output_that_is_a_view_of_an_input():
    turned = tn.jit(lambda x: x.reshape(2, 3).T)
    for i in range(4):
        x = tn.arange(6.0) + i
        y = turned(x)
        assert y.tolist() == [[i, i + 3], [i + 1, i + 4], [i + 2, i + 5]]
        x.add_(10)
        assert y[0, 0].item() == i + 10


def test_an_output_that_is_a_weight():
    weight = tn.ones(2)

    @tn.jit
    def step(x):
        weight.add_(x)
        return weight, weight[:1]

    for i in range(4):
        whole, part = step(tn.ones(2))
        assert whole is weight
        assert part.tolist() == [i + 2]
    weight.zero_()
    assert part.tolist() == [0]


def test_outputs_that_share_memory_go_on_to_share_it():
    both = tn.jit(lambda x: (lambda y: (y, y[1:], y))(x + 1))
    for x in numbers():
        whole, part, again = both(*x)
        assert whole is again
        whole.zero_()
        assert part.tolist() == [0, 0]


def test_the_same_tensor_twice():
    def add(x, y):
        x.add_(1)
        return x + y

    for twice in ([True] * 3 + [False] * 3) * 2:
        jitted = getattr(test_the_same_tensor_twice, "jitted", None) or tn.jit(add)
        test_the_same_tensor_twice.jitted = jitted
        x = tn.ones(2)
        y = x if twice else tn.ones(2)
        assert jitted(x, y).tolist() == ([4, 4] if twice else [3, 3])
    del test_the_same_tensor_twice.jitted


def test_inputs_that_overlap():
    def add(x, y):
        x.add_(1)
        return x * y

    jitted = tn.jit(add)
    for _ in range(4):
        base = tn.ones(4)
        assert (
            jitted(base[:2], base[1:3]).tolist()
            == add(tn.ones(4)[:2], 0 * tn.ones(2) + tn.tensor([2.0, 1])).tolist()
        )


def test_an_input_that_is_also_state():
    weight = tn.ones(2)

    @tn.jit
    def step(x):
        weight.mul_(2)
        return x + weight

    other = tn.ones(2)
    expected = [(4, 0), (5, 1), (16, 0), (17, 1), (64, 0), (65, 1)]
    for value, is_other in expected:
        x = other if is_other else weight
        assert step(x).tolist() == [value, value]


def test_state_that_is_an_input_when_recorded():
    weight, other = tn.ones(2), tn.ones(2)

    @tn.jit
    def step(x):
        weight.mul_(2)
        return x + weight

    expected = [(weight, 4), (weight, 8), (other, 9), (weight, 32), (other, 33), (weight, 128)]
    for x, value in expected:
        assert step(x).tolist() == [value, value]


def test_the_result_over_an_operand():
    f = tn.jit(lambda x: (lambda y: (y + y.T, (y - y.flip(0)).sigmoid()))(x * 2))
    for i in range(4):
        x = tn.arange(9.0).reshape(3, 3) * i
        both, gap = f(x)
        y = np.asarray(x) * 2
        np.testing.assert_allclose(both.tolist(), y + y.T)
        np.testing.assert_allclose(gap.tolist(), 1 / (1 + np.exp(y[::-1] - y)), 1e-5)


def test_assignment_to_an_input():
    @tn.jit
    def fill(x, y):
        x[1:] = y
        x.mul_(2)

    for i in range(4):
        x = tn.ones(3)
        fill(x, tn.tensor(float(i)))
        assert x.tolist() == [2, 2 * i, 2 * i]


def test_slices_and_transposes_as_inputs():
    data = tn.arange(24.0).reshape(6, 4)
    total = tn.jit(lambda x: (x * 2).sum(0))
    for i in range(4):
        assert total(data[i : i + 2]).tolist() == (data[i : i + 2] * 2).sum(0).tolist()
        assert total(data.T[i]).tolist() == (data.T[i] * 2).sum(0).tolist()
        assert total(data.T).tolist() == (data.T * 2).sum(0).tolist()


def test_assignment_to_an_input_that_is_a_slice():
    data = tn.zeros(4, 2)
    increase = tn.jit(lambda x: x.add_(1).sum())
    assert [increase(data[i]).item() for i in range(4)] == [2, 2, 2, 2]
    assert data.tolist() == [[1, 1]] * 4


def test_zero_size_inputs():
    f = tn.jit(lambda x: ((x * 2).sum(), x + 1))
    for _ in range(3):
        total, rest = f(tn.zeros(0, 3))
        assert total.item() == 0
        assert rest.shape == (0, 3)


def test_nested_inputs_and_outputs():
    @tn.jit
    def f(batch, options):
        x, (y,) = batch["x"], batch["rest"]
        return {"sum": x + y, "parts": [x * options["scale"], (y, "text", None)]}

    for i in range(4):
        x, y = tn.ones(2) * i, np.full(2, 3.0, np.float32)
        result = f({"x": x, "rest": (y,)}, options={"scale": 2})
        assert result["sum"].tolist() == [i + 3, i + 3]
        assert result["parts"][0].tolist() == [2 * i, 2 * i]
        assert result["parts"][1][0].tolist() == [3, 3]
        assert result["parts"][1][1:] == ("text", None)


def test_shapes_and_dtypes_are_recorded_each():
    f = tn.jit(lambda x: (x + 1).sum())
    for _ in range(3):
        assert f(tn.ones(2)).item() == 4
        assert f(tn.ones(3)).item() == 6
        assert f(tn.ones(3, dtype=tn.int32)).dtype is tn.int64
    assert f.count == 3


def test_python_values_are_part_of_the_signature():
    f = tn.jit(lambda x, k, name="a": x * k if name == "a" else x + k)
    for _ in range(3):
        assert f(tn.ones(1), 2).item() == 2
        assert f(tn.ones(1), 3).item() == 3
        assert f(tn.ones(1), 3, name="b").item() == 4
        assert f(tn.ones(1), True).item() == 1
        assert f(tn.ones(1), 1).item() == 1


def test_values_that_keep_changing_are_named():
    f = tn.jit(lambda x, epoch: x + epoch)

    def train():
        return [f(tn.zeros(1), i // 2).item() for i in range(24)]

    with pytest.warns(UserWarning, match=r"9th time.*'epoch'"):
        assert train() == [i // 2 for i in range(24)]


def test_arguments_without_a_hash():
    class Odd:
        __hash__ = None

    f = tn.jit(lambda x, y: x)
    with pytest.raises(ArgumentTypeError, match=r"jit: argument 1 is a Odd, which has no hash"):
        f(tn.ones(1), Odd())
    with pytest.raises(ArgumentTypeError, match="expected a function, got int"):
        tn.jit(3)


# State
def make_step(dropout=0.0, **options):
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(dropout), nn.Linear(5, 3)).to(
        tn.zeros(()).device
    )
    optimizer = tn.optim.Adam(model.parameters(), lr=0.1, **options)

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return model, optimizer, step


def batches(n, size=6):
    rng = np.random.default_rng(1)
    for _ in range(n):
        yield (
            tn.tensor(rng.random((size, 4)), dtype=tn.float32),
            tn.tensor(rng.integers(0, 3, size)),
        )


def assert_same_training(change=None, dropout=0.0, n=8, **options):
    """Train twice, once recorded, with `change(model, optimizer, call)` before each call."""
    finals = []
    for is_jitted in (False, True):
        model, optimizer, step = make_step(dropout, **options)
        function = tn.jit(step) if is_jitted else step
        losses = []
        for i, batch in enumerate(batches(n)):
            if change is not None:
                change(model, optimizer, i)
            losses.append(function(*batch).item())
        weights = [p.detach() for p in model.parameters()]
        grads = [p.grad for p in model.parameters()]
        finals.append((losses, weights, grads))
        steps = [kept["step"] for kept in optimizer.state_dict()["state"].values()]
        assert steps == [n] * 4
    for a, b in zip(finals[0][1] + finals[0][2], finals[1][1] + finals[1][2]):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), 1e-4, 1e-5)
    np.testing.assert_allclose(finals[1][0], finals[0][0], 1e-4)
    return function


def test_training():
    assert assert_same_training().count == 1


def test_a_learning_rate_schedule():
    def change(model, optimizer, i):
        optimizer.param_groups[0]["lr"] = 0.1 * 0.8**i

    assert assert_same_training(change).count == 1


def test_a_learning_rate_schedule_inside():
    weight = tn.ones(1, requires_grad=True)
    optimizer = tn.optim.SGD([weight], lr=1.0)

    @tn.jit
    def step():
        weight.grad = tn.ones(1)
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.5
        return weight.detach().clone(), optimizer.param_groups[0]["lr"]

    seen = [(w.item(), lr) for w, lr in (step() for _ in range(4))]
    assert seen == [(0, 0.5), (-0.5, 0.25), (-0.75, 0.125), (-0.875, 0.0625)]


def test_dropout_draws_new_numbers():
    assert assert_same_training(dropout=0.5).count == 1
    noise = tn.jit(lambda: tn.rand(3))
    tn.manual_seed(3)
    seen = run(noise, *[()] * 4)
    tn.manual_seed(3)
    assert seen == [tn.rand(3).tolist() for _ in range(4)]
    tn.manual_seed(3)
    assert run(noise, *[()] * 4) == seen


def test_a_seed_set_inside():
    @tn.jit
    def same():
        tn.manual_seed(5)
        return tn.randn(4)

    first, *others = run(same, *[()] * 4)
    for other in others:  # a kernel that is compiled may round another way than one interpreted
        np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-6)


def test_weights_replaced_from_outside():
    other, _, _ = make_step()
    saved = {key: value * 0.5 for key, value in other.state_dict().items()}

    def change(model, optimizer, i):
        if i == 4:
            model.load_state_dict(saved)
        if i == 6:
            with tn.no_grad():
                model[0].weight.copy_(tn.ones(5, 4))
                model[0].bias[1:3] = 2.0

    assert assert_same_training(change).count == 1


def test_weights_that_are_other_tensors():
    def change(model, optimizer, i):
        if i == 4:
            model[0].weight.data = tn.ones(5, 4)

    assert_same_training(change)


def test_a_parameter_replaced_while_the_old_one_lives():
    model = nn.Linear(2, 1, bias=False).to(tn.zeros(()).device)
    predict = tn.jit(tn.no_grad()(lambda x: model(x)))
    with tn.no_grad():
        model.weight.copy_(tn.ones(1, 2))
    old = model.weight
    x = tn.ones(1, 2)
    assert run(predict, *[(x,)] * 3) == [[[2]]] * 3
    model.weight = nn.Parameter(tn.ones(1, 2) * 5)
    assert run(predict, *[(x,)] * 3) == [[[10]]] * 3
    assert old.tolist() == [[1, 1]]


def test_state_loaded_into_the_optimizer():
    _, other, step = make_step()
    for batch in batches(3):
        step(*batch)
    saved = copy.deepcopy(other.state_dict())

    def change(model, optimizer, i):
        if i == 5:
            optimizer.load_state_dict(
                {**saved, "state": {k: {**v, "step": 5} for k, v in saved["state"].items()}}
            )

    assert_same_training(change)


def test_accumulated_gradients():
    weight = tn.ones(2, requires_grad=True)
    accumulate = tn.jit(lambda x: (weight * x).sum().backward())
    for _ in range(3):
        for i in range(1, 5):
            accumulate(tn.ones(2))
            assert weight.grad.tolist() == [i, i]
        weight.grad = None


def test_a_handler_of_ctrl_c_that_is_found_while_recording_still_hears(on_device):
    found = []

    @tn.jit(warm_up=False)
    def step(x):
        found.append(signal.getsignal(signal.SIGINT))
        return x * 2

    step(tn.ones(3))
    with pytest.raises(KeyboardInterrupt):  # as who replaces a handler calls the one before
        found[0](signal.SIGINT, None)


def test_a_gradient_that_is_replaced_is_gone_at_once():
    x, are_alive = nn.Parameter(tn.ones(3)), []

    @tn.jit(warm_up=False)
    def step():
        x.grad = None
        are_alive.append(before() is not None)  # what it was computed from need not be, then
        (x * x).sum().backward()

    x.grad = tn.ones(3)
    before = weakref.ref(x.grad)
    step()
    assert are_alive == [False]
    np.testing.assert_array_equal(x.grad.tolist(), [2, 2, 2])


@pytest.mark.parametrize("where", ["start", "stop", "function"])
def test_ctrl_c_while_recording(on_device, monkeypatch, where):
    """It waits until the recording is set up, or finished, and leaves nothing behind."""
    x, other = tn.ones(3), tn.full((3,), 7.0)
    kind = type(backends.open_backend(on_device).record({}))
    hits = []

    def interrupt():
        if not hits:
            hits.append(True)
            signal.raise_signal(signal.SIGINT)

    @tn.jit(warm_up=False)
    def step(x):
        if where == "function":
            interrupt()
        return x * 2 + 1

    def interrupted(self):
        method(self)
        interrupt()

    if where != "function":
        method = getattr(kind, where)
        monkeypatch.setattr(kind, where, interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        step(x)
    assert signal.getsignal(signal.SIGINT) is before
    assert (other * 2).tolist() == [14.0] * 3
    assert [step(x).tolist() for _ in range(3)] == [[3.0] * 3] * 3


def test_gradients_kept_across_calls():
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def step(x):
        weight.grad = None
        (weight * x).sum().backward()

    kept = []
    for i in range(5):
        step(tn.ones(2) * i)
        kept.append(weight.grad)
    assert [g.tolist() for g in kept] == [[i, i] for i in range(5)]
    views = []
    for i in range(4):
        step(tn.ones(2) * i)
        views.append(weight.grad.detach()[1:])
    assert [v.tolist() for v in views] == [[i] for i in range(4)]


def test_gradients_of_inputs():
    @tn.jit
    def attack(x):
        (x * x).sum().backward()
        return x.grad * 2

    for i in range(4):
        x = (tn.ones(2) * i).requires_grad_()
        assert attack(x).tolist() == [4 * i, 4 * i]
        assert x.grad.tolist() == [2 * i, 2 * i]


def test_gradients_of_inputs_add_up():
    square = tn.jit(lambda x: (x * x).sum().backward())
    x = tn.ones(2, requires_grad=True)
    for i in range(1, 5):
        square(x)
        assert x.grad.tolist() == [2 * i, 2 * i]
    for i in range(4):
        y = (tn.ones(2) * i).requires_grad_()
        square(y)
        assert y.grad.tolist() == [2 * i, 2 * i]
    square(x)
    assert x.grad.tolist() == [10, 10]


def test_gradients_by_grad():
    weight = tn.tensor(3.0, requires_grad=True)

    @tn.jit
    def second(x):
        (first,) = tn.autograd.grad(weight**3 * x, weight, create_graph=True)
        return tn.autograd.grad(first, weight)[0]

    assert run(second, *[(tn.tensor(float(i)),) for i in range(4)]) == [0, 18, 36, 54]


def test_modes_of_modules_are_recorded_each():
    model = nn.Sequential(nn.Dropout(0.5))
    f = tn.jit(lambda x: model(x))
    x = tn.ones(1000)
    for _ in range(3):
        assert 300 < (f(x) == 0).sum().item() < 700
        model.eval()
        assert f(x).tolist() == x.tolist()
        model.train()
    model[0].p = 0.0
    assert f(x).tolist() == x.tolist()


def test_statistics_in_place():
    mean = tn.zeros(3)

    @tn.jit
    def normalise(x):
        mean.mul_(0.5).add_(x.mean(0) * 0.5)
        return x - mean

    expected = np.zeros(3, np.float32)
    for i in range(5):
        x = np.full((2, 3), i, np.float32)
        expected = expected * 0.5 + x.mean(0) * 0.5
        np.testing.assert_allclose(normalise(tn.tensor(x)).tolist(), x - expected)
    np.testing.assert_allclose(mean.tolist(), expected)


def test_constants_made_inside_are_fresh():
    @tn.jit
    def f(x):
        total = tn.zeros(3)
        total += x
        table = tn.tensor([1.0, 2.0, 3.0])
        table[0] += x[0]
        return total, table

    for i in range(4):
        total, table = f(tn.ones(3) * i)
        assert total.tolist() == [i] * 3
        assert table.tolist() == [1 + i, 2, 3]


def test_constant_results_are_fresh():
    f = tn.jit(lambda: (tn.zeros(2), tn.tensor([1.0, 2.0]), tn.arange(2)))
    for _ in range(4):
        zeros, table, numbers = f()
        assert (zeros.tolist(), table.tolist(), numbers.tolist()) == ([0, 0], [1, 2], [0, 1])
        zeros.add_(1)
        table.add_(1)
        numbers.add_(1)


def test_modules_and_their_methods():
    model = nn.Linear(2, 1, bias=False).to(tn.zeros(()).device)
    x = tn.ones(3, 2)
    for f in (tn.jit(model), tn.jit(model.forward), tn.jit(functools.partial(model, x))):
        arguments = () if f.__name__ == "partial" else (x,)
        for i in range(4):
            with tn.no_grad():
                model.weight.fill_(i)
                assert f(*arguments).tolist() == [[2 * i]] * 3


def test_checkpoint_inside():
    weight = tn.ones(3, requires_grad=True)

    def drop(x):
        return nn.functional.dropout(x * weight, 0.5) * weight

    def step(x):
        weight.grad = None
        tn.autograd.checkpoint(drop, x).sum().backward()
        return weight.grad.clone()

    jitted = tn.jit(step)
    x = tn.arange(3.0)
    tn.manual_seed(1)
    expected = [step(x).tolist() for _ in range(4)]
    tn.manual_seed(1)
    assert [jitted(x).tolist() for _ in range(4)] == expected


def test_a_gradient_that_is_an_input():
    weight = tn.ones(2, requires_grad=True)
    optimizer = tn.optim.SGD([weight], lr=1.0, momentum=0.5)

    @tn.jit
    def step(gradient):
        weight.grad = gradient
        optimizer.step()

    for i in range(4):
        gradient = tn.ones(2) * i
        step(gradient)
        assert weight.grad is gradient
    expected, momentum = 1.0, 0.0
    for i in range(4):
        momentum = momentum * 0.5 + i
        expected -= momentum
    assert weight.tolist() == [expected] * 2


def test_swapped_state():
    a, b = tn.zeros(2), tn.ones(2)

    @tn.jit
    def swap():
        old = a.clone()
        a.copy_(b)
        b.copy_(old)

    for i in range(5):
        swap()
        assert (a.tolist(), b.tolist()) == (([1, 1], [0, 0]) if i % 2 == 0 else ([0, 0], [1, 1]))


def test_an_output_that_is_the_old_value_of_state():
    a = tn.zeros(2)

    @tn.jit
    def step(x):
        old = a * 2
        a.copy_(x)
        return old

    assert run(step, *[(tn.ones(2) * i,) for i in range(1, 5)]) == [
        [0] * 2,
        [2] * 2,
        [4] * 2,
        [6] * 2,
    ]


def test_a_pending_reader_of_state():
    a = tn.zeros(2)
    step = tn.jit(lambda: a.add_(1))
    readers = []
    for _ in range(5):
        readers.append(a * 10)
        step()
    assert [r.tolist() for r in readers] == [[10 * i] * 2 for i in range(5)]


def test_a_graph_outside_notices_writes():
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def step():
        with tn.no_grad():
            weight.mul_(2)

    for _ in range(3):
        step()
    loss = (weight * weight).sum()
    step()
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()


def test_a_graph_outside_notices_writes_into_an_input():
    weight = tn.ones(2, requires_grad=True)
    double = tn.jit(lambda x: x.mul_(2))
    for _ in range(4):
        x = tn.ones(2)
        loss = (weight * x).sum()
        double(x)
        with pytest.raises(GradientError, match="changed in place"):
            loss.backward()


def test_two_functions_share_weights():
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def train(x):
        weight.grad = None
        (weight * x).sum().backward()
        with tn.no_grad():
            weight.sub_(weight.grad)

    predict = tn.jit(tn.no_grad()(lambda x: weight * x))
    for i in range(5):
        assert predict(tn.ones(2)).tolist() == [1 - i, 1 - i]
        train(tn.ones(2))


# Python around it
SCALE = 2.0


def scaled(x):
    return helper(x) * SCALE


def helper(x):
    return x + 1


def test_globals_and_closures(monkeypatch):
    f = tn.jit(scaled)
    assert run(f, *[(tn.ones(1),)] * 3) == [[4]] * 3
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert run(f, *[(tn.ones(1),)] * 3) == [[6]] * 3
    monkeypatch.setitem(globals(), "helper", lambda x: x - 1)
    assert run(f, *[(tn.ones(1),)] * 3) == [[0]] * 3

    bias = tn.ones(1)
    g = tn.jit(lambda x: x + bias)
    assert run(g, *[(tn.ones(1),)] * 3) == [[2]] * 3
    old, bias = bias, tn.ones(1) * 5
    assert run(g, *[(tn.ones(1),)] * 3) == [[6]] * 3
    assert old.tolist() == [1]


def test_side_effects_on_numbers_are_not_lost():
    calls = 0

    @tn.jit
    def f(x):
        nonlocal calls
        calls += 1
        return x + calls

    with pytest.warns(UserWarning, match="'calls'"):
        assert run(f, *[(tn.zeros(1),)] * 12) == [[i] for i in range(1, 13)]
    assert calls == 12


def test_side_effects_on_elements_are_not_lost_either():
    counts = {"calls": 0}

    @tn.jit
    def f(x):
        counts["calls"] += 1
        return x + counts["calls"]

    with pytest.warns(UserWarning, match="'counts'"):
        assert run(f, *[(tn.zeros(1),)] * 12) == [[i] for i in range(1, 13)]


def test_a_log_that_the_function_writes_is_no_condition():
    log, cache = ["begun"], {}

    @tn.jit
    def f(x):
        log.append("called")
        return x + cache.setdefault("bias", 1.0)

    assert run(f, *[(tn.zeros(1),)] * 12) == [[1]] * 12
    assert len(log) == 3
    log[0] = "begun again"
    assert run(f, *[(tn.zeros(1),)] * 12) == [[1]] * 12
    assert len(log) == 4


def _with_a_list():
    calls = []

    def function(x):
        calls.append(len(calls))
        return x + calls[-1]

    return function


def _with_a_set():
    calls = set()

    def function(x):
        calls.add(len(calls))
        return x + len(calls)

    return function


def _with_a_counter():
    calls = collections.Counter()

    def function(x):
        calls["all"] += 1
        return x + calls["all"]

    return function


class _WithAList:
    def __init__(self):
        self.calls = []

    def __call__(self, x):
        self.calls.append("call")
        return x + sum(1 for _ in self.calls)


def _with_a_default():
    def function(x, calls=[]):  # noqa: B006
        calls.append(1)
        return x + len(calls)

    return function


def _with_a_default_by_name():
    def function(x, *, calls=[]):  # noqa: B006
        calls.append(1)
        return x + len(calls)

    return function


def _with_a_partial_function():
    def noted(x, calls):
        calls.append(1)
        return x + len(calls)

    return functools.partial(noted, calls=[])


def _with_two_names():
    held = types.SimpleNamespace(log=[])
    held.calls = held.log

    def function(x):
        held.log.append(1)
        return x + len(held.calls)

    return function


def _with_a_list_of_users():
    calls = collections.UserList()

    def function(x):
        calls.append(1)
        return x + len(calls)

    return function


def _with_getattr():
    held = types.SimpleNamespace(calls=[])

    def function(x):
        held.calls.append(1)
        return x + len(getattr(held, "calls"))  # noqa: B009

    return function


@pytest.mark.parametrize(
    "make",
    [
        _with_a_list, _with_a_set, _with_a_counter, _WithAList, _with_a_default,
        _with_a_default_by_name, _with_a_partial_function, _with_two_names, _with_a_list_of_users,
        _with_getattr,
    ],
)  # fmt: skip
def test_what_grows_and_is_looked_at_is_recorded_at_each_call(make):
    recorded, plain = tn.jit(make(), warm_up=False), make()
    for _ in range(6):
        assert recorded(tn.zeros(1)).item() == plain(tn.zeros(1)).item()


class Settings:
    def __init__(self):
        self.factors = {"scale": 2.0}
        self.pair = [nn.Identity(), nn.ReLU()]
        self.parts = ([tn.ones(1)], collections.deque([1.0]))
        self.offsets = np.zeros(3, np.float32)

    def compute(self, x):
        (shift,), (number,) = self.parts
        y = self.pair[0](x * self.factors["scale"]) + shift * number
        return y + tn.tensor(self.offsets[:1])


def change_a_factor(settings):
    settings.factors["scale"] = 3.0


def replace_the_factors(settings):
    settings.factors.update({"shift": 1.0})
    settings.factors.pop("scale")
    settings.factors["scale"] = -1.0


def swap_modules(settings):
    settings.pair.reverse()


def replace_a_tensor(settings):
    settings.old = settings.parts[0][0]
    settings.parts[0][0] = tn.ones(1) * 10


def turn_a_deque(settings):
    settings.parts[1].append(7.0)
    settings.parts[1].popleft()


def write_into_an_array(settings):
    settings.offsets[0] = 100


@pytest.mark.parametrize(
    "change",
    [change_a_factor, replace_the_factors, swap_modules, replace_a_tensor, turn_a_deque,
     write_into_an_array],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["method", "closure", "argument"])
def test_what_containers_hold(change, kind):
    settings = Settings()
    if kind == "method":
        f = tn.jit(settings.compute)
    elif kind == "closure":
        f = tn.jit(lambda x: settings.compute(x))
    else:
        g = tn.jit(lambda x, item: item.compute(x))
        f = lambda x: g(x, settings)  # noqa: E731
    x = tn.full((1,), -2.0)
    for _ in range(3):
        for _ in range(3):
            assert f(x).tolist() == settings.compute(x).tolist()
        change(settings)


def test_containers_that_stay_as_they_are_are_recorded_once():
    numbers, tensors = {"a": 1.5, "b": [2.5]}, {tn.ones(1), "name"}
    large = [0.0] * 100_000

    @tn.jit
    def f(x):
        return x * numbers["a"] + numbers["b"][0] + len(tensors) + large[0]

    for i in range(6):
        numbers["a"], numbers["b"][0] = float("1.5"), float("2.5")  # other objects, equal ones
        assert f(tn.ones(1) * i).item() == i * 1.5 + 4.5
    assert f.count == 1


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [2.0]
        self.history = []

    def forward(self, x):
        return x * self.scales[0]


def test_what_a_module_s_containers_hold():
    """Those that its code names: others may be anybody's."""
    model = Scaled()
    f = tn.jit(model)
    for i in range(6):
        assert f(tn.ones(1)).item() == 2
        model.history.append(i)
    assert f.count == 1
    model.scales[0] = 3.0
    assert run(f, *[(tn.ones(1),)] * 3) == [[3]] * 3


def test_tensors_of_containers_are_not_kept_alive():
    tensors = [tn.ones(1)]
    f = tn.jit(lambda x: x + tensors[0])
    assert run(f, *[(tn.ones(1),)] * 3) == [[2]] * 3
    watch = weakref.ref(tensors[0])
    tensors[0] = tn.zeros(1)
    assert watch() is None
    assert run(f, *[(tn.ones(1),)] * 3) == [[1]] * 3


def test_a_parameter_added_to_a_group():
    a, b = nn.Parameter(tn.ones(1)), nn.Parameter(tn.ones(1))
    optimizer = tn.optim.SGD([a], lr=1.0)

    @tn.jit
    def step():
        (a + b).sum().backward()
        optimizer.step()
        a.grad = b.grad = None

    for _ in range(3):
        step()
    optimizer.param_groups[0]["params"].append(b)
    for _ in range(3):
        step()
    assert (a.item(), b.item()) == (-5, -2)


def test_a_group_added_to_the_optimizer():
    """Its parameters learn from the next call on."""
    a, b = nn.Parameter(tn.ones(1)), nn.Parameter(tn.ones(1))
    optimizer = tn.optim.SGD([a], lr=1.0)

    @tn.jit
    def step():
        optimizer.zero_grad()
        (a + b).sum().backward()
        optimizer.step()

    for _ in range(3):
        step()
    assert (a.item(), b.item()) == (-2, 1)
    optimizer.add_param_group({"params": [b], "lr": 2.0})
    for _ in range(3):
        step()
    assert (a.item(), b.item()) == (-5, -5)


GENERATOR, OLD_GENERATOR, PYTHONS = (
    np.random.default_rng(0),
    np.random.RandomState(0),
    random.Random(0),
)
FOREIGN = {
    "Python's random": lambda: random.uniform(0, 1),
    "numpy.random": lambda: np.random.normal(),  # noqa: NPY002
    "'GENERATOR'": lambda: GENERATOR.normal(),
    "'OLD_GENERATOR'": lambda: OLD_GENERATOR.rand(),
    "'PYTHONS'": lambda: PYTHONS.random(),
}


@pytest.mark.parametrize("source", FOREIGN)
def test_random_numbers_of_others_would_repeat(source, monkeypatch):
    draw = FOREIGN[source]
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    f = tn.jit(lambda x: x + float(draw()))
    f(tn.ones(1))
    message = f"jit: the function draws numbers from {source}, which replays would repeat"
    for _ in range(2):
        with pytest.raises(RecordingError, match=message):
            f(tn.ones(1))
    value = float(draw())
    assert tn.jit(lambda x: x + value)(tn.ones(1)).item() == np.float32(1) + np.float32(value)


def test_random_numbers_that_another_thread_may_have_drawn(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 2)

    @tn.jit
    def f(x):
        random.random()
        return x + 1

    f(tn.ones(1))
    with pytest.warns(
        UserWarning, match="jit: numbers of Python's random were drawn while"
    ) as found:
        assert f(tn.ones(1)).tolist() == [2]
    assert found[0].filename == __file__
    assert f(tn.ones(1)).tolist() == [2]


@tn.jit
def doubled(x):
    return x * 2


class Halving(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(tn.tensor(0.5))
        self.quick = tn.jit(self.forward)
        self.quicker = self.step

    def forward(self, x):
        return (x * self.factor).detach()

    @tn.jit
    def step(self, x):
        return self(x)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_copies(copied):
    """They belong to what was copied along, and record for themselves."""
    assert copied(doubled) is doubled
    model = Halving()
    for name in ("quick", "quicker"):
        assert run(getattr(model, name), *[(tn.ones(1),)] * 3) == [[0.5]] * 3
    other = copied(model)
    other.factor.data = tn.tensor(3.0)
    for name in ("quick", "quicker", "step"):
        assert run(getattr(other, name), *[(tn.ones(1),)] * 3) == [[3]] * 3
        assert run(getattr(model, name), *[(tn.ones(1),)] * 3) == [[0.5]] * 3
    parts = copied([tn.jit(nn.Identity()), tn.jit(nn.Linear(2, 2), warm_up=False)])
    assert parts[0](tn.ones(1)).tolist() == [1]
    assert not parts[1].warm_up


class Attributes:
    """Of which none is where others look for it."""

    def __init__(self):
        self.hidden = {"scale": 2.0}

    def __getattr__(self, name):
        try:
            return self.__dict__["hidden"][name]
        except KeyError:
            raise AttributeError(name) from None


def test_attributes_that_the_code_names_otherwise():
    item = Attributes()
    f = tn.jit(lambda x: x * item.scale)
    g = tn.jit(lambda x: x * getattr(item, "factor", 1.0))
    assert run(f, *[(tn.ones(1),)] * 3) == [[2]] * 3
    assert run(g, *[(tn.ones(1),)] * 3) == [[1]] * 3
    item.hidden["scale"] = 3.0
    item.factor = 5.0
    assert run(f, *[(tn.ones(1),)] * 3) == [[3]] * 3
    assert run(g, *[(tn.ones(1),)] * 3) == [[5]] * 3


def test_tensors_left_in_python_objects():
    losses = []

    @tn.jit
    def f(x):
        losses.append(x * 2)
        return x

    f(tn.ones(1))
    f(tn.ones(1))
    with pytest.raises(RecordingError, match=r"leaves tensors of shape \(1,\) in Python objects"):
        f(tn.ones(1))


def test_methods_of_two_instances():
    class Counter:
        def __init__(self, start):
            self.total = tn.ones(1) * start
            self.by = start

        @tn.jit
        def add(self, x):
            self.total.add_(x * self.by)
            return self.total * 1

    a, b = Counter(1), Counter(10)
    for i in range(1, 5):
        assert a.add(tn.ones(1)).item() == 1 + i
        assert b.add(tn.ones(1)).item() == 10 + 10 * i
    a.by = 5
    assert a.add(tn.ones(1)).item() == 10
    watch = weakref.ref(a)
    del a
    gc.collect()
    assert watch() is None


def test_nested_functions_become_part():
    inner = tn.jit(lambda x: x * 2)
    outer = tn.jit(lambda x: inner(x) + 1)
    assert run(outer, *numbers()) == [[1 + 2 * i, 3 + 2 * i, 5 + 2 * i] for i in range(4)]
    assert inner.count == 0


def test_no_grad_is_recorded_separately():
    weight = tn.ones(1, requires_grad=True)
    f = tn.jit(lambda x: weight * x)
    for _ in range(3):
        assert f(tn.ones(1)).requires_grad
        with tn.no_grad():
            assert not f(tn.ones(1)).requires_grad


def test_results_have_no_graph():
    weight = tn.ones(1, requires_grad=True)
    f = tn.jit(lambda x: weight * x)
    for _ in range(3):
        with pytest.raises(GradientError, match="no graph; call backward"):
            f(tn.ones(1)).backward()
    with pytest.raises(GradientError, match="has a graph, into which replays cannot reach"):
        f(weight * 2)
    hidden = weight * 2
    g = tn.jit(lambda x: x * hidden)
    g(tn.ones(1))
    with pytest.raises(GradientError, match="has a graph outside"):
        g(tn.ones(1))


def test_threads():
    f = tn.jit(lambda x: (x * 2).sum())
    for _ in range(2):
        f(tn.ones(50))
    wrong = []

    def work(k):
        sums = [f(tn.ones(50) * (k + i)).item() for i in range(50)]
        wrong.extend([n for i, n in enumerate(sums) if n != 100 * (k + i)])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Errors
@pytest.mark.parametrize(
    "read", [lambda x: x.sum().item(), lambda x: bool(x.sum() > 0), lambda x: x.tolist(), repr]
)
def test_reading_values(read):
    def f(x):
        read(x * 2)
        return x + 1

    jitted = tn.jit(f)
    assert jitted(tn.ones(1)).item() == 2
    for _ in range(2):
        with pytest.raises(RecordingError, match="reads the values of a tensor"):
            jitted(tn.ones(1))
    assert (tn.ones(2) * 2).tolist() == [2, 2]


def test_an_exception_while_recording_leaves_everything_usable():
    model, optimizer, step = make_step()
    is_wrong = True

    @tn.jit
    def f(x, y):
        loss = step(x, y)
        if is_wrong:
            raise ValueError("a mistake")
        return loss

    for batch in batches(3):
        with pytest.raises(ValueError, match="a mistake"):
            f(*batch)
    is_wrong = False
    losses = [f(*batch).item() for batch in batches(6)]
    assert all(np.isfinite(losses))
    assert [kept["step"] for kept in optimizer.state_dict()["state"].values()] == [9] * 4
    assert model(tn.ones(1, 4)).shape == (1, 3)


def test_indices_out_of_range():
    table = tn.arange(5.0)
    pick = tn.jit(lambda i: table[i] * 2)
    for i in range(4):
        assert pick(tn.tensor([i, 4])).tolist() == [2 * i, 8]
    with pytest.raises(DimError, match="index 5 is out of range for dim 0 of size 5"):
        pick(tn.tensor([0, 5]))
    assert pick(tn.tensor([-1, 0])).tolist() == [8, 0]


def test_a_step_that_is_broken_off_counts_as_far_as_it_came(on_device):
    def train(record):
        tn.manual_seed(0)
        first, second, dropout = nn.Linear(4, 4), nn.Linear(4, 3), nn.Dropout(0.5)
        optimizers = [tn.optim.Adam(part.parameters()) for part in (first, second)]

        @record
        def step(x, y):
            for optimizer in optimizers:
                optimizer.zero_grad()
            hidden = first(x)
            dropout(hidden).square().mean().backward()
            optimizers[0].step()
            loss = nn.functional.cross_entropy(second(hidden.detach()), y)
            dropout(loss).backward()
            optimizers[1].step()
            return loss.detach()

        x, right = tn.ones(3, 4), tn.tensor([0, 1, 2])
        for y in (right, right, right, right + 1, right + 1, right):
            with pytest.raises(DimError) if y is not right else contextlib.nullcontext():
                step(x, y)
        counts = [next(iter(optimizer.state.values()))["step"] for optimizer in optimizers]
        return counts, tn.get_rng_state(), first.weight.tolist()

    counts, drawn, weight = train(lambda step: step)
    assert counts == [6, 4]
    recorded = train(tn.jit)
    assert recorded[:2] == (counts, drawn)
    np.testing.assert_allclose(recorded[2], weight, rtol=1e-5)


def test_a_step_counts_though_there_is_no_memory_for_its_results(monkeypatch):
    monkeypatch.setenv("TINYNET_DEVICE", "cpu")  # OpenCL makes room for them before it begins
    weight = tn.ones(2, requires_grad=True)
    optimizer = tn.optim.Adam([weight])

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        loss = (weight * x).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    for _ in range(3):
        step(tn.ones(2))

    def give(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(type(step.tape), "give", give)
        with pytest.raises(MemoryError):
            step(tn.ones(2))
    step(tn.ones(2))
    assert optimizer.state[weight]["step"] == 5


def test_inputs_that_are_written_must_be_writable():
    @tn.jit
    def double(x):
        return x.mul_(2)

    for _ in range(3):
        double(tn.ones(2))
    array = np.ones(2, np.float32)
    array.flags.writeable = False
    with pytest.raises(ArgumentError, match="cannot be written: its memory is read-only"):
        double(tn.from_numpy(array))
    assert double(tn.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("first", "second"),
    [({1: 0}, {1.0: 0}), ({True: 0}, {1: 0}), ({(1, 2): 0}, {(1.0, 2): 0}),
     (frozenset([1]), frozenset([1.0])), (range(1, 1), range(5, 5)),
     (decimal.Decimal("1.0"), decimal.Decimal("1.000"))],
    ids=str,
)  # fmt: skip
def test_arguments_that_are_equal_and_differ(first, second):
    recorded = tn.jit(lambda x, item: x * len(repr(item)))
    for item in (first, first, first, second, second):
        assert recorded(tn.ones(1), item).item() == len(repr(item))
    assert recorded.count == 2


def test_a_recorded_module_is_a_function():
    recorded = tn.jit(nn.Linear(2, 2))
    with pytest.raises(AttributeError, match="'parameters', which the Linear has that it records"):
        recorded.parameters()
    with pytest.raises(AttributeError, match=r"no attribute 'other'$"):
        recorded.other  # noqa: B018


def test_warnings_name_what_changed():
    class Optimizer(tn.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {"betas": (0.9, 0.99)})

        def step(self):
            for x in self.param_groups[0]["params"]:
                state = self.state[x]
                state["step"] = state.get("step", 0) + 1
                factor = math.sqrt(1 - self.param_groups[0]["betas"][1] ** state["step"])
                x.data.mul_(factor)

    optimizer = Optimizer([tn.ones(2, requires_grad=True)])
    step = tn.jit(lambda x: optimizer.step())
    with pytest.warns(UserWarning, match="the number 'step' keeps changing"):
        assert [step(tn.ones(1)) for _ in range(12)] == [None] * 12

    def count(x, found=[]):  # noqa: B006
        found.append(1)
        return x * len(found)

    recorded = tn.jit(count)
    with pytest.warns(UserWarning, match="the value of 'default arguments' keeps changing"):
        given = [recorded(tn.ones(1)).item() for _ in range(12)]
    assert given == [*range(1, 13)]


def test_new_memory_inside():
    weight = tn.ones(2)

    @tn.jit
    def f(x):
        weight.data = x * 2

    f(tn.ones(2))
    with pytest.raises(RecordingError, match="other memory"):
        f(tn.ones(2))


def test_what_was_recorded_once_is_from_outside_later():
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def first(x):
        weight.grad = None
        (weight * x).sum().backward()
        return weight.grad * 1

    second = tn.jit(lambda x: (weight.grad + x, x))
    for i in range(5):
        gradient = first(tn.ones(2) * i)
        total, same = second(gradient)
        assert same is gradient
        assert total.tolist() == [2 * i, 2 * i]


def test_results_keep_nothing_else_alive():
    f = tn.jit(lambda x: (x * 2).sum())
    x = tn.ones(3)
    results = [f(x) for _ in range(2)]
    watch = weakref.ref(x)
    del x, f
    gc.collect()
    assert watch() is None
    assert [y.item() for y in results] == [6, 6]


def test_a_freed_tensor():
    class Holder:
        pass

    holder = Holder()
    holder.weight = tn.ones(2)
    f = tn.jit(lambda x: x * holder.weight)
    assert run(f, *[(tn.ones(2),)] * 3)
    del holder.weight
    with pytest.raises(AttributeError):
        f(tn.ones(2))


def test_the_tape_is_readable():
    f = tn.jit(lambda x: (x * 2).sum())
    assert f.tape is None
    for x in numbers(3):
        f(*x)
    text = str(f.tape)
    assert "bytes" in text
    assert len(text.splitlines()) >= 2


def test_printing_a_tape_changes_nothing():
    _, _, step = make_step()
    jitted = tn.jit(step)
    for batch in batches(6):
        jitted(*batch)
        assert "object at" not in str(jitted.tape)
    assert jitted.count == 1


def test_no_memory_is_lost():
    model, _, step = make_step()
    watch = weakref.ref(model)
    jitted = tn.jit(step)
    for batch in batches(4):
        jitted(*batch)
    del model, step, jitted, _
    gc.collect()
    assert watch() is None


def test_no_warnings_from_ordinary_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_training(n=30)


def test_moved_to_another_device():
    device = str(tn.zeros(()).device)
    other = "cpu" if device != "cpu" else "opencl"
    model = nn.Linear(2, 1)
    predict = tn.jit(tn.no_grad()(lambda x: model(x)))
    for _ in range(2):
        for place in (device, other):
            model.to(place)
            x = tn.ones(1, 2, device=place)
            expected = model(x).item()
            for _ in range(3):
                assert abs(predict(x).item() - expected) < 1e-5
    mixed = tn.jit(lambda x, y: (x + 1, y + 1))
    x, y = tn.ones(1, device=device), tn.ones(1, device=other)
    mixed(x, y)
    with pytest.raises(DeviceError, match="jit: the function uses tensors on"):
        mixed(x, y)


def test_state_that_earlier_results_still_refer_to():
    """A result that nobody has read yet holds on to what a state was when it was written down."""
    count = tn.zeros(())

    @tn.jit
    def step(x):
        count.add_(1)
        return x.sum() + count

    results = []
    for i in range(6):
        results.append(step(tn.arange(2.0)))
        assert count.item() == i + 1
    assert [y.item() for y in results] == [i + 2 for i in range(6)]


def test_a_counter_beside_indices_is_not_a_condition():
    """What an index is made of decides whether it is in range; other integers may be any."""
    count = tn.zeros((), dtype=tn.int64)
    table = tn.arange(5.0)

    @tn.jit
    def step(x):
        count.add_(1)
        return table[x].sum()

    results, tapes = [], set()
    for i in range(8):
        results.append(step(tn.tensor([i % 2, 3])).item())
        tapes.add(id(step.tape))
    assert results == [3 + i % 2 for i in range(8)]
    assert count.item() == 8
    assert len(tapes - {id(None)}) <= 2
    with pytest.raises(DimError, match="index 8 is out of range"):
        table[count]


def test_what_is_made_of_any_integers_is_looked_at_when_it_is_an_index():
    table = tn.arange(5.0)
    increment = tn.jit(lambda x: x + 1)
    for i in range(3):
        increment(tn.tensor([i]))
    with pytest.raises(DimError, match="index 101 is out of range"):
        table[increment(tn.tensor([100]))]


def test_zeros_of_both_signs(on_device):
    """Also of who comes after, without being recorded."""
    divide = tn.jit(lambda x, y: x / y)
    for _ in range(3):
        for zero in (-0.0, 0.0):
            infinite = math.copysign(math.inf, zero)
            assert divide(tn.ones(2), zero).tolist() == [infinite] * 2
            assert (tn.ones(2) / zero).tolist() == [infinite] * 2


# Checks that read values
def test_probabilities_are_not_looked_at_while_recording(on_device):
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    optimizer, loss_of = tn.optim.SGD(model.parameters(), lr=0.1), nn.BCELoss()

    @tn.jit
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(tn.ones(4, 3), tn.ones(4, 1)).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert step.count == 1


def test_divisors_are_not_looked_at_while_recording(on_device):
    divide = tn.jit(lambda x, y: (x // y, x % y))
    for divisor in (2, 3, 0, 4):
        if divisor or divide.count:
            quotient, rest = divide(tn.tensor([7, -7]), tn.tensor([divisor, 1]))
            assert quotient.tolist() == [7 // divisor if divisor else 0, -7]
            assert rest.tolist() == [7 % divisor if divisor else 0, 0]
