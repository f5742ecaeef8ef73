"""A tuple of numbers in `Numbers`, such as Adam's `betas`: its parts are read anew too."""

import pytest

import tinynet as tn
from tinynet.numbers import Number, Numbers, current
from tinynet.optim import Adam
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


def test_parts_are_numbers():
    state, script, result = recorded(lambda n: n["betas"][0] + n["betas"][1], betas=(1.0, 2.0))
    assert type(result) is Number
    assert result.value == 3.0
    state["betas"] = (10.0, 5.0)
    assert script.run()
    assert script.values[result.slot] == 15.0
    assert len(script.reads) == 1


@pytest.mark.parametrize("other", [(1.0,), (1.0, 2.0, 3.0), (1.0, 2), (1.0, None), 1.0, None, ()])
def test_a_tuple_of_another_kind_does_not_fit(other):
    state, script, _ = recorded(lambda n: n["betas"][0] * 2, betas=(1.0, 2.0))
    assert script.run()
    state["betas"] = other
    assert not script.run()
    assert script.failed == "betas"


@pytest.mark.parametrize("value", [(), (None, 1.0), ("mean", 2), (True, False)])
def test_other_tuples_stay_what_they_are(value):
    state, script, result = recorded(lambda n: n["a"], a=value)
    assert result is value
    state["a"] = (7,)
    assert not script.run()


def test_tuples_that_are_written():
    def body(n):
        first, second = n["betas"]
        n["betas"] = (first * 2, second)
        return n["betas"][0] + 1

    state, script, result = recorded(body, betas=(1, 5))
    assert dict.get(state, "betas") == (2, 5)
    assert {type(part) for part in dict.get(state, "betas")} == {int}
    assert result.value == 3
    for first in (4, 8):
        assert script.run()
        script.commit()
        assert state["betas"] == (first, 5)
        assert script.values[result.slot] == first + 1


def test_betas_that_change_are_not_recorded_anew(on_device):
    def train(transform):
        x = tn.tensor([1.0, -2.0], requires_grad=True)
        optimizer = Adam([x], lr=0.1)

        @transform
        def step():
            optimizer.zero_grad()
            (x * x).sum().backward()
            optimizer.step()

        for i in range(8):
            optimizer.param_groups[0]["betas"] = (0.9 - 0.05 * i, 0.99)
            step()
        return x.tolist(), step

    eager, _ = train(lambda function: function)
    replayed, step = train(tn.jit)
    assert replayed == pytest.approx(eager, rel=1e-6)
    assert step.count == 1


def test_a_weight_that_is_read_anew_takes_no_longer_way(on_device):
    options = Numbers(weight=0.5)
    x, end = tn.ones(3), tn.zeros(3)
    steps = [tn.jit(lambda: x.lerp_(end, 0.5)), tn.jit(lambda: x.lerp_(end, options["weight"]))]
    for step in steps:
        step()
        step()
    assert len(str(steps[0].tape).splitlines()) == len(str(steps[1].tape).splitlines())
