"""Whole models in files: built again as they are, or refused; no file decides what code runs."""

import copy
import gc
import json
import os
import pickle
import weakref

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tinynet as tn
from tests.io.test_safetensors import damaged
from tinynet import nn
from tinynet.errors import ArgumentTypeError, DataError, TinynetError
from tinynet.io.safetensors import KEY


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def reloaded(model, path, classes=(), **options):
    tn.save_model(model, path)
    return tn.load_model(path, classes, **options)


def bits(x):
    return x.dtype, x.shape, x.requires_grad, type(x), x.tolist()


def assert_same(model, other):
    """Same classes, names, order, values, flags and ties."""
    assert repr(other) == repr(model)
    for walk in ("named_modules", "named_parameters", "named_buffers"):
        pairs = [[*getattr(m, walk)(remove_duplicate=False)] for m in (model, other)]
        assert [name for name, _ in pairs[1]] == [name for name, _ in pairs[0]]
        first = [[[id(y) for _, y in found].index(id(x)) for _, x in found] for found in pairs]
        assert first[1] == first[0]
        for (_, x), (_, y) in zip(*pairs):
            if walk == "named_modules":
                assert (type(y), y.training, y._buffers) == (type(x), x.training, x._buffers)
                assert [n for n in vars(y) if n[0] != "_"] == [n for n in vars(x) if n[0] != "_"]
            else:
                assert bits(y) == bits(x)
    assert list(other.state_dict()) == list(model.state_dict())


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 4, 5, bias=False)), nn.Dropout(0.3),
    )  # fmt: skip


def test_a_network(path, on_device):
    model = lenet()
    model(tn.randn(3, 1, 8, 8))  # the running statistics move
    model[1].eval()
    model[0].requires_grad_(False)
    other = reloaded(model, path)
    assert_same(model, other)
    assert other[0].weight.device == on_device
    x = tn.randn(2, 1, 8, 8)
    assert other.eval()(x).tolist() == model.eval()(x).tolist()
    assert set(load_file(path)) == set(model.state_dict())
    assert tn.load(path).keys() == model.state_dict().keys()


def test_to_another_device(path, device):
    model = nn.Linear(2, 3, device="cpu")
    other = reloaded(model, path, device=device)
    assert other.weight.device == device
    assert other.weight.tolist() == model.weight.tolist()


# Arguments of modules that take some; every other module of nn is made without.
ARGUMENTS = {
    "Linear": (3, 2), "Unflatten": (1, (2, 3)), "Flatten": (0,), "Fold": (4, 2), "Unfold": (2,),
    "GroupNorm": (2, 4), "LayerNorm": ([3, 2],), "RMSNorm": (3,), "LocalResponseNorm": (2,),
    "ChannelShuffle": (2,), "PixelShuffle": (2,), "PixelUnshuffle": (2,),
    "Bilinear": (2, 3, 4), "Embedding": (5, 3, 0), "EmbeddingBag": (5, 3), "Threshold": (0.1, 2),
    "RNN": (2, 3, 2), "LSTM": (2, 4, 2, True, False, 0.1, True, 3), "GRU": (2, 3),
    "RNNBase": ("GRU", 2, 3), "RNNCell": (2, 3), "LSTMCell": (2, 3), "GRUCell": (2, 3),
    "MultiheadAttention": (4, 2), "Transformer": (4, 2, 1, 1, 8),
    "TransformerEncoderLayer": (4, 2, 8, 0.1, nn.functional.gelu),
    "TransformerDecoderLayer": (4, 2, 8, 0.1, "gelu"), "LearnedEncoding": (4, 6),
    "SinusoidalEncoding": (4,), "ModuleDict": ({"a": nn.Linear(1, 2)},),
    "TransformerEncoder": (nn.TransformerEncoderLayer(4, 2, 8), 2),
    "TransformerDecoder": (nn.TransformerDecoderLayer(4, 2, 8), 2),
    "ParameterList": ([nn.Parameter(tn.ones(2)), tn.zeros(1)],),
    "ParameterDict": ({"a": nn.Parameter(tn.ones(2)), "b": 3},),
    "CrossEntropyLoss": (tn.tensor([1.0, 2.0]),),
}  # fmt: skip
BY_START = {
    "ConvTranspose": (2, 4, 3), "Conv": (2, 4, 3), "Batch": (3,), "Instance": (3, 1e-3, 0.2, True),
    "Adaptive": (2,), "LPPool": (2, 2), "Constant": (1, 0.5),
}  # fmt: skip
BY_END = {"Pool": (2,), "Unpool": (2,), "Pad": (1,)}
ABSTRACT = {"Module"}


