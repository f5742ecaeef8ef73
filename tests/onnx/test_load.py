"""ONNX models as modules: trained, printed, replayed, refused."""

import inspect

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinynet as tn
from tinynet import nn
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    MissingDependencyError,
    UnsupportedOperatorError,
)
from tinynet.onnx import export, load, supported
from tinynet.onnx.graph import NEWEST
from tinynet.onnx.node import Operator
from tinynet.onnx.operators import OPERATORS


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


def test_no_model(tmp_path):
    path = tmp_path / "no.onnx"
    path.write_bytes(b"\xffno model")
    with pytest.raises(DataError, match=r"onnx: .*no\.onnx is no ONNX model"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is no ONNX model: it has no outputs"):
        load(path)
    with pytest.raises(DataError, match=r"missing\.onnx': No such file"):
        load(tmp_path / "missing.onnx")
    with pytest.raises(DataError, match="Is a directory"):
        load(tmp_path)
    with pytest.raises(ArgumentTypeError, match="onnx: expected a path as str or Path, got 3"):
        load(3)


@pytest.mark.filterwarnings("ignore:The onnxtxt format")
@pytest.mark.parametrize("kind", ["json", "textproto", "onnxtxt"])
@pytest.mark.parametrize("content", [b"no model", b"\xff\xfe"])
def test_no_model_in_other_formats(tmp_path, kind, content):
    path = tmp_path / f"no.{kind}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"onnx: .*no\.{kind} is no ONNX model"):
        load(path)


def test_weights_that_are_not_there(tmp_path):
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], {"x": [2048]}, {"y": [2048]},
                     {"w": np.zeros(2048, np.float32)})  # fmt: skip
    path, data = tmp_path / "m.onnx", tmp_path / "m.data"
    onnx.save(model, path, save_as_external_data=True, location="m.data")
    data.write_bytes(data.read_bytes()[:-4])
    message = r"onnx: tensor 'w': .*, expected the data of \[2048\]"
    with pytest.raises(DataError, match=message):
        load(path)
    data.unlink()
    with pytest.raises(DataError, match=message):
        load(path)
    data.mkdir()
    with pytest.raises(DataError, match=message):
        load(path)


def test_weights_that_are_too_few():
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], {"x": [2]}, {"y": [2]},
                     {"w": np.zeros(2, np.float32)})  # fmt: skip
    model.graph.initializer[0].dims[0] = 3
    with pytest.raises(DataError, match=r"tensor 'w': .*, expected the data of \[3\]"):
        load(model)


def test_data_types_that_are_none():
    node = helper.make_node("Cast", ["x"], ["y"], "cast", to=85)
    graph = load(model_of([node], {"x": [1]}, {"y": [1]}))
    message = r"onnx: node 'cast' \(Cast, opset 20\): elements are 85, expected one of ONNX's"
    with pytest.raises(DataError, match=message):
        graph(tn.ones(1))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("Relu", ["z"], ["y"]), r"node 'n' \(Relu, opset 17\): takes 'z', expected an input, an"),
        (("Relu", ["y"], ["y"]), r"takes 'y', expected an input"),
        (("Relu", ["x"], ["w"]), r"output 'y': is given by no node"),
        (("Relu", ["x"], ["x"]), r"gives 'x', which is there already"),
        (("Add", ["x"], ["y"]), r"has inputs \['x'\], expected A, B"),
        (("Add", ["x", ""], ["y"]), r"has inputs \['x', ''\], expected A, B"),
        (("Sum", ["x", ""], ["y"]), r"has inputs .*, expected data_0 \(any number\)"),
        (("Clip", ["x"] * 4, ["y"]), r"expected input, min \(optional\), max \(optional\)"),
        (("Constant", [""], ["y"]), r"has inputs \[''\], expected none"),
        (("Relu", ["x"], ["y", "z"]), r"has outputs \['y', 'z'\], expected Y"),
        (("Relu", ["x"], []), r"has outputs \[\], expected Y"),
        (("MaxPool", ["x"], ["y"]), r"has no attribute 'kernel_shape', which MaxPool needs"),
        (("Cast", ["x"], ["y"]), r"\(Cast, opset 17\): has no attribute 'to'"),
        (("Concat", ["x"], ["y"], {"axis": 1.0}), "'axis' is of type FLOAT, expected INT"),
        (("Gemm", ["x", "x"], ["y"], {"trans": 1}), "'trans', expected .*transA"),
    ],
)  # fmt: skip
def test_malformed_nodes(node, message):
    op, inputs, outputs, attributes = (*node, {})[:4]
    made = helper.make_node(op, inputs, outputs, "n", **attributes)
    with pytest.raises(DataError, match=f"onnx: .*{message}"):
        load(model_of([made], {"x": [2, 3]}, {"y": [2, 3]}, opset=17))


