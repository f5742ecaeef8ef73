"""Numbers that replays read anew, and Python values that a recording relies on.

`recorded(body, **numbers)` runs a function of `Numbers` as jit does: once under a script. Replays
are `script.run()`, which computes, and `script.commit()`, which stores.
"""

import functools
import math
import operator
import threading
import types
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.names import names_in
from tinynet.numbers import Number, Numbers, current
from tinynet.reaching import find_guards
from tinynet.script import Script


def recorded(body, **numbers):
    """The numbers, the script of a call of `body` on them, and what it returned."""
    state, script = Numbers(numbers), Script()
    current.script = script
    try:
        result = body(state)
    finally:
        current.script = None
    script.close()
    return state, script, result


def replayed(state, script, result, **changed):
    """What a replay returns after numbers were changed from outside; None if it does not fit."""
    state.update(changed)
    if not script.run():
        return None
    script.commit()
    return script.values[result.slot] if type(result) is Number else result


# Reads and arithmetic
ARITHMETIC = {
    "a + 2": lambda a: a + 2,
    "2 + a": lambda a: 2 + a,
    "a - 2": lambda a: a - 2,
    "2 - a": lambda a: 2 - a,
    "a * a": lambda a: a * a,
    "a / 2": lambda a: a / 2,
    "2 / a": lambda a: 2 / a,
    "a // 2": lambda a: a // 2,
    "7 // a": lambda a: 7 // a,
    "a % 3": lambda a: a % 3,
    "7 % a": lambda a: 7 % a,
    "a ** 2": lambda a: a**2,
    "0.9 ** a": lambda a: 0.9**a,
    "-a": lambda a: -a,
    "+a": lambda a: +a,
    "abs(-a)": lambda a: abs(-a),
    "1 - 0.9 ** (a + 1)": lambda a: 1 - 0.9 ** (a + 1),
    "round(a * 0.3)": lambda a: round(a * 0.3),
    "round(a * 0.3, 1)": lambda a: round(a * 0.3, 1),
    "divmod(a, 3)[1]": lambda a: divmod(a, 3)[1],
    "min(a, 4)": lambda a: min(a, 4),
}
BITS = {
    "a << 2": lambda a: a << 2,
    "a >> 1": lambda a: a >> 1,
    "a & 3": lambda a: a & 3,
    "8 | a": lambda a: 8 | a,
    "a ^ 5": lambda a: a ^ 5,
    "~a": lambda a: ~a,
}


@pytest.mark.parametrize("name", [*ARITHMETIC, *BITS])
def test_arithmetic_is_done_again(name):
    function = {**ARITHMETIC, **BITS}[name]
    state, script, result = recorded(lambda n: function(n["a"]), a=3)
    assert (result.value if type(result) is Number else result) == function(3)
    for a in (3, 1):  # 4 where the recording took another branch, it does not fit
        found = replayed(state, script, result, a=a)
        assert found == function(a)
        assert type(found) is type(function(a))


def test_numbers_read_as_ever_outside_of_a_recording():
    state = Numbers(lr=0.1, step=3)
    assert type(state["lr"]) is float
    assert state.get("lr") == 0.1
    assert state.get("momentum") is None
    assert state.get("momentum", 0.5) == 0.5
    assert "step" in state
    assert len(state) == 2
    assert dict(state) == {"lr": 0.1, "step": 3}


def test_a_number_shows_its_value():
    _, _, (text, rounded) = recorded(lambda n: (repr(n["a"]), f"{n['a']:.2f}"), a=0.125)
    assert text == "0.125"
    assert rounded == "0.12"


def test_a_value_is_computed_once():
    def body(n):
        return n["a"] * 2 + n["a"] * 2

    _, script, _ = recorded(body, a=1)
    assert len(script.reads) == 1
    assert len(script.steps) == 2


def test_zeros_of_both_signs():
    state, script, (a, b) = recorded(lambda n: (n["a"] * 0.0, n["a"] * -0.0), a=1.0)
    assert (math.copysign(1, a.value), math.copysign(1, b.value)) == (1, -1)
    assert math.copysign(1, replayed(state, script, b, a=2.0)) == -1
    state, script, _ = recorded(lambda n: math.copysign(1, n["a"]), a=0.0)
    assert replayed(state, script, None, a=-0.0) is None
    assert not script.run()


