"""What a recorded function depends on beside tensors: replays see that it changed."""

import collections
import dataclasses
import functools
import gc
import operator
import sys
import types
import warnings
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentTypeError, GradientError, RecordingError

FACTOR = 2.0


class Encoder(nn.Module):
    scale = 2.0

    def forward(self, x):
        return x

    def encode(self, x):
        return x * FACTOR

    def scaled(self, x):
        return x * self.scale


class Base(nn.Module):
    def forward(self, x):
        return x * FACTOR


class Derived(Base):
    def forward(self, x):
        return super().forward(x)


class Own(tn.autograd.Function):
    factor = 2.0

    @staticmethod
    def forward(ctx, x):
        return x * Own.factor

    @staticmethod
    def backward(ctx, grad):
        return grad * FACTOR


class Settings:
    factor = 2.0

    @staticmethod
    def scale(x):
        return x * Settings.factor

    def __mul__(self, x):
        return x * FACTOR


class Inherited(Settings):
    pass


@dataclasses.dataclass(slots=True)
class Slotted:
    factor: float = 2.0


class MadeInside:
    def __init__(self):
        self.factor = FACTOR


def set_global(name, value):
    def change(monkeypatch):
        monkeypatch.setitem(globals(), name, value)

    return change


def set_attribute(item, name, value):
    def change(monkeypatch):
        monkeypatch.setattr(item, name, value)

    return change


def method_of_a_module():
    model = Encoder()
    return (lambda x: model.encode(x)), set_global("FACTOR", 5.0)


def method_of_a_part():
    model = nn.Sequential(Encoder())
    return (lambda x: model[0].encode(x)), set_global("FACTOR", 5.0)


def attribute_of_a_modules_class():
    model = Encoder()
    return (lambda x: model.scaled(x)), set_attribute(Encoder, "scale", 5.0)


def forward_of_a_modules_class():
    model = Encoder()
    return (lambda x: model(x)), set_attribute(Encoder, "forward", lambda self, x: x * 7)


def method_of_a_base():
    model = Derived()
    return (lambda x: model(x)), set_global("FACTOR", 5.0)


def attribute_of_a_function_class():
    return (lambda x: Own.apply(x)), set_attribute(Own, "factor", 5.0)


def global_of_a_backward():
    def f(x):
        y = x.detach().requires_grad_()
        return tn.autograd.grad(Own.apply(y).sum(), y)[0]

    return f, set_global("FACTOR", 5.0)


def hook_of_a_module():
    model = nn.Identity()
    model.register_forward_hook(lambda module, args, output: output * FACTOR)
    return (lambda x: model(x)), set_global("FACTOR", 5.0)


def gradient_of(weight):
    def f(x):
        return tn.autograd.grad((x * weight).sum(), weight)[0]

    return f


def hook_of_a_tensor():
    weight = tn.ones(3, requires_grad=True)
    weight.register_hook(lambda grad: grad * FACTOR)
    f = gradient_of(weight)
    return f, set_global("FACTOR", 5.0)


def hook_added_to_a_tensor():
    weight = tn.ones(3, requires_grad=True)
    f = gradient_of(weight)
    return f, lambda monkeypatch: weight.register_hook(lambda grad: grad * 10)


def inherited_class_attribute():
    return (lambda x: x * Inherited.factor), set_attribute(Settings, "factor", 5.0)


def static_method():
    return (lambda x: Settings.scale(x)), set_attribute(Settings, "factor", 5.0)


def operator_of_a_class():
    settings = Settings()
    return (lambda x: settings * x), set_global("FACTOR", 5.0)


def slots():
    settings = Slotted()
    return (lambda x: x * settings.factor), set_attribute(settings, "factor", 5.0)


def function_in_an_attribute():
    settings = Settings()
    settings.act = lambda x: x * FACTOR
    return (lambda x: settings.act(x)), set_global("FACTOR", 5.0)


