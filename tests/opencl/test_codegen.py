"""Code generation, looked at as text: no device is asked."""

import re

import pytest

from tinynet import dtype as dtypes
from tinynet.backends.opencl.array import Value
from tinynet.backends.opencl.bounds import bounds_of, union
from tinynet.backends.opencl.codegen import write, write_epilogue
from tinynet.backends.opencl.primitives import template
from tinynet.backends.opencl.spec import Access, Output, Spec

ROWS = Access("float32", "memory", ("x", "1"), False)
COLUMN = Access("float32", "memory", ("1", "0"), False)
TURNED = Access("float32", "memory", ("1", "x"), True)
LEAF = ("leaf", "float32", 0)


def spec(kind, nodes, outputs, leaves=(ROWS,), is_cpu=True, **more):
    values = {"scalars": (), "n_outer": 1, "n_inner": 1, "splits": False, "index_type": "long"}
    return Spec(kind, tuple(nodes), tuple(leaves), tuple(outputs), is_cpu=is_cpu, **values | more)


def test_a_map_is_a_loop_over_the_last_dim():
    nodes = [LEAF, ("scalar", "float", 0), ("mul", "float32", "float32", 0, 1)]
    name, text, types = write(spec("map", nodes, [Output(2, ROWS, -1)], scalars=("float",)))
    assert name == "map_mul"
    assert "const float v2 = v0 * s0;" in text
    assert "for (I k = k_begin; k < k_end; k++) {" in text
    assert len(types) == text.split("(")[1].split(")")[0].count(",") + 1


def test_offsets_and_strides_are_arguments_but_for_0_and_1():
    _, text, _ = write(spec("map", [LEAF], [Output(0, ROWS, -1)], leaves=(TURNED,)))
    assert "const I q0 = f0 + x0;" in text
    assert "p0[q0 + k * t0_1]" in text


def test_a_donor_s_memory_is_written():
    nodes = [LEAF, ("neg", "float32", "float32", 0)]
    _, text, _ = write(spec("map", nodes, [Output(1, ROWS, 0)]))
    assert "global float *restrict p0" in text
    assert "o0[" not in text
    assert "p0[z0 + k] = v1;" in text


def test_functions_are_called_on_vectors_on_cpus_alone():
    nodes = [LEAF, ("exp", "float32", "float32", 0)]
    assert (
        "exp_of((*(float8 *)(w0 + u)))" in write(spec("map", nodes, [Output(1, ROWS, -1)])).program
    )
    text = write(spec("map", nodes, [Output(1, ROWS, -1)], is_cpu=False)).program
    assert "const float v1 = exp(v0);" in text
    assert "float8" not in text


@pytest.mark.parametrize("is_cpu", [True, False])
@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_nothing_hides_a_parameter(kind, splits, is_cpu):
    """Nodes and accesses are numbered alike, and each has names of its own."""
    nodes = [
        LEAF, ("reduce", "sum", "float32", "float32", 0), ("leaf", "float32", 1),
        ("reduce", "max", "float32", "float32", 2), ("mul", "float32", "float32", 1, 3),
    ]  # fmt: skip
    end = Access("float32", "memory", ("x", "0"), True)
    given = spec(
        kind, nodes[:2] if splits else nodes, [Output(1 if splits else 4, end, -1)],
        [TURNED._replace(strides=("x", "x"))] * 4, is_cpu, splits=splits,
    )  # fmt: skip
    declared, body = re.search(r"kernel .*?\((.*?)\) \{(.*)", write(given).program, re.S).groups()
    names = re.findall(r"(\w+)(?:,|$)", declared)
    assert {"f0", "f1", "f2", "f3", "fo0", "t3_1", "n1"} <= {*names}
    for name in names:
        assert not re.search(rf"\w \*?{name}(\[\w+\])?( = |;)", body), name