def test_bools_are_no_numbers():
    state, script, result = recorded(lambda n: n["on"], on=True)
    assert result is True
    assert script.run()
    state["on"] = False
    assert not script.run()


def test_numbers_in_a_tuple_are_read_anew():
    state, script, result = recorded(lambda n: n["betas"][0] + 2 * n["betas"][1], betas=(1.0, 2.0))
    assert result.value == 5.0
    assert replayed(state, script, result, betas=(3.0, 4.0)) == 11.0
    assert replayed(state, script, result, betas=(3, 4.0)) is None
    assert replayed(state, script, result, betas=(3.0, 4.0, 5.0)) is None
    assert replayed(state, script, result, betas=[3.0, 4.0]) is None
    assert script.failed == "betas"


@pytest.mark.parametrize("value", [(), (True, 1), ("a", 1), ((1, 2), 3)])
def test_other_tuples_are_conditions(value):
    state, script, result = recorded(lambda n: n["a"], a=value)
    assert result is value
    assert replayed(state, script, result, a=(*value,)) == value
    assert replayed(state, script, result, a=(*value, 1)) is None


# Writes
def test_tuples_of_numbers_are_written_and_read():
    def body(n):
        n["betas"] = (n["a"] * 2, "fixed", 3)
        n["betas"] = (n["betas"][0], *n["pair"])
        return n["betas"][0] + n["betas"][2]

    state, script, result = recorded(body, a=1, pair=(5, 7))
    assert dict.get(state, "betas") == (2, 5, 7)
    assert [type(x) for x in dict.get(state, "betas")] == [int, int, int]
    assert result.value == 9
    assert replayed(state, script, result, a=4, pair=(1, 2)) == 10
    assert state["betas"] == (8, 1, 2)


def test_writes_are_stored_by_replays():
    def body(n):
        n["step"] += 1
        n["scale"] = 0.5 ** n["step"]
        return n["step"]

    state, script, result = recorded(body, step=0)
    assert state == {"step": 1, "scale": 0.5}
    assert type(dict.get(state, "step")) is int
    assert [replayed(state, script, result) for _ in range(3)] == [2, 3, 4]
    assert state == {"step": 4, "scale": 0.5**4}
    assert replayed(state, script, result, step=10) == 11


def test_run_alone_stores_nothing():
    state, script, _ = recorded(lambda n: n.__setitem__("a", n["a"] + 1), a=0)
    assert script.run()
    assert script.run()
    assert state["a"] == 1


def test_what_was_written_is_read():
    def body(n):
        n["a"] = 5
        first = n["a"]
        n["a"] = n["b"] * 2
        return first + n["a"]

    state, script, result = recorded(body, a=0, b=1)
    assert result.value == 7
    assert replayed(state, script, result, a=100, b=3) == 11
    assert state["a"] == 6


@pytest.mark.parametrize("value", [None, "done", True, (1, 2)])
def test_other_values_are_stored_too(value):
    def body(n):
        n["a"] = 1
        n["a"] = value

    state, script, _ = recorded(body, a=0)
    assert state["a"] == value
    dict.__setitem__(state, "a", 0)
    if script.run():
        script.commit()
        assert state["a"] is value


def test_counting_with_setdefault_and_update():
    def body(n):
        step = n.setdefault("step", 0) + 1
        n.update(step=step)
        return step

    state, script, result = recorded(body, step=0)
    for step in (2, 3, 4):
        assert replayed(state, script, result) in (step, None)


READS = {
    "values": lambda n: next(iter(n.values())),
    "items": lambda n: dict(n.items())["lr"],
    "unpacked": lambda n: {**n}["lr"],
    "dict": lambda n: dict(n)["lr"],
    "copy": lambda n: n.copy()["lr"],
    "keywords": lambda n: (lambda lr: lr)(**n),
    "setdefault": lambda n: n.setdefault("lr", 1.0),
}


@pytest.mark.parametrize("name", READS)
def test_no_way_of_reading_goes_stale(name):
    state, script, result = recorded(lambda n: READS[name](n) * 2, lr=1.0)
    assert replayed(state, script, result, lr=3.0) in (6.0, None)


REMOVALS = {
    "pop": lambda n: n.pop("a"),
    "del": lambda n: n.__delitem__("a"),
    "clear": lambda n: n.clear(),
}