def test_attributes_of_ones_own_are_passed_over():
    node = helper.make_node("Relu", ["x"], ["y"], __from="here")
    assert load(model_of([node], {"x": [1]}, {"y": [1]}))(tn.ones(1)).tolist() == [1.0]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("DepthToSpace", ["x"], ["y"], {"blocksize": 2}), "Input tensor must be 4-dimensional"),
        (("Concat", ["shape", "size"], ["y"], {"axis": 0}), "rank"),
        (("Transpose", ["shape"], ["y"], {"perm": [0, 1]}), "perm"),
        (("Split", ["x"], ["a", "b", "y"], {"num_outputs": 3}), "gives 2 outputs, expected"),
    ],
)
def test_nodes_that_are_given_what_does_not_fit(node, message):
    op, inputs, outputs, attributes = (*node, {})[:4]
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node(op, inputs, outputs, "n", **attributes),
    ]
    model = model_of(nodes, {"x": [2, 3]}, {"y": []})
    with pytest.raises(DataError, match=rf"onnx: node 'n' \({op}, opset 20\): .*{message}"):
        load(model)(tn.ones(2, 3))


F4 = np.float32
UNFIT = {  # operator, shape of x, what it takes else, attributes: what is said of it
    "pads": ("MaxPool", (1, 1, 4, 4), [], {"kernel_shape": [2, 2], "pads": [1, 1]},
             r"has pads \(1, 1\), expected 4 numbers"),
    "strides": ("AveragePool", (1, 1, 4), [], {"kernel_shape": [2], "strides": [0]},
                r"has strides \(0,\), expected 1 numbers of at least 1"),
    "kernel": ("MaxPool", (1, 1, 4), [], {"kernel_shape": [2, 2]}, "has kernel_shape .* 1 num"),
    "large kernel": ("LpPool", (1, 1, 4), [], {"kernel_shape": [6]}, r"larger than \(4,\)"),
    "no spatial dims": ("MaxPool", (1, 1), [], {"kernel_shape": []}, "has 0 spatial dims"),
    "auto_pad": ("MaxPool", (1, 1, 4), [], {"kernel_shape": [2], "auto_pad": "SAME"},
                 "has auto_pad 'SAME', expected NOTSET, SAME_UPPER, SAME_LOWER, VALID"),
    "output_shape": ("ConvTranspose", (1, 1, 2, 2), [np.ones((1, 1, 2, 2), F4)],
                     {"output_shape": [4]}, r"has output_shape \(4,\), expected 2"),
    "mode": ("Pad", (2,), [np.array([1, 1])], {"mode": "zz"}, "has mode 'zz', expected constant"),
    "widths": ("Pad", (2,), [np.array([1])], {}, r"has pads \(1,\), expected 2"),
    "pad value": ("Pad", (2,), [np.array([1, 1]), np.ones(2, F4)], {}, "expected a single number"),
    "sequence": ("ReverseSequence", (2, 3), [np.array([1])], {}, r"has sequence_lens of .*\(1,\)"),
    "axis": ("Gather", (2, 3), [np.array([0])], {"axis": 3}, "has axis 3, expected one of 2 dims"),
    "axis of a number": ("GatherElements", (), [np.array([0])], {}, "expected one of 0 dims"),
    "flatten": ("Flatten", (2, 3), [], {"axis": 4}, "has axis 4"),
    "split": ("Split", (4,), [np.array([1, 1, 2])], {}, r"has sizes \(1, 1, 2\) for 1 outputs"),
    "slice": ("Slice", (4,), [np.array([0, 1]), np.array([1])], {}, r"has starts \(0, 1\), ends"),
    "step": ("Slice", (4,), [np.array([n]) for n in (0, 4, 0, 0)], {}, r"steps \(0,\)"),
    "reshape": ("Reshape", (4,), [np.array([4, 0])], {}, r"keeps a size that \(4,\) does not"),
    "reduction": ("ScatterElements", (2,), [np.array([0]), np.ones(1, F4)], {"reduction": "zz"},
                  "has reduction 'zz', expected none, add, mul, max, min"),
    "compress": ("Compress", (2,), [np.array([True])], {"axis": 2}, "has axis 2"),
    "cumsum": ("CumSum", (2,), [np.array([0, 0])], {}, r"axis is of shape \(2,\), expected a sin"),
    "k": ("TopK", (2,), [np.array([1, 1])], {}, "K is of shape"),
    "crop": ("CenterCropPad", (2, 2), [np.array([1])], {}, r"has shape \(1,\) for axes \(0, 1\)"),
    "scales": ("Resize", (1, 2), [np.ones(0, F4), np.ones(1, F4)], {}, "has scales .*expected 2"),
    "no scales": ("Resize", (1, 2), [], {}, "has scales None, expected 2 above 0"),
    "resize": ("Resize", (2,), [np.ones(0, F4), np.array([2], F4)], {"mode": "zz"},
               "has mode 'zz', expected nearest, linear, cubic"),
    "nearest": ("Resize", (2,), [np.ones(0, F4), np.array([2], F4)], {"nearest_mode": "zz"},
                "has nearest_mode 'zz'"),
    "weights": ("RNN", (2, 1, 3), [np.ones((1, 4, 2), F4), np.ones((1, 4, 4), F4)], {},
                r"has W of shape \(1, 4, 2\), expected \(1, 4, 3\)"),
    "directions": ("GRU", (2, 1, 3), [np.ones((1, 12, 3), F4), np.ones((1, 12, 4), F4)],
                   {"direction": "bidirectional"}, r"has W of .*expected \(2, 12, 3\)"),
    "steps": ("LSTM", (2, 3), [np.ones((1, 4, 3), F4), np.ones((1, 4, 1), F4)], {},
              r"has X of shape \(2, 3\) and R of shape"),
    "activations": ("RNN", (2, 1, 3), [np.ones((1, 4, 3), F4), np.ones((1, 4, 4), F4)],
                    {"activations": []}, "has activations"),
    "heads": ("Attention", (1, 2, 4), [np.ones((1, 2, 4), F4)] * 2, {}, "has no .*'q_num_heads'"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_values_that_do_not_fit(case):
    op, shape, given, attributes, message = UNFIT[case]
    weights = {f"w{i}": array for i, array in enumerate(given)}
    names = ["x", *weights]
    node = helper.make_node(op, names, ["y"] if op != "TopK" else ["y", "i"], "n")
    for name, value in attributes.items():
        kind = onnx.defs.get_schema(op).attributes[name].type.value
        node.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    graph = load(model_of([node], {"x": shape}, {"y": []}, weights, opset=23))
    with pytest.raises(DataError, match=rf"onnx: node 'n' \({op}, opset 23\): .*{message}"):
        graph(tn.ones(shape))


def test_names_that_are_no_utf8():
    model = model_of([helper.make_node("Relu", ["x"], ["y"], "nn")], {"x": [1]}, {"y": [1]})
    damaged = onnx.load_from_string(model.SerializeToString().replace(b"nn", b"\xffn"))
    with pytest.raises(DataError, match=r"onnx: the model names b'\\xffn', expected UTF-8"):
        load(damaged)


def test_mistakes_of_our_own_are_not_the_models(monkeypatch):
    def broken(node, x):
        raise ValueError("a mistake")

    monkeypatch.setitem(OPERATORS, "Relu", Operator(broken))
    graph = load(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [1]}, {"y": [1]}))
    with pytest.raises(ValueError, match=r"^a mistake$"):
        graph(tn.ones(1))


