"""ONNX models as modules: trained, printed, replayed, refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinynet as tn
from tinynet import nn
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    MissingDependencyError,
    UnsupportedOperatorError,
)
from tinynet.onnx import export, load, supported


def model_of(nodes, inputs, outputs, initializers=(), opset=20, **parts):
    """A model of float32 tensors; `inputs` and `outputs` are shapes by name."""
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in d.items()]
        for d in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in dict(initializers).items()]
    graph = helper.make_graph(nodes, "graph", *infos, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **parts)


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))


def test_what_was_exported_has_the_same_state(tmp_path):
    module = network().eval()
    export(module, tn.randn(2, 4), tmp_path / "n.onnx")
    graph = load(tmp_path / "n.onnx")
    assert list(graph.state_dict()) == list(module.state_dict())
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in graph.parameters())
    module.load_state_dict(graph.state_dict())
    x = tn.randn(2, 4)
    assert graph(x).allclose(module(x), atol=1e-6)


def test_it_trains(device):
    graph = load(export(network().eval(), tn.randn(16, 4)), device)
    x, target = tn.randn(16, 4, device=device), tn.randint(0, 3, (16,), device=device)
    optimizer = tn.optim.Adam(graph.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(graph(x), target)
        loss.backward()
        assert all(p.grad is not None for p in graph.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_gradients_are_those_of_the_module():
    module = network().eval()
    graph = load(export(module, tn.randn(2, 4)))
    x = tn.randn(2, 4)
    for each in (module, graph):
        each(x).square().sum().backward()
    for p, q in zip(module.parameters(), graph.parameters(), strict=True):
        assert p.grad.allclose(q.grad, atol=1e-5)


def test_it_replays(device):
    """Shapes are computed from the input's, and `jit` records that once for each shape."""
    module = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    model = export(module, tn.randn(2, 3, 8), dynamic_axes={"input": {0: "n", 1: "t"}})
    graph = load(model, device)
    replayed = tn.jit(graph)
    with tn.no_grad():
        for shape in ((2, 3, 8), (2, 3, 8), (2, 3, 8), (4, 5, 8), (4, 5, 8)):
            x = tn.randn(*shape)
            y = replayed(x.to(device)).cpu()
            assert y.allclose(module(x), atol=1e-5)


def test_print():
    node = helper.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)
    model = model_of(
        [node], {"x": ["n", 3]}, {"y": ["n", 2]}, {"fc.weight": np.ones((2, 3), np.float32)}
    )
    assert repr(load(model)) == "Graph(\n  x (n, 3) -> y\n  y = Gemm(x, fc.weight, transB=1)\n)"


def test_inputs_by_name_and_by_place():
    nodes = [helper.make_node("Sub", ["a", "b"], ["c"]), helper.make_node("Neg", ["c"], ["d"])]
    graph = load(model_of(nodes, {"a": [2], "b": [2]}, {"c": [2], "d": [2]}))
    a, b = tn.tensor([3.0, 4.0]), tn.tensor([1.0, 1.0])
    assert [y.tolist() for y in graph(a, b=b)] == [[2.0, 3.0], [-2.0, -3.0]]
    with pytest.raises(ArgumentError, match=r"Graph: got 1 inputs and \[\], expected \['a', 'b'\]"):
        graph(a)
    with pytest.raises(ArgumentError, match=r"Graph: got 2 inputs and \['c'\]"):
        graph(a, b, c=a)
    with pytest.raises(ArgumentError, match=r"Graph: got 2 inputs and \['a'\]"):
        graph(a, b, a=b)


@pytest.mark.parametrize("x", [[1.0, 2.0], 3.0, None, np.ones(2, np.float32)])
def test_inputs_that_are_no_tensors(x):
    graph = load(model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": [2]}, {"y": [2]}))
    kind = type(x).__name__
    with pytest.raises(ArgumentTypeError, match=f"input 'x' is of type {kind}, expected a Tensor"):
        graph(x)


def test_names_that_modules_have_already():
    weights = {name: np.full(2, i, np.float32) for i, name in enumerate(("forward", "a", "a.b"))}
    nodes = [helper.make_node("Sum", ["x", *weights], ["y"])]
    graph = load(model_of(nodes, {"x": [2]}, {"y": [2]}, weights))
    assert graph(tn.zeros(2)).tolist() == [3.0, 3.0]
    assert len(graph.state_dict()) == 3


def test_integers_are_buffers_and_shapes_constants():
    weights = {"rows": np.array([2, 0]), "shape": np.array([-1]), "table": np.eye(3, dtype="f4")}
    nodes = [
        helper.make_node("Gather", ["table", "rows"], ["picked"]),
        helper.make_node("Reshape", ["picked", "shape"], ["y"]),
    ]
    graph = load(model_of(nodes, {}, {"y": [6]}, weights))
    assert [name for name, _ in graph.named_parameters()] == ["table"]
    assert [name for name, _ in graph.named_buffers()] == ["rows"]
    assert graph().tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]


