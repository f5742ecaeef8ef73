"""Embeddings as modules; the functions are in `functional/embedding.py`."""

from __future__ import annotations

from typing import TypeVar

from tinynet.autograd.mode import no_grad
from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.functional.embedding import as_padding
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.ops.operands import require_tensor
from tinynet.tensor import Tensor

Kind = TypeVar("Kind", bound="_Table")


class _Table(Module):
    """Base of both: a weight (num_embeddings, embedding_dim), normal but for zeros for padding."""

    weight: Parameter
    mode: str | None = None

    def _fill(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        sparse: bool,
        weight: Tensor | None,
        is_frozen: bool,
        device: str | None,
        dtype: DType | None,
    ) -> None:
        op = type(self).__name__
        if sparse:
            raise ArgumentError(f"{op}: there are no sparse gradients, expected sparse=False")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = as_padding(op, padding_idx, num_embeddings)
        shape = (num_embeddings, embedding_dim)
        if weight is not None and weight.shape != shape:
            raise ShapeError(f"{op}: _weight has shape {weight.shape}, expected {shape}")
        values = empty(shape, device=device, dtype=dtype) if weight is None else weight
        self.weight = Parameter(values, requires_grad=not is_frozen)
        if weight is None:
            self.reset_parameters()

    @no_grad()
    def reset_parameters(self) -> None:
        """Draw new rows."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight[self.padding_idx] = 0.0

    def extra_repr(self) -> str:
        """Sizes, and what is not the default."""
        defaults = {"padding_idx": None, "max_norm": None, "norm_type": 2.0,
                    "scale_grad_by_freq": False}  # fmt: skip
        if self.mode is not None:  # PyTorch's order
            defaults = {**dict([*defaults.items()][1:]), "mode": None, "padding_idx": None}
        others = [
            f", {name}={getattr(self, name)!r}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return f"{self.num_embeddings}, {self.embedding_dim}{''.join(others)}"


def _size(cls: type[Module], embeddings: Tensor) -> tuple[int, int]:
    name = cls.__name__
    if require_tensor(name, embeddings, "embeddings").ndim != 2:
        raise ShapeError(f"{name}: embeddings must have 2 dims, got shape {embeddings.shape}")
    rows, size = embeddings.shape
    return rows, size


class Embedding(_Table):
    """A vector for each of `num_embeddings` integers: `(*)` to `(*, embedding_dim)`.

    Row `padding_idx` starts as zeros and gets no gradient. Other arguments: `functional.embedding`.

    >>> import tinynet as tn
    >>> Embedding(10, 3)(tn.tensor([[1, 2, 4, 5], [4, 3, 2, 9]])).shape
    (2, 4, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self._fill(
            num_embeddings, embedding_dim, padding_idx, sparse, _weight, _freeze, device, dtype
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A module on the memory of `embeddings` (number, size), trained unless `freeze`."""
        return cls(
            *_size(cls, embeddings), padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            embeddings, freeze,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Integers (*) to (*, embedding_dim)."""
        return functional.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq,
        )  # fmt: skip


class EmbeddingBag(_Table):
    """The "sum", "mean" or "max" of the vectors of each bag of integers: (bags, embedding_dim).

    Arguments: `functional.embedding_bag`.
    """

    mode: str

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.include_last_offset = include_last_offset
        self._fill(
            num_embeddings, embedding_dim, padding_idx, sparse, _weight, False, device, dtype
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A module on the memory of `embeddings` (number, size), trained unless `freeze`."""
        made = cls(
            *_size(cls, embeddings), max_norm, norm_type, scale_grad_by_freq, mode, sparse,
            embeddings, include_last_offset, padding_idx,
        )  # fmt: skip
        made.weight.requires_grad_(not freeze)
        return made

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """Integers (bags, n), or (n,) with offsets, to (bags, embedding_dim)."""
        return functional.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, False, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip
