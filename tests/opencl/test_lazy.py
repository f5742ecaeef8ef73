"""What is computed when, and by how many kernels."""

import itertools
import threading
from concurrent import futures
from types import SimpleNamespace

import numpy as np
import pyopencl as cl
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import DeviceError, DimError

DEVICE = "opencl"


@pytest.fixture(autouse=True)
def on_opencl(monkeypatch):
    monkeypatch.setenv("TINYNET_DEVICE", DEVICE)


def values(*shape, seed=0):
    return tn.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


# how many kernels
def test_elementwise_operations_are_one_kernel(count):
    x, y = values(50, 7), values(7)
    assert count(lambda: ((x * y + x).relu() - 0.5).exp().realize()) == 1


def test_parts_that_others_hold_are_stored_on_the_way(count):
    x = values(20)
    y = x * 2
    z = y + 1
    assert count(z.realize) == 1
    assert count(y.realize) == 0
    assert y.tolist() == pytest.approx([2 * v for v in x.tolist()])


def test_what_nobody_holds_is_not_stored(compiled):
    x, y = values(50, 7), values(50, 7, seed=1)
    with tn.profile() as profile:
        (((x * y + x).relu() - 0.5).exp() * y).realize()
    [run] = profile.kernels
    assert run.nbytes == 3 * 4 * 50 * 7


def test_what_nobody_holds_is_not_computed(count):
    x = values(20)

    def forget():
        y = x.exp() @ x
        del y

    assert count(forget) <= 1  # the factors of a product are computed at once


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(1), lambda x: x.log_softmax(1), lambda x: x.logsumexp(1),
        lambda x: x.var(1), lambda x: x - x.mean(1, keepdim=True),
        lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt(),
        lambda x: x.argmax(1), lambda x: x.sum(), lambda x: x.square().mean(0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(4, 5), (300, 40)], ids=str)
def test_row_kernels(count, function, shape):
    x = values(*shape)
    expected = function(x.cpu())
    result = []
    assert count(lambda: result.append(function(x).realize())) == 1
    np.testing.assert_allclose(np.asarray(result[0]), np.asarray(expected), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(128, 10), (512, 100)], ids=str)
def test_cross_entropy_and_its_gradient_are_three_kernels(count, shape):
    x, target = values(*shape).requires_grad_(), tn.randint(shape[1], shape[:1]).realize()
    loss = nn.functional.cross_entropy(x, target)

    def run():
        nonlocal loss
        loss = nn.functional.cross_entropy(x, target).realize()
        x.grad = None
        loss.backward()
        x.grad.realize()

    run()
    assert count(run) <= 3


def test_adam_is_one_kernel_for_each_parameter(count):
    parameters = [nn.Parameter(values(30, 20)), nn.Parameter(values(20))]
    optimizer = tn.optim.Adam(parameters, lr=0.1)

    def run():
        for parameter in parameters:
            parameter.grad = tn.ones_like(parameter).realize()
        before = tn.counters().launches
        optimizer.step()
        for parameter in parameters:
            parameter.realize()
        assert tn.counters().launches - before <= len(parameters)

    for _ in range(3):
        run()
    expected = [nn.Parameter(values(30, 20).cpu()), nn.Parameter(values(20).cpu())]
    optimizer = tn.optim.Adam(expected, lr=0.1)
    for _ in range(3):
        for parameter in expected:
            parameter.grad = tn.ones_like(parameter)
        optimizer.step()
    for parameter, other in zip(parameters, expected):
        found, wanted = (np.asarray(x.detach()) for x in (parameter, other))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_adam_is_the_same_kernel_whoever_holds_the_gradient(compiled):
    x = nn.Parameter(values(300))
    optimizer = tn.optim.Adam([x])

    def step():
        x.grad = values(300, seed=1)
        optimizer.step()

    for _ in range(2):  # moments are but zeros at first
        step()
        x.realize()
    before, block = compiled.device.compiled, x.array.storage.value.block
    step()
    x.grad = None  # now its memory could be written over, too
    x.realize()
    assert compiled.device.compiled == before
    assert x.array.storage.value.block is block  # each new value is where the old one was


def test_a_product_takes_bias_and_activation_along(compiled, count):
    x, layer = values(64, 33), nn.Linear(33, 17)
    layer.weight.realize()
    layer.bias.realize()
    with tn.no_grad():
        assert count(lambda: layer(x).relu().realize()) == 1


