"""How many multiply-adds a layer takes, by the name of its class.

A multiplication and the addition of its product count as one. Counted is what grows with sizes:
products with weights, and of attention's scores; normalisation one for each element, `x * scale +
shift`. Pools, activations, dropout, look-ups in tables and adding a bias count as nothing. A layer
that is not listed counts as nothing itself, the modules in it do. One of your own may say what it
takes with a method `multiply_adds(args, output) -> int`, args being those of `forward`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinynet.nn.module import Module

Count = Callable[[Any, Any, Any], int]  # of the module, its arguments and its output


def multiply_adds(module: Module, args: tuple[Any, ...], output: Any) -> int:
    """What one call of `module` took, without the modules in it."""
    own = getattr(module, "multiply_adds", None)
    if own is not None:
        return int(own(args, output))
    for kind in type(module).__mro__:
        if kind.__name__ in COUNTS:
            return COUNTS[kind.__name__](module, args, output)
    return 0


def _linear(module: Any, args: Any, output: Any) -> int:
    return int(output.numel() * module.in_features)


def _bilinear(module: Any, args: Any, output: Any) -> int:
    return int(output.numel() * module.in1_features * module.in2_features)


def _convolution(module: Any, args: Any, output: Any) -> int:
    return int(output.numel() * math.prod(module.weight.shape[1:]))


def _transposed(module: Any, args: Any, output: Any) -> int:
    return int(args[0].numel() * math.prod(module.weight.shape[1:]))


def _recurrent(module: Any, args: Any, output: Any) -> int:
    """All matrices once for each element of a sequence, which may be packed."""
    weights = sum(x.numel() for x in module.parameters() if x.ndim > 1)
    return int(args[0].data.numel() // module.input_size * weights)


def _attention(module: Any, args: Any, output: Any) -> int:
    """Projections of query, key and value; scores, and the values that they weigh."""
    query, key, value = args[:3]
    batch = 1 if query.ndim == 2 else query.shape[0 if module.batch_first else 1]
    size = module.embed_dim
    n_queries, n_keys = query.numel() // size, key.numel() // key.shape[-1]
    projections = (query.numel() + key.numel() + value.numel()) * size  # the output's is a layer
    return int(projections + 2 * n_queries * (n_keys // max(batch, 1)) * size)


def _normalization(module: Any, args: Any, output: Any) -> int:
    return int(output.numel())


def _table(*rows: tuple[Count, str]) -> dict[str, Count]:
    return {name: count for count, names in rows for name in names.split()}


COUNTS = _table(
    (_linear, "Linear"),
    (_bilinear, "Bilinear"),
    (_convolution, "Conv1d Conv2d Conv3d"),
    (_transposed, "ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
    (_recurrent, "RNN LSTM GRU RNNCell LSTMCell GRUCell"),
    (_attention, "MultiheadAttention"),
    (
        _normalization,
        "BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm InstanceNorm1d InstanceNorm2d "
        "InstanceNorm3d LayerNorm LocalResponseNorm RMSNorm",
    ),
)
