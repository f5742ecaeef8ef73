"""What recorded functions reach in roundabout ways: weakly, by names that are values, as keys, when
objects are made, in optimisers, in what installed packages made; and what they change themselves.
"""

import collections
import copy
import dataclasses
import enum
import functools
import operator
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import tinynet as tn
from tests.jit.checks import assert_seen
from tinynet import names, nn, reaching

FACTOR = 2.0
HELD = types.SimpleNamespace(scale=2.0)
SCALES = ("scale",)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What tests change is restored."""
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    monkeypatch.setattr(HELD, "scale", 2.0)


def space():
    return types.SimpleNamespace(scale=2.0)


def set_factor():
    global FACTOR
    FACTOR = 5.0


def set_held():
    HELD.scale = 5.0


def times_factor(x):
    return x * FACTOR


class Kind(enum.Enum):
    SCALE = "scale"


class Trainer:
    def __init__(self):
        self.loss, self.weight = "absolute", 2.0

    def absolute(self, x):
        return x * self.weight

    def step(self, x):
        return getattr(self, self.loss)(x)


class Loss:
    def __init__(self, config):
        self.scale = config.scale

    def __call__(self, x):
        return x * self.scale


class Helped:
    def __init__(self):
        self.scale = held_scale()


def held_scale():
    return HELD.scale


@dataclasses.dataclass
class Made:
    scale: float = dataclasses.field(default_factory=held_scale)


class Only:
    it = None

    def __new__(cls):
        if cls.it is None:
            cls.it = object.__new__(cls)
            cls.it.scale = 2.0
        return cls.it


class Registered(type):
    instances: dict[type, object] = {}  # noqa: RUF012

    def __call__(cls):
        if cls not in cls.instances:
            cls.instances[cls] = super().__call__()
        return cls.instances[cls]


class OnlyOne(metaclass=Registered):
    def __init__(self):
        self.scale = 2.0


class Missing(dict):
    def __missing__(self, key):
        return FACTOR


class WithSetter:
    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        self._value = value * FACTOR


# Each case: the function, and what is changed.
def a_method_named_by_an_attribute():
    trainer = Trainer()
    return trainer.step, lambda: setattr(trainer, "weight", 5.0)


def an_attribute_named_in_a_tuple():
    config = space()
    return (lambda x: x * getattr(config, SCALES[0])), lambda: setattr(config, "scale", 5.0)


def an_attribute_named_by_an_enum():
    config = space()
    return (
        lambda x: x * getattr(config, Kind.SCALE.value),
        lambda: setattr(config, "scale", 5.0),
    )


def an_attribute_named_by_a_key():
    config, wanted = space(), {"scale": 1.0}

    def function(x):
        return x * sum(getattr(config, name) * weight for name, weight in wanted.items())

    return function, lambda: setattr(config, "scale", 5.0)


def a_getter():
    config, get = space(), operator.attrgetter("scale")
    return (lambda x: x * get(config)), lambda: setattr(config, "scale", 5.0)


def a_caller():
    scaled, call = Loss(space()), operator.methodcaller("__call__", x=tn.ones(2))
    return (lambda x: x * call(scaled)), lambda: setattr(scaled, "scale", 5.0)


def an_attribute_of_a_parameter():
    weight = nn.Parameter(tn.ones(2))
    weight.penalty = 2.0
    return (lambda x: (x * weight).detach() * weight.penalty), lambda: setattr(
        weight, "penalty", 5.0
    )


def a_function_as_a_key():
    losses = {times_factor: 1.0}
    return (lambda x: sum(w * loss(x) for loss, w in losses.items())), set_factor


def a_proxy():
    trainer = Trainer()
    callback = types.SimpleNamespace(trainer=weakref.proxy(trainer), keeps=[trainer])
    return (lambda x: x * callback.trainer.weight), lambda: setattr(trainer, "weight", 5.0)


def a_weak_reference():
    trainer = Trainer()
    callback = types.SimpleNamespace(trainer=weakref.ref(trainer), keeps=[trainer])
    return (lambda x: x * callback.trainer().weight), lambda: setattr(trainer, "weight", 5.0)


def an_attribute_that_is_tried():
    config = types.SimpleNamespace()

    def function(x):
        try:
            return x * config.scale
        except AttributeError:
            return x

    return function, lambda: setattr(config, "scale", 5.0)


def an_attribute_asked_for_after_another_text():
    configs = {"first": types.SimpleNamespace()}
    return (lambda x: x * getattr(configs["first"], "scale", 2.0)), lambda: setattr(
        configs["first"], "scale", 5.0
    )


def an_attribute_that_may_be_among_all():
    config = types.SimpleNamespace()
    return (lambda x: x * vars(config).get("scale", 2.0)), lambda: setattr(config, "scale", 5.0)


def very_many_dicts():
    dicts = [{"scale": 1.0} for _ in range(200)]

    def function(x):
        for each in dicts:
            x = x * each["scale"]
        return x

    return function, lambda: dicts[199].update(scale=5.0)


def a_missing_key():
    missing = Missing()
    return (lambda x: x * missing["scale"]), set_factor


def a_default():
    defaults = collections.defaultdict(held_scale)

    def function(x):
        return x * (defaults["scale"], defaults.clear())[0]

    return function, set_held


def a_dict_of_the_library():
    wrapped = collections.UserDict(scale=2.0)
    return (lambda x: x * wrapped["scale"]), lambda: wrapped.update(scale=5.0)


def a_chain_of_dicts():
    first = {"scale": 2.0}
    chain = collections.ChainMap(first, {})
    return (lambda x: x * chain["scale"]), lambda: first.update(scale=5.0)


def what_this_thread_has():
    local = threading.local()
    local.scale = 2.0
    return (lambda x: x * local.scale), lambda: setattr(local, "scale", 5.0)


def a_setter():
    def function(x):
        made = WithSetter()
        made.value = 1.0
        return x * made.value

    return function, set_factor


def what_wraps_a_function_of_the_library():
    @functools.wraps(nn.functional.relu)
    def wrapped(x):
        return nn.functional.relu(x) * FACTOR

    return (lambda x: wrapped(x)), set_factor


def an_object_made_with_a_config():
    config = space()
    return (lambda x: Loss(config)(x)), lambda: setattr(config, "scale", 5.0)


def an_object_made_with_help():
    return (lambda x: x * Helped().scale), set_held


def a_dataclass_with_a_factory():
    return (lambda x: x * Made().scale), set_held


def the_only_instance():
    Only.it = None
    return (lambda x: x * Only().scale), lambda: setattr(Only(), "scale", 5.0)


def the_only_instance_by_its_metaclass():
    Registered.instances.clear()
    return (lambda x: x * OnlyOne().scale), lambda: setattr(OnlyOne(), "scale", 5.0)


CASES = [
    a_method_named_by_an_attribute, an_attribute_named_in_a_tuple, an_attribute_named_by_an_enum,
    an_attribute_named_by_a_key, a_getter, a_caller, an_attribute_of_a_parameter,
    a_function_as_a_key, a_proxy, a_weak_reference, an_attribute_that_is_tried,
    an_attribute_asked_for_after_another_text, an_attribute_that_may_be_among_all, very_many_dicts,
    a_missing_key, a_default, a_dict_of_the_library, a_chain_of_dicts, a_setter,
    what_this_thread_has, what_wraps_a_function_of_the_library, an_object_made_with_a_config,
    an_object_made_with_help,
    a_dataclass_with_a_factory, the_only_instance, the_only_instance_by_its_metaclass,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_reached_is_seen_to_change(on_device, case):
    assert_seen(*case())


# installed packages
PACKAGE = """
from tinynet import nn

