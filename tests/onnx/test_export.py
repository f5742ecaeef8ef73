"""Modules as ONNX files: onnxruntime computes what we do, at other sizes too."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    UnsupportedOperatorError,
)
from tinynet.nn import functional as F  # noqa: N812
from tinynet.onnx import export, load

EXAMPLES = Path(__file__).parents[2] / "examples"
BATCH = {"input": {0: "batch"}}


@pytest.fixture
def example(monkeypatch):
    """The example of a name, as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))  # where they find each other

    def load_example(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_example


def flat(item):
    return [item] if isinstance(item, tn.Tensor) else [y for part in item for y in flat(part)]


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def check(module, *args, others=None, **options):
    """Export it; onnxruntime, and the model read again, give what the module does."""
    module.eval()
    model = export(module, args, **options)
    session, graph = session_of(model), load(model)
    for inputs in [args, *([others] if others else [])]:
        expected = flat(module(*inputs))
        names = [item.name for item in session.get_inputs()]
        found = session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
        for y, z, w in zip(expected, found, flat(graph(*inputs)), strict=True):
            y, w = y.numpy(force=True), w.numpy(force=True)
            assert y.dtype == z.dtype == w.dtype
            np.testing.assert_allclose(z, y, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(w, y, rtol=1e-5, atol=1e-5)
    return model


def ops_of(model):
    return [node.op_type for node in model.graph.node]


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function, inner=None):
        super().__init__()
        self.function = function
        self.inner = inner
        self.weight = nn.Parameter(tn.randn(4, 6))

    def forward(self, *args):
        return self.function(self, *args)


# networks
def test_mlp():
    layers = [nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5, 3), nn.Softmax(1)]
    mlp = nn.Sequential(*layers)
    model = check(mlp, tn.randn(3, 6), others=(tn.randn(7, 6),), dynamic_axes=BATCH)
    assert ops_of(model) == ["Gemm", "Relu", "Gemm", "Softmax"]
    names = [item.name for item in model.graph.initializer]
    assert names == [*mlp.state_dict()]


def test_lenet(example):
    model = check(
        example("lenet").make_model(), tn.randn(2, 1, 28, 28),
        others=(tn.randn(5, 1, 28, 28),), dynamic_axes=BATCH,
    )  # fmt: skip
    assert ops_of(model)[:4] == ["Conv", "Relu", "MaxPool", "Conv"]


def test_mnist_cnn(example):
    network = example("mnist_cnn").make_model()
    network(tn.randn(8, 1, 28, 28))  # its running statistics are no longer 0 and 1
    model = check(network, tn.randn(2, 1, 28, 28), others=(tn.randn(3, 1, 28, 28),),
                  dynamic_axes=BATCH)  # fmt: skip
    assert "BatchNormalization" in ops_of(model)


def test_resnet(example):
    network = example("resnet").ResNet()
    network(tn.randn(4, 1, 28, 28))
    check(network, tn.randn(2, 1, 28, 28), others=(tn.randn(3, 1, 28, 28),), dynamic_axes=BATCH)


def test_character_lstm(example):
    model = check(
        example("char_rnn").CharacterLSTM(20, 16), tn.randint(0, 20, (2, 7)),
        others=(tn.randint(0, 20, (3, 5)),), dynamic_axes={"input": {0: "batch", 1: "time"}},
    )  # fmt: skip
    assert "LSTM" in ops_of(model)


def test_transformer(example):
    network = example("transformer").Transformer(20, 8, 32)
    check(network, tn.randint(0, 20, (2, 8)), others=(tn.randint(0, 20, (3, 8)),),
          dynamic_axes=BATCH)  # fmt: skip


def test_transformer_encoder_of_any_length():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    check(nn.TransformerEncoder(layer, 2), tn.randn(2, 6, 16), others=(tn.randn(5, 9, 16),),
          dynamic_axes={"input": {0: "batch", 1: "time"}})  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.LSTM, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        (nn.GRU, {"num_layers": 2}),
        (nn.RNN, {"nonlinearity": "relu", "bidirectional": True}),
    ],
    ids=["LSTM", "GRU", "RNN"],
)
def test_recurrent(kind, options):
    model = check(kind(5, 6, **options), tn.randn(4, 3, 5), others=(tn.randn(6, 2, 5),),
                  dynamic_axes={"input": {0: "a", 1: "b"}})  # fmt: skip
    assert kind.__name__ in ops_of(model)


