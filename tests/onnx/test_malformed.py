"""ONNX models that are damaged or malformed: refused, by an error that says what is wrong."""

import contextlib
import inspect
import random

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import helper

import tinynet as tn
from tests.onnx.test_load import model_of
from tinynet import nn
from tinynet.errors import ArgumentTypeError, DataError, DimError, TinynetError
from tinynet.onnx import export, load
from tinynet.onnx.graph import NEWEST
from tinynet.onnx.node import Operator
from tinynet.onnx.operators import OPERATORS


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
    "norm": ("LpPool", (1, 1, 4), [], {"kernel_shape": [2], "p": 0}, "has p 0, expected at least"),
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
    "flag": ("ArgMax", (2, 3), [], {"keepdims": 2}, "has keepdims 2, expected 0 or 1"),
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


def test_shapes_are_transposed_as_all_else_is():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Transpose", ["shape"], ["y"], "n", perm=[0, 1]),
    ]
    with pytest.raises(DimError, match=r"node 'n' \(Transpose, opset 20\): dim 1 is out of range"):
        load(model_of(nodes, {"x": [2]}, {"y": []}))(tn.ones(2))


def test_models_without_outputs():
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [1]}, {})
    with pytest.raises(DataError, match="onnx: what was given is no ONNX model: it has no outputs"):
        load(model)


@pytest.mark.parametrize("damage", ["cycle", "inputs", "twice"])
def test_functions_that_are_malformed(damage):
    inner = helper.make_node("F", ["a"], ["b"], domain="mine")
    if damage != "cycle":
        inner = helper.make_node("Neg", ["a"], ["b"])
    function = helper.make_function(
        "mine", "F", ["a"], ["b"], [inner],
        [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)],
    )  # fmt: skip
    inputs = ["x", "x"] if damage == "inputs" else ["x"]
    model = model_of([helper.make_node("F", inputs, ["y"], domain="mine")], {"x": [1]}, {"y": [1]},
                     functions=[function] * (2 if damage == "twice" else 1))  # fmt: skip
    model.opset_import.append(helper.make_opsetid("mine", 1))
    with pytest.raises(DataError, match="onnx: the model's own functions are malformed: "):
        load(model)


def test_attributes_of_no_function():
    model = model_of([helper.make_node("Elu", ["x"], ["y"], alpha=1.0)], {"x": [1]}, {"y": [1]})
    attribute = model.graph.node[0].attribute[0]
    attribute.ClearField("f")
    attribute.ref_attr_name = "slope"
    with pytest.raises(DataError, match="onnx: attribute 'alpha' is that of a function, expected"):
        load(model)


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


def test_damaged_bytes():
    """Whatever bits are turned, what comes out is a result or an error of ours."""
    module = nn.Sequential(nn.Conv2d(1, 1, 2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2))
    x = tn.ones(1, 1, 3, 3)
    content = export(module.eval(), x, dynamic_axes={"input": [0]}).SerializeToString()
    choose = random.Random(0)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << choose.randrange(8)
        with contextlib.suppress(DecodeError):
            model = onnx.load_from_string(bytes(damaged))
            with contextlib.suppress(TinynetError):
                load(model)(x)
