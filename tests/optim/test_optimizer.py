"""What all optimisers share: groups, steps, state."""

import copy
import pickle

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, StateError
from tinynet.optim import SGD, Adam, Optimizer


def with_grad(value, grad):
    x = tn.tensor(value, requires_grad=True)
    x.grad = tn.tensor(grad)
    return x


def test_a_new_optimiser_is_its_update_rule():
    class Signs(Optimizer):
        def update(self, parameter, gradient, state, group):
            state["count"] = state.get("count", 0) + 1
            parameter.sub_(gradient.sign() * group["lr"])

    x = with_grad([3.0, -4.0], [7.0, -0.1])
    optimizer = Signs([x], {"lr": 0.5})
    optimizer.step()
    optimizer.step()
    assert x.tolist() == [2.0, -3.0]
    assert optimizer.state[x] == {"count": 2}


def test_groups_have_options_of_their_own():
    x, y = with_grad(1.0, 1.0), with_grad(1.0, 1.0)
    optimizer = SGD([{"params": x, "lr": 0.5}, {"params": [y]}], lr=0.25)
    optimizer.step()
    assert (x.item(), y.item()) == (0.5, 0.75)
    optimizer.param_groups[1]["lr"] = 0.75
    optimizer.step()
    assert (x.item(), y.item()) == (0.0, 0.0)
    z = with_grad(1.0, 1.0)
    optimizer.add_param_group({"params": [z], "lr": 1.0})
    optimizer.step()
    assert z.item() == 0


def test_parameters_with_names():
    layer = nn.Linear(2, 1)
    optimizer = SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == [layer.weight, layer.bias]


def test_parameters_without_gradients_stay():
    x = tn.ones(1, requires_grad=True)
    Adam([x]).step()
    assert x.item() == 1


def test_zero_grad():
    x = with_grad(1.0, 2.0)
    optimizer = SGD([x])
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.item() == 0
    optimizer.zero_grad()
    assert x.grad is None


def test_closure():
    x = tn.tensor(3.0, requires_grad=True)
    optimizer = SGD([x], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = x * x
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9
    assert x.item() == 0
    assert optimizer.step() is None


def test_gradients_stay_as_they_are():
    for options in ({"momentum": 0.9, "weight_decay": 0.1}, {"maximize": True}):
        x = with_grad([1.0], [2.0])
        optimizer = SGD([x], lr=0.1, **options)
        optimizer.step()
        optimizer.step()
        assert x.grad.tolist() == [2.0]


def test_state_dict():
    x, y = with_grad(1.0, 1.0), with_grad([1.0, 2.0], [3.0, 4.0])
    optimizer = SGD([{"params": [x], "lr": 0.5}, {"params": [y]}], momentum=0.9)
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    assert state["param_groups"][0]["lr"] == 0.5
    assert state["state"][1]["momentum_buffer"].tolist() == [3.0, 4.0]

    other = SGD([{"params": [with_grad(0.0, 1.0)]}, {"params": [with_grad([0.0] * 2, [1.0] * 2)]}])
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.5
    loaded = other.state_dict()["state"][1]["momentum_buffer"]
    assert loaded.tolist() == [3.0, 4.0]
    loaded.zero_()
    assert state["state"][1]["momentum_buffer"].tolist() == [3.0, 4.0]  # a copy


def test_loaded_state_takes_the_parameter_s_dtype():
    x = with_grad(1.0, 1.0)
    optimizer = Adam([x])
    optimizer.step()
    y = tn.tensor(1.0, dtype=tn.float64, requires_grad=True)
    other = Adam([y])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[y]["exp_avg"].dtype is tn.float64
    assert other.state[y]["step"] == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_by_themselves(duplicate):
    x = with_grad(1.0, 1.0)
    optimizer = Adam([x], lr=0.5)
    optimizer.step()
    other = duplicate(optimizer)
    y = other.param_groups[0]["params"][0]
    assert other.state[y]["exp_avg"].item() == optimizer.state[x]["exp_avg"].item()
    other.step()
    assert (x.item(), y.item()) == pytest.approx((0.5, 0.0), abs=1e-6)


def test_repr():
    assert repr(SGD([tn.ones(1)], lr=0.1)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.1\n    maximize: False\n"
        "    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)"
    )


X = tn.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: SGD([]), ArgumentError, "SGD: params is empty, expected tensors or groups"),
        (lambda: SGD(X), ArgumentTypeError,
         "SGD: params must be a list of tensors or groups, got Tensor"),
        (lambda: Adam([{"params": {X}}]), ArgumentTypeError,
         "Adam: a group's params must be a list of tensors or groups, got set"),
        (lambda: SGD(3), ArgumentTypeError,
         "SGD: params must be a list of tensors or groups, got int"),
        (lambda: SGD([1.0]), ArgumentTypeError, "SGD: can train only tensors, got float"),
        (lambda: SGD([X * 2]), ArgumentError,
         "SGD: can train only leaf tensors, got one of shape (2,) that an operation made"),
        (lambda: SGD([{"lr": 1.0}]), ArgumentTypeError,
         "SGD: a group must be a dict with 'params', got {'lr': 1.0}"),
        (lambda: SGD([{"params": [X]}, {"params": [X]}]), ArgumentError,
         "SGD: a parameter is in more than one group"),
        (lambda: Optimizer([X], {}).step(), NotImplementedError,
         "Optimizer: update is not written"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    X.grad = tn.ones(2)
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_a_parameter_twice_in_a_group_warns():
    with pytest.warns(UserWarning, match="^SGD: a group has a parameter twice$"):
        SGD([X, X])


STATE = {"state": {0: {"momentum_buffer": tn.ones(3)}}, "param_groups": [{"params": [0]}]}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"state": {}}, "SGD.load_state_dict: expected a dict with 'state' and 'param_groups'"),
        ({"state": {}, "param_groups": [{"params": [0, 1]}]},
         "SGD.load_state_dict: the state has groups of [2] parameters, expected [1]"),
        ({"state": {7: {}}, "param_groups": [{"params": [0]}]},
         "SGD.load_state_dict: the state is of parameters [7] that no group has"),
        (STATE, "SGD.load_state_dict: state[0]['momentum_buffer']: got shape (3,), expected (2,)"),
        ({"state": {0: {"step": tn.ones(2)}}, "param_groups": [{"params": [0]}]},
         "SGD.load_state_dict: state[0]['step']: got shape (2,), expected ()"),
        (3, "SGD.load_state_dict: expected a dict with 'state' and 'param_groups'"),
        ({"state": {0: 3}, "param_groups": [{"params": [0]}]},
         "SGD.load_state_dict: 'state' must be a dict of dicts, got {0: 3}"),
        ({"state": [], "param_groups": [{"params": [0]}]},
         "SGD.load_state_dict: 'state' must be a dict of dicts, got []"),
        *[({"state": {}, "param_groups": groups},
           "SGD.load_state_dict: 'param_groups' must be a list of dicts with lists of numbers as "
           f"'params', got {groups}")
          for groups in (None, [3], [{}], [{"params": 0}], [{"params": [[0]]}])],
    ],
)  # fmt: skip
def test_states_that_do_not_fit(state, message):
    x = tn.ones(2)
    optimizer = SGD([x], lr=0.5, momentum=0.9)
    x.grad = tn.ones(2)
    optimizer.step()
    before = {**optimizer.state[x]}
    with pytest.raises(StateError) as error:
        optimizer.load_state_dict(state)
    assert str(error.value) == message
    assert {**optimizer.state[x]} == before
