"""Operations: each with its forward half in backend primitives, its gradient in Tensor operations.

* `elementwise` (one operand), `arithmetic` (two and three), `inplace`;
* `movement` (the view primitives), `rearranging`, `joining`, `copying`, `padding`, `shuffling`;
* `reduction`, `scan`, `sorting`, `indexing`;
* `linear` (matmul, einsum), `softmax`, and what networks have of their own: `convolution`,
  `pooling` with `adaptive` and `unpooling`, `folding`, `interpolation`, `normalization`,
  `recurrence`, `attention`, `embedding`, `losses`;
* `creation`, `random`; `operands` is what they share.
"""
