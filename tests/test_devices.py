"""Tensors on two devices: a second CPU stands for an accelerator."""

import copy
import pickle
import sys
import threading
import time
import types

import numpy as np
import pytest

import tinynet as tn
from tinynet import backends
from tinynet.backends.numpy import NumPyBackend
from tinynet.errors import ArgumentTypeError, DeviceError


class Twin(NumPyBackend):
    """A NumPy backend by another name, which copies what comes and goes."""

    def __init__(self, index):
        self.name = f"twin:{index}" if index else "twin"

    def from_numpy(self, array):
        return np.array(array)

    def to_numpy(self, x):
        return np.array(x)


@pytest.fixture(autouse=True)
def twin(monkeypatch):
    """Register the device "twin" for one test; it stays known, which does no harm."""
    module = types.ModuleType("tests.twin")
    module.open_device = Twin
    monkeypatch.setitem(sys.modules, "tests.twin", module)
    monkeypatch.setitem(backends.MODULES, "twin", "tests.twin")


def test_transfer():
    x = tn.tensor([1.0, 2.0])
    y = x.to("twin")
    assert (y.device, y.device.type, y.device.index) == ("twin", "twin", None)
    assert y.tolist() == [1, 2]
    assert y.to("twin") is y
    assert y.cpu().device == "cpu"
    assert x.to("twin:1").device.index == 1
    assert x.to("twin", tn.float64).dtype is tn.float64
    assert tn.zeros(1).to(y).device == "twin"
    y[0] = 5
    assert x[0] == 1


def test_gradients_cross_devices():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("twin")
    (y * y).sum().to("cpu").backward()
    assert x.grad.device == "cpu"
    assert x.grad.tolist() == [2, 4]


def test_second_gradients_cross_devices():
    x = tn.tensor(2.0, requires_grad=True)
    (first,) = tn.autograd.grad((x.to("twin") ** 3).cpu(), x, create_graph=True)
    (second,) = tn.autograd.grad(first, x)
    assert (first.item(), second.item()) == (12, 12)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, y: x + y,
        lambda x, y: tn.maximum(x, y),
        lambda x, y: x @ y,
        lambda x, y: tn.cat([x, y]),
        lambda x, y: tn.where(x > 0, x, y),
        lambda x, y: tn.where(x > 0, y, y),
        lambda x, y: x.clamp(y),
        lambda x, y: x.add_(y),
        lambda x, y: tn.equal(x, y),
        lambda x, y: x[y.long()],
        lambda x, y: x.gather(0, y.long()),
        lambda x, y: x.scatter(0, y.cpu().long(), y),
        lambda x, y: x.index_select(0, y.long()),
        lambda x, y: x.index_add(0, x.long(), y),
        lambda x, y: x.masked_fill(y > 0, 1.0),
        lambda x, y: x.index_put((x.long(),), y),
        lambda x, y: x.index_put_((x.long(),), y),
        lambda x, y: x[y > 0],
        lambda x, y: x.repeat_interleave(y.long()),
        lambda x, y: tn.meshgrid(x, y),
    ],
)
def test_operations_stay_on_one_device(operation):
    x, y = tn.zeros(2), tn.zeros(2, device="twin")
    message = r"^\w+: tensors are on (cpu and twin|twin and cpu), move one with \.to\(\)$"
    with pytest.raises(DeviceError, match=message):
        operation(x, y)


def test_gradients_start_on_the_tensor_s_device():
    w, seed = tn.ones(2, requires_grad=True), tn.ones(2, device="twin")
    for name, start in {
        "backward": lambda y: y.backward(seed),
        "grad": lambda y: tn.autograd.grad(y, w, grad_outputs=seed),
    }.items():
        message = rf"^{name}: the gradient passed is on twin, the tensor on cpu, move one with"
        with pytest.raises(DeviceError, match=message):
            start(w * 2)
    assert w.grad is None