def softmax(**more):
    nodes = [
        LEAF, ("reduce", "max", "float32", "float32", 0), ("sub", "float32", "float32", 0, 1),
        ("exp", "float32", "float32", 2), ("reduce", "sum", "float32", "float32", 3),
        ("div", "float32", "float32", 3, 4),
    ]  # fmt: skip
    return write(spec("rows", nodes, [Output(5, ROWS, -1)], **more))


def test_rows_run_stage_after_stage():
    name, text, _ = softmax()
    assert name == "rows_max_sub_exp_sum_div"
    assert text.index("const float v1") < text.index("const float v4") < text.index("o0[")
    assert "barrier" not in text


def test_a_group_of_an_accelerator_shares_a_row():
    _, text, _ = softmax(is_cpu=False, group=64)
    assert "local float l1[64];" in text
    assert text.count("barrier(CLK_LOCAL_MEM_FENCE);") == 5


def test_an_item_of_an_accelerator_takes_a_short_row():
    _, text, _ = softmax(is_cpu=False)
    assert "item = get_global_id(0)" in text
    assert "local" not in text.replace("global", "")
    assert "barrier" not in text


def test_an_epilogue_is_macros():
    nodes = [("product", "float32"), ("leaf", "float32", 0), ("add", "float32", "float32", 0, 1)]
    bias = Access("float32", "memory", ("0", "0", "1"), False)
    target = Access("float32", "memory", ("x", "x", "1"), False)
    made = write_epilogue(
        spec("epilogue", nodes, [Output(2, target, -1)], leaves=(bias,), n_outer=2)
    )
    assert "#define EPILOGUE_PARAMETERS , global const float *restrict p0" in made.program
    assert "const float v0 = product; const float v1 = p0[q0 + k]; const float v2 = v0 + v1;" in (
        made.program
    )


@pytest.mark.parametrize(
    ("op", "dtype", "expected"),
    [
        ("add", dtypes.int32, "(int)((uint){a} + (uint){b})"),
        ("add", dtypes.int8, "(char)((uint){a} + (uint){b})"),
        ("add", dtypes.bool_, "{a} | {b}"),
        ("add", dtypes.float16, "round_float16({a} + {b})"),
        ("maximum", dtypes.int64, "{a} >= {b} ? {a} : {b}"),
        ("neg", dtypes.float64, "-{a}"),
    ],
)
def test_primitives(op, dtype, expected):
    assert template(op, dtype, is_cpu=True) == expected


def integers(low, high, dtype=dtypes.int64):
    return Value("memory", dtype, (3,), bounds=None if low is None else (low, high))


@pytest.mark.parametrize(
    ("op", "operands", "expected"),
    [
        ("add", [integers(0, 9), 1], (1, 10)),
        ("sub", [integers(0, 9), integers(2, 3)], (-3, 7)),
        ("mul", [integers(-2, 3), integers(-5, 4)], (-15, 12)),
        ("neg", [integers(-2, 3)], (-3, 2)),
        ("remainder", [integers(None, None), 7], (0, 6)),
        ("remainder", [integers(4, 5), integers(0, 5)], (0, 4)),
        ("remainder", [integers(4, 5), integers(-3, 0)], (-2, 0)),
        ("remainder", [integers(None, None), -7], (-6, 0)),
        ("bitwise_and", [integers(None, None), 15], (0, 15)),
        ("right_shift", [integers(-8, 9), integers(0, 70)], (-8, 9)),
        ("where", [integers(0, 1, dtypes.bool_), integers(2, 3), 7], (2, 7)),
        ("add", [integers(0, 200, dtypes.uint8), 100], None),  # may wrap around
        ("pow", [integers(0, 9), 2], None),  # no rule
    ],
)
def test_bounds(op, operands, expected):
    assert bounds_of(op, operands) == expected


def test_bounds_of_either():
    assert union((0, 3), (-1, 2)) == (-1, 3)
    assert union(None, (0, 1)) is None
