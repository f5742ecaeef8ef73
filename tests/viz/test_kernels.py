"""`viz.kernels`: what was fused in which kernel, and which reads what another one wrote."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.backends import open_backend
from tinynet.errors import ArgumentError, ArgumentTypeError, DeviceError
from tinynet.viz import kernels


@pytest.fixture
def opencl():
    try:
        open_backend("opencl")
    except DeviceError as error:
        pytest.skip(str(error))
    return "opencl"


def labels(drawn):
    return [vertex.label for vertex in drawn.vertices]


def make_step(device):
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1)).to(device)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, tn.ones(4, 8, device=device)


def test_a_tape(device):
    step, x = make_step(device)
    for _ in range(3):
        step(x)
    drawn = kernels(step.tape)
    n = len(drawn)
    assert n == len(step.tape.launches if device != "cpu" else step.tape.calls)
    assert all(vertex.kind == "kernel" for vertex in drawn.vertices)
    assert "us" not in drawn.vertices[0].note
    second = next(i for i, text in enumerate(labels(drawn)) if i and "matmul" in text)
    before = {a for a, b in drawn.edges if b == second}
    while before and 0 not in before:  # the second layer comes from the first
        before = {a for a, b in drawn.edges if b in before}
    assert 0 in before
    with tn.profile() as seen:
        step(x)
    timed = kernels(step.tape)
    assert labels(timed) == labels(drawn)
    assert timed.edges == drawn.edges
    assert " us, " in timed.vertices[0].note
    assert [run.ops for run in seen.kernels][:n] == [run.ops for run in step.tape.runs()]
    step(x)  # goes on


def test_fused_on_opencl(opencl):
    step, x = make_step(opencl)
    for _ in range(3):
        step(x)
    first = labels(kernels(step.tape))[0].split()
    assert first == ["matmul", "add", "maximum"]  # a layer with its bias and its ReLU


def test_a_profile(device):
    x = tn.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    with tn.profile() as seen:
        y = (x @ x).exp()
        y.sum(0).tolist()
    drawn = kernels(seen)
    text = " ".join(labels(drawn)).split()
    assert [op for op in text if op in ("matmul", "exp", "sum")] == ["matmul", "exp", "sum"]
    assert len(drawn.edges) == len(drawn) - 1  # one after the other
    facts = dict(drawn.vertices[0].details)
    assert facts["device"] == device
    assert facts["flops"] == "16" or device != "cpu"


def test_views_are_of_the_memory_that_they_look_at():
    x = tn.ones(3, 4)
    with tn.profile() as seen:
        y = x.exp()
        y.T.reshape(2, 6).sum(0)
        y[1:].log()
    drawn = kernels(seen)
    assert drawn.sources("log") == ["exp"]


def test_errors():
    with tn.profile() as seen:
        pass
    with pytest.raises(ArgumentError, match="kernels: nothing ran, expected at least one kernel"):
        kernels(seen)
    with pytest.raises(ArgumentTypeError, match="got None, its tape before it is recorded"):
        kernels(tn.jit(lambda x: x).tape)
    with pytest.raises(ArgumentTypeError, match="the tape of a jitted function, got Tensor"):
        kernels(tn.ones(2))