def attribute_of_a_function():
    def scale(x):
        return x * scale.factor

    scale.factor = 2.0
    return (lambda x: scale(x)), set_attribute(scale, "factor", 5.0)


def what_a_class_does_when_called():
    return (lambda x: x * MadeInside().factor), set_global("FACTOR", 5.0)


def import_inside():
    module = types.ModuleType("settings_of_a_test")
    module.factor = 2.0
    sys.modules["settings_of_a_test"] = module

    def f(x):
        from settings_of_a_test import factor

        return x * factor

    return f, set_attribute(module, "factor", 5.0)


def names_in_a_tuple():
    settings = types.SimpleNamespace(a=1.0, b=2.0)

    def f(x):
        for name in ("a", "b"):
            x = x * getattr(settings, name)
        return x

    return f, set_attribute(settings, "b", 5.0)


def keyword_default():
    def scale(x, *, factor=2.0):
        return x * factor

    return (lambda x: scale(x)), lambda patch: patch.setitem(scale.__kwdefaults__, "factor", 5.0)


def keyword_defaults():
    def scale(x, *, factor=2.0):
        return x * factor

    return (lambda x: scale(x)), set_attribute(scale, "__kwdefaults__", {"factor": 5.0})


def recorded_function_inside():
    inner = tn.jit(lambda x: x * FACTOR)
    return (lambda x: inner(x)), set_global("FACTOR", 5.0)


def cached_function_inside():
    @functools.lru_cache
    def factor():
        return FACTOR

    def change(monkeypatch):
        set_global("FACTOR", 5.0)(monkeypatch)
        factor.cache_clear()

    return (lambda x: x * factor()), change


def modules_in_a_tuple():
    double, triple = Encoder(), Encoder()
    triple.scale = 3.0
    nets = types.SimpleNamespace(both=(double, triple))
    return (lambda x: nets.both[0].scaled(x)), set_attribute(nets, "both", (triple, double))


def tensors_in_a_tuple():
    held = types.SimpleNamespace(state=(tn.ones(2000),))
    other = tn.ones(2000)
    other[1000] = 5.0  # which is not printed
    return (lambda x: x * held.state[0].sum()), set_attribute(held, "state", (other,))


def what_a_hook_leaves_alone(make):
    state = make({"scale": 2.0, "calls": 0})
    scale, calls = ("scale", "calls") if isinstance(state, dict) else (0, 1)
    model = nn.Identity()

    def count(module, args, output):
        state[calls] += 1
        return output * state[scale]

    model.register_forward_hook(count)
    return (lambda x: model(x)), lambda monkeypatch: operator.setitem(state, scale, 5.0)


def a_dict_in_which_a_hook_counts():
    return what_a_hook_leaves_alone(dict)


def a_list_in_which_a_hook_counts():
    return what_a_hook_leaves_alone(lambda state: [*state.values()])


def a_deque_in_which_a_hook_counts():
    return what_a_hook_leaves_alone(lambda state: collections.deque(state.values()))


def a_list_to_which_a_hook_adds():
    state, model = [2.0], nn.Identity()

    def add(module, args, output):
        state.append(0.0)
        return output * state[0]

    model.register_forward_hook(add)
    return (lambda x: model(x)), lambda monkeypatch: operator.setitem(state, 0, 5.0)


def tensor_of_a_list_that_goes():
    held = [tn.full((3,), 10.0)]
    function = lambda x: x if held[0] is None else x * held[0]  # noqa: E731
    return function, lambda monkeypatch: operator.setitem(held, 0, None)


def reference_of_a_module():
    model = nn.Identity()
    model.part = weakref.ref(CASES[0])
    function = lambda x: x * (2.0 if isinstance(model.part, weakref.ref) else 5.0)  # noqa: E731
    return function, set_attribute(model, "part", CASES[0])


def shape_of_an_array():
    array = np.ones((1, 3), np.float32)
    return (lambda x: x * len(array)), lambda monkeypatch: setattr(array, "shape", (3, 1))


