"""`Module`: parts by name, modes, moves, text, copies."""

import copy
import pickle

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, PartError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(tn.tensor([2.0]))
        self.first = nn.Linear(3, 4)
        self.register_buffer("mean", tn.zeros(4))
        self.register_buffer("count", tn.tensor(0), persistent=False)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))

    def forward(self, x):
        return self.last(self.first(x) - self.mean) * self.scale


def names(pairs):
    return [name for name, _ in pairs]


def test_a_module_computes_its_forward():
    net, x = Net(), tn.ones(5, 3)
    hidden = (x @ net.first.weight.T + net.first.bias).relu()
    assert (net(x) - hidden @ net.last[1].weight.T * 2).abs().max().item() < 1e-6


def test_names_of_parts():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale", "first.weight", "first.bias", "last.1.weight"
    ]  # fmt: skip
    assert names(net.named_parameters(prefix="net", recurse=False)) == ["net.scale"]
    assert names(net.named_buffers()) == ["mean", "count"]
    assert names(net.named_children()) == ["first", "last"]
    assert names(net.named_modules()) == ["", "first", "last", "last.0", "last.1"]
    assert len(list(net.parameters())) == 4
    assert len(list(net.buffers())) == 2
    assert list(net.children()) == [net.first, net.last]
    assert next(net.modules()) is net


def test_shared_parts_are_named_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    twice = nn.Sequential(net, net)
    assert names(twice.named_parameters()) == ["0.0.weight", "0.0.bias", "0.1.bias"]
    assert len(names(twice.named_parameters(remove_duplicate=False))) == 8
    assert names(twice.named_children()) == ["0"]
    assert names(twice.named_modules(remove_duplicate=False))[4:] == ["1", "1.0", "1.1"]


def test_parts_by_dotted_name():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("last.1") is net.last[1]
    assert net.get_parameter("last.1.weight") is net.last[1].weight
    assert net.get_parameter("scale") is net.scale
    assert net.get_buffer("mean") is net.mean


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.get_submodule("last.7"),
         "get_submodule: 'last.7': Sequential has no module '7'"),
        (lambda net: net.get_parameter("first.mean"),
         "get_parameter: 'first.mean': Linear has no parameter 'mean'"),
        (lambda net: net.get_buffer("first.weight"),
         "get_buffer: 'first.weight': Linear has no buffer 'weight'"),
    ],
)  # fmt: skip
def test_parts_that_are_missing(call, message):
    with pytest.raises(PartError) as error:
        call(Net())
    assert str(error.value) == message
    assert isinstance(error.value, AttributeError)


@pytest.mark.parametrize("part", [nn.Parameter(tn.ones(1)), nn.ReLU()])
def test_parts_before_super_init(part):
    class Early(nn.Module):
        def __init__(self):
            self.size = 3  # plain values may come early
            self.part = part

    with pytest.raises(PartError) as error:
        Early()
    assert str(error.value) == (
        f"Early: 'part' is set to a {type(part).__name__} before the module is ready, "
        "call super().__init__() first in Early.__init__"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", 3.0,
         "Net: cannot set parameter 'scale' to a float, expected a Parameter or None"),
        ("scale", tn.ones(1),
         "Net: cannot set parameter 'scale' to a Tensor, expected a Parameter or None"),
        ("first", [1], "Net: cannot set module 'first' to a list, expected a Module or None"),
        ("mean", 3.0, "Net: cannot set buffer 'mean' to a float, expected a Tensor or None"),
    ],
)  # fmt: skip
def test_parts_stay_what_they_are(name, value, message):
    with pytest.raises(ArgumentTypeError) as error:
        setattr(Net(), name, value)
    assert str(error.value) == message


def test_parts_can_be_replaced_and_taken_away():
    net = Net()
    net.mean = tn.ones(4)
    assert next(net.buffers()) is net.mean
    net.first = nn.Identity()
    net.scale = None
    del net.count
    assert names(net.named_parameters()) == ["last.1.weight"]
    assert names(net.named_buffers()) == ["mean"]
    assert "count" not in vars(net)