def test_nodes_out_of_order():
    nodes = [helper.make_node("Neg", ["a"], ["y"]), helper.make_node("Abs", ["x"], ["a"])]
    with pytest.raises(DataError, match=r"node 'y' \(Neg, opset 20\): takes 'a'"):
        load(model_of(nodes, {"x": [1]}, {"y": [1]}))


@pytest.mark.parametrize(("names", "what"), [("xx", "input 'x'"), (["x", ""], "input ''")])
def test_names_that_are_not_their_own(names, what):
    model = model_of([helper.make_node("Abs", ["x"], ["y"])], {"x": [1], "z": [1]}, {"y": [1]})
    for item, name in zip(model.graph.input, names, strict=True):
        item.name = name
    with pytest.raises(DataError, match=f"onnx: {what}: expected a name of its own"):
        load(model)


def test_two_initializers_of_a_name():
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], {"x": [1]}, {"y": [1]},
                     {"w": np.ones(1, np.float32)})  # fmt: skip
    model.graph.initializer.append(model.graph.initializer[0])
    with pytest.raises(DataError, match="onnx: initializer 'w': expected a name of its own"):
        load(model)


def test_operators_take_what_onnx_lets_them_have():
    """In every opset that they are there for, as many inputs as there may be."""
    for name, operator in OPERATORS.items():
        for opset in range(operator.since, NEWEST + 1):
            schema = onnx.defs.get_schema(name, opset)
            places = min(schema.max_input, 8)  # there may be any number
            inspect.signature(operator.run).bind(None, *[None] * places)


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