def test_a_product_is_alone_until_more_is_worth_a_kernel(backend, count, monkeypatch):
    """Its own kernel serves all that is made of its elements, which is interpreted meanwhile."""
    scheduler, device = backend.scheduler, backend.device
    compiler, plans = scheduler.planner.compiler, scheduler.plans
    monkeypatch.setattr(compiler, "patience", 3)
    for known in ("kernels", "uses"):
        monkeypatch.setattr(compiler, known, {})
    monkeypatch.setattr(device, "is_built", lambda program: False)  # nor is what earlier ones left
    plans.clear()
    a, b, found = values(5, 7), values(7, 6, seed=1), []

    def compute():
        found.append(np.asarray((a @ b - 0.125).abs().realize()))

    if not device.has_fp64:
        assert count(compute) == 1  # there is no interpreter
        return
    assert [count(compute) for _ in range(5)] == [2, 2, 2, 1, 1]
    wanted = np.abs(np.asarray(a) @ np.asarray(b) - 0.125)
    for each in found:
        np.testing.assert_allclose(each, wanted, rtol=1e-5, atol=1e-6)
    compiled = device.compiled
    plans.clear()
    assert count(compute) == 1
    assert device.compiled == compiled  # other structures with the same epilogue have it at once
    plans.clear()
    compiler.uses.clear()
    assert count(compute) == 1  # and so has who needs seldom what was compiled for others
    compiler.kernels.clear()
    plans.clear()
    large = values(300, 7) @ values(7, 300, seed=1) - 0.125
    assert count(large.realize) == 1  # what takes long to interpret is compiled at once
    monkeypatch.setattr(device, "is_built", lambda program: True)
    assert count(compute) == 1  # or what an earlier process compiled
    plans.clear()