def test_modules_called_by_keyword():
    network = nn.ModuleDict({"linear": nn.Linear(6, 5), "lstm": nn.LSTM(5, 4)})
    module = Of(lambda s, x, h: s.inner["lstm"](hx=(h, h), input=s.inner["linear"](input=x)[None]))
    module.inner = network
    assert ops_of(check(module, tn.randn(3, 6), tn.randn(1, 3, 4)))[0] == "Gemm"


# what modules do between layers
def written(s, x):
    y = x.clone()
    y[:, 0] = 1.0
    before = y[:, 1]
    y.mul_(2)
    return before + y[:, 2]


def activations(s, x):
    return [
        F.elu(x), F.selu(x), F.silu(x), F.mish(x), F.softplus(x), F.hardtanh(x), F.hardswish(x),
        F.leaky_relu(x), F.softsign(x), F.glu(x), F.gelu(x), F.gelu(x, approximate="tanh"),
        F.softmax(x, 1), F.log_softmax(x, 2), x.expm1(), x.abs().log1p(), x.trunc(), x // 0.7,
        x % 0.7, tn.logaddexp(x, x * 2),
    ]  # fmt: skip


DYNAMIC = {
    "pad": lambda s, x: F.pad(x, (1, 2, 0, 1), value=3.0),
    "cat": lambda s, x: tn.cat([s.weight[:1].expand(len(x), 1, 6), x], 1),
    "stack": lambda s, x: tn.stack([x, x.relu()]),
    "written": written,
    "index": lambda s, x: x[:, tn.tensor([0, 2])],
    "where": lambda s, x: tn.where(x > 0, x, -1.0),
    "masked": lambda s, x: x.masked_fill(x < 0, 0.5),
    "arange": lambda s, x: x + tn.arange(len(x)).reshape(-1, 1, 1),
    "zeros": lambda s, x: tn.zeros(len(x), 6) + x.sum(1),
    "rows": lambda s, x: x.reshape(len(x) * 4, 6) @ s.weight.T,
    "einsum": lambda s, x: tn.einsum("bij,kj->bik", x, s.weight),
    "order": lambda s, x: (x.sort(-1)[0], x.topk(2, -1)[1], x.cumsum(1), x.argmax(2)),
    "slices": lambda s, x: (x.flip(1), x[:, ::2], x[:, -2:], x[:, :-1], x.roll(1, 1)),
    "activations": activations,
    "norms": lambda s, x: [
        F.layer_norm(x, (6,)),
        F.group_norm(x, 2),
        F.normalize(x, dim=1),
    ],
    "attention": lambda s, x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "tril": lambda s, x: x.tril(),
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_functions_of_any_batch(name):
    module = Of(DYNAMIC[name])
    check(module, tn.randn(3, 4, 6), others=(tn.randn(5, 4, 6),), dynamic_axes=BATCH)


def crossed(s, x):
    """Two free sizes, which are equal in the example, the other way round."""
    return tn.zeros(x.shape[1], x.shape[0]) + x.sum(2).T


@pytest.mark.parametrize("function", [DYNAMIC["slices"], crossed], ids=["slices", "crossed"])
def test_functions_of_any_batch_and_length(function):
    check(
        Of(function), tn.randn(4, 4, 6), others=(tn.randn(5, 7, 6),),
        dynamic_axes={"input": {0: "n", 1: "t"}},
    )  # fmt: skip


def test_a_convolution_that_is_needed_without_its_bias():
    def function(s, x):
        y = F.conv2d(x, s.inner.weight)
        return y, y + s.inner.bias.reshape(3, 1, 1)

    model = check(Of(function, nn.Conv2d(2, 3, 3)), tn.randn(2, 2, 5, 5))
    assert ops_of(model).count("Conv") == 1


FIXED = {
    "statistics": lambda s, x: (x.mean(1), x.var(2), x.std(), x.amax(1), x.prod(2), (x > 0).any(1)),
    "integers": lambda s, x: ((x * 5).long() // 3, (x * 5).long() % 3, ~(x > 0)),
    "windows": lambda s, x: (x.unfold(2, 3, 1), x[0].diagonal()),
    "windows of parts": lambda s, x: (
        x[:, 1:].diagonal(0, 1, 2), x[::2, 0].diagonal(), x[:, :, :4].unfold(2, 2, 2),
        (x[0] + 1).T[1:4].diagonal(), x[0, :, 1:].trace(), x.flip(2)[:, ::2].diagonal(0, 1, 2),
        x[:1].expand(3, 4, 6)[:, 1:].diagonal(), x[1, 1:].as_strided((2, 3), (6, 2), 3),
    ),
    "places": lambda s, x: x[tn.tensor([0, 1]), tn.tensor([1, 2])],
    "scatter": lambda s, x: x.scatter(1, tn.zeros(3, 1, 6).long(), x[:, 1:2]),
    "outputs": lambda s, x: (x, s.weight, x + 1, tn.ones(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_functions(name):
    check(Of(FIXED[name]), tn.randn(3, 4, 6))


IMAGES = {
    "pools": lambda s, x: (F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1)),
    "adaptive": lambda s, x: (F.adaptive_avg_pool2d(x, 3), F.adaptive_max_pool2d(x, 4)),
    "without indices": lambda s, x: F.max_pool2d(x, 3, return_indices=True)[0],
    "resized": lambda s, x: (
        F.interpolate(x, scale_factor=2.0),
        F.pixel_shuffle(x, 2),
    ),
    "bilinear": lambda s, x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_functions_of_images(name):
    check(Of(IMAGES[name]), tn.randn(2, 4, 9, 9), others=(tn.randn(3, 4, 9, 9),),
          dynamic_axes=BATCH)  # fmt: skip


def test_images_of_any_size():
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1), nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    check(network, tn.randn(2, 4, 16, 16), others=(tn.randn(3, 4, 24, 20),),
          dynamic_axes={"input": {0: "n", 2: "h", 3: "w"}})  # fmt: skip


@pytest.mark.parametrize("opset", [17, 18, 23])
def test_opsets(opset):
    network = Of(lambda s, x: (s.inner(x), x.amax(1)), nn.Sequential(nn.LayerNorm(6), nn.GELU()))
    model = check(network, tn.randn(2, 6), opset=opset)
    assert model.opset_import[0].version == opset
    assert ("Gelu" in ops_of(model)) == (opset >= 20)


# the file
def test_names_metadata_and_file(tmp_path):
    path = tmp_path / "model.onnx"
    model = export(
        nn.Linear(3, 2).eval(), tn.randn(4, 3), path, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "rows"}}, metadata={"author": "me"},
    )  # fmt: skip
    assert onnx.load(path) == model
    (x,), (y,) = model.graph.input, model.graph.output
    assert (x.name, y.name) == ("x", "y")
    assert [dim.dim_param or dim.dim_value for dim in x.type.tensor_type.shape.dim] == ["rows", 3]
    assert [dim.dim_param or dim.dim_value for dim in y.type.tensor_type.shape.dim] == ["rows", 2]
    assert load(path).metadata == {"author": "me"}
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


class Scaled(nn.Module):
    """`x * scale + shift`, by parameters of two names."""

    def __init__(self, scale, shift):
        super().__init__()
        self.names = scale, shift
        for name in self.names:
            self.register_parameter(name, nn.Parameter(tn.randn(3)))

    def forward(self, x):
        scale, shift = (getattr(self, name) for name in self.names)
        return x * scale + shift * 2 + tn.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "names", [("input", "output"), ("constant", "constant_1"), ("Mul", "Mul_1"), ("input_1", "Add")]
)
def test_parameters_of_any_name(names):
    model = check(Scaled(*names), tn.randn(2, 3), others=(tn.randn(4, 3),), dynamic_axes={
        "input_1" if "input" in names else "input": {0: "batch"}
    })  # fmt: skip
    assert {*names} <= {item.name for item in model.graph.initializer}


def test_inputs_that_are_one_tensor():
    x, others = tn.randn(4, 6), (tn.randn(4, 6), tn.randn(4, 6))
    check(Of(lambda s, a, b: a - b * 2), x, x, others=others)
    module = Of(lambda s, x: x - s.weight * 2)
    check(module, module.weight.detach(), others=others[:1])


def test_names_of_inputs_and_outputs():
    network, x = nn.Linear(3, 2), tn.randn(4, 3)
    for name in ("constant", "Gemm", "output", "Shape"):
        model = check(network, x, input_names=[name], dynamic_axes={name: [0]})
        assert model.graph.input[0].name == name
    assert check(network, x, output_names=["Gemm"]).graph.output[0].name == "Gemm"
    assert check(network, x, output_names=["input"]).graph.input[0].name == "input_1"


@pytest.mark.parametrize("names", [["weight"], ["bias"], ["", ""], ["a", "a"]])
def test_names_that_are_not_their_own(names):
    for ins, outs in ((names, None), (None, names), (names, names)):
        with pytest.raises(ArgumentError, match=r"export: .*put_names has .*, expected a name of"):
            export(nn.Linear(3, 2).eval(), tn.randn(4, 3), input_names=ins, output_names=outs)


@pytest.mark.parametrize("names", ["a", 3, [1], [None]])
def test_names_that_are_none(names):
    with pytest.raises(ArgumentTypeError, match=r"export: input_names (is|has) .*, expected"):
        export(nn.Linear(3, 2).eval(), tn.randn(4, 3), input_names=names)


def test_weights_beside_the_file(tmp_path):
    network, x, path = nn.Linear(3, 2).eval(), tn.randn(4, 3), tmp_path / "model.onnx"
    for _ in range(2):  # the second time over files that are there
        export(network, x, path, external_data=True)
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert load(path)(x).allclose(network(x))
    y = onnxruntime.InferenceSession(path).run(None, {"input": x.numpy()})[0]
    np.testing.assert_allclose(y, network(x).numpy(force=True), atol=1e-6)


def test_a_training_module_is_exported_for_evaluation():
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    with pytest.warns(UserWarning, match="in training mode"):
        model = export(network, tn.randn(4, 3))
    assert ops_of(model) == ["Gemm", "BatchNormalization"]
    assert all(part.training for part in network.modules())


def test_training_mode_is_for_those_who_ask():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    x = tn.randn(4, 3)
    model = export(network, x, training=True)
    assert network[1].running_mean.equal(tn.zeros(3))
    y = session_of(model).run(None, {"input": x.numpy()})[0]
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(0), 1, atol=1e-3)