def test_what_is_a_weight_too_is_no_constant():
    weights = {"w": np.array([1.0, 2.0], np.float32)}
    nodes = [
        helper.make_node("Resize", ["x", "", "w"], ["wide"]),
        helper.make_node("ReduceSum", ["wide"], ["sum"]),
        helper.make_node("Mul", ["sum", "w"], ["y"]),
    ]
    graph = load(model_of(nodes, {"x": [1, 2]}, {"y": [1, 2]}, weights))
    assert [name for name, _ in graph.named_parameters()] == ["w"]
    assert graph(tn.ones(1, 2)).tolist() == [[4.0, 8.0]]


def test_weights_in_a_file_of_their_own(tmp_path):
    weight = np.arange(2048, dtype=np.float32)
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], {"x": [2048]}, {"y": [2048]},
                     {"w": weight})  # fmt: skip
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data")
    assert (tmp_path / "m.data").exists()
    assert np.array_equal(load(tmp_path / "m.onnx")(tn.zeros(2048)).numpy(force=True), weight)


def test_a_models_own_functions():
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    node = helper.make_node("Twice", ["x"], ["y"], domain="mine")
    model = model_of([node], {"x": [1]}, {"y": [1]}, functions=[function])
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert load(model)(tn.ones(1)).tolist() == [2.0]


# meanings that changed
def test_softmax_before_opset_13_takes_all_dims_from_its_axis_on():
    node = helper.make_node("Softmax", ["x"], ["y"])
    x = tn.randn(2, 3, 4)
    old, new = (
        load(model_of([node], {"x": [2, 3, 4]}, {"y": [2, 3, 4]}, opset=n))(x) for n in (11, 13)
    )
    assert old.sum((1, 2)).allclose(tn.ones(2))
    assert new.sum(2).allclose(tn.ones(2, 3))


@pytest.mark.parametrize(
    ("op", "attributes", "shape"),
    [
        ("Squeeze", {"axes": [0]}, (3, 4)),
        ("Unsqueeze", {"axes": [0]}, (1, 1, 3, 4)),
        ("ReduceSum", {"axes": [1]}, (1, 1, 4)),
        ("Slice", {"axes": [2], "starts": [1], "ends": [3]}, (1, 3, 2)),
        ("Pad", {"pads": [0, 0, 1, 0, 0, 1]}, (1, 3, 6)),
        ("Clip", {"min": 0.0, "max": 1.0}, (1, 3, 4)),
        ("Upsample", {"scales": [1.0, 1.0, 2.0]}, (1, 3, 8)),
        ("Dropout", {"ratio": 0.5}, (1, 3, 4)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_were_attributes_once(op, attributes, shape):
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    opset = {"Slice": 9, "Upsample": 8}.get(op, 10)
    model = model_of([node], {"x": [1, 3, 4]}, {"y": [None] * len(shape)}, opset=opset)
    y = load(model)(tn.randn(1, 3, 4))
    assert y.shape == shape
    assert op != "Clip" or (y.min() >= 0 and y.max() <= 1)


# what cannot be
def test_unknown_operators_are_named():
    nodes = [
        helper.make_node("NonMaxSuppression", ["x", "x"], ["a"], name="boxes"),
        helper.make_node("Det", ["x"], ["y"]),
    ]
    message = (
        r"onnx: node 'boxes' \(NonMaxSuppression, opset 20\): NonMaxSuppression is not supported "
        r"\(nor are Det\), see tinynet.onnx.supported\(\)"
    )
    with pytest.raises(UnsupportedOperatorError, match=message):
        load(model_of(nodes, {"x": [2, 2]}, {"y": []}))


def test_old_and_new_opsets():
    node = helper.make_node("Add", ["x", "x"], ["y"], axis=0, broadcast=1)
    with pytest.raises(UnsupportedOperatorError, match="Add is supported from opset 7 on"):
        load(model_of([node], {"x": [1]}, {"y": [1]}, opset=6))
    with pytest.raises(UnsupportedOperatorError, match="the model has opset 999, expected at most"):
        load(model_of([node], {"x": [1]}, {"y": [1]}, opset=999))


def test_part_of_an_operator_is_refused_with_its_name():
    node = helper.make_node("Dropout", ["x", "ratio", "training"], ["y"], name="drop")
    weights = {"ratio": np.float32(0.5), "training": np.bool_(True)}
    weights = {name: np.asarray(value) for name, value in weights.items()}
    graph = load(model_of([node], {"x": [2]}, {"y": [2]}, weights))
    with pytest.raises(UnsupportedOperatorError, match=r"node 'drop' \(Dropout, opset 20\): drops"):
        graph(tn.ones(2))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tinynet\[onnx\]'"):
        load("model.onnx")


def test_supported():
    names = supported()
    assert list(names) == sorted(names)
    assert names["Conv"] == 1
    assert names["LayerNormalization"] == 17
    assert len(names) >= 130
    for name, since in names.items():  # each is one of ONNX's in that opset
        assert onnx.defs.get_schema(name, since).name == name