def arguments_of(name):
    known = [found for key, found in ARGUMENTS.items() if name == key]
    known += [found for key, found in BY_START.items() if name.startswith(key)]
    known += [found for key, found in BY_END.items() if name[:-2].endswith(key)]
    return [*known, ()][0]


MODULES = [
    name
    for name in nn.__all__
    if isinstance(getattr(nn, name), type)
    and issubclass(getattr(nn, name), nn.Module)
    and name not in ABSTRACT
]


def make(name):
    try:
        return getattr(nn, name)(*arguments_of(name))
    except TypeError as error:
        pytest.skip(f"made in a way that this test does not know: {error}")


@pytest.mark.parametrize("name", MODULES)
def test_modules_of_nn(path, name):
    model = make(name)
    other = reloaded(nn.ModuleList([model]), path)
    assert_same(nn.ModuleList([model]), other)
    assert {n: v for n, v in vars(other[0]).items() if isinstance(v, (int, str, tuple))} == {
        n: v for n, v in vars(model).items() if isinstance(v, (int, str, tuple))
    }


def test_this_file_knows_how_to_make_the_modules_of_today():
    for name in ("Linear", "Conv2d", "BatchNorm2d", "MaxPool2d", "LSTM", "TransformerEncoder"):
        make(name)


@pytest.mark.parametrize("dtype", [tn.float64, tn.bfloat16])
def test_dtypes(path, dtype):
    model = lenet().to(dtype)
    assert_same(model, reloaded(model, path))
    model = nn.Linear(2, 3, dtype=dtype)
    assert reloaded(model, path).weight.dtype is dtype


class Net(nn.Module):
    def __init__(self, width, *, layers=2, act=nn.functional.relu, norm=nn.LayerNorm, **options):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.norm = norm(width)
        self.act = act
        self.options = options
        self.head = nn.Linear(width, width, bias=False)
        self.head.weight = self.layers[0].weight
        self.register_buffer("scale", tn.full((width,), 2.0), persistent=False)
        self.helpers = [self.head, {"w": self.scale}]

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(self.norm(x)))
        return self.head(x) * self.scale


def test_a_class_of_the_user_s(path):
    model = Net(3, layers=3, act=nn.functional.silu, norm=nn.RMSNorm, name="x", sizes=[1, (2,)])
    model.helpers[1]["w"].fill_(3)
    names = (
        [Net], (Net,), {"Net": Net}, {f"{Net.__module__}.Net": Net}, iter([nn.Linear, Net])
    )  # fmt: skip
    for classes in names:
        other = reloaded(model, path, classes)
        assert_same(model, other)
        assert other.head.weight is other.layers[0].weight
        assert other.helpers[0] is other.head
        assert other.helpers[1]["w"] is other.scale
        assert other.act is nn.functional.silu
        assert other.options == {"name": "x", "sizes": [1, (2,)]}
        x = tn.randn(2, 3)
        assert other(x).tolist() == model(x).tolist()
    assert_same(model, reloaded(other, path, [Net]))  # what is loaded can be saved


def test_changes_after_construction_come_back(path):
    model = Net(3)
    model.layers.append(nn.Linear(3, 5))
    model.layers[0] = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    model.head = nn.Linear(5, 2)
    model.norm = nn.Identity()
    model.layers[1].bias = None
    model.layers[1].weight = nn.Parameter(tn.ones(7, 3))
    model.register_buffer("extra", tn.arange(3))
    model.register_parameter("factor", nn.Parameter(tn.ones(())))
    model.scale = None
    model.options = {"anything": (1, {2: None})}
    model.note = "changed"
    model.helpers = None
    del model.act
    model.act = nn.functional.gelu
    other = reloaded(model, path, [Net])
    assert_same(model, other)
    assert (other.note, other.options, other.scale) == (model.note, model.options, None)
    assert other.layers[1].bias is None