def test_export_leaves_no_trace():
    network = nn.Linear(3, 2).eval()
    x = tn.randn(4, 3)
    before = network(x)
    export(network, x)
    backend = x.backend
    assert not [name for name in vars(backend) if name in ("elementwise", "matmul", "to_numpy")]
    assert network(x).equal(before)


def test_from_a_device(on_device):
    network = nn.Sequential(nn.Linear(3, 2), nn.Tanh()).eval()
    x = tn.randn(4, 3)
    y = session_of(export(network, x, dynamic_axes=BATCH)).run(
        None, {"input": x.numpy(force=True)}
    )[0]
    np.testing.assert_allclose(y, network(x).numpy(force=True), atol=1e-5)


# what cannot be
def half_written(s, x):
    y = x.new_zeros(x.shape)
    y[:2] = x[:2] * 2
    return y + x


REFUSED = {
    "reads the values": lambda s, x: x * x.sum().item(),
    "draws random numbers": lambda s, x: F.dropout(x, 0.5),
    "uses the indices of a max pool": lambda s, x: F.max_pool1d(x, 2, return_indices=True),
    "uses linear algebra": lambda s, x: tn.linalg.inv(x[:, :4, :4]),
    "a running prod": lambda s, x: x.cumprod(1),
    "does other things": lambda s, x: x if len(x) > 4 else x.relu(),
    "writes into a slice whose limits": half_written,
    "no product of dynamic ones": lambda s, x: x[:, : len(x)],
    "gives other results": lambda s, x: x if len(x) > 9 else x.relu(),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused(why):
    with pytest.raises(UnsupportedOperatorError, match=f"onnx: export: .*{why}"):
        export(Of(REFUSED[why]).eval(), tn.randn(3, 4, 6), dynamic_axes=BATCH)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda s, x: x & 3, "the module needs the operator BitwiseAnd, which opset 17 does not"),
        (lambda s, x: x.isnan(), r"checker refuses the graph: .*IsNaN.* type: tensor\(int64\)"),
    ],
    ids=["operator", "dtype"],
)
def test_what_an_opset_does_not_have(function, why):
    with pytest.raises(UnsupportedOperatorError, match=f"onnx: export: .*{why}"):
        export(Of(function).eval(), tn.tensor([1, 2, 7]), opset=17)


