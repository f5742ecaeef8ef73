"""Tools around training, by their subject.

`clipping` holds gradients within bounds, `vectors` has parameters as one vector, `parametrize`
computes parameters from others, `parametrizations` are known ways to do so; `rnn` pads and packs
sequences of different lengths.
"""

from tinynet.nn.utils import parametrizations, parametrize, rnn
from tinynet.nn.utils.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from tinynet.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "rnn",
    "vector_to_parameters",
]