def test_containers_in_every_state(path):
    model = nn.Sequential({"first": nn.Linear(2, 2), "then": nn.ReLU()})
    model.append(nn.Linear(2, 3))
    del model[1]
    model.insert(1, nn.Dropout(0.1))
    model[1].p = 0.7
    assert_same(model, reloaded(model, path))
    assert reloaded(model, path)[1].p == 0.7
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert_same(model, reloaded(model, path))
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    other = reloaded(model, path)
    assert other[1].weight is other[0].weight
    assert set(load_file(path)) == {"0.weight", "0.bias", "1.bias"}
    assert_same(nn.Sequential(), reloaded(nn.Sequential(), path))


class Residual(nn.Module):
    def __init__(self, inner, times=1):
        super().__init__()
        self.inner = inner
        self.features = inner.out_features * times
        self.scale = nn.Parameter(tn.ones(self.features))


class Tied(nn.Module):
    """Ties in its constructor what may be untied later."""

    def __init__(self, weight, table=None):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
        self.a.weight = self.b.weight = weight
        self.table = table


def test_modules_and_tensors_as_arguments(path):
    model = Residual(nn.Linear(2, 3), times=2)
    assert_same(model, reloaded(model, path, [Residual]))
    model.inner = nn.Linear(4, 4)  # not what the constructor got
    other = reloaded(model, path, [Residual])
    assert_same(model, other)
    assert_same(model, reloaded(other, path, [Residual]))
    model = Tied(nn.Parameter(tn.randn(2, 2)), tn.arange(3))
    other = reloaded(model, path, [Tied])
    assert_same(model, other)
    assert other.table.tolist() == [0, 1, 2]
    model.a.weight = nn.Parameter(tn.randn(2, 2))
    other = reloaded(model, path, [Tied])
    assert_same(model, other)
    assert other.a.weight is not other.b.weight


class Scaled(nn.Module):
    """With an attribute that no file holds."""

    def __init__(self, factor):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.scale = lambda x: x * factor
        self.seen = {1, 2}
        self.array = np.arange(2)


def test_what_only_the_constructor_makes(path):
    model = Scaled(3)
    other = reloaded(model, path, [Scaled])
    assert_same(model, other)
    assert other.scale(2) == 6
    assert other.seen == {1, 2}


NOT_HELD = (
    ", expected tensors, numbers, strings, None, lists, tuples, and dicts with keys of str or int, "
    "dtypes, modules, their classes, functions of nn.functional"
)


def refusal(model, path):
    path.unlink(missing_ok=True)
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save_model(model, path)
    assert not path.exists()
    return str(caught.value)


def test_what_the_constructor_makes_otherwise_is_refused(path):
    model = Scaled(3)
    model.scale = print
    assert refusal(model, path) == (
        "save_model: attribute 'scale' was 'builtins.print', which no file holds, expected the "
        f"constructor to make it, got {Scaled.__module__}.Scaled.__init__.<locals>.<lambda>"
    )
    for name, value, kind in (("seen", {3}, "set"), ("array", np.ones(2), "ndarray")):
        model = nn.Sequential(Scaled(3))
        setattr(model[0], name, value)
        assert refusal(model, path) == (
            f"save_model: ['0'][{name!r}] is of type {kind}{NOT_HELD}; "
            "the constructor makes another"
        )
    model = nn.Linear(2, 2)
    model.register_forward_hook(lambda *args: None)
    assert refusal(model, path).startswith("save_model: attribute '_hooks' was 'forward hooks: ")


def test_parametrizations_are_refused(path):
    for base in (nn.Linear, Residual):
        model = nn.Sequential(nn.Linear(2, 2) if base is nn.Linear else Residual(nn.Linear(2, 2)))
        layer = model[0] if base is nn.Linear else model[0].inner
        nn.utils.parametrizations.weight_norm(layer)
        message = refusal(model, path)
        assert message.startswith("save_model: ['0']")
        assert "is of the class" in message
        assert message.endswith("parametrizations must be removed first")
        nn.utils.parametrize.remove_parametrizations(layer, "weight")
        assert_same(model, reloaded(model, path, [Residual]))


def test_made_by_other_constructors(path):
    model = nn.Embedding.from_pretrained(tn.randn(4, 3), padding_idx=1)
    assert_same(model, reloaded(model, path))
    average = tn.optim.swa_utils.AveragedModel(nn.Linear(2, 2))
    average.update_parameters(nn.Linear(2, 2))
    assert_same(average, reloaded(average, path, [tn.optim.swa_utils.AveragedModel]))