@pytest.mark.parametrize("name", REMOVALS)
def test_removed_keys_are_removed_by_replays(name):
    state, script, _ = recorded(REMOVALS[name], a=1)
    state["a"] = 2
    if script.run():
        script.commit()
        assert "a" not in dict(state)


# Conditions
def branch(n):
    return "high" if n["a"] > 3 else "low"


def test_comparisons_are_conditions():
    state, script, result = recorded(branch, a=5)
    assert result == "high"
    assert replayed(state, script, result, a=4) == "high"
    assert replayed(state, script, result, a=3) is None
    assert script.failed == "a"
    assert replayed(state, script, result, a=9) == "high"


@pytest.mark.parametrize(
    ("question", "fitting", "other"),
    [
        (lambda a: a == 3, 3, 4),
        (lambda a: a != 4, 5, 4),
        (lambda a: a < 4, 1, 4),
        (lambda a: a <= 3, 2, 4),
        (lambda a: a * 2 >= 5, 4, 2),
        (lambda a: bool(a), 9, 0),
        (lambda a: not a - 4, 3, 4),
        (lambda a: a in (2, 3), 3, 4),
    ],
)
def test_questions(question, fitting, other):
    state, script, answer = recorded(lambda n: question(n["a"]), a=3)
    assert answer is question(3)
    assert replayed(state, script, answer, a=fitting) is answer
    assert replayed(state, script, answer, a=other) is None


PLAIN_USES = {
    "float": float,
    "int": int,
    "hash": hash,
    "sqrt": math.sqrt,
    "str": str,
    "format": "{:d}".format,
    "range": range,
    "index": [10, 11, 12, 13, 14].__getitem__,
    "key": {3: "three", 4: "four"}.__getitem__,
}


@pytest.mark.parametrize("name", PLAIN_USES)
def test_uses_of_the_plain_value_are_conditions(name):
    use = PLAIN_USES[name]
    state, script, result = recorded(lambda n: use(n["a"]), a=3)
    assert result == use(3)
    assert replayed(state, script, result, a=3) == use(3)
    assert replayed(state, script, result, a=4) is None
    assert script.failed == "a"


def test_a_condition_on_a_result_names_what_it_came_from():
    state, script, _ = recorded(lambda n: int(n["warm"] * 2 + n["warm"]), warm=3, other=1)
    assert replayed(state, script, 9, warm=4) is None
    assert script.failed == "warm"


def test_other_branches_may_divide_by_zero():
    state, script, result = recorded(lambda n: 1 / n["a"] if n["a"] != 0 else None, a=2)
    assert replayed(state, script, result, a=4) == 0.25
    assert replayed(state, script, result, a=0) is None
    state, script, result = recorded(lambda n: 10.0 ** n["a"] if n["a"] < 9 else None, a=2)
    assert replayed(state, script, result, a=10**6) is None


def test_a_value_that_is_no_number_is_a_condition():
    state, script, result = recorded(lambda n: n["mode"], mode="sum")
    assert replayed(state, script, result) == "sum"
    assert replayed(state, script, result, mode="mean") is None
    assert script.failed == "mode"


def test_a_flag_that_turns_over():
    def body(n):
        n["on"] = not n["on"]
        return n["on"]

    state, script, result = recorded(body, on=False)
    assert result is True
    if replayed(state, script, result, on=False) is not None:
        assert state["on"] is True


# Places that change
def test_a_value_of_another_type():
    state, script, result = recorded(lambda n: n["a"] * 2, a=1)
    assert replayed(state, script, result, a=1.0) is None
    assert replayed(state, script, result, a=True) is None
    assert replayed(state, script, result, a=None) is None
    assert replayed(state, script, result, a=2) == 4


def test_a_missing_key():
    state, script, result = recorded(lambda n: n["a"] * 2, a=1)
    del state["a"]
    assert replayed(state, script, result) is None
    assert script.failed == "a"
    with pytest.raises(KeyError):
        recorded(lambda n: n["b"], a=1)


def test_a_dict_that_is_gone():
    state, script, _ = recorded(lambda n: n["a"] * 2, a=1)
    watch = weakref.ref(state)
    del state
    assert watch() is None  # the script does not keep it
    assert not script.run()
    script.commit()


