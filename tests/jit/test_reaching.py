"""What recorded functions reach: objects handed on, attributes that are not there yet."""

import collections
import dataclasses
import functools
import gc
import sys
import types
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tests.jit.checks import assert_seen
from tinynet import names, nn

FACTOR = 2.0
HELD = types.SimpleNamespace(scale=2.0)


class Base(nn.Module):
    k = 2.0

    def forward(self, x):
        return x * self.k


class Scaled(dict):
    def times(self, x):
        return x * self.scale * FACTOR


class Listed(list):
    pass


class Rates(collections.namedtuple("Rates", "rate")):
    __slots__ = ()

    def times(self, x):
        return x * self.rate * FACTOR


class Number(float):
    def times(self, x):
        return x * FACTOR


class Described:
    def __get__(self, instance, owner):
        return FACTOR


class Owner:
    factor = Described()

    def times(self, x, n):
        return x * n * FACTOR

    twice = functools.partialmethod(times, n=2)

    @functools.singledispatchmethod
    def chosen(self, what, x):
        return x

    @chosen.register
    def _(self, what: int, x):
        return x * FACTOR


@functools.singledispatch
def chosen(what, x):
    return x


@chosen.register
def _(what: int, x):
    return x * FACTOR


@dataclasses.dataclass
class Config:
    scale: float = 2.0


def scale_by(config, x):
    return x * config.scale


def held():
    return HELD


def set_factor():
    global FACTOR
    FACTOR = 5.0


# Each case: the function, and what is changed.
def handed_to_a_function():
    config = types.SimpleNamespace(scale=2.0)
    return (lambda x: scale_by(config, x)), lambda: setattr(config, "scale", 5.0)


def fetched_by_a_function():
    return (lambda x: x * held().scale), lambda: setattr(HELD, "scale", 5.0)


def handed_to_a_callback():
    class Trainer:
        def __init__(self):
            self.scale = 2.0
            self.callbacks = [types.SimpleNamespace(on_step=lambda trainer, x: x * trainer.scale)]

        def step(self, x):
            return self.callbacks[0].on_step(self, x)

    trainer = Trainer()
    return trainer.step, lambda: setattr(trainer, "scale", 5.0)


def handed_to_an_object_made_inside():
    class Block:
        def __init__(self, config):
            self.config = config

        def run(self, x):
            return x * self.config.scale

    config = Config()
    return (lambda x: Block(config).run(x)), lambda: setattr(config, "scale", 5.0)


def handed_by_a_partial():
    config = Config()
    return functools.partial(scale_by, config), lambda: setattr(config, "scale", 5.0)


def handed_on_by_a_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.settings = Config()

        def forward(self, x):
            return scale_by(self.settings, x)

    net = Net()
    return (lambda x: net(x)), lambda: setattr(net.settings, "scale", 5.0)


def an_attribute_that_comes_later():
    config = types.SimpleNamespace()
    return (lambda x: x * getattr(config, "scale", 2.0)), lambda: setattr(config, "scale", 5.0)


def asked_for_before_it_is_there():
    config = types.SimpleNamespace()

    def function(x):
        return x * 3 if hasattr(config, "scale") else x

    return function, lambda: setattr(config, "scale", 5.0)


def an_attribute_of_a_function_that_comes_later():
    def other(x):
        return x

    return (lambda x: x * getattr(other, "scale", 2.0)), lambda: setattr(other, "scale", 5.0)


def a_class_attribute_that_comes_later():
    class Derived(Base):
        pass

    net = Derived()
    return (lambda x: net(x)), lambda: setattr(Derived, "k", 5.0)


def a_method_that_comes_later():
    class Derived(Base):
        pass

    net = Derived()
    return (lambda x: net(x)), lambda: setattr(Derived, "forward", lambda self, x: x * 7)


def an_attribute_of_a_dict():
    scaled = Scaled()
    scaled.scale = 2.0
    return scaled.times, lambda: setattr(scaled, "scale", 5.0)


def an_attribute_of_a_list():
    listed = Listed([1.0])
    listed.scale = 2.0
    return (lambda x: x * listed.scale), lambda: setattr(listed, "scale", 5.0)


def a_method_of_a_named_tuple():
    rates = Rates(2.0)
    return (lambda x: rates.times(x)), set_factor


def a_method_of_a_float():
    number = Number(2.0)
    return (lambda x: number.times(x)), set_factor


def a_descriptor():
    owner = Owner()
    return (lambda x: x * owner.factor), set_factor


