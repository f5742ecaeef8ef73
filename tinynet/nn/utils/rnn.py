"""Sequences of different lengths in one batch: padded to the longest, or packed without padding.

Packed, time steps follow one another; each has a row of every sequence that lasts to it, the
longest sequence first. Names are those of `torch.nn.utils.rnn`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tinynet.dtype import fitted_scalar
from tinynet.errors import ArgumentError, ArgumentTypeError, DeviceError, ShapeError
from tinynet.ops.creation import arange, tensor
from tinynet.ops.joining import stack
from tinynet.ops.movement import full_ranges, place
from tinynet.ops.operands import require_tensor
from tinynet.tensor import Tensor


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """What `pack_padded_sequence` makes; recurrent layers take it and give one back.

    `data` has a row for every step of every sequence; `batch_sizes` (int64, on the CPU) says for
    each time step how many rows are its; `sorted_indices` says where the sequences, longest first,
    came from, `unsorted_indices` where they are to go back to (None: as they are).
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        """`data` and `batch_sizes` may come as a pair."""
        if batch_sizes is None:
            if not isinstance(data, (tuple, list)) or len(data) != 2:
                raise ArgumentTypeError("PackedSequence: expected data and batch_sizes")
            data, batch_sizes = data
        if require_tensor("PackedSequence", batch_sizes, "batch_sizes").device != "cpu":
            raise DeviceError(
                f"PackedSequence: batch_sizes are on {batch_sizes.device}, expected the CPU"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    _layout: tuple[list[int], list[int]] | None = None  # where it is known: jit cannot read tensors

    @property
    def layout(self) -> tuple[list[int], list[int]]:
        """How many rows each time step has, and where the sequences, longest first, came from."""
        if self._layout is not None:
            return self._layout
        sizes, order = self.batch_sizes.tolist(), self.sorted_indices
        return sizes, list(range(sizes[0])) if order is None else order.tolist()

    def with_data(self, data: Tensor) -> PackedSequence:
        """The same sequences of other elements."""
        indices = [x if x is None else x.to(data.device) for x in self[2:]]
        made = type(self)(data, self.batch_sizes, *indices)
        made._layout = self._layout
        return made

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """`data` on another device or in another dtype, as `Tensor.to`; itself where it is so."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self.with_data(data)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """What undoes a permutation; None of None.

    >>> import tinynet as tn
    >>> invert_permutation(tn.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    numbers = arange(len(permutation), dtype=permutation.dtype, device=permutation.device)
    return numbers.scatter(0, permutation, numbers)


# Padded
def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (length, *) as one tensor (longest, number, *), or (number, longest, *).

    >>> import tinynet as tn
    >>> pad_sequence([tn.tensor([1, 2]), tn.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    op = "pad_sequence"
    if not isinstance(sequences, (Iterable, Tensor)):
        raise ArgumentTypeError(f"{op}: expected a list of tensors, got {type(sequences).__name__}")
    items = [require_tensor(op, x, "every item") for x in sequences]
    if not items:
        raise ArgumentError(f"{op}: expected at least one sequence")
    if padding_side not in ("left", "right"):
        raise ArgumentError(f"{op}: padding_side must be 'left' or 'right', got {padding_side!r}")
    for x in items:
        if not x.shape or x.shape[1:] != items[0].shape[1:]:
            raise ShapeError(
                f"{op}: sequences must be (length, *) of one *, got {items[0].shape} and {x.shape}"
            )
    longest, dtype = max(len(x) for x in items), items[0].dtype
    value = fitted_scalar(op, padding_value, dtype)
    padded = []
    for x in items:
        start = longest - len(x) if padding_side == "left" else 0
        ranges = ((start, 1, len(x)), *full_ranges(x.shape[1:]))
        padded.append(place(x.to(dtype), ranges, (longest, *x.shape[1:]), value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences that `pad_sequence` padded, by their lengths."""
    padded = require_tensor("unpad_sequence", padded_sequences, "padded_sequences")
    if padded.ndim < 2:
        raise ShapeError(f"unpad_sequence: expected (time, batch, *), got shape {padded.shape}")
    padded = padded if batch_first else padded.transpose(0, 1)
    counts = _as_list("unpad_sequence", lengths)
    if len(counts) != len(padded):
        raise ShapeError(f"unpad_sequence: {len(counts)} lengths for {len(padded)} sequences")
    return [x[: max(n, 0)] for x, n in zip(padded, counts)]


# Packed
def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """(time, batch, *), or (batch, time, *), without what lies beyond each sequence's length.

    Lengths must fall, unless `enforce_sorted` is false: sequences are then sorted.

    >>> import tinynet as tn
    >>> pack_padded_sequence(tn.tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True)
    PackedSequence(data=tensor([1, 3, 2]), batch_sizes=tensor([2, 1]), sorted_indices=None,
        unsorted_indices=None)
    """
    op = "pack_padded_sequence"
    x = require_tensor(op, input)
    counts = _as_list(op, lengths)
    if x.ndim < 2 or 0 in x.shape[:2]:
        raise ShapeError(f"{op}: expected (time, batch, *) of some steps, got shape {x.shape}")
    batch, time = x.shape[:2] if batch_first else x.shape[1::-1]
    if len(counts) != batch:
        raise ShapeError(f"{op}: {len(counts)} lengths for a batch of {batch}")
    if not all(0 < n <= time for n in counts):
        raise ArgumentError(f"{op}: lengths must be from 1 to {time}, got {counts}")
    order = list(range(batch))
    if not enforce_sorted:
        order.sort(key=lambda i: -counts[i])
        counts = [counts[i] for i in order]
    elif counts != sorted(counts, reverse=True):
        raise ArgumentError(
            f"{op}: lengths must fall, got {counts}; sort them, or pass enforce_sorted=False"
        )
    sizes = [sum(n > t for n in counts) for t in range(max(counts))]
    rows = x.reshape(batch * time, *x.shape[2:])
    places = _places(sizes, order, (batch, time), batch_first)
    data = rows.index_select(0, tensor(places, device=x.device))
    sorted_indices = None if enforce_sorted else tensor(order, device=x.device)
    packed = PackedSequence(data, tensor(sizes, device="cpu"), sorted_indices)
    packed._layout = sizes, order
    return packed


def _places(
    sizes: list[int], order: list[int], shape: tuple[int, int], batch_first: bool
) -> list[int]:
    """Where each packed row is among the rows of a padded tensor of (batch, time)."""
    batch, time = shape
    steps = [(t, i) for t, n in enumerate(sizes) for i in order[:n]]
    return [i * time + t if batch_first else t * batch + i for t, i in steps]


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded tensor that was packed, in its order, and the lengths (int64, on the CPU)."""
    op = "pad_packed_sequence"
    if not isinstance(sequence, PackedSequence):
        raise ArgumentTypeError(
            f"{op}: sequence must be a PackedSequence, got {type(sequence).__name__}"
        )
    data, (sizes, order) = sequence.data, sequence.layout
    time, batch = len(sizes), sizes[0]
    if total_length is not None:
        if total_length < time:
            raise ArgumentError(f"{op}: total_length must be at least {time}, got {total_length}")
        time = total_length
    places = _places(sizes, order, (batch, time), batch_first)
    value = fitted_scalar(op, padding_value, data.dtype)
    padded = data.new_full((batch * time, *data.shape[1:]), value)
    padded = padded.index_put((tensor(places, device=data.device),), data)
    lengths = [0] * batch
    for rank, i in enumerate(order):
        lengths[i] = sum(n > rank for n in sizes)
    shape = (batch, time) if batch_first else (time, batch)
    return padded.reshape(*shape, *data.shape[1:]), tensor(lengths, device="cpu")


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (length, *) packed: `pad_sequence`, then `pack_padded_sequence`."""
    sequences = [require_tensor("pack_sequence", x, "every item") for x in sequences]
    lengths = [len(x) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that `pack_sequence` packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _as_list(op: str, lengths: Any) -> list[int]:
    """Lengths as whole numbers."""
    if not isinstance(lengths, (Iterable, Tensor)):
        raise ArgumentTypeError(f"{op}: lengths must be several, got {lengths!r:.60}")
    if isinstance(lengths, Tensor) and lengths.ndim != 1:
        raise ShapeError(f"{op}: lengths must be a vector of numbers, got shape {lengths.shape}")
    return [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