class Scaled:
    def __init__(self, scale):
        self.scale, self.options = scale, {"scale": 1.0}

    def __call__(self, x):
        return x * self.scale * self.options["scale"]

class Runner:
    def __init__(self, function):
        self.function = function

    def run(self, x):
        return self.function(x)

class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config

    def forward(self, x):
        return x * self.config.scale

def scaled(config, x):
    return x * config.scale
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is installed."""
    (tmp_path / "an_installed_package.py").write_text(PACKAGE)
    monkeypatch.setattr(names, "_installed", lambda: (str(tmp_path),))
    monkeypatch.syspath_prepend(str(tmp_path))
    import an_installed_package

    yield an_installed_package
    del sys.modules["an_installed_package"]


def test_an_object_of_an_installed_package(on_device, package):
    scaled = package.Scaled(2.0)
    assert_seen(lambda x: scaled(x), lambda: setattr(scaled, "scale", 5.0))
    assert_seen(lambda x: scaled(x), lambda: scaled.options.update(scale=7.0))


def test_a_function_that_such_an_object_calls(on_device, package):
    config = space()
    runner = package.Runner(lambda x: x * config.scale)
    assert_seen(lambda x: runner.run(x), lambda: setattr(config, "scale", 5.0))


def test_an_object_that_such_a_module_has(on_device, package):
    config = space()
    layer = package.Layer(config)
    assert_seen(lambda x: layer(x), lambda: setattr(config, "scale", 5.0))


def test_an_object_handed_to_such_a_function(on_device, package):
    config = space()
    assert_seen(lambda x: package.scaled(config, x), lambda: setattr(config, "scale", 5.0))


# optimisers
class Own(tn.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def update(self, parameter, gradient, state, group):
        parameter.sub_(gradient * FACTOR * group["lr"])


class Paused(tn.optim.SGD):
    is_on = True

    def step(self, closure=None):
        if self.is_on:
            super().step(closure)


class Shrinking:
    """Wraps an optimiser, as Lookahead does."""

    def __init__(self, inner):
        self.inner, self.param_groups, self.share = inner, inner.param_groups, 1.0

    def zero_grad(self):
        self.inner.zero_grad()

    def step(self):
        self.inner.step()
        with tn.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(self.share)


def other_groups(optimizer):
    parameters = optimizer.param_groups[0]["params"]
    optimizer.param_groups = tn.optim.SGD(parameters, lr=0.3).param_groups


OPTIMIZERS = {
    "a global in an update": (Own, lambda _: set_factor()),
    "an update of one": (Own, lambda o: setattr(o, "update", lambda *_: None)),
    "an attribute of a class": (lambda p: Paused(p, lr=0.1), lambda o: setattr(o, "is_on", False)),
    "an attribute of a wrapper": (
        lambda p: Shrinking(tn.optim.SGD(p, lr=0.1)),
        lambda o: setattr(o, "share", 0.5),
    ),
    "a step of one": (
        lambda p: tn.optim.SGD(p, lr=0.1),
        lambda o: setattr(o, "step", lambda: None),
    ),
    "other groups": (lambda p: tn.optim.SGD(p, lr=0.1), other_groups),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_does_is_seen_to_change(on_device, name):
    make, change = OPTIMIZERS[name]

    def train(is_recorded):
        globals()["FACTOR"] = 0.5
        weight = tn.ones(1, requires_grad=True)
        optimizer = make([weight])

        def step(x):
            optimizer.zero_grad()
            (weight * x).square().sum().backward()
            optimizer.step()

        step = tn.jit(step) if is_recorded else step
        weights = []
        for i in range(8):
            if i == 4:
                change(optimizer)
            step(tn.ones(1))
            weights.append(weight.item())
        return weights

    assert train(True) == pytest.approx(train(False), rel=1e-5)


# what the function changes itself: replays leave plain values as it does, else there are none
@pytest.mark.filterwarnings("ignore:jit")
@pytest.mark.parametrize("where", ["attribute", "slot", "class", "variable", "dict", "deque"])
def test_what_changes_and_comes_back(on_device, where):
    def made():
        trainer, slotted = types.SimpleNamespace(turn=0), Slotted()
        turn, table, queue = 0, {"turn": 0}, collections.deque([0, 1])
        slotted.turn = Turned.turn = 0

        def function(x):
            nonlocal turn
            if where == "attribute":
                now = trainer.turn = 1 - trainer.turn
            elif where == "slot":
                now = slotted.turn = 1 - slotted.turn
            elif where == "class":
                now = Turned.turn = 1 - Turned.turn
            elif where == "variable":
                now = turn = 1 - turn
            elif where == "dict":
                now = table["turn"] = 1 - table["turn"]
            else:
                queue.rotate()
                now = queue[0]
            return x * (10 if now else 1)

        return function

    function, x = made(), tn.ones(1)
    expected = [function(x).item() for _ in range(12)]
    recorded = tn.jit(made())
    assert [recorded(x).item() for _ in range(12)] == expected
    assert recorded.count == (2 if where in ("attribute", "slot", "variable") else 11)


class Slotted:
    __slots__ = ("turn",)


class Turned:
    turn = 0


def test_gradients_that_are_accumulated_in_turns(on_device):
    def train(wrap):
        weight, turn = tn.ones(2, requires_grad=True), types.SimpleNamespace(i=0)
        optimizer = tn.optim.SGD([weight], lr=0.1)

        def step(x):
            (weight * x).sum().backward()
            turn.i = (turn.i + 1) % 2
            if turn.i == 0:
                optimizer.step()
                optimizer.zero_grad()

        run, seen = wrap(step), []
        for _ in range(12):
            run(tn.ones(2))
            seen += [weight[0].item(), turn.i]
        return run, seen

    recorded, seen = train(tn.jit)
    _, expected = train(lambda function: function)
    assert seen == pytest.approx(expected, rel=1e-5)
    assert recorded.count <= 4


def test_functions_that_switch_between_training_and_evaluation(on_device):
    def modes(wrap):
        tn.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

        @wrap
        def step(x):
            model.train()
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        @wrap
        def evaluate(x):
            model.eval()
            return model(x).mean()

        seen = []
        for _ in range(6):
            seen += [step(tn.ones(6, 4)).item(), model.training, model[1].training]
            seen += [evaluate(tn.ones(6, 4)).item(), model.training, model[1].training]
        return (step, evaluate), seen

    functions, seen = modes(tn.jit)
    _, expected = modes(lambda function: function)
    assert seen == pytest.approx(expected, rel=1e-5)
    assert max(function.count for function in functions) <= 2


def test_what_a_replay_leaves_in_a_module_others_see(on_device):
    def results(wrap):
        model, x = nn.Sequential(nn.Dropout(1.0)), tn.ones(3)
        train = wrap(lambda x: model.train()(x) + 1)
        predict = wrap(lambda x: model(x))
        found = [predict(x).tolist() for _ in range(2)]  # of its recordings, that comes last
        for _ in range(6):
            found += [train(x).tolist(), predict(x).tolist()]
            model.eval()
            found += [predict(x).tolist(), train(x).tolist(), predict(x).tolist()]
        return found

    assert results(tn.jit) == results(lambda function: function)


# what does not matter
class Listening:
    """With a method that has the name of one of an optimiser's."""

    def __init__(self):
        self.model, self.losses, self.seen = nn.Linear(4, 3), [], 0

    def step(self, x):
        return self.model(x).sum()

    def update(self, loss):
        self.losses.append(loss)
        self.seen += 1


