"""State dicts, out and in."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentTypeError, StateError


def make_net():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    net.register_buffer("mean", tn.zeros(3))
    net.register_buffer("scratch", tn.zeros(3), persistent=False)
    return net


KEYS = ["mean", "0.weight", "0.bias", "2.weight", "2.bias"]


def test_state_dict_is_on_the_module_s_memory():
    net = make_net()
    state = net.state_dict()
    assert list(state) == KEYS
    assert not state["0.weight"].requires_grad
    state["mean"].fill_(3.0)
    assert net.mean.tolist() == [3.0, 3.0, 3.0]
    assert net.state_dict(keep_vars=True)["0.weight"] is net[0].weight
    assert list(net.state_dict(prefix="net.")) == [f"net.{key}" for key in KEYS]
    gathered = {"other": tn.ones(1)}
    assert net.state_dict(destination=gathered) is gathered
    assert list(gathered) == ["other", *KEYS]


def test_load_copies_values_and_keeps_parameters():
    source, target = make_net(), make_net()
    weight = target[0].weight
    assert target.load_state_dict(source.state_dict()) == ([], [])
    assert target[0].weight is weight
    assert weight.tolist() == source[0].weight.tolist()
    with tn.no_grad():
        source[0].weight.zero_()
    assert weight.abs().sum().item() > 0


def test_load_converts_the_dtype():
    target = make_net()
    target.load_state_dict(make_net().double().state_dict())
    assert target[0].weight.dtype is tn.float32


def test_shared_parameters_are_saved_under_both_names():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    net.load_state_dict(net.state_dict())
    assert net[1].weight is net[0].weight


def test_everything_that_does_not_fit_is_listed_and_nothing_changes():
    net = make_net()
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    state = {
        "mean": tn.ones(3), "0.weight": tn.ones(2, 4), "0.bias": [1.0, 2.0],
        "2.weight": tn.ones(1, 2), "3.weight": tn.ones(1), "head": tn.ones(1),
    }  # fmt: skip
    with pytest.raises(StateError) as error:
        net.load_state_dict(state)
    assert str(error.value) == (
        "load_state_dict: the state does not fit Sequential:\n"
        "  missing: 2.bias\n"
        "  unexpected: 3.weight, head\n"
        "  0.weight: got shape (2, 4), expected (2, 3)\n"
        "  0.bias: got list, expected a Tensor"
    )
    assert {name: value.tolist() for name, value in net.state_dict().items()} == before


def test_not_strict():
    net = make_net()
    found = net.load_state_dict({"mean": tn.ones(3), "head": tn.ones(1)}, strict=False)
    assert found.missing_keys == KEYS[1:]
    assert found.unexpected_keys == ["head"]
    assert net.mean.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(StateError, match="mean: got shape"):
        net.load_state_dict({"mean": tn.ones(4)}, strict=False)


def test_not_a_dict():
    with pytest.raises(ArgumentTypeError) as error:
        make_net().load_state_dict([tn.ones(1)])
    assert str(error.value) == "load_state_dict: expected a dict of tensors, got list"


def test_assign_takes_the_tensors_themselves():
    net = make_net()
    net[0].weight.requires_grad_(False)
    state = {name: value.double() for name, value in make_net().state_dict().items()}
    net.load_state_dict(state, assign=True)
    assert net.mean is state["mean"]
    assert isinstance(net[0].weight, nn.Parameter)
    assert net[0].weight.dtype is tn.float64
    assert not net[0].weight.requires_grad
    assert net[0].bias.requires_grad
    state["0.weight"].zero_()
    assert net[0].weight.abs().sum().item() == 0
    own = nn.Parameter(tn.ones(1))
    net.load_state_dict({"2.bias": own}, strict=False, assign=True)
    assert net[2].bias is own