def class_from_a_text():
    space = {}
    exec("class Config:\n    factor = 2.0\n    def scale(self, x): return x * self.factor", space)
    config = space["Config"]()
    return (lambda x: config.scale(x)), set_attribute(config, "factor", 5.0)


def class_made_by_a_function():
    kind = types.new_class("Config", (), {}, lambda fields: fields.update(factor=2.0))
    return (lambda x: x * kind.factor), set_attribute(kind, "factor", 5.0)


CASES = [method_of_a_module, method_of_a_part, attribute_of_a_modules_class,
         forward_of_a_modules_class, method_of_a_base, attribute_of_a_function_class,
         global_of_a_backward, hook_of_a_module, hook_of_a_tensor, hook_added_to_a_tensor,
         inherited_class_attribute, static_method, operator_of_a_class, slots,
         function_in_an_attribute, attribute_of_a_function, what_a_class_does_when_called,
         import_inside, names_in_a_tuple,
         keyword_default, keyword_defaults, recorded_function_inside, cached_function_inside,
         modules_in_a_tuple, tensors_in_a_tuple, a_dict_in_which_a_hook_counts,
         a_list_in_which_a_hook_counts, a_deque_in_which_a_hook_counts,
         a_list_to_which_a_hook_adds, tensor_of_a_list_that_goes,
         reference_of_a_module, shape_of_an_array, class_from_a_text,
         class_made_by_a_function]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_changes_is_seen(on_device, monkeypatch, case):
    function, change = case()
    recorded, x = tn.jit(function), tn.ones(3)
    for _ in range(4):
        assert recorded(x).tolist() == function(x).tolist()
    assert recorded.count == 1
    before = function(x).tolist()
    change(monkeypatch)
    assert function(x).tolist() != before
    for _ in range(3):
        assert recorded(x).tolist() == function(x).tolist()
    assert recorded.count == 2