class Shaped(nn.Module):
    """It notes a shape, which no code reads."""

    def __init__(self):
        super().__init__()
        self.last_shape = None

    def forward(self, x):
        self.last_shape = x.shape
        return x * 2


MADE = {"count": 0}


class Registering:
    def __init__(self, x):
        self.x = x
        self.register()

    def register(self):
        MADE["count"] += 1


def test_a_method_that_is_called_as_an_optimizer_s(on_device):
    listening = Listening()
    recorded = tn.jit(listening.step)
    for _ in range(6):
        listening.update(recorded(tn.ones(2, 4)).item())
    assert recorded.count == 1


def test_a_shape_that_a_module_notes(on_device):
    net = Shaped()
    recorded = tn.jit(lambda x: net(x))
    for i in range(8):
        assert recorded(tn.ones(1 + i % 2)).tolist() == [2.0] * (1 + i % 2)
    assert recorded.count == 2


def test_the_making_of_objects_counts_them_by_a_method(on_device):
    recorded = tn.jit(lambda x: Registering(x).x * 2)
    for _ in range(6):
        assert recorded(tn.ones(1)).item() == 2.0
    assert recorded.count == 1


def test_very_many_words(on_device, monkeypatch):
    trainer = types.SimpleNamespace(words={f"w{i}": i for i in range(20_000)}, lists=[])
    trainer.lists = [[f"v{i}{j}" for j in range(100)] for i in range(100)]

    def function(x):
        return x * (trainer.words["w2"] if hasattr(trainer, "ema") else len(trainer.lists))

    looks = []
    look_at = reaching.Search.look_at
    monkeypatch.setattr(reaching.Search, "look_at", lambda *args: looks.append(1) or look_at(*args))
    recorded = tn.jit(function, warm_up=False)
    assert recorded(tn.ones(1)).item() == 100
    assert len(looks) < 50_000  # about one for each word