def test_what_no_output_needs_may_be_anything():
    module = Of(lambda s, x: (x.cumprod(1), x.relu())[1])
    assert ops_of(check(module, tn.randn(3, 4, 6))) == ["Relu"]


def test_refusals_name_the_module():
    network = nn.Sequential(nn.Linear(3, 3), Of(lambda s, x: x.cumprod(1))).eval()
    with pytest.raises(UnsupportedOperatorError, match=r"export: 1 computes a running prod"):
        export(network, tn.randn(2, 3))


def test_arguments():
    network, x = nn.Linear(3, 2).eval(), tn.randn(4, 3)
    with pytest.raises(ArgumentTypeError, match="export: expected a Module, got function"):
        export(F.relu, x)
    with pytest.raises(ArgumentTypeError, match="export: expected tensors as args, got list"):
        export(network, ([1.0],))
    with pytest.raises(ArgumentError, match="export: opset must be 17 to 23, got 9"):
        export(network, x, opset=9)
    with pytest.raises(ArgumentError, match=r"input_names are \['a', 'b'\], expected 1"):
        export(network, x, input_names=["a", "b"])
    message = r"export: dynamic_axes names 'zz', expected some of \['a', 'output'\]"
    with pytest.raises(ArgumentError, match=message):
        export(network, x, input_names=["a"], dynamic_axes={"a": [0], "zz": {0: "b"}})
    export(network, x, dynamic_axes={"input": {0: "n"}, "output": {0: "n"}})  # as in PyTorch
    with pytest.raises(ArgumentError, match=r"dynamic_axes has dim 2 of 'input'"):
        export(network, x, dynamic_axes={"input": [2]})
    pair = Of(lambda s, a, b: a.sum() + b.sum()).eval()
    with pytest.raises(ArgumentError, match="'n' is 4 in one input and 5 in 'input_1'"):
        export(pair, (x, tn.randn(5)), dynamic_axes={"input_0": {0: "n"}, "input_1": {0: "n"}})
    with pytest.raises(ArgumentTypeError, match="the module returns a str"):
        export(Of(lambda s, x: "y").eval(), x)
    for nothing in (None, (), [None]):
        message = re.escape(f"the module returns {nothing}, expected tensors")
        with pytest.raises(ArgumentTypeError, match=message):
            export(Of(lambda s, x: nothing).eval(), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"args": 3}, "expected tensors as args, got int"),
        ({"args": np.ones((4, 3))}, "expected tensors as args, got ndarray"),
        ({"opset": 20.0}, "opset must be an int, got 20.0"),
        ({"metadata": {"a": 1}}, "metadata has 'a': 1, expected a dict of strings"),
        ({"metadata": ["a"]}, "metadata is of type list, expected a dict of strings"),
        ({"dynamic_axes": {"input": "n"}}, "dynamic_axes has 'n' for 'input', expected dims"),
        ({"dynamic_axes": {"input": {0: 5}}}, "dynamic_axes calls a size of 'input' 5"),
        ({"dynamic_axes": {"input": ["n"]}}, "a dim in dynamic_axes must be an int, got 'n'"),
        ({"dynamic_axes": ["input"]}, r"dynamic_axes is \['input'\], expected a dict"),
        ({"path": 3}, "expected a path as str or Path, got 3"),
    ],
)
def test_arguments_of_other_types(options, message):
    with pytest.raises(ArgumentTypeError, match=f"export: {message}"):
        export(nn.Linear(3, 2).eval(), **{"args": tn.randn(4, 3), **options})


@pytest.mark.parametrize("name", ["none/x.onnx", "", "a\0b"])
def test_paths_that_are_no_place_for_a_file(tmp_path, name):
    """It is said before anything runs."""
    module = Of(lambda s, x: pytest.fail("it ran")).eval()
    for external_data in (False, True):
        with pytest.raises(DataError, match=r"export: .*, expected a file to write"):
            export(module, tn.randn(4, 3), f"{tmp_path}/{name}", external_data=external_data)