def test_keys_that_are_there_or_not():
    def body(n):
        return ("a" in n, n.get("b"), len(n))

    state, script, result = recorded(body, a=1)
    assert result == (True, None, 1)
    assert replayed(state, script, result, a=7) == result
    assert replayed(state, script, result, b=1) is None
    del state["b"]
    assert replayed(state, script, result) == result
    del state["a"]
    assert replayed(state, script, result) is None


def test_an_empty_state_is_filled_once():
    def body(n):
        if not n:
            n["step"] = 0
        n["step"] += 1
        return n["step"]

    state, script, result = recorded(body)
    assert replayed(state, script, result) is None  # it is filled by now
    state.clear()
    assert replayed(state, script, result) == 1


def test_two_dicts_with_the_same_key():
    other = Numbers(a=10)
    state, script, result = recorded(lambda n: n["a"] + other["a"], a=1)
    other["a"] = 20
    assert replayed(state, script, result, a=2) == 22


def test_equal_counts_of_one_name_are_counted_once():
    """As long as they stay equal, as the steps of all parameters do."""
    other = Numbers(step=3)

    def body(state):
        state["step"] = state["step"] + 1
        other["step"] = other["step"] + 1
        return 0.5 ** state["step"] + 0.5 ** other["step"]

    state, script, result = recorded(body, step=3)
    assert (state["step"], other["step"], result.value) == (4, 4, 2 * 0.5**4)
    assert len(script.reads) == 1
    assert [function for function, *_ in script.steps].count(operator.pow) == 1
    assert replayed(state, script, result) == 2 * 0.5**5
    assert (state["step"], other["step"]) == (5, 5)
    for differs in (6, 5.0, True, None):
        other["step"] = differs
        assert replayed(state, script, result) is None
        assert script.failed == "step"
        assert (state["step"], other["step"]) == (5, differs)
    other["step"] = 5
    assert replayed(state, script, result) == 2 * 0.5**6


def test_other_numbers_may_part():
    other = Numbers(lr=0.5, count=3)
    state, script, result = recorded(
        lambda state: state["lr"] + other["lr"] + state["step"] + other["count"], lr=0.5, step=3
    )
    other["lr"], other["count"] = 0.25, 4
    assert replayed(state, script, result, step=5) == 9.75


def test_a_twin_that_changes_alone_is_noticed_without_writes():
    other = Numbers(step=3)
    state, script, result = recorded(lambda state: state["step"] + other["step"], step=3)
    assert replayed(state, script, result) == replayed(state, script, result) == 6
    other["step"] = 4
    assert replayed(state, script, result) is None
    assert replayed(state, script, result, step=4) == 8


def test_a_twin_that_is_gone():
    others = [Numbers(step=3)]
    state, script, result = recorded(lambda state: state["step"] + others[0]["step"], step=3)
    assert replayed(state, script, result) == 6
    others.clear()
    assert replayed(state, script, result) is None


def test_other_threads_see_plain_numbers():
    seen = []

    def body(n):
        def look():
            seen.append(n["a"])
            n["b"] = 5

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return n["a"]

    state, script, result = recorded(body, a=1)
    assert [type(a) for a in seen] == [int]
    assert type(result) is Number
    assert not script.writes
    assert state["b"] == 5


# With tensors
USES = {
    "x * a": lambda x, a: x * a,
    "a - x": lambda x, a: a - x,
    "a / x": lambda x, a: a / x,
    "x ** a": lambda x, a: x**a,
    "a ** x": lambda x, a: a**x,
    "x % a": lambda x, a: x % a,
    "x > a": lambda x, a: x > a,
    "x == a": lambda x, a: x == a,
    "a != x": lambda x, a: a != x,
    "add alpha": lambda x, a: x.add(x, alpha=a),
    "add_ alpha": lambda x, a: x.clone().add_(x, alpha=a),
    "mul_": lambda x, a: x.clone().mul_(a),
    "lerp": lambda x, a: x.lerp(x * 3, a),
    "clamp": lambda x, a: (x * 2).clamp(max=a),
    "where": lambda x, a: tn.where(x > 1.5, x, a),
    "masked_fill": lambda x, a: x.masked_fill(x > 1, a),
    "fill_": lambda x, a: x.clone().fill_(a),
    "full": lambda x, a: tn.full((2,), a),
    "new_full": lambda x, a: x.new_full((2,), a),
    "tensor": lambda x, a: tn.tensor(a) * x,
    "tensor of a list": lambda x, a: tn.tensor([a, 1.0]) * x,
    "norm": lambda x, a: x.norm(a),
    "arange": lambda x, a: tn.arange(a, 5.0),
    "linspace": lambda x, a: tn.linspace(0, a, 3),
    "uniform_": lambda x, a: x.clone().uniform_(0, a),
    "normal": lambda x, a: tn.normal(0.0, a, (2,)),
    "assignment": lambda x, a: (x := x.clone(), x.__setitem__(0, a))[0],
    "leaky_relu": lambda x, a: nn.functional.leaky_relu(-x, a),
    "dropout": lambda x, a: nn.functional.dropout(x, a / 10),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_numbers_meet_tensors(name):
    state = Numbers(a=2.0)

    def body(x):
        return USES[name](x, state["a"])

    f = tn.jit(body)
    for a in (2.0, 2.0, 2.0, 3.0, 2.5):
        state["a"] = a
        x = tn.tensor([1.0, 2.0])
        tn.manual_seed(1)
        expected = body(x)
        tn.manual_seed(1)
        found = f(x)
        assert found.dtype is expected.dtype
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-6)