class Answering:
    """An object with slots that are empty, and an answer to every question."""

    __slots__ = ("scale", "step")

    def __getattr__(self, name):
        raise ValueError(name)


def test_no_code_of_what_is_reached_runs(on_device):
    holder = types.SimpleNamespace(thing=Answering(), is_on=False)

    def function(x):
        return x * (holder.thing.scale if holder.is_on else 2)

    recorded = tn.jit(function)
    assert [recorded(tn.ones(1)).item() for _ in range(3)] == [2.0] * 3
    holder.thing.scale = 5.0
    holder.is_on = True
    assert recorded(tn.ones(1)).item() == 5.0


# what is seen now
def test_what_partial_functions_are_given_by_name(on_device):
    scaled = functools.partial(lambda x, by: x * by, by=2.0)
    assert_seen(lambda x: scaled(x), lambda: scaled.keywords.update(by=5.0))


def test_dicts_with_weak_keys_and_values(on_device):
    trainer, other = Trainer(), Trainer()
    other.weight = 5.0
    by_key = weakref.WeakKeyDictionary({trainer: 2.0})
    values = weakref.WeakValueDictionary(held=trainer)
    assert_seen(lambda x: x * by_key[trainer], lambda: by_key.update({trainer: 5.0}))
    assert_seen(lambda x: x * values["held"].weight, lambda: values.update(held=other))