def test_hooks_that_were_removed(path):
    model = nn.Linear(2, 2)
    model.register_forward_hook(lambda *args: None).remove()
    assert_same(model, reloaded(model, path))


def test_arguments_that_no_file_holds_are_refused(path):
    model = nn.Sequential(Net(2, act=lambda x: x))
    assert refusal(model, path) == (
        f"save_model: ['0']['Net()']['act'] is of type function{NOT_HELD}"
    )
    model = nn.Sequential(Net(2, act=os.getcwd))
    assert "['0']['Net()']['act'] is of type builtin_function_or_method" in refusal(model, path)


class Odd(nn.Module):
    def __new__(cls, size):
        return super().__new__(cls, size, "more")

    def __init__(self, size):
        super().__init__()


def test_arguments_that_are_not_the_constructor_s(path):
    assert refusal(nn.Sequential(Odd(2)), path) == (
        "save_model: arguments of Odd: too many positional arguments, expected those of __init__"
    )


def test_what_is_no_model(path):
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save_model({}, path)
    assert str(caught.value) == "save_model: got dict, expected a Module"
    tn.save({"x": tn.ones(1)}, path)
    with pytest.raises(DataError) as caught:
        tn.load_model(path)
    assert str(caught.value) == (
        f"load_model: {path}: has no architecture, expected what save_model writes; "
        "tn.load reads the tensors"
    )


@pytest.mark.parametrize("classes", [3, [3], [print], {"Net": tn.Tensor}, [nn]])
def test_classes_that_are_none(path, classes):
    tn.save_model(nn.ReLU(), path)
    with pytest.raises(ArgumentTypeError, match=r"^load_model: (classes is|got) .*, expected a "):
        tn.load_model(path, classes)


def test_random_numbers_and_metadata_stay(path):
    before = tn.get_rng_state()
    scaled, model = Scaled(2), nn.Linear(2, 2)
    state = tn.get_rng_state()
    assert state != before  # weights were drawn
    tn.save_model(scaled, path)
    tn.save_model(model, path, metadata={"who": "me"})
    tn.load_model(path)
    assert tn.get_rng_state() == state
    assert tn.io.load_metadata(path) == {"who": "me"}


# Security
def own_text(path):
    with safe_open(path, "numpy") as file:
        return file.metadata()[KEY]


def renamed(path, before, after):
    """Let the file at `path` name another class."""
    own = json.dumps(json.loads(own_text(path)))
    text = own.replace(json.dumps(before), json.dumps(after))
    assert text != own
    save_file(load_file(path), path, {KEY: text})


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "builtins.eval", "tinynet.nn.functional", "tinynet.nn.init",
        "tinynet.nn.Parameter", "tinynet.nn.functional.Tensor", "tinynet.nn.os.system", "Net", "",
        "tinynet.nn.module.hooks", "tinynet.nn.module.Hooked", "tinynet.nn.__builtins__",
        "subprocess.Popen", "x.Other", 3,
        None, ["os"], f"{Net.__module__}.Net", "tinynet.optim.SGD",
    ],
    ids=str,
)  # fmt: skip
def test_nothing_else_is_built_whatever_a_file_names(path, name, monkeypatch):
    tn.save_model(nn.ReLU(), path)
    renamed(path, "tinynet.nn.ReLU", name)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    with pytest.raises(DataError):
        tn.load_model(path, [Residual])
    if isinstance(name, str):
        with pytest.raises(DataError) as caught:
            tn.load_model(path)
        assert str(caught.value) == (
            f"load_model: {path}: names {name!r}, expected a module of tinynet.nn, a class given "
            "to tn.io.register or one in `classes`: no file can have others built"
        )


def test_a_function_is_no_class(path):
    tn.save_model(nn.ReLU(), path)
    renamed(path, "tinynet.nn.ReLU", "tinynet.nn.functional.relu")
    with pytest.raises(DataError, match="is a function, expected a module's class"):
        tn.load_model(path)


