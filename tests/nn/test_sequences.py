"""Padded and packed sequences."""

import pytest

import tinynet as tn
from tinynet.errors import ArgumentError, ArgumentTypeError, DeviceError, ShapeError
from tinynet.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

LONG, SHORT = tn.tensor([1.0, 2.0, 3.0]), tn.tensor([4.0])


def test_padding(on_device):
    long, short = LONG.to(on_device), SHORT.to(on_device)
    assert pad_sequence([long, short]).tolist() == [[1, 4], [2, 0], [3, 0]]
    padded = pad_sequence([short, long], True, -1.0, "left")
    assert padded.tolist() == [[-1, -1, 4], [1, 2, 3]]
    rows = unpad_sequence(pad_sequence([long, short]), tn.tensor([3, 1]))
    assert [row.tolist() for row in rows] == [[1, 2, 3], [4]]


def test_packing(on_device):
    long, short = LONG.to(on_device), SHORT.to(on_device)
    packed = pack_sequence([short, long], enforce_sorted=False)
    assert packed.data.tolist() == [1, 4, 2, 3]
    assert packed.batch_sizes.tolist() == [2, 1, 1]
    assert packed.batch_sizes.device == "cpu"
    assert packed.sorted_indices.tolist() == packed.unsorted_indices.tolist() == [1, 0]
    assert [x.tolist() for x in unpack_sequence(packed)] == [[4], [1, 2, 3]]
    padded, lengths = pad_packed_sequence(packed, True, -1.0, 4)
    assert padded.tolist() == [[4, -1, -1, -1], [1, 2, 3, -1]]
    assert lengths.tolist() == [1, 3]
    by_hand = PackedSequence(packed.data, packed.batch_sizes, packed.sorted_indices)
    assert pad_packed_sequence(by_hand)[0].tolist() == [[4, 1], [0, 2], [0, 3]]


def test_gradients_find_their_place(on_device):
    x = tn.zeros(3, 2, 2, requires_grad=True)
    packed = pack_padded_sequence(x, [1, 3], enforce_sorted=False)
    padded, _ = pad_packed_sequence(packed)
    (padded * tn.arange(12.0).reshape(3, 2, 2)).sum().backward()
    assert x.grad.tolist() == [[[0, 1], [2, 3]], [[0, 0], [6, 7]], [[0, 0], [10, 11]]]


def test_conversions():
    packed = pack_sequence([LONG, SHORT])
    assert packed.to(tn.float32) is packed
    assert packed.to(tn.float64).data.dtype is tn.float64
    assert packed.to(tn.float64).layout == packed.layout
    assert invert_permutation(None) is None


X = tn.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: pad_sequence(5), ArgumentTypeError,
         "pad_sequence: expected a list of tensors, got int"),
        (lambda: pad_sequence([]), ArgumentError, "pad_sequence: expected at least one sequence"),
        (lambda: pad_sequence([X, X[:, :1]]), ShapeError,
         "pad_sequence: sequences must be (length, *) of one *, got (3, 2) and (3, 1)"),
        (lambda: pad_sequence([X], padding_side="up"), ArgumentError,
         "pad_sequence: padding_side must be 'left' or 'right', got 'up'"),
        (lambda: pack_padded_sequence(X, [1, 3]), ArgumentError,
         "pack_padded_sequence: lengths must fall, got [1, 3]; sort them, or pass "
         "enforce_sorted=False"),
        (lambda: pack_padded_sequence(X, [4, 1]), ArgumentError,
         "pack_padded_sequence: lengths must be from 1 to 3, got [4, 1]"),
        (lambda: pack_padded_sequence(X, [3]), ShapeError,
         "pack_padded_sequence: 1 lengths for a batch of 2"),
        (lambda: pack_padded_sequence(X[0], [1]), ShapeError,
         "pack_padded_sequence: expected (time, batch, *) of some steps, got shape (2,)"),
        (lambda: pack_padded_sequence(X, X), ShapeError,
         "pack_padded_sequence: lengths must be a vector of numbers, got shape (3, 2)"),
        (lambda: pad_packed_sequence(pack_padded_sequence(X, [3, 1]), total_length=2),
         ArgumentError, "pad_packed_sequence: total_length must be at least 3, got 2"),
        (lambda: pad_packed_sequence(X), ArgumentTypeError,
         "pad_packed_sequence: sequence must be a PackedSequence, got Tensor"),
        (lambda: pack_sequence([1, 2]), ArgumentTypeError,
         "pack_sequence: every item must be a Tensor, got int"),
        (lambda: unpad_sequence(3, [1]), ArgumentTypeError,
         "unpad_sequence: padded_sequences must be a Tensor, got int"),
        (lambda: unpad_sequence(X[0], [1]), ShapeError,
         "unpad_sequence: expected (time, batch, *), got shape (2,)"),
        (lambda: unpad_sequence(X, 3), ArgumentTypeError,
         "unpad_sequence: lengths must be several, got 3"),
        (lambda: unpad_sequence(X, tn.tensor([1])), ShapeError,
         "unpad_sequence: 1 lengths for 2 sequences"),
        (lambda: PackedSequence(X), ArgumentTypeError,
         "PackedSequence: expected data and batch_sizes"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_sizes_are_on_the_cpu(device):
    sizes = tn.tensor([1], device=device)
    if device == "cpu":
        assert PackedSequence(X[:1], sizes).layout == ([1], [0])
        return
    with pytest.raises(DeviceError, match=r"batch_sizes are on opencl.*, expected the CPU"):
        PackedSequence(X[:1], sizes)