@pytest.mark.parametrize("style", ["cpu", "accelerator"])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_convolution_takes_bias_and_activation_along(compiled, style, transposed, monkeypatch):
    """What is made of its elements launches nothing more than the convolution does."""
    backend = compiled
    monkeypatch.setattr(backend.device, "is_cpu", style == "cpu")
    backend.scheduler.plans.clear()
    x, weight, bias = values(3, 4, 9, 9), values(4, 4, 3, 3, seed=1), values(4, seed=2)
    convolve = tn.conv_transpose2d if transposed else tn.conv2d
    device = backend.device

    def launches(function):
        before = device.launches
        found = function().realize()
        return device.launches - before, np.asarray(found)

    alone, plain = launches(lambda: convolve(x, weight, stride=2))
    fused, found = launches(lambda: convolve(x, weight, bias, stride=2).relu())
    backend.scheduler.plans.clear()
    assert fused == alone
    assert alone == 1 if style == "accelerator" else alone <= 3  # CPUs pack both operands before
    wanted = np.maximum(plain + np.asarray(bias)[:, None, None], 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def window(x, i):
    """A window of a matrix that begins at row i and column 2 * i."""
    return x[i : i + 20, 2 * i : 2 * i + 30]


def written(x, i, value):
    y = x * 1
    y[i : i + 9, i + 1 : i + 8] = value
    return y


def convolved(function, x, i):
    return function(window(x, i)[None, None], x[None, None, i : i + 3, i + 1 : i + 4])


WINDOWS = {
    "elementwise": lambda x, i: window(x, i) * 2 - window(x, 3),
    "the same twice": lambda x, i: window(x, i) * window(x, i) + window(x, 2 * i),
    "rows": lambda x, i: window(x, i).sum(1),
    "columns": lambda x, i: window(x, i).sum(0),
    "all": lambda x, i: window(x, i).sum(),
    "rows beside others": lambda x, i: window(x, i).sum(1, keepdim=True) * window(x, 2 * i),
    "columns beside others": lambda x, i: window(x, i).sum(0) * window(x, 2 * i),
    "backwards": lambda x, i: window(x, i).flip(0) * 2,
    "products": lambda x, i: window(x, i) @ window(x, 2 * i).T,
    "few columns": lambda x, i: window(x, i) @ x[i + 1 : i + 3, :30].T,
    "vector": lambda x, i: window(x, i) @ x[i, i : i + 30],
    "taken": lambda x, i: window(x, i)[x[i, i : i + 9].argsort()],
    "written": lambda x, i: written(x, i, 3.5),
    "written from": lambda x, i: written(x, i, x[2 * i : 2 * i + 9, i : i + 7]),
    "convolution": lambda x, i: convolved(tn.conv2d, x, i),
    "its transpose": lambda x, i: convolved(tn.conv_transpose2d, x, i),
}


@pytest.mark.parametrize("kind", ["interpreted", "compiled"])
@pytest.mark.parametrize("style", ["cpu", "accelerator"])
@pytest.mark.parametrize("name", WINDOWS)
def test_a_plan_serves_windows_wherever_they_begin(backend, name, style, kind, monkeypatch):
    function, scheduler = WINDOWS[name], backend.scheduler
    monkeypatch.setattr(backend.device, "is_cpu", style == "cpu")
    monkeypatch.setattr(scheduler.planner.compiler, "patience", 0 if kind == "compiled" else 100)
    scheduler.plans.clear()
    x = values(60, 90)
    other = x.cpu()
    plans = []
    try:
        for i in (7, 10, 4, 11):
            found = np.asarray(function(x, i))
            np.testing.assert_allclose(found, np.asarray(function(other, i)), rtol=1e-4, atol=1e-5)
            plans.append(len(scheduler.plans))
        assert len({*plans}) == 1
    finally:
        scheduler.plans.clear()


def test_windows_that_begin_together_and_apart(compiled):
    """Which offsets are 0, and which are the same, makes another plan."""
    x = values(60, 90)
    numbers = np.asarray(x)
    for i, j in itertools.permutations((0, 0, 3, 3, 5), 2):
        found = np.asarray(window(x, i) * window(x, j) + window(x, 2))
        wanted = window(numbers, i) * window(numbers, j) + window(numbers, 2)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        y, copy = x * 1, numbers.copy()
        y[i : i + 9], copy[i : i + 9] = x[j : j + 9] * 2, numbers[j : j + 9] * 2
        np.testing.assert_array_equal(np.asarray(y), copy)
        found = np.asarray(window(x, i).T @ window(x, j))
        wanted = window(numbers, i).T @ window(numbers, j)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_a_large_product_of_windows():
    """One that packs its factors."""
    x = values(600, 600)
    numbers = np.asarray(x)
    for i, j in ((3, 5), (80, 41), (0, 77)):
        found = np.asarray(x[i : i + 510, j : j + 500] @ x[j : j + 500, i : i + 490])
        wanted = numbers[i : i + 510, j : j + 500] @ numbers[j : j + 500, i : i + 490]
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_positions_of_accelerators_are_ints_where_loops_end_within_them(backend, monkeypatch):
    """A loop goes a step past its end, by as many work-items as there are: up to 2**22."""
    planner = backend.scheduler.planner
    monkeypatch.setattr(planner, "device", SimpleNamespace(is_cpu=False))

    def index_type(size):
        return planner.index_type(SimpleNamespace(shape=(size,), leaves=()), [])

    assert index_type(2**31 - 2**22) == "int"
    assert index_type(2**31 - 1) == "long"


def test_another_rate_and_a_smaller_batch_compile_nothing():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
    optimizer = tn.optim.Adam(model.parameters())

    def step(n):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(values(n, 20)), tn.randint(5, (n,)))
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(30):
        step(64)
    before = tn.counters().compiled
    optimizer.param_groups[0]["lr"] = 0.5
    step(64)
    step(48)
    assert tn.counters().compiled == before


def test_a_training_step_waits_for_nothing():
    model = nn.Linear(20, 5)
    x, y = values(64, 20), tn.tensor(np.arange(64) % 5)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = tn.counters().bytes_read
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert tn.counters().bytes_read == before


# values and places
def test_synchronize_waits_for_what_was_enqueued(backend):
    opened = backend.device
    gate = cl.UserEvent(opened.context)
    marker = cl.enqueue_marker(opened.queue, wait_for=[gate])
    assert marker.command_execution_status != cl.command_execution_status.COMPLETE
    threading.Timer(0.05, lambda: gate.set_status(cl.command_execution_status.COMPLETE)).start()
    tn.synchronize()
    assert marker.command_execution_status == cl.command_execution_status.COMPLETE
    with pytest.raises(DeviceError):
        tn.synchronize("nowhere")


