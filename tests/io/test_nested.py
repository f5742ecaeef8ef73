"""Checkpoints: nested values come back equal, with the same types."""

import collections
import enum
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.io.safetensors import KEY


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


def typed(value):
    """Something that is equal for equal values of equal types, NaN and tensors included."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [typed(item) for item in value]
    if kind is dict:
        return kind, [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, tn.Tensor):
        return tn.Tensor, value.dtype, value.shape, repr(value.tolist())
    return kind, repr(value) if kind is float else value


def reloaded(value, path):
    tn.save(value, path)
    return tn.load(path)


VALUES = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 10**30, -(10**6000), 0.1, -0.0, 5e-324,
    1.7976931348623157e308, math.inf, -math.inf, math.nan, "", "é\n\0\"\\", "\ud800", [], (), {},
    [[]], ((),), (1,), [1], {1: "a", "1": "b", -2: None}, {10**6000: 1}, {"tensor": "x"},
    {"dict": [["a", 1]]},
    [{"tuple": [1]}, {"float": "inf"}, {"int": "0x1"}], (0.1, [2, (3, {4: (5,)})]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_values(path, value):
    assert typed(reloaded({"value": value}, path)) == typed({"value": value})


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
tensors = st.builds(
    lambda dtype, n: tn.arange(n).to(dtype),
    st.sampled_from([tn.bool, tn.int64, tn.float32, tn.bfloat16]), st.integers(0, 3),
)  # fmt: skip


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=4) | st.integers(), nested | tensors, max_size=4))
def test_any_values(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "file"
    assert typed(reloaded(value, path)) == typed(value)


def test_tensors_have_readable_names(path):
    from safetensors.numpy import load_file

    x = tn.ones(2)
    state = {
        "model": {"0.weight": x, "0": {"weight": x * 2}}, "state": {0: {"step": 3, "mean": x}},
        "list": [x, (x, 4)], "__metadata__": x, "": x,
    }  # fmt: skip
    assert typed(reloaded(state, path)) == typed(state)
    assert set(load_file(path)) == {
        "model.0.weight", "model.0.weight'", "state.0.mean", "list.0", "list.1.0",
        "__metadata__'", "",
    }  # fmt: skip


def test_a_flat_dict_stays_a_plain_file(path):
    tn.save(collections.OrderedDict(a=tn.ones(1)), path)
    assert KEY.encode() not in path.read_bytes()
    tn.save({"a": tn.ones(1), "epoch": 3}, path, metadata={"who": "me"})
    assert tn.io.load_metadata(path) == {"who": "me"}


class Color(enum.IntEnum):
    RED = 1


Pair = collections.namedtuple("Pair", "a b")
ALLOWED = (
    ", expected tensors, numbers, strings, None, lists, tuples, and dicts with keys of str or int"
)
REFUSED = [
    ({"a": {1, 2}}, "['a'] is of type set"),
    ({"a": [1, {"b": object()}]}, "['a'][1]['b'] is of type object"),
    ({"a": {3: tn.optim.SGD}}, "['a'][3] is of type type"),
    ({"a": b"bytes"}, "['a'] is of type bytes"),
    ({"a": 1j}, "['a'] is of type complex"),
    ({"a": Color.RED}, "['a'] is of type Color"),
    ({"a": Pair(1, 2)}, "['a'] is of type Pair"),
    ({"a": {2.5: 1}}, "the key 2.5 of ['a'] is of type float"),
    ({True: 1}, "the key True of what is saved is of type bool"),
    ({"a": (tn.nn.Linear(1, 1),)}, "['a'][0] is of type Linear"),
]


@pytest.mark.parametrize(("state", "message"), REFUSED)
def test_anything_else_is_refused_before_anything_is_written(path, state, message):
    path.write_bytes(b"old")
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save(state, path)
    assert str(caught.value) == f"save: {message}{ALLOWED}"
    assert path.read_bytes() == b"old"


def test_what_holds_itself(path):
    state = {"a": []}
    state["a"].append(state)
    with pytest.raises(ArgumentError) as caught:
        tn.save(state, path)
    assert str(caught.value) == (
        "save: ['a'][0]['a'] is nested deeper than 100 levels, expected fewer, "
        "and nothing that holds itself"
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "3", "{}", '{"format": 1}x', '{"format": 1, "state": {"tensor": "y"}}',
        '{"format": 1, "state": {"tensor": []}}', '{"format": 1, "state": {"eval": "1"}}',
        '{"format": 1, "state": {"dict": [1]}}', '{"format": 1, "state": {"dict": [[[], 1]]}}',
        '{"format": 1, "state": {}}', '{"format": 1, "state": {"int": 3}}',
        '{"format": 1, "state": {"float": "x"}}', '{"format": 1, "state": {"tuple": 3}}',
        '{"format": 1, "state": ' + "[" * 2000 + "]" * 2000 + "}", '{"state": 1}',
        '{"format": 1, "state": ' + "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_other_json_is_a_data_error(path, text):
    from safetensors.numpy import save_file

    save_file({"x": tn.ones(1).numpy()}, path, {KEY: text})
    if text == "{}":
        assert list(tn.load(path)) == ["x"]
        return
    with pytest.raises(DataError, match=r"^load: .*does not decode .*, expected a whole safete"):
        tn.load(path)


def test_a_format_of_the_future(path):
    from safetensors.numpy import save_file

    save_file({}, path, {KEY: '{"format": 2}'})
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value) == f"load: {path}: tinynet's format 2, expected 1"


def test_pickles_are_read_only_when_asked_for(path):
    value = {"set": {1, 2}, "x": tn.ones(2), "color": Color.RED}
    tn.save(value, path, pickle=True)
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value) == (
        f"load: {path}: this is a pickle, expected a safetensors file: a pickle can run any code "
        "when it is loaded; pass allow_pickle=True if you trust whoever made it"
    )
    loaded = tn.load(path, allow_pickle=True)
    assert (loaded["set"], loaded["color"]) == ({1, 2}, Color.RED)
    assert loaded["x"].tolist() == [1, 1]
    tn.save({"x": tn.ones(2)}, path)
    assert tn.load(path, allow_pickle=True)["x"].tolist() == [1, 1]


def test_something_after_a_pickle(path):
    tn.save([1, 2], path, pickle=True)
    path.write_bytes(path.read_bytes() + b"N.")
    with pytest.raises(DataError) as caught:
        tn.load(path, allow_pickle=True)
    assert str(caught.value) == (
        f"load: {path}: something follows after the pickle, expected its end"
    )


def test_misuse_of_pickles(path):
    with pytest.raises(ArgumentTypeError, match=r"^save: .*, expected what pickle can write$"):
        tn.save(lambda: 0, path, pickle=True)
    assert not path.exists()
    with pytest.raises(ArgumentError, match=r"^save: a pickle has no metadata"):
        tn.save({}, path, {}, pickle=True)
    tn.save([1, 2], path, pickle=True)
    with pytest.raises(ArgumentError, match=r"expected no device, got 'cpu'$"):
        tn.load(path, "cpu", allow_pickle=True)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r", expected a whole pickle$"):
        tn.load(path, allow_pickle=True)