# Python values
def steady(function, *arguments):
    """The function under jit, with a recording that fits."""
    jitted = tn.jit(function)
    for _ in range(3):
        jitted(*arguments)
    assert jitted.count == 1
    return jitted


class Options:
    """Somewhere to keep values."""

    scale = 1.0

    def __init__(self, **values):
        vars(self).update(values)

    @property
    def doubled(self):
        return self.half * 4

    def scaled(self, x):
        return x * self.inner.factor

    def __call__(self, x):
        return x * self.factor

    def __getitem__(self, name):
        return self.values_by_name[name]


FACTOR = 2.0
ONE = (1.0,)


def scale_globally(x):
    return x * FACTOR


def test_names_of_code():
    names, attributes, *_ = names_in(scale_globally.__code__)
    assert names == {"FACTOR"}
    assert names_in((lambda x: [x.real for _ in ONE]).__code__)[1] == {"real"}
    assert not attributes


def test_variables_of_closures():
    factor = 2.0
    f = steady(lambda x: x * factor, tn.ones(1))
    assert f(tn.ones(1)).item() == 2
    factor = 3.0
    assert f(tn.ones(1)).item() == 3
    factor = 2.0
    assert f(tn.ones(1)).item() == 2
    assert f.count == 2


def test_globals(monkeypatch):
    f = steady(scale_globally, tn.ones(1))
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert f(tn.ones(1)).item() == 5


def test_globals_of_functions_that_are_called(monkeypatch):
    f = steady(lambda x: scale_globally(x) + 1, tn.ones(1))
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert f(tn.ones(1)).item() == 6
    monkeypatch.setitem(globals(), "scale_globally", lambda x: x * 7)
    assert f(tn.ones(1)).item() == 8


def test_functions_that_are_given():
    factor = 2.0
    f = steady(lambda g, x: g(x), lambda x: x * factor, tn.ones(1))
    assert f.count == 1
    g = lambda x: x * factor  # noqa: E731
    apply = steady(lambda x, g: g(x), tn.ones(1), g)
    factor = 3.0
    assert apply(tn.ones(1), g).item() == 3


def test_functions_with_some_arguments_given():
    factor = 2.0
    g = functools.partial(lambda x, shift: x * factor + shift, shift=1)
    f = steady(lambda x: g(x), tn.ones(1))
    factor = 3.0
    assert f(tn.ones(1)).item() == 4


def test_decorated_functions():
    factor = 2.0
    f = steady(tn.no_grad()(lambda x: x * factor), tn.ones(1))
    factor = 3.0
    assert f(tn.ones(1)).item() == 3


def test_default_values_of_functions_that_are_called():
    def g(x, factor=2.0):
        return x * factor

    f = steady(lambda x: g(x), tn.ones(1))
    g.__defaults__ = (3.0,)
    assert f(tn.ones(1)).item() == 3


def test_attributes_of_self():
    class Scale:
        def __init__(self):
            self.factor, self.unused = 2.0, 1.0

        @tn.jit
        def __call__(self, x):
            return self.scaled(x)

        def scaled(self, x):
            return x * self.factor

    scale = Scale()
    assert [scale(tn.ones(1)).item() for _ in range(3)] == [2, 2, 2]
    scale.factor = 3.0
    assert [scale(tn.ones(1)).item() for _ in range(3)] == [3, 3, 3]
    scale.unused = 5.0
    assert scale(tn.ones(1)).item() == 3