def test_what_a_hook_and_an_argument_lead_to(on_device):
    state = {"scale": 2.0, "calls": 0}
    model, config = nn.Identity(), Settings()
    config.state = state

    def count(module, args, output):
        state["calls"] += 1

    model.register_forward_hook(count)
    recorded = tn.jit(lambda x, config: model(x) * config.state["scale"] + config.state["calls"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is recorded at each call
        for i in range(4):
            assert recorded(tn.ones(1), config).item() == 2 + i + 1
        state["scale"] = 5.0
        assert recorded(tn.ones(1), config).item() == 5 + 5


def test_users_modules_named_like_pythons(on_device, tmp_path, monkeypatch):
    (tmp_path / "colorsys.py").write_text(
        "factor = 2.0\ndef scale(x): return x * factor\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    import colorsys

    monkeypatch.setitem(sys.modules, "colorsys", colorsys)  # so that it goes afterwards
    recorded = tn.jit(lambda x: colorsys.scale(x))
    for _ in range(4):
        assert recorded(tn.ones(1)).item() == 2
    colorsys.factor = 5.0
    assert recorded(tn.ones(1)).item() == 5


def test_hooks_of_an_optimizer_added_later(on_device):
    weight = tn.ones(2, requires_grad=True)
    optimizer = tn.optim.SGD([weight], lr=1.0)

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        (x * weight).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(tn.ones(2))
    optimizer.register_step_post_hook(lambda *args: weight.requires_grad_(True).detach().zero_())
    step(tn.ones(2))
    assert weight.tolist() == [0, 0]


def test_a_large_model(on_device):
    settings = types.SimpleNamespace(scale=1.0)
    model = nn.Sequential(*[nn.Sequential(nn.ReLU(), nn.Dropout(0.0)) for _ in range(1500)])
    step = tn.jit(lambda x: x.sum() * settings.scale if model else x)
    for _ in range(3):
        assert step(tn.ones(2)).item() == 2
    settings.scale = 3.0
    assert step(tn.ones(2)).item() == 6


# the mode of a module that a recorded function inside of another uses
def test_train_mode_of_what_a_recorded_function_inside_uses(on_device):
    drop = nn.Dropout(0.5).eval()
    inner = tn.jit(lambda x: drop(x))
    outer = tn.jit(lambda x: inner(x))
    for _ in range(3):
        assert (outer(tn.ones(64)) == 1).all().item()
    drop.train()
    assert (outer(tn.ones(64)) == 0).any().item()


def test_a_recorded_loss_inside_a_recorded_step(on_device):
    weight = tn.ones(3, requires_grad=True)
    loss_of = tn.jit(lambda x: (x * weight).sum())

    @tn.jit
    def step(x):
        weight.grad = None
        loss = loss_of(x)
        loss.backward()
        return weight.grad

    for i in range(4):
        assert step(tn.full((3,), float(i))).tolist() == [i] * 3
    with pytest.raises(GradientError, match="has no graph"):
        loss_of(tn.ones(3)).backward()


# arguments
Batch = collections.namedtuple("Batch", "x scale")


@dataclasses.dataclass(eq=False)
class Example:
    x: tn.Tensor
    scale: float = dataclasses.field(default=2.0, compare=False)

    def double(self):
        return self.x * FACTOR


@pytest.mark.parametrize("kind", [Batch, Example])
def test_named_structures(on_device, kind):
    step = tn.jit(lambda batch: kind(batch.x * batch.scale, batch.scale))
    seen = []
    for i in range(6):
        batch = kind(tn.ones(2) * i, 2.0)
        seen.append(weakref.ref(batch.x))
        result = step(batch)
        assert type(result) is kind
        assert result.x.tolist() == [2 * i] * 2
    assert step.count == 1
    del batch
    gc.collect()
    assert [x() for x in seen] == [None] * 6
    assert step(kind(tn.ones(2), 3.0)).x.tolist() == [3, 3]
    assert step(kind(tn.ones(2), 3)).scale == 3


def test_dicts_of_other_types(on_device):
    step = tn.jit(lambda d: collections.OrderedDict(y=d["x"] + 1))
    for i in range(4):
        result = step(collections.OrderedDict(x=tn.ones(1) * i))
        assert type(result) is collections.OrderedDict
        assert result["y"].item() == i + 1
    assert step.count == 1


def test_slices(on_device):
    part = tn.jit(lambda x, places: x[places])
    for _ in range(3):
        assert part(tn.arange(5), slice(1, 3)).tolist() == [1, 2]
        assert part(tn.arange(5), slice(None, None, 2)).tolist() == [0, 2, 4]
    assert part.count == 2


def test_types_and_zeros_in_named_structures(on_device):
    point = collections.namedtuple("point", "s")
    scale, divide = tn.jit(lambda x, p: x * p.s), tn.jit(lambda x, p: x / p.s)
    for _ in range(3):
        assert scale(tn.ones(1, dtype=tn.int64), point(2)).dtype is tn.int64
        assert divide(tn.ones(1), point(0.0)).item() == float("inf")
    assert scale(tn.ones(1, dtype=tn.int64), point(2.0)).dtype is tn.float32
    assert divide(tn.ones(1), point(-0.0)).item() == -float("inf")


def test_modules_as_arguments_are_not_kept_alive(on_device):
    step = tn.jit(lambda model, x: model(x))
    models = []
    for _ in range(3):
        model = nn.Linear(2, 2)
        models.append(weakref.ref(model))
        step(model, tn.ones(2))
        step(model, tn.ones(2))
    del model
    step(nn.Identity(), tn.ones(2))
    gc.collect()
    assert sum(model() is not None for model in models) <= 1


def test_models_that_were_replaced_die(on_device):
    around = types.SimpleNamespace(model=None)
    step = tn.jit(lambda x: around.model(x))
    models = []
    for _ in range(20):
        around.model = nn.Linear(2, 2)
        models.append(weakref.ref(around.model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step(tn.ones(2))
    gc.collect()
    assert sum(model() is not None for model in models) <= 10


def test_what_a_function_writes_into_its_arguments(on_device):
    def count(x, notes):
        notes["calls"] = notes.get("calls", 0) + 1
        return x + 1

    notes = {}
    tn.jit(count)(tn.ones(1), notes)
    assert notes == {"calls": 1}


# methods
class Trainer:
    def __init__(self):
        self.weight = tn.ones(2)

    @tn.jit
    def step(self, x):
        return x * self.weight


def test_a_method_keeps_its_instance(on_device):
    step = Trainer().step
    gc.collect()
    for i in range(4):
        assert step(tn.ones(2) * i).tolist() == [i, i]
    assert step.count == 1
    trainer = Trainer()
    reference = weakref.ref(trainer)
    for _ in range(3):
        trainer.step(tn.ones(2))
    assert trainer.step.count == 1
    del trainer
    gc.collect()
    assert reference() is None


def test_instances_without_weak_references(on_device):
    class Small:
        __slots__ = ("weight",)

        @tn.jit
        def step(self, x):
            return x

    with pytest.raises(ArgumentTypeError, match=r"step is a method of Small.*add '__weakref__'"):
        Small().step(tn.ones(2))


def test_functions_that_give_their_results_later():
    def generate(x):
        yield x

    async def wait(x):
        return x

    with pytest.raises(ArgumentTypeError, match="got a generator function"):
        tn.jit(generate)
    with pytest.raises(ArgumentTypeError, match="got a coroutine function"):
        tn.jit(wait)


# gradients and state
def test_gradients_are_accumulated_in_few_recordings(on_device):
    model = nn.Linear(2, 2)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

    @tn.jit
    def step(x, k):
        if k == 0:
            optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        if k == 3:
            optimizer.step()
        return loss

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(60):
            step(tn.ones(4, 2), i % 4)
    assert step.count <= 8


def test_two_recorded_functions_that_share_gradients(on_device):
    made, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    optimizers = [tn.optim.SGD(m.parameters(), lr=0.1) for m in (made, judge)]

    @tn.jit
    def judging(x):
        optimizers[1].zero_grad()
        judge(x).square().mean().backward()
        optimizers[1].step()

    @tn.jit
    def making(x):
        loss = -judge(made(x)).mean()
        optimizers[0].zero_grad()
        loss.backward()  # gradients of `judge` are added to those there
        optimizers[0].step()

    for _ in range(20):
        judging(tn.ones(4, 2))
        making(tn.ones(4, 2))
    assert judging.count <= 2
    assert making.count <= 3


def test_a_gradient_that_somebody_keeps_is_not_written_to(on_device):
    weight = tn.ones(2, requires_grad=True)

    def step(x):
        weight.grad = None
        (x * weight).sum().backward()

    first, second = tn.jit(step), tn.jit(lambda x: step(x * 2))
    kept = []
    for i in range(6):
        first(tn.full((2,), float(i)))
        kept.append(weight.grad)
        second(tn.full((2,), float(i)))
        kept.append(weight.grad)
    assert [x[0].item() for x in kept] == [0, 0, 1, 2, 2, 4, 3, 6, 4, 8, 5, 10]


def test_an_error_while_another_function_is_recorded(on_device):
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def step(x):
        (x * weight).sum().backward()

    @tn.jit
    def fails(x, is_wrong):
        (x * weight).sum().backward()
        if is_wrong:
            raise ValueError

    for _ in range(6):
        step(tn.ones(2))
    count = step.count
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^$"):
            fails(tn.ones(2), True)
    for _ in range(3):
        step(tn.ones(2))
    assert step.count <= count + 1
    assert weight.grad.tolist() == [12, 12]


def test_only_whether_a_tensor_requires_a_gradient(on_device):
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def freeze(x):
        y = x * weight.detach()
        weight.requires_grad_(False)
        return y

    for _ in range(4):
        weight.requires_grad_(True)
        freeze(tn.ones(2))
        assert not weight.requires_grad


def test_layers_unfrozen_one_after_the_other(on_device):
    model = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])
    optimizer = tn.optim.Adam(model.parameters())
    model.requires_grad_(False)
    model[3].requires_grad_(True)

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    for i in range(9):
        if i in (4, 5, 6):
            model[6 - i].requires_grad_(True)
        step(tn.ones(4, 3))
    assert all(parameter in optimizer.state for parameter in model.parameters())


def test_state_that_two_kinds_of_calls_make(on_device):
    models = {"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}
    optimizers = {name: tn.optim.Adam(model.parameters()) for name, model in models.items()}

    def step(x, name):
        optimizers[name].zero_grad()
        models[name](x).sum().backward()
        optimizers[name].step()

    recorded = tn.jit(step, warm_up=False)
    for i in range(6):
        recorded(tn.ones(2), "ab"[i % 2])


def test_an_optimizer_made_inside(on_device):
    weight = tn.ones(2, requires_grad=True)

    @tn.jit
    def step(x):
        optimizer = tn.optim.Adam([weight], lr=0.5)
        weight.grad = None
        (x * weight).sum().backward()
        optimizer.step()

    for i in range(1, 6):
        step(tn.ones(2))
        assert weight[0].item() == pytest.approx(1 - 0.5 * i, abs=1e-4)
    assert step.count == 1


def test_what_is_left_in_a_list_is_an_error_however_long(on_device):
    kept = []

    @tn.jit
    def step(x):
        kept.append(x * 2)

    step(tn.ones(2))
    step(tn.ones(2))
    with pytest.raises(RecordingError, match="leaves tensors of shape"):
        step(tn.ones(2))


def test_a_tensor_that_stops_requiring_a_gradient_inside(on_device):
    weight = tn.ones(2, requires_grad=True)

    def step(x):
        weight.grad = None
        loss = (x * weight).sum()
        if weight.requires_grad:
            loss.backward()
        weight.requires_grad_(False)
        return loss

    recorded = tn.jit(step, warm_up=False)
    for _ in range(3):
        weight.requires_grad_(True)
        recorded(tn.ones(2))
        assert weight.grad is not None
        assert not weight.requires_grad  # replays leave it so, too
        recorded(tn.ones(2))
        assert weight.grad is None
    assert recorded.count == 2


def test_the_warning_about_values_and_structures(on_device):
    step = tn.jit(lambda x, o: x * 2, warm_up=False)
    for o in range(8):
        step(tn.ones(3), o)
    with pytest.warns(UserWarning, match="the structure, shape or dtype of argument 'o' keeps"):
        step(tn.ones(3), [])


def test_attributes_that_answer_every_question(on_device):
    class Answers:
        def __getattr__(self, name):
            return None

    class Keys(dict):
        def __getattr__(self, name):
            return self[name]

    answers, keys = Answers(), Keys(factor=2.0)
    step = tn.jit(lambda x: x * keys.factor if answers.nothing is None else x)
    for _ in range(3):
        assert step(tn.ones(1)).item() == 2
    keys["factor"] = 5.0
    assert step(tn.ones(1)).item() == 5


# what is no condition
NEXT = 0


class Meter:
    def __init__(self):
        global NEXT
        NEXT += 1
        self.number, self.sum = NEXT, 0.0

    def __float__(self):
        return self.sum


class Measured(nn.Module):
    made = 0

    def __init__(self):
        super().__init__()
        Measured.made += 1
        self.linear = nn.Linear(3, 2)
        self.meter = Meter()

    def forward(self, x):
        assert isinstance(self, Measured)
        assert not isinstance(self, Meter)
        assert super().extra_repr() == ""
        return self.linear(x)


def returns_a_dict_of_what_the_trainer_has_too():
    trainer = types.SimpleNamespace(w=tn.ones(3), loss=0, accuracy=0, dim=0)

    def step(x):
        loss = (x * trainer.w).sum(dim=0)
        return {"loss": loss, "accuracy": loss}["loss"]

    def change(i):
        trainer.loss = trainer.accuracy = trainer.dim = i

    return step, change


def keywords_beside_getattr():
    trainer = types.SimpleNamespace(w=tn.ones(3), dim=0, keepdim=False)

    def change(i):
        trainer.dim, trainer.keepdim = i, i % 2

    return (lambda x: (x * getattr(trainer, "w")).sum(dim=0, keepdim=False)), change  # noqa: B009


def a_meter_in_a_module():
    model = Measured()

    def change(i):
        model.meter.sum += i

    return (lambda x: model(x).sum()), change


def instances_that_are_counted():
    model = Measured()

    def step(x):
        assert isinstance(model, Measured)
        return model(x).sum()

    return step, lambda i: Measured()


def hooks_that_count():
    model, calls = nn.Linear(3, 2), collections.Counter()
    counted = types.SimpleNamespace(total=0)

    def count(*args):
        counted.total += 1

    model.register_forward_hook(count)
    model.register_forward_hook(lambda *args: calls.update(["forward"]))
    model.weight.register_hook(lambda grad: calls.update(["backward"]))

    def step(x):
        model.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return loss

    return step, lambda i: calls.update(["outside"])


class Doubling:
    def hook(self, module, args, output):
        return output * 2


def a_hook_of_each_call():
    model, doubling = nn.Linear(3, 2), Doubling()
    handles = []

    def change(i):
        while handles:
            handles.pop().remove()
        handles.append(model.register_forward_hook(doubling.hook))

    change(0)
    return (lambda x: model(x).sum()), change


@pytest.mark.parametrize(
    "case",
    [returns_a_dict_of_what_the_trainer_has_too, keywords_beside_getattr, a_meter_in_a_module,
     instances_that_are_counted, hooks_that_count, a_hook_of_each_call],
    ids=lambda case: case.__name__,
)  # fmt: skip
def test_what_does_not_matter_is_not_watched(on_device, case):
    function, change = case()
    recorded, x = tn.jit(function), tn.ones(3)
    for i in range(6):
        assert recorded(x).item() == pytest.approx(function(x).item(), rel=1e-5)
        change(i)
    assert recorded.count == 1


def test_phases_by_name(on_device):
    class Trainer:
        train = 0

        @tn.jit
        def run(self, x, phase):
            return x * 2 if phase == "train" else x

    trainer = Trainer()
    for i in range(4):
        assert trainer.run(tn.ones(1), "train").item() == 2
        trainer.train = i
    assert trainer.run.count == 1


# structures that are more than their parts
@dataclasses.dataclass(eq=False)
class Config:
    factor: float = 2.0
    losses: list = dataclasses.field(default_factory=list)
    tags: set = dataclasses.field(default_factory=set)

    def scale(self, x):
        return x * FACTOR


def test_methods_and_other_attributes_of_dataclasses(on_device, monkeypatch):
    scale, extra = tn.jit(lambda c, x: c.scale(x)), tn.jit(lambda c, x: x * c.extra)
    config, other = Config(), Config()
    config.extra, other.extra = 2.0, 5.0
    for _ in range(3):
        assert scale(config, tn.ones(1)).item() == 2
        assert extra(config, tn.ones(1)).item() == 2
        config.losses.append(1.0)
    assert scale.count == extra.count == 1
    assert extra(other, tn.ones(1)).item() == 5
    config.extra = 7.0
    assert extra(config, tn.ones(1)).item() == 7
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert scale(config, tn.ones(1)).item() == 5
    double = tn.jit(lambda e: Example.double(e))
    for _ in range(3):
        assert double(Example(tn.ones(1))).item() == 5
    monkeypatch.setitem(globals(), "FACTOR", 6.0)
    assert double(Example(tn.ones(1))).item() == 6


@dataclasses.dataclass
class Derived2:
    x: object
    later: object = dataclasses.field(init=False)

    def __post_init__(self):
        self.double = self.x * 2


def test_what_a_dataclass_derives_from_an_array(on_device):
    step = tn.jit(lambda d: d.double * 1)
    for i in range(1, 5):
        assert step(Derived2(np.full(2, i, np.float32))).tolist() == [2 * i] * 2
    assert step.count == 1


def test_a_dataclass_that_comes_back_is_itself(on_device):
    step, config = tn.jit(lambda c, x: (c, x * c.factor)), Config()
    for _ in range(4):
        returned, y = step(config, tn.ones(1))
        assert returned is config
        assert y.item() == 2


def test_trees_of_dataclasses(on_device):
    @dataclasses.dataclass(eq=False)
    class Node:
        value: float
        parent: object = None
        children: list = dataclasses.field(default_factory=list)

    root = Node(2.0)
    root.children.append(Node(3.0, root))
    step = tn.jit(lambda tree, x: x * tree.children[0].value)
    for _ in range(3):
        assert step(root, tn.ones(1)).item() == 3
    assert step.count == 1
    root.value = tn.ones(1)
    with pytest.raises(ArgumentTypeError, match="argument 0 leads back to itself"):
        step(root, tn.ones(1))


def test_a_tensor_left_in_an_argument(on_device):
    def step(batch):
        batch["h"] = batch["h"] + 1
        return batch["h"]

    recorded, batch = tn.jit(step), {"h": tn.zeros(1)}
    assert recorded(batch).item() == 1
    assert recorded(batch).item() == 2
    with pytest.raises(RecordingError, match="leaves tensors of shape"):
        recorded(batch)


# handles
def test_handles_of_methods(on_device):
    trainer = Trainer()
    assert trainer.step == trainer.step
    assert {trainer.step: 1}[trainer.step] == 1
    assert trainer.step != Trainer().step
    call = tn.jit(lambda f, x: f(x))
    for _ in range(3):
        assert call(trainer.step, tn.ones(2)).tolist() == [1, 1]
    assert call.count == 1


def test_a_handle_inside_of_another_recorded_function(on_device):
    trainer = Trainer()
    trainer.factor = 2.0
    trainer.scale = types.MethodType(lambda self, x: x * self.factor, trainer)
    step = Scaling(2.0).step
    outer = tn.jit(lambda x: step(x) + 0)
    for _ in range(3):
        assert outer(tn.ones(1)).item() == 2
    step.instance.factor = 5.0
    assert outer(tn.ones(1)).item() == 5


class Scaling:
    def __init__(self, factor):
        self.factor = factor

    @tn.jit
    def step(self, x):
        return x * self.factor


class WithSlots:
    __slots__ = ("__weakref__", "factor")

    def __init__(self):
        self.factor = 2.0

    @tn.jit
    def step(self, x):
        return x * self.factor


class KeepsItsHandle(Scaling):
    def __init__(self):
        super().__init__(2.0)
        self.run = self.step


@pytest.mark.parametrize("kind", [WithSlots, KeepsItsHandle, lambda: Scaling(2.0)])
def test_instances_are_not_kept_alive(on_device, kind):
    instance = kind()
    reference = weakref.ref(instance)
    for _ in range(4):
        instance.step(tn.ones(1))
    del instance
    gc.collect()
    assert reference() is None


def test_odd_objects(on_device):
    class Wrapper:
        pass

    class Link:
        def __init__(self, next):
            self.next = next

    around = Wrapper()
    around.__wrapped__ = around
    chain = None
    for _ in range(1000):
        chain = Link(chain)
    passing = types.SimpleNamespace(param_groups=[[1], [2]], hooks={})
    proxy = weakref.proxy(tn.ones(1))
    held = types.SimpleNamespace(around=around, chain=chain, passing=passing, proxy=proxy)

    def step(x):
        used = held.around, held.chain.next, held.passing, held.proxy
        return x * len(used)

    recorded = tn.jit(step)
    for _ in range(3):
        recorded(tn.ones(1))
    assert recorded.count == 1