def test_copies_arrays_and_items_of_classes(on_device):
    held = {"value": 2.0}

    class Scale:
        def __copy__(self):
            return held["value"]

        def __array__(self, dtype=None, copy=None):
            return np.array(held["value"])

        def __class_getitem__(cls, key):
            return held["value"]

    scale = Scale()
    for function in (
        lambda x: x * copy.copy(scale),
        lambda x: x * float(np.asarray(scale)),
        lambda x: x * Scale[0],
    ):
        held["value"] = 2.0
        assert_seen(function, lambda: held.update(value=5.0))


def test_attributes_of_modules_that_are_set_past_them(on_device):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            vars(self)["calls"] = self.calls + 1
            return x * self.calls

    module = Counting()
    recorded = tn.jit(lambda x: module(x))
    assert [recorded(tn.ones(1)).item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]


def test_numbers_of_more_digits_than_python_writes(on_device):
    held = types.SimpleNamespace(big=10**5000)
    recorded = tn.jit(lambda x: x * (held.big % 7))
    expected = held.big % 7
    for _ in range(4):
        held.big = 10**5000
        assert recorded(tn.ones(1)).item() == expected
    assert recorded.count == 1


def test_settings_are_seen_beside_large_lists_of_objects(on_device):
    class Trainer:
        def __init__(self):
            self.files = [(f"{i}.png", i) for i in range(3000)]
            self.samples = [types.SimpleNamespace(scale=i) for i in range(3000)]
            self.settings = types.SimpleNamespace(model=types.SimpleNamespace(scale=2.0))

        def step(self, x):
            return x * self.settings.model.scale + 0 * len(self.files) + 0 * len(self.samples)

    trainer = Trainer()
    assert_seen(trainer.step, lambda: setattr(trainer.settings.model, "scale", 5.0))
