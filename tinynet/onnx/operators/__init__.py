"""The operators that imported graphs may have, by name: `OPERATORS`.

`elementwise`, `movement` (with constants), `reduction`, `indexing`, `linear` (with losses),
`convolution` (with pools), `normalization`, `recurrent`, `attention`, `resizing`; `on_host`
computes shapes and the like without a device.
"""

from tinynet.onnx.node import Operator
from tinynet.onnx.operators import (
    attention,
    convolution,
    elementwise,
    indexing,
    linear,
    movement,
    normalization,
    recurrent,
    reduction,
    resizing,
)

OPERATORS: dict[str, Operator] = {
    **attention.OPERATORS,
    **convolution.OPERATORS,
    **elementwise.OPERATORS,
    **indexing.OPERATORS,
    **linear.OPERATORS,
    **movement.OPERATORS,
    **normalization.OPERATORS,
    **recurrent.OPERATORS,
    **reduction.OPERATORS,
    **resizing.OPERATORS,
}