def a_partial_method():
    owner = Owner()
    return (lambda x: owner.twice(x)), set_factor


def a_function_that_dispatches():
    return (lambda x: chosen(1, x)), set_factor


def a_method_that_dispatches():
    owner = Owner()
    return (lambda x: owner.chosen(1, x)), set_factor


def all_attributes():
    config = Config()
    return (lambda x: x * sum(vars(config).values())), lambda: setattr(config, "scale", 5.0)


def a_dataclass_as_a_dict():
    config = Config()

    def function(x):
        return x * dataclasses.asdict(config)["scale"]

    return function, lambda: setattr(config, "scale", 5.0)


def a_class_that_is_matched():
    space = {"Config": Config, "config": Config()}
    exec(  # a syntax error in older readers
        "def function(x):\n"
        "    match config:\n"
        "        case Config(scale=value):\n"
        "            return x * value\n",
        space,
    )
    return space["function"], lambda: setattr(space["config"], "scale", 5.0)


CASES = [
    handed_to_a_function, fetched_by_a_function, handed_to_a_callback,
    handed_to_an_object_made_inside, handed_by_a_partial, handed_on_by_a_module,
    an_attribute_that_comes_later, asked_for_before_it_is_there,
    an_attribute_of_a_function_that_comes_later, a_class_attribute_that_comes_later,
    a_method_that_comes_later, an_attribute_of_a_dict, an_attribute_of_a_list,
    a_method_of_a_named_tuple, a_method_of_a_float, a_descriptor, a_partial_method,
    a_function_that_dispatches, a_method_that_dispatches, all_attributes, a_dataclass_as_a_dict,
    a_class_that_is_matched,
]  # fmt: skip


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What tests change is restored."""
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    monkeypatch.setattr(HELD, "scale", 2.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_reached_is_seen_to_change(on_device, case):
    assert_seen(*case())


def test_relative_imports_are_followed(on_device, tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("FACTOR = 2.0\n")
    (package / "steps.py").write_text(
        "def one(x):\n    from .settings import FACTOR\n    return x * FACTOR\n"
        "def other(x):\n    from . import settings\n    return x * settings.FACTOR\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from a_package_of_tests import settings, steps

    one, other = tn.jit(steps.one), tn.jit(steps.other)
    for _ in range(3):
        assert one(tn.ones(1)).item() == other(tn.ones(1)).item() == 2.0
    settings.FACTOR = 5.0
    assert one(tn.ones(1)).item() == other(tn.ones(1)).item() == 5.0
    for name in [name for name in sys.modules if name.startswith("a_package_of_tests")]:
        del sys.modules[name]


def test_what_an_installed_package_reads_of_modules(on_device, tmp_path, monkeypatch):
    """Its code is not the program's, and yet a module of its own, or of the program's, is read."""
    (tmp_path / "an_installed_package.py").write_text(
        "from tinynet import nn\n"
        "class Net(nn.Module):\n"
        "    scale = 1.0\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.scale = 2.0\n"
        "    def forward(self, x):\n"
        "        return x * self.scale\n"
        "def scaled(module, x):\n"
        "    return x * module.temperature\n"
    )
    monkeypatch.setattr(names, "_installed", lambda: (str(tmp_path),))
    monkeypatch.syspath_prepend(str(tmp_path))
    import an_installed_package as package

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.temperature = 2.0

        def forward(self, x):
            return package.scaled(self, x)

    theirs, own = package.Net(), Own()
    recorded = tn.jit(lambda x: own(theirs(x)))
    for _ in range(3):
        assert recorded(tn.ones(1)).item() == 4.0
    assert recorded.count == 1
    theirs.scale = 5.0
    assert recorded(tn.ones(1)).item() == 10.0
    own.temperature = 3.0
    assert recorded(tn.ones(1)).item() == 15.0
    del sys.modules["an_installed_package"]


def test_names_put_together_of_a_modules_attributes(on_device):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale0, self.scale1 = 2.0, 3.0

        def forward(self, x):
            return x * sum(getattr(self, f"scale{i}") for i in range(2))

    net = Net()
    recorded = tn.jit(lambda x: net(x))
    for _ in range(3):
        assert recorded(tn.ones(1)).item() == 5.0
    net.scale1 = 5.0
    assert recorded(tn.ones(1)).item() == 7.0


def test_an_object_that_is_replaced_by_none(on_device):
    holder = types.SimpleNamespace(extra=Owner())

    def function(x):
        return x if holder.extra is None else x * 2

    recorded = tn.jit(function)
    for _ in range(3):
        assert recorded(tn.ones(1)).item() == 2.0
    holder.extra = None
    gc.collect()
    assert recorded(tn.ones(1)).item() == 1.0


def test_a_modules_attribute_becomes_none(on_device):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = 2.0

        def forward(self, x):
            return x if self.factor is None else x * self.factor

    net = Net()
    recorded = tn.jit(lambda x: net(x))
    for _ in range(3):
        assert recorded(tn.ones(1)).item() == 2.0
    net.factor = None
    assert recorded(tn.ones(1)).item() == 1.0


def test_slots_of_each_object(on_device):
    class Slotted:
        __slots__ = ("factor",)

    a, b = Slotted(), Slotted()
    a.factor, b.factor = 2.0, 3.0
    recorded = tn.jit(lambda x: x * a.factor * b.factor)
    for _ in range(3):
        assert recorded(tn.ones(1)).item() == 6.0
    b.factor = 5.0
    assert recorded(tn.ones(1)).item() == 10.0
    a.factor = 3.0
    assert recorded(tn.ones(1)).item() == 15.0


# what does not matter
def test_a_counter_with_the_name_of_a_method(on_device):
    class Trainer:
        def __init__(self):
            self.model = nn.Linear(3, 2)
            self.optimizer = tn.optim.SGD(self.model.parameters(), lr=0.1)
            self.step, self.mean = 0, 0.0
            self.train = tn.jit(self.run)

        def run(self, x):
            self.optimizer.zero_grad()
            loss = self.model(x).square().mean()
            loss.backward()
            self.optimizer.step()
            return loss

    trainer = Trainer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(12):
            trainer.mean += trainer.train(tn.ones(4, 3)).item()
            trainer.step += 1
    assert trainer.train.count == 1


def test_what_no_code_reads_of_a_users_module(on_device):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.global_step, self.last = nn.Linear(3, 2), 0, 0.0

        def forward(self, x):
            return self.layer(x)

    net = Net()
    recorded = tn.jit(lambda x: net(x))
    for _ in range(12):
        recorded(tn.ones(4, 3))
        net.global_step += 1
        net.last = float(net.global_step)
    assert recorded.count == 1


@pytest.mark.parametrize(
    "make",
    [lambda: np.float32(2.0), lambda: slice(0, 2), lambda: Path("a"), lambda: range(3),
     lambda: complex(2.0)],
)  # fmt: skip
def test_an_equal_value_is_the_same(on_device, make):
    holder = types.SimpleNamespace(value=make())

    def function(x):
        return x if holder.value is None else x * 2

    recorded = tn.jit(function)
    for _ in range(8):
        recorded(tn.ones(2))
        holder.value = make()
    assert recorded.count == 1


def test_models_that_are_gone_are_not_kept(on_device):
    @tn.jit
    def step(model, optimizer, x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    weights = []
    for _ in range(6):
        model = nn.Linear(3, 2)
        optimizer = tn.optim.Adam(model.parameters())
        for _ in range(4):
            step(model, optimizer, tn.ones(4, 3))
        weights.append(weakref.ref(model.weight))
    del model, optimizer
    gc.collect()
    assert sum(weight() is not None for weight in weights) <= 1


def test_models_that_are_replaced_are_not_kept(on_device):
    holder = types.SimpleNamespace()
    recorded = tn.jit(lambda x: holder.model(x))
    weights = []
    for _ in range(6):
        holder.model = nn.Sequential(nn.Linear(3, 2))
        for _ in range(4):
            recorded(tn.ones(4, 3))
        weights.append(weakref.ref(holder.model[0].weight))
    gc.collect()
    assert sum(weight() is not None for weight in weights) <= 2


def test_another_device_by_default_is_seen(monkeypatch):
    recorded = tn.jit(lambda: tn.ones(2))
    for _ in range(3):
        assert recorded().device == tn.ones(2).device
    for device in ("cpu", "opencl"):
        monkeypatch.setenv("TINYNET_DEVICE", device)
        for _ in range(3):
            assert recorded().device == tn.ones(2).device


def test_state_that_is_made_anew_is_named(on_device):
    model = nn.Linear(3, 2)
    optimizer = tn.optim.Adam(model.parameters())
    empty = optimizer.state_dict()

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    def train():
        for _ in range(10):
            optimizer.load_state_dict(empty)
            for _ in range(4):
                step(tn.ones(4, 3))

    with pytest.warns(
        UserWarning, match="state that it makes keeps changing|a tensor that it uses"
    ):
        train()