def test_writing_leaves_older_formulas_alone():
    x = values(5)
    before = x.tolist()
    y = x * 2
    view = x[1:3]
    x.add_(1)
    x[0] = 7
    assert y.tolist() == pytest.approx([2 * v for v in before])
    assert x.tolist() == pytest.approx([7, *(v + 1 for v in before[1:])])
    assert view.tolist() == x.tolist()[1:3]


def test_overlapping_writes_read_what_was_there():
    x = tn.arange(10.0)
    x[1:] = x[:-1]
    assert x.tolist() == [0, *range(9)]
    x[:-1].add_(x[1:])
    assert x.tolist() == [0, 1, 3, 5, 7, 9, 11, 13, 15, 8]


def test_writing_through_a_view_of_something_not_computed():
    x = values(4, 6)
    y = x + 1
    y.T[2:4].mul_(0)
    expected = x.cpu() + 1
    expected.T[2:4].mul_(0)
    np.testing.assert_array_equal(np.asarray(y), np.asarray(expected))


def test_formulas_do_not_grow_without_end(count):
    x = tn.zeros(10)

    def grow():
        nonlocal x
        for _ in range(1000):
            x = x + 1

    assert count(grow) >= 20
    assert x.tolist() == [1000.0] * 10


def test_a_chain_of_products_and_sums_stays_bounded():
    x, w = values(8, 8) * 0.1, values(8, 8) * 0.1
    y = x
    for _ in range(200):
        y = (y @ w).tanh() + x
    z = x.cpu()
    for _ in range(200):
        z = (z @ w.cpu()).tanh() + x.cpu()
    np.testing.assert_allclose(np.asarray(y), np.asarray(z), rtol=1e-4, atol=1e-5)


def test_indices_raise_where_they_are_used():
    x = values(3, 4)
    with pytest.raises(DimError, match=r"^index: index 5 is out of range for dim 0 of size 3$"):
        x[tn.tensor([0, 5])]
    computed = tn.arange(3) * 2
    with pytest.raises(DimError, match=r"^index: index 4 is out of range for dim 0 of size 3$"):
        x[computed]
    unknown = (tn.rand(5) * 2).long()
    assert x[unknown].shape == (5, 4)
    wrapped = tn.tensor([-1]).to(tn.uint8).long()
    with pytest.raises(DimError, match=r"^index: index 255 is out of range for dim 0 of size 3$"):
        x[wrapped]


def test_running_sums_of_many_do_not_drift(backend):
    """One by one in float32, 800,000 of 0.1 are some 0.1 % off."""
    if not backend.device.has_fp64:
        pytest.skip("the device has no float64")
    x = tn.tensor(np.full(800_000, 0.1, np.float32))
    np.testing.assert_allclose(np.asarray(x.cumsum(0)), 0.1 * np.arange(1, 800_001), rtol=1e-6)


def test_threads_compute_side_by_side():
    found, x = {}, values(100, 100)

    def work(i):
        y = x
        for _ in range(20):
            y = (y @ x * 0.05).tanh() + i
        found[i] = np.asarray(y)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        again = x.cpu()
        for _ in range(20):
            again = (again @ x.cpu() * 0.05).tanh() + i
        np.testing.assert_allclose(found[i], np.asarray(again), rtol=1e-3, atol=1e-4)


def add_one(row):
    row.add_(1)


def put_one(row):
    row.index_put_((tn.tensor([0, 2]),), tn.ones(2), accumulate=True)


@pytest.mark.parametrize("write", [add_one, put_one])
def test_threads_write_rows_of_one_tensor(write):
    x = tn.zeros(2, 3)

    def work(row):
        for _ in range(500):
            write(row)

    with futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, x.unbind()))
    assert x[:, 0].tolist() == x[:, 2].tolist() == [500, 500]


def test_the_same_seed_trains_alike_on_both_backends():
    losses = {}
    for device in ("cpu", DEVICE):
        tn.manual_seed(3)
        model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.2), nn.Linear(30, 5))
        model.to(device)
        x, y = tn.randn(200, 20, device=device), tn.randint(5, (200,), device=device)
        loader = tn.data.DataLoader(tn.data.TensorDataset(x, y), batch_size=32, shuffle=True)
        optimizer = tn.optim.Adam(model.parameters(), lr=3e-3)
        losses[device] = []
        while len(losses[device]) < 100:
            for images, labels in loader:
                loss = nn.functional.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[device].append(loss.item())
    np.testing.assert_allclose(losses[DEVICE], losses["cpu"], rtol=1e-4)