def test_attributes_behind_a_bound_method():
    class Trainer:
        def __init__(self):
            self.model, self.factor = nn.Dropout(1.0), 2.0

        def step(self, x):
            return self.model(x) * self.factor

    trainer = Trainer()
    f = steady(trainer.step, tn.ones(1))
    trainer.model.eval()
    assert f(tn.ones(1)).item() == 2
    trainer.factor = 5.0
    assert f(tn.ones(1)).item() == 5


def test_attributes_of_attributes():
    options = Options(inner=types.SimpleNamespace(factor=2.0))
    f = steady(lambda x: x * options.inner.factor, tn.ones(1))
    options.inner.factor = 3.0
    assert f(tn.ones(1)).item() == 3
    options.inner = types.SimpleNamespace(factor=4.0)
    assert f(tn.ones(1)).item() == 4


def test_attributes_that_methods_use():
    options = Options(inner=types.SimpleNamespace(factor=2.0))
    f = steady(lambda x: options.scaled(x), tn.ones(1))
    options.inner.factor = 3.0
    assert f(tn.ones(1)).item() == 3


def test_attributes_of_one_object_in_several_functions():
    options = Options(factor=2.0, shift=1.0)

    def shifted(x):
        return x + options.shift

    f = steady(lambda x: shifted(x) * options.factor, tn.ones(1))
    options.shift = 2.0
    assert f(tn.ones(1)).item() == 6
    options.factor = 3.0
    assert f(tn.ones(1)).item() == 9


def test_properties():
    options = Options(half=1.0)
    f = steady(lambda x: x * options.doubled, tn.ones(1))
    options.half = 2.0
    assert f(tn.ones(1)).item() == 8


def test_objects_that_are_called_or_indexed():
    options = Options(factor=2.0, values_by_name={"a": 3.0})
    f = steady(lambda x: options(x) * options["a"], tn.ones(1))
    options.factor = 4.0
    assert f(tn.ones(1)).item() == 12
    options.values_by_name = {"a": 5.0}
    assert f(tn.ones(1)).item() == 20


def test_attributes_of_classes(monkeypatch):
    options = Options()
    f = steady(lambda x: x * options.scale + Options.scale, tn.ones(1))
    options.scale = 2.0  # hides the class's
    assert f(tn.ones(1)).item() == 3
    monkeypatch.setattr(Options, "scale", 5.0)
    assert f(tn.ones(1)).item() == 7


def test_attributes_of_python_modules():
    constants = types.ModuleType("constants")
    constants.factor = 2.0
    f = steady(lambda x: x * constants.factor, tn.ones(1))
    constants.factor = 3.0
    assert f(tn.ones(1)).item() == 3


def test_values_that_are_equal_but_differ():
    values = (1, 2)
    f = steady(lambda x: (x, values[0]), tn.ones(1))
    values = (1.0, 2.0)
    assert type(f(tn.ones(1))[1]) is float
    invert = steady(lambda x, zero: 1 / (x * zero), tn.ones(1), 0.0)
    assert invert(tn.ones(1), -0.0).item() == -math.inf


def test_a_name_that_is_only_an_attribute(monkeypatch):
    monkeypatch.setitem(globals(), "T", 1)
    monkeypatch.setitem(globals(), "sum", sum)
    f = steady(lambda x: x.T.sum(), tn.ones(1))
    monkeypatch.setitem(globals(), "T", 2)
    monkeypatch.setitem(globals(), "sum", None)
    f(tn.ones(1))
    assert f.count == 1
    guards = find_guards(lambda x: x.FACTOR, None, [])
    monkeypatch.setitem(globals(), "FACTOR", 9.0)
    assert guards.holds()


def test_guards_say_what_changed():
    factor = 2.0
    guards = find_guards(lambda x: x * factor, None, [])
    assert guards.holds()
    factor = 3.0
    assert not guards.holds()
    assert guards.failed == "factor"
    factor = 2.0
    assert guards.holds()


