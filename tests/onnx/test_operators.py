"""Imported operators where the `onnx` package has no cases: as onnxruntime computes them."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import tinynet as tn
from tests.onnx.test_export import session_of
from tinynet.errors import DataError
from tinynet.onnx import load


def model_of(op, inputs, opset=20, **attributes):
    """A node of float32 or int64 inputs (None: left out), all but the first of them constants."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(x))
        for name, x in zip(names[1:], inputs[1:])
        if x is not None
    ]
    node = helper.make_node(op, names, ["y"], **attributes)
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    given = helper.make_tensor_value_info("x0", kind, inputs[0].shape)
    made = onnx.ValueInfoProto(name="y")
    made.type.tensor_type.elem_type = kind
    graph = helper.make_graph([*constants, node], "graph", [given], [made])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def on_host(model, x):
    """The same with a constant in place of the input."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.input[:]
    value = numpy_helper.from_array(x)
    made.graph.node.insert(0, helper.make_node("Constant", [], ["x0"], value=value))
    return made


def check(op, *inputs, opset=20, **attributes):
    """It gives what onnxruntime does; with constants only, it is computed on the host."""
    inputs = [x if x is None else np.asarray(x) for x in inputs]
    model = model_of(op, inputs, opset, **attributes)
    expected = session_of(model).run(None, {"x0": inputs[0]})[0]
    for found in (load(model)(tn.tensor(inputs[0])), load(on_host(model, inputs[0]))()):
        found = found.numpy(force=True)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


# many operands
@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_largest_and_the_smallest_of_any_number(op, count):
    check(op, *floats(4, 5)[:count])


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_of_integers(fmod):
    check("Mod", np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3]), fmod=fmod)


def test_remainders_of_floats():
    check("Mod", np.float32([7.5, -7.5]), np.float32([2, 2]), fmod=1)


def test_quotients():
    a = np.array([7, -7, 7, -7, 2**62 + 1])
    check("Div", a, np.array([3, 3, -3, -3, 3]))
    check("Div", floats(3), np.float32([2, 0, -1]))  # pytest makes errors of NumPy's warnings


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_integers_divided_by_zero(op):
    x = np.array([1, 2])
    with pytest.raises(DataError, match=r"divides integers by \[0, 1\], expected no 0 among them"):
        load(on_host(model_of(op, [x, np.array([0, 1])]), x))()


# resizing
FACTORS = (0.3, 0.5, 0.7, 1.1, 1.3, 2.3)
MODES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")


@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("factor", FACTORS)
def test_resize(mode, coordinates, factor):
    """A length is a whole number, found in float32: 10 * 1.3 is 13, though 1.3 is a little less."""
    options = {"mode": mode, "coordinate_transformation_mode": coordinates}
    for width in (4, 7, 10, 13):
        scales = np.float32([1, 1, 1.5, factor])
        check("Resize", floats(1, 1, 6, width), None, scales, opset=19, **options)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_nearest(factor):
    """Where a place is a whole number but for rounding, it is rounded as in float32."""
    options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    for width in (4, 10, 13, 20):
        scales = np.float32([1, 1, 1.5, factor])
        check("Resize", floats(1, 1, 6, width), None, scales, nearest_mode="floor", **options)
        if factor > 1:
            check("Upsample", floats(1, 1, 6, width), scales, opset=9)


def test_what_keeps_its_shape_is_not_resized():
    check("Resize", floats(1, 1, 3, 5), None, np.float32([1, 1, 1.1, 1.1]), mode="linear")


# others
@pytest.mark.parametrize("shape", [(1,), (5,), (1, 5), (4, 1), (4, 5), ()])
@pytest.mark.parametrize("transposed", [0, 1])
def test_what_a_product_is_added_to_is_broadcast(shape, transposed):
    b = floats(5, 3) if transposed else floats(3, 5)
    check("Gemm", floats(4, 3), b, floats(*shape), transB=transposed)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_windows_of_channels(size):
    """Channels `c - floor((size - 1) / 2)` to `c + ceil((size - 1) / 2)`, as the schema says."""
    x = floats(2, 7, 3, 2)
    squares = np.pad(x**2, [(0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)])
    total = sum(squares[:, i : i + 7] for i in range(size))
    options = {"alpha": 0.7, "beta": 0.5, "bias": 2.0}
    y = load(model_of("LRN", [x], size=size, **options))(tn.tensor(x))
    np.testing.assert_allclose(y.numpy(), x / (2 + 0.7 / size * total) ** 0.5, rtol=1e-5)


@pytest.mark.parametrize("rows", [(2, 0), (0, 0), (0,)])
def test_places_of_everything(rows):
    places = np.zeros(rows, np.int64)
    check("GatherND", floats(2, 3), places)
    check("ScatterND", floats(2, 3), places, floats(*rows[:-1], 2, 3))


def test_places_of_all_of_each_row():
    check("GatherND", floats(2, 3, 4), np.zeros((2, 5, 0), np.int64), batch_dims=1)
