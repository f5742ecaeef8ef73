"""`MultiheadAttention`: several attentions side by side, on linear maps of their inputs."""

from __future__ import annotations

from tinynet.dtype import DType, bool_
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.functional.attention import attend, barred
from tinynet.nn.layers import Linear
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty, zeros
from tinynet.ops.joining import cat
from tinynet.ops.operands import require_tensor
from tinynet.tensor import Tensor

OP = "MultiheadAttention"


class MultiheadAttention(Module):
    """Attention of `num_heads` heads, each on `embed_dim / num_heads` features of linear maps of
    query, key and value; their results, side by side, go through another one (Vaswani et al. 2017,
    3.2.2).

    `kdim`, `vdim`: features of key and value, if not `embed_dim`. `dropout` is of the weights, in
    training. `add_bias_kv` learns another key and value, `add_zero_attn` adds ones of zeros.
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ArgumentError(
                f"{OP}: embed_dim must be a multiple of num_heads, both positive, "
                f"got {embed_dim} and {num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def make(is_there: bool, *shape: int) -> Parameter | None:
            return Parameter(empty(shape, device=device, dtype=dtype)) if is_there else None

        is_one = self.kdim == self.vdim == embed_dim
        self.in_proj_weight = make(is_one, 3 * embed_dim, embed_dim)
        self.q_proj_weight = make(not is_one, embed_dim, embed_dim)
        self.k_proj_weight = make(not is_one, embed_dim, self.kdim)
        self.v_proj_weight = make(not is_one, embed_dim, self.vdim)
        self.in_proj_bias = make(bias, 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k = make(add_bias_kv, 1, 1, embed_dim)
        self.bias_v = make(add_bias_kv, 1, 1, embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights, but for those of `out_proj`; all biases are 0."""
        for weight in (
            self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        ):  # fmt: skip
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The result, and the weights, their mean over the heads or all, if they are needed.

        `query` (L, N, E), `key` (S, N, kdim), `value` (S, N, vdim) give (L, N, E) and weights
        (N, L, S) or (N, heads, L, S). With `batch_first` N is the first dim; without a batch there
        is none. Masks are True where one may *not* look, or numbers that are added:
        `key_padding_mask` (N, S), `attn_mask` (L, S) or (N * heads, L, S). `is_causal` says that
        `attn_mask` is causal, and changes nothing here. A query that may look at nothing gets NaN
        with weights, zeros (and the bias) without, as in PyTorch.
        """
        if is_causal and attn_mask is None:
            raise ArgumentError(f"{OP}: is_causal needs attn_mask, which it says something about")
        is_batched = query.ndim == 3
        query, key, value = self._arrange(query, key, value)
        if key_padding_mask is not None and not is_batched:
            key_padding_mask = key_padding_mask[None]
        self._check_masks(query, key, key_padding_mask, attn_mask)
        q, k, v = self._project(query, key, value)
        k, v, mask = self._extend(k, v, self._merge(key_padding_mask, attn_mask, q))
        q, k, v = (self._split(x) for x in (q, k, v))
        dropout = self.dropout if self.training else 0.0
        y, weights = attend(q, k, v, mask, dropout_p=dropout, need_weights=need_weights)
        y = self.out_proj(y.transpose(1, 2).flatten(2))
        y = y[0] if not is_batched else y if self.batch_first else y.transpose(0, 1)
        if not need_weights or weights is None:
            return y, None
        weights = weights.mean(1) if average_attn_weights else weights
        return y, weights if is_batched else weights[0]

    def _arrange(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Inputs as (N, L, E), checked; those that are the same stay so."""
        arranged: dict[int, Tensor] = {}
        inputs = (query, key, value)
        sizes = (self.embed_dim, self.kdim, self.vdim)
        for name, x, size in zip(("query", "key", "value"), inputs, sizes):
            if require_tensor(OP, x, name).ndim not in (2, 3) or x.ndim != query.ndim:
                raise ShapeError(
                    f"{OP}: query, key and value must all have 2 dims or, with a batch, 3, "
                    f"got {name} of shape {x.shape}"
                )
            if x.shape[-1] != size:
                raise ShapeError(f"{OP}: {name} has shape {x.shape}, expected {size} features")
            if id(x) not in arranged:
                turned = x if x.ndim == 2 or self.batch_first else x.transpose(0, 1)
                arranged[id(x)] = turned if x.ndim == 3 else x[None]
        q, k, v = found = [arranged[id(x)] for x in inputs]
        if k.shape[:2] != v.shape[:2] or k.shape[0] != q.shape[0]:
            raise ShapeError(
                f"{OP}: query {query.shape}, key {key.shape} and value {value.shape} do not fit"
            )
        return found

    def _check_masks(
        self, query: Tensor, key: Tensor, padding: Tensor | None, mask: Tensor | None
    ) -> None:
        (n, length, _), n_keys = query.shape, key.shape[1]
        if padding is not None and padding.shape != (n, n_keys):
            raise ShapeError(
                f"{OP}: key_padding_mask has shape {padding.shape}, expected {(n, n_keys)}"
            )
        shapes = [(length, n_keys), (n * self.num_heads, length, n_keys)]
        if mask is not None and mask.shape not in shapes:
            raise ShapeError(
                f"{OP}: attn_mask has shape {mask.shape}, expected {shapes[0]} or {shapes[1]}"
            )

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """The linear maps of all heads; in one product where inputs are the same."""
        bias = self.in_proj_bias
        if self.in_proj_weight is not None:
            if query is key and key is value:
                return functional.linear(query, self.in_proj_weight, bias).chunk(3, -1)
            weights = self.in_proj_weight.chunk(3)
        else:
            assert self.q_proj_weight is not None
            assert self.k_proj_weight is not None
            assert self.v_proj_weight is not None
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None, None, None) if bias is None else bias.chunk(3)
        inputs = (query, key, value)
        return tuple(functional.linear(x, w, b) for x, w, b in zip(inputs, weights, biases))

    def _merge(self, padding: Tensor | None, mask: Tensor | None, q: Tensor) -> Tensor | None:
        """Both masks as one that broadcasts to (N, heads, L, S)."""
        padding, mask = (_additive(x, q.dtype) for x in (padding, mask))
        if mask is not None and mask.ndim == 3:
            mask = mask.unflatten(0, (q.shape[0], self.num_heads))
        if padding is None:
            return mask
        padding = padding[:, None, None, :]
        return padding if mask is None else mask + padding

    def _extend(
        self, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Further keys and values, which all may look at."""
        n, _, size = k.shape
        more: list[tuple[Tensor, Tensor]] = []
        if self.bias_k is not None and self.bias_v is not None:
            more.append((self.bias_k, self.bias_v))
        if self.add_zero_attn:
            nothing = zeros(1, 1, size, device=k.device, dtype=k.dtype)
            more.append((nothing, nothing))
        for key, value in more:
            k = cat([k, key.expand(n, 1, size)], 1)
            v = cat([v, value.expand(n, 1, size)], 1)
            mask = None if mask is None else functional.pad(mask, (0, 1))
        return k, v, mask

    def _split(self, x: Tensor) -> Tensor:
        """(N, L, E) to (N, heads, L, E / heads)."""
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)


def _additive(mask: Tensor | None, dtype: DType) -> Tensor | None:
    """A mask as numbers that are added to scores."""
    if mask is None:
        return None
    if mask.dtype is bool_:
        return barred(~mask, dtype)
    if not mask.is_floating_point():
        raise DTypeError(f"{OP}: a mask has dtype {mask.dtype}, expected bool or a floating one")
    return mask.to(dtype)