def test_gradients_end_on_the_leaf_s_device():
    class Double(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad.to("twin")

    w = tn.ones(2, requires_grad=True)
    for x in (w, -w):
        with pytest.raises(DeviceError, match=r"^backward: .* a leaf on cpu is on twin"):
            Double.apply(x).sum().backward()
    assert w.grad is None


def test_numbers_and_arrays_go_where_the_tensor_is():
    x = tn.ones(2, device="twin")
    for y in (x + 1, 1 - x, x * np.float32([1, 2]), x.clamp(0, 1), tn.where(x > 0, x, 0.0),
              x.masked_fill(x > 0, 2.0), x[[0]], x[np.array([True, False])], x.new_zeros(2),
              tn.rand_like(x), tn.bernoulli(x), tn.zeros_like(x), x.sum(), x.argmax(),
              x.sort().indices, x.cumsum(0), tn.diag(x).tril(),
              tn.einsum("i,i", x, x)):  # fmt: skip
        assert y.device == "twin"


def test_creation_on_a_device(monkeypatch):
    creations = (
        lambda **o: tn.zeros(2, **o), lambda **o: tn.tensor([1], **o), lambda **o: tn.eye(2, **o),
        lambda **o: tn.arange(2, **o), lambda **o: tn.linspace(0, 1, 2, **o),
        lambda **o: tn.rand(2, **o), lambda **o: tn.randn(2, **o), lambda **o: tn.randperm(2, **o),
        lambda **o: tn.randint(5, (2,), **o), lambda **o: tn.as_tensor([1], **o),
        lambda **o: tn.tril_indices(2, 2, **o), lambda **o: tn.full((2,), 3, **o),
        lambda **o: tn.normal(0, 1, (2,), **o), lambda **o: tn.logspace(0, 1, 2, **o),
    )  # fmt: skip
    for create in creations:
        assert create(device="twin").device == "twin"
    monkeypatch.setenv("TINYNET_DEVICE", "twin")
    for create in creations:
        assert create().device == "twin"
        assert create(device="cpu").device == "cpu"


def test_writes_from_another_device():
    x, y = tn.zeros(3, requires_grad=True), tn.ones(3, device="twin", requires_grad=True)
    z = x * 1
    z.copy_(y)
    (z * z).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    assert y.grad.tolist() == [2, 2, 2]
    assert y.grad.device == "twin"


def test_to_numpy_and_python():
    x = tn.tensor([1.5, 2.5], device="twin")
    with pytest.raises(ArgumentTypeError, match=r"^numpy: the tensor is on twin, use \.cpu\(\)"):
        x.numpy()
    assert x.numpy(force=True).tolist() == np.asarray(x).tolist() == x.tolist() == [1.5, 2.5]
    assert repr(x) == "tensor([1.5000, 2.5000], device='twin')"
    assert pickle.loads(pickle.dumps(x)).device == copy.deepcopy(x).device == "twin"


def test_random_numbers_are_the_same_everywhere():
    draws = []
    for device in ("cpu", "twin"):
        tn.manual_seed(3)
        draws.append([tn.randn(5, device=device).tolist(), tn.randperm(9, device=device).tolist()])
    assert draws[0] == draws[1]


def test_messages_name_all_devices():
    for name in ("cpu:" + "9" * 5000, "twin:" + "9" * 5000):
        with pytest.raises(DeviceError, match=r"^device: no device '\w+:9{50,60}, there is "):
            tn.ones(1, device=name)
    with pytest.raises(DeviceError, match=r"^device: no device 'gpu', there is .*twin"):
        tn.zeros(2, device="gpu")


def test_one_device_has_several_names(device):
    name = device if ":" in device else f"{device}:0"
    assert (tn.ones(1, device=device) + tn.ones(1, device=name)).tolist() == [2]


def test_threads_that_are_the_first_to_ask_get_the_same_device(monkeypatch):
    ready, found = threading.Barrier(4), []

    class Slow(Twin):
        def __init__(self, index):
            super().__init__(index)
            time.sleep(0.05)

    monkeypatch.setattr(sys.modules["tests.twin"], "open_device", Slow)

    def ask():
        ready.wait()
        found.append(tn.backends.open_backend("twin:77"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1
