"""`Sequential` and `ModuleList`."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentTypeError, DimError


def sizes(chain):
    return [layer.out_features for layer in chain]


def layers(*out_features):
    return [nn.Linear(1, n) for n in out_features]


def test_sequential_runs_in_order():
    double = nn.Linear(1, 1, bias=False)
    with tn.no_grad():
        double.weight.fill_(-2.0)
    net = nn.Sequential(double, nn.ReLU(), double)
    assert net(tn.tensor([[3.0], [-3.0]])).tolist() == [[0.0], [-12.0]]
    assert nn.Sequential()(5) == 5


def test_sequential_with_names():
    net = nn.Sequential({"first": nn.Linear(1, 2), "act": nn.ReLU()})
    assert net.first is net[0]
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert [name for name, _ in net[1:].named_children()] == ["act"]


@pytest.mark.parametrize("make", [lambda *items: nn.Sequential(*items),
                                  lambda *items: nn.ModuleList(items)])  # fmt: skip
def test_chains_are_lists(make):
    chain = make(*layers(1, 2, 3))
    kind = type(chain)
    assert len(chain) == 3
    assert sizes(chain) == [1, 2, 3]
    assert chain[-1].out_features == chain[2].out_features == 3
    assert type(chain[1:]) is kind
    assert sizes(chain[1:]) == [2, 3]
    assert sizes(chain[::2]) == [1, 3]
    assert sizes(chain.append(nn.Linear(1, 4))) == [1, 2, 3, 4]
    assert sizes(chain.extend(layers(5, 6))) == [1, 2, 3, 4, 5, 6]
    assert sizes(chain.insert(1, nn.Linear(1, 9))) == [1, 9, 2, 3, 4, 5, 6]
    with pytest.raises(DimError, match="index 8 is out of range for 7 modules"):
        chain.insert(8, nn.ReLU())
    assert chain.pop(1).out_features == 9
    chain[-1] = nn.Linear(1, 7)
    del chain[0], chain[1:3]
    assert sizes(chain) == [2, 5, 7]
    assert [name for name, _ in chain.named_children()] == ["0", "1", "2"]
    assert sizes(chain + make(*layers(8))) == [2, 5, 7, 8]


def test_module_list_grows_in_place():
    chain = nn.ModuleList()
    chain += layers(1, 2)
    assert sizes(chain) == [1, 2]
    assert len(nn.ModuleList([nn.ReLU(), None])) == 1


def test_a_module_may_stand_in_two_places():
    act = nn.ReLU()
    net = nn.Sequential(act, nn.Linear(1, 1), act)
    assert len(net) == 3
    assert net[0] is net[2]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.Sequential(nn.ReLU())[1], DimError,
         "Sequential: index 1 is out of range for 1 modules"),
        (lambda: nn.ModuleList()[-1], DimError,
         "ModuleList: index -1 is out of range for 0 modules"),
        (lambda: nn.ModuleList()["a"], ArgumentTypeError,
         "ModuleList: index must be an int, got 'a' (str)"),
        (lambda: nn.Sequential(nn.ReLU(), tn.relu), ArgumentTypeError,
         "register_module: '1' must be a Module or None, got function"),
        (lambda: nn.Sequential(None), ArgumentTypeError,
         "Sequential: '0' must be a Module, got None"),
        (lambda: nn.Sequential() + list(nn.Sequential()), ArgumentTypeError,
         "Sequential: + takes another Sequential, got list"),
        (lambda: nn.ModuleList()(1), NotImplementedError, "ModuleList: forward is not written"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_repr_of_a_module_list_counts_what_repeats():
    assert repr(nn.ModuleList([*layers(2, 2), nn.ReLU()])) == (
        "ModuleList(\n"
        "  (0-1): 2 x Linear(in_features=1, out_features=2, bias=True)\n"
        "  (2): ReLU()\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"