def test_nothing_is_imported(path, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    tn.save_model(nn.ReLU(), path)
    renamed(path, "tinynet.nn.ReLU", "trap.Net")
    with pytest.raises(DataError, match=r"names 'trap\.Net'"):
        tn.load_model(path)


def test_registered_classes_need_not_be_passed(path, monkeypatch):
    monkeypatch.setattr("tinynet.io.classes._registered", {})
    tn.save_model(Net(2), path)
    with pytest.raises(DataError, match=r"test_models\.Net', expected a module of tinynet.nn"):
        tn.load_model(path)
    assert tn.io.register(Net) is Net
    assert isinstance(tn.load_model(path), Net)
    with pytest.raises(ArgumentTypeError, match=r"^register: got .*, expected a subclass of Modu"):
        tn.io.register(os.system)


def test_two_classes_of_one_name(path):
    kinds = []
    for module in ("first", "second"):
        kind = type("Same", (nn.Module,), {"__module__": module})
        kinds.append(kind)
    tn.save_model(kinds[0](), path)
    assert type(tn.load_model(path, kinds)) is kinds[0]
    renamed(path, "first.Same", "third.Same")
    assert type(tn.load_model(path, kinds[:1])) is kinds[0]
    with pytest.raises(DataError, match=r"names 'third\.Same'"):
        tn.load_model(path, kinds)


def test_damaged_models(path):
    tn.save_model(nn.Sequential(lenet(), nn.Softplus(2)), path)
    data = path.read_bytes()
    refused = 0
    for seed in range(300):
        path.write_bytes(damaged(data, seed))
        try:
            tn.load_model(path)
        except TinynetError:
            refused += 1
    assert refused > 150


CHANGES = [
    ('"arguments":{"dict":[["inplace"', '"arguments":{"dict":[["outplace"'),
    ('"attributes":[["training",true]', '"attributes":[["training",3]'),
    ('["_buffers",{"dict":[]}]', '["_buffers",[]]'),
    ('["_buffers",{"dict":[]}]', '["_hooks",3]'),
    ('["_buffers",{"dict":[]}]', '["_arguments",3]'),
    ('["_buffers",{"dict":[]}]', '["_buffers",{"object":"x"}]'),
    ('["_buffers",{"dict":[]}]', '["next",{"module":1}]'),
    ('["_buffers",{"dict":[]}]', '["next",{"module":-1}]'),
    ('["_buffers",{"dict":[]}]', '["next",{"tensor":"x"}]'),
    ('["_buffers",{"dict":[]}]', '["next",{"like":[[1],"int3",false]}]'),
    ('[["inplace",true]]', '[["inplace",{"module":0}]]'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_architectures_that_are_none(path, before, after):
    tn.save_model(nn.ReLU(inplace=True), path)
    text = own_text(path)
    assert before in text
    save_file({}, path, {KEY: text.replace(before, after)})
    with pytest.raises(DataError, match=r"^load"):
        tn.load_model(path)


# What is noted at construction
def test_what_is_noted_is_neither_seen_nor_kept_alive():
    weight = tn.ones(2, 2)
    seen = weakref.ref(weight)
    model = nn.CrossEntropyLoss(weight=weight)
    model.weight = None
    layer = nn.Linear(2, 2)
    gone = weakref.ref(layer)
    chain = nn.Sequential(layer)
    del chain[0], layer, weight
    gc.collect()
    assert seen() is None
    assert gone() is None
    assert "_arguments" not in repr(chain) + str(list(nn.Linear(2, 2).state_dict()))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_can_be_saved(path, duplicate):
    for model in (Net(3, layers=1), Residual(nn.Linear(2, 2)), nn.Sequential(nn.ReLU())):
        other = duplicate(model)
        assert_same(model, reloaded(other, path, [Net, Residual]))


def test_generators_as_arguments_do_not_hinder_copies():
    copy.deepcopy(nn.ModuleList(nn.Linear(1, 1) for _ in range(2)))

    class Stack(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.layers = nn.ModuleList(layers)

    assert len(copy.deepcopy(Stack(nn.ReLU() for _ in range(3))).layers) == 3


def test_recorded_functions_do_not_mind():
    model = Residual(nn.Linear(2, 2))

    @tn.jit
    def run(x):
        return model.inner(x) * model.scale

    x = tn.ones(1, 2)
    results = [run(x).tolist() for _ in range(4)]
    assert results == [(model.inner(x) * model.scale).tolist()] * 4