def test_large_containers_cost_nothing():
    """Nor do very many small ones cost much; what they hold is not compared."""
    large, array = [0.0] * 300, np.zeros(300)
    many = {i: [[i] for i in range(50)] for i in range(50)}
    guards = find_guards(lambda x: x * large[0] + array[0], None, [])
    large[0] = array[0] = 1.0
    assert guards.holds()
    guards = find_guards(lambda x: x * many[7][0][0], None, [])
    assert len(guards.contents) < 1100


# Modules
class Scaled(nn.Module):
    """A module with values of its own."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.options = types.SimpleNamespace(shift=0.0)

    def forward(self, x):
        return self.shifted(x * self.factor)

    def shifted(self, x):
        return x + self.options.shift + len(ONE) - 1


def test_training_flags():
    model = nn.Sequential(nn.Dropout(1.0))
    f = steady(lambda x: model(x), tn.ones(1))
    assert f(tn.ones(1)).item() == 0
    model.eval()
    assert f(tn.ones(1)).item() == 1
    model.train()
    assert f(tn.ones(1)).item() == 0
    assert f.count <= 2


def test_parameters_that_are_replaced():
    model = nn.Linear(1, 1, bias=False)
    f = steady(tn.no_grad()(lambda x: model(x)), tn.ones(1, 1))
    model.weight = nn.Parameter(tn.full((1, 1), 3.0))
    assert f(tn.ones(1, 1)).item() == 3
    model.bias = nn.Parameter(tn.full((1,), 2.0))
    assert f(tn.ones(1, 1)).item() == 5


def test_parameters_that_are_frozen():
    model = nn.Linear(1, 1)

    def step(x):
        model.zero_grad()
        model(x).sum().backward()

    f = steady(step, tn.ones(1, 1))
    model.bias.requires_grad_(False)
    f(tn.ones(1, 1))
    assert model.bias.grad is None
    assert model.weight.grad.item() == 1


def test_attributes_of_modules():
    model = nn.Sequential(Scaled(2.0))
    f = steady(lambda x: model(x), tn.ones(1))
    model[0].factor = 3.0
    assert f(tn.ones(1)).item() == 3
    model[0].options.shift = 1.0
    assert f(tn.ones(1)).item() == 4


def test_globals_of_modules_methods(monkeypatch):
    model = Scaled(2.0)
    f = steady(lambda x: model(x), tn.ones(1))
    monkeypatch.setitem(globals(), "ONE", (1.0, 1.0, 1.0))
    assert f(tn.ones(1)).item() == 4


def test_modules_that_are_added():
    model = nn.Sequential(Scaled(2.0))
    f = steady(lambda x: model(x), tn.ones(1))
    model.append(Scaled(5.0))
    assert f(tn.ones(1)).item() == 10
    model[0] = Scaled(3.0)
    assert f(tn.ones(1)).item() == 15
    del model[1]
    assert f(tn.ones(1)).item() == 3


def test_hooks_that_come_and_go():
    model = nn.Sequential(Scaled(2.0))
    f = steady(lambda x: model(x), tn.ones(1))
    with model.register_forward_hook(lambda module, args, output: output + 1):
        assert f(tn.ones(1)).item() == 3
        with model[0].register_forward_pre_hook(lambda module, args: (args[0] * 10,)):
            assert f(tn.ones(1)).item() == 21
        assert f(tn.ones(1)).item() == 3
    assert f(tn.ones(1)).item() == 2


def test_keywords_arrive_in_their_order():
    recorded = tn.jit(lambda **named: [*named.values()])
    for _ in range(3):
        first, second = recorded(b=tn.ones(1), a=tn.zeros(1))
        assert [first.item(), second.item()] == [1.0, 0.0]
        first, second = recorded(a=tn.zeros(1), b=tn.ones(1))
        assert [first.item(), second.item()] == [0.0, 1.0]


def test_signs_of_zeros_of_numpys_scalars():
    recorded = tn.jit(lambda x, k: x / k)
    for _ in range(3):
        assert recorded(tn.ones(1), np.float32(0.0)).item() == math.inf
        assert recorded(tn.ones(1), np.float32(-0.0)).item() == -math.inf


def test_numbers_that_are_returned_are_plain():
    optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=0.1)
    recorded = tn.jit(lambda x: {"x": x + 1, "lr": optimizer.param_groups[0]["lr"]})
    assert [type(recorded(tn.ones(1))["lr"]) for _ in range(4)] == [float] * 4
