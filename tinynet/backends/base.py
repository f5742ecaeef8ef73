"""The protocol: what an accelerator must supply.

A backend owns arrays on one device and the primitives below. It knows nothing of gradients. Shapes,
dtypes and dims arrive checked and normalised: operands of one elementwise call have one dtype
(conditions and shift counts aside), dims are non-negative, index arrays are int64. Only index
*values* are the backend's to check, since only it can read them.
`tests/backends/test_conformance.py` is the protocol's specification in full: a new backend passes
it or is not one. NumPy is the reference: its values, dtypes and shapes are what others return.
"""

from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from tinynet.dtype import DType, Scalar
from tinynet.shape import Shape

Operand = Any  # an Array of the backend, or a Python scalar (weak: it takes the others' dtype)
PutMode = Literal["set", "add", "mul", "max", "min"]
Range = tuple[int, int, int]  # start, step, count along one dim

UNARY = frozenset(
    "neg abs sign sqrt rsqrt reciprocal square exp exp2 expm1 log log2 log10 log1p sin cos tan asin"
    " acos atan sinh cosh tanh asinh acosh atanh sigmoid logit erf floor ceil round trunc"
    " isnan isinf isfinite logical_not invert".split()
)
BINARY = frozenset(
    "add sub mul div floor_divide remainder fmod pow maximum minimum atan2 copysign logaddexp"
    " eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor"
    " left_shift right_shift".split()
)
TERNARY = frozenset(["where"])
REDUCTIONS = frozenset("sum prod max min any all".split())
SCANS = frozenset("sum prod max min".split())


class Array(Protocol):
    """What everybody may know of a backend's array; the rest is the backend's own."""

    @property
    def shape(self) -> Shape:
        """Sizes of the dims."""


class Backend(Protocol):
    """Arrays and primitives of one device. Results are new arrays, or views where it says so."""

    name: str
    """The device's name, as users write it: `cpu`, `opencl:1`."""

    # to and from the host
    def from_numpy(self, array: NDArray[Any]) -> Any:
        """An array that holds what `array` does; may share its memory."""

    def to_numpy(self, x: Any) -> NDArray[Any]:
        """A NumPy array that holds what `x` does; may share its memory."""

    # creation
    def full(self, shape: Shape, value: Scalar, dtype: DType) -> Any:
        """Every element is `value`."""

    def arange(self, count: int, start: Scalar, step: Scalar, dtype: DType) -> Any:
        """`start + i * step` for i < count, rounded once to `dtype`."""

    def random_bits(self, key: int, counter: int, count: int, width: Literal[32, 64]) -> Any:
        """`count` words of Philox4x64-10: uint32 (low half of each 64 bits first) or uint64.

        Block `counter + 1` comes first, as in `numpy.random.Philox(key=key, counter=counter)`.
        """

    # elementwise
    def elementwise(
        self, op: str, a: Operand, b: Operand = None, c: Operand = None, out: Any = None
    ) -> Any:
        """Apply one of `UNARY`, `BINARY` or `TERNARY`, broadcasting; into `out` if given."""

    def cast(self, x: Any, dtype: DType) -> Any:
        """Convert as C does: floats truncate toward zero, integers wrap."""

    def copy(self, x: Any) -> Any:
        """A contiguous array of its own memory."""

    def assign(self, target: Any, source: Any) -> None:
        """Write `source` (broadcast, cast) into `target`'s memory, which views share."""

    # reduction, scan, order
    def reduce(self, op: str, x: Any, dims: Shape, keepdim: bool) -> Any:
        """One of `REDUCTIONS` over `dims`; float16 and bfloat16 accumulate in float32."""

    def arg_reduce(self, op: Literal["max", "min"], x: Any, dim: int, keepdim: bool) -> Any:
        """int64 index of the first extreme along `dim`; NaN counts as the extreme."""

    def scan(self, op: str, x: Any, dim: int) -> Any:
        """Inclusive running result of one of `SCANS` along `dim`."""

    def argsort(self, x: Any, dim: int, descending: bool) -> Any:
        """int64 indices that sort along `dim`, stably; NaN counts as the largest."""

    # linear algebra
    def matmul(self, a: Any, b: Any) -> Any:
        """`numpy.matmul` for arrays of at least 1 dim; float16 and bfloat16 accumulate wider."""

    def linalg(self, op: str, *operands: Any) -> tuple[Any, ...]:
        """A LAPACK routine of NumPy (`inv solve cholesky qr svd`), batched; see the reference."""

    # movement: views where memory allows
    def reshape(self, x: Any, shape: Shape) -> Any:
        """The same elements in row-major order; a view where strides allow, else a copy."""

    def permute(self, x: Any, dims: Shape) -> Any:
        """A view with dims in this order."""

    def expand(self, x: Any, shape: Shape) -> Any:
        """A read-only view broadcast to `shape`."""

    def slice(self, x: Any, ranges: tuple[Range, ...]) -> Any:
        """A view of `x[start], x[start + step], ...` along each dim."""

    def strided(self, x: Any, shape: Shape, strides: Shape, offset: int) -> Any:
        """A view of `x`'s memory; strides and offset count elements."""

    def strides(self, x: Any) -> Shape:
        """Steps in memory, in elements, along each dim."""

    def shares_memory(self, x: Any, base: Any) -> bool:
        """Whether `x`, made from `base` by a movement primitive, is a view and not a copy."""

    def is_writable(self, x: Any) -> bool:
        """False where several elements share memory (`expand`) or the memory is read-only."""

    def concatenate(self, arrays: list[Any], dim: int) -> Any:
        """Join along `dim`."""

    # indexing
    def take(self, x: Any, indices: tuple[Any | None, ...]) -> Any:
        """`x[indices]`, NumPy's advanced indexing; None stands for a whole dim."""

    def put(self, x: Any, indices: tuple[Any | None, ...], values: Any, mode: PutMode) -> None:
        """`x[indices] = values` in place, or combined with what is there, in index order."""

    def nonzero(self, x: Any) -> Any:
        """int64 array (count, ndim): where `x` is not zero, in row-major order."""
