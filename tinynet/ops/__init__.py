"""Operations: each with its forward half in backend primitives, its gradient in Tensor operations.

`elementwise` (one operand), `arithmetic` (two and three), `movement` (the view primitives),
`rearranging`, `joining`, `copying`, `reduction`, `scan`, `sorting`, `indexing`, `linear` (matmul,
einsum), `softmax`, `inplace`, `creation`, `random`; `operands` is what they share.
"""