def test_parts_registered_by_name():
    net = nn.Module()
    net.register_parameter("weight", nn.Parameter(tn.ones(2)))
    net.register_parameter("bias", None)
    net.add_module("act", nn.ReLU())
    assert names(net.named_parameters()) == ["weight"]
    assert net.bias is None
    assert isinstance(net.act, nn.ReLU)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: m.register_parameter("a.b", None), ArgumentError,
         "register_parameter: a name must be a string without '.', got 'a.b'"),
        (lambda m: m.register_module("", nn.ReLU()), ArgumentError,
         "register_module: a name must be a string without '.', got ''"),
        (lambda m: m.register_buffer("forward", tn.ones(1)), ArgumentError,
         "register_buffer: Module has an attribute 'forward' already"),
        (lambda m: m.register_parameter("w", tn.ones(1)), ArgumentTypeError,
         "register_parameter: 'w' must be a Parameter or None, got Tensor"),
        (lambda m: m.register_module("m", tn.ones(1)), ArgumentTypeError,
         "register_module: 'm' must be a Module or None, got Tensor"),
        (lambda m: m.register_buffer("b", [1]), ArgumentTypeError,
         "register_buffer: 'b' must be a Tensor or None, got list"),
        (lambda m: m.train("yes"), ArgumentError, "train: mode must be a bool, got 'yes'"),
        (lambda m: m.to(tn.int64), DTypeError,
         "to: a module takes floating dtypes only, got tinynet.int64"),
        (lambda m: m.to(3), ArgumentTypeError,
         "to: expected a device, a dtype or a tensor, got 3"),
        (lambda m: m(tn.ones(1)), NotImplementedError, "Module: forward is not written"),
        (lambda m: nn.Parameter([1.0]), ArgumentTypeError,
         "Parameter: data must be a Tensor, got list"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call(nn.Module())
    assert str(error.value) == message


def test_train_and_eval_reach_everything():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train().last[0].training


def test_freezing_and_gradients():
    net = Net()
    net(tn.ones(2, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.item() == 0
    net.zero_grad()
    assert net.scale.grad is None
    assert net.requires_grad_(False) is net
    assert not net(tn.ones(2, 3)).requires_grad


def test_to_keeps_the_tensors_identity():
    net = Net()
    weight, count = net.first.weight, net.count
    net(tn.ones(2, 3)).sum().backward()
    assert net.double() is net
    assert net.first.weight is weight
    assert isinstance(weight, nn.Parameter)
    assert weight.dtype is weight.grad.dtype is net.mean.dtype is tn.float64
    assert count.dtype is tn.int64
    assert net.half().scale.dtype is tn.float16
    assert net.to(tn.ones(1)).scale.dtype is net.float().scale.dtype is tn.float32
    assert net.to("cpu", tn.float64).scale.dtype is tn.float64
    assert net.to(device="cpu", dtype=tn.float32).scale.dtype is tn.float32


def test_to_where_nothing_changes_leaves_the_graph_alone():
    net = Net()
    loss = net(tn.ones(2, 3)).sum()
    net.to("cpu").float().to(None)
    loss.backward()
    assert net.scale.grad is not None


def test_bfloat16():
    pytest.importorskip("ml_dtypes")
    assert nn.Linear(2, 2).bfloat16()(tn.ones(1, 2, dtype=tn.bfloat16)).dtype is tn.bfloat16


def test_apply_goes_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (last): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=4, out_features=2, bias=False)\n"
        "  )\n"
        ")"
    )


def test_repr_with_several_lines_of_its_own():
    class Wide(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(Wide()) == "Wide(\n  a=1\n  b=2\n)"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_whole_and_separate(duplicate):
    net = Net()
    net.last[1].weight = nn.Parameter(tn.ones(2, 4))
    net.tied = net.last[1].weight
    net.eval()
    other = duplicate(net)
    assert other.tied is other.last[1].weight
    assert isinstance(other.tied, nn.Parameter)
    assert not other.training
    assert names(other.named_buffers()) == ["mean", "count"]
    assert other(tn.ones(1, 3)).tolist() == net(tn.ones(1, 3)).tolist()
    with tn.no_grad():
        net.tied.zero_()
    assert other.tied.sum().item() == 8


def test_parameter():
    values = tn.ones(2)
    parameter = nn.Parameter(values)
    assert isinstance(parameter, tn.Tensor)
    assert parameter.requires_grad
    assert type(parameter * 2) is tn.Tensor
    values[0] = 5.0
    assert parameter.tolist() == [5.0, 1.0]  # the same memory
    assert not nn.Parameter(values, requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    assert type(copy.deepcopy(parameter)) is nn.Parameter
    assert type(pickle.loads(pickle.dumps(parameter))) is nn.Parameter


def test_only_modules_become_submodules():
    with pytest.raises(ArgumentTypeError, match="set_submodule: 'first': got int, expected"):
        Net().set_submodule("first", 3)
