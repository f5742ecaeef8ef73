"""The protocol: what an accelerator must supply.

A backend owns arrays on one device and the primitives below. It knows nothing of gradients. Shapes,
dtypes and dims arrive checked and normalised: operands of one elementwise call have one dtype
(a condition aside), dims are non-negative, index arrays are int64 and broadcast. Only index
*values* are the backend's to check, since only it can read them.
`tests/backends` is the protocol's specification in full: a new backend passes it or is not one.
NumPy is the reference: its values, dtypes and shapes are what others return.

Arrays may have any strides, negative ones too. Values are infinite or NaN without a warning.
Integers wrap around. What is not said is the backend's to choose: casts of NaN and of floats that
do not fit an integer.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from tinynet.backends.runs import KernelRun
from tinynet.dtype import DType, Scalar
from tinynet.shape import Shape
from tinynet.windows import Windows

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

    @property
    def strides(self) -> Shape:
        """Steps in memory along the dims, in a unit of the backend's."""


def with_sign(index: int) -> int:
    """An index that was negative until its sign bit was masked, as it was; others as they are."""
    return index - 2**63 if index >= 2**62 else index


class Recorder(Protocol):
    """Notes what the calling thread asks of a backend between `start` and `stop`."""

    @property
    def is_used(self) -> bool:
        """Whether anything was asked."""

    def start(self) -> None:
        """Begin. Until `stop`, reading values raises `RecordingError`."""

    def stop(self) -> None:
        """End."""

    def add_inputs(self, arrays: list[Any]) -> list[Any]:
        """Each replay brings others in place of these, of their shapes, dtypes and strides.

        Called first. Returns the arrays to use instead.
        """

    def add_state(self, array: Any) -> None:
        """This array is from outside and the same in each replay. Added before it is used.

        If it is an input too, other inputs do not fit.
        """

    def abandon(self) -> None:
        """Called in place of `finish` where there is to be no tape."""

    def finish(self, outputs: list[Any], kept: list[Any]) -> Tape:
        """What was asked, as a tape that gives `outputs`, after `stop`.

        `kept` are arrays made meanwhile that others hold on to and find changed by each replay.
        """


class Tape(Protocol):
    """Primitives to be called again; printed, it lists them."""

    kept: list[Any]
    reached: int  # after an error in a replay: the moment of the recording up to which it came

    def fits(self, inputs: list[Any]) -> bool:
        """Whether a replay with these inputs would do what the recorded function does."""

    def replay(self, inputs: list[Any], numbers: list[Any]) -> list[Any]:
        """Call them on other inputs. Returns outputs: new arrays, or views of memory from outside.

        `numbers` are the values of a `Script`. Memory from outside is written as recorded.
        """

    def settle(self) -> None:
        """Take whoever holds the kept arrays now for those who may find them changed."""

    def is_held(self) -> bool:
        """Whether others hold kept arrays, or their memory, than when things were settled."""

    def bind(self) -> None:
        """Go on with new `kept` arrays, and leave the old ones to those who hold them."""

    def runs(self) -> list[KernelRun]:
        """What it calls, as profiles note it; with times, if a profile has seen a replay."""


class Backend(Protocol):
    """Arrays and primitives of one device. Results are new arrays, or views where it says so."""

    name: str
    """The device's name, as users write it: `cpu`, `opencl:1`."""

    # to and from the host
    def from_numpy(self, array: NDArray[Any]) -> Any:
        """An array that holds what `array` does; may share its memory. Any strides."""

    def to_numpy(self, x: Any) -> NDArray[Any]:
        """A NumPy array that holds what `x` does; may share its memory."""

    def realize(self, x: Any) -> None:
        """Compute `x` now, on devices that put work off until its results are asked for."""

    def record(self, seen: dict[Any, Any]) -> Recorder:
        """A recorder, for `tinynet.jit`. `seen` is what earlier recordings of the same function for
        such inputs left there for later ones.
        """

    # creation
    def full(self, shape: Shape, value: Scalar, dtype: DType) -> Any:
        """Every element is `value`, which fits `dtype`."""

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
        """Apply one of `UNARY`, `BINARY` or `TERNARY`, broadcasting.

        Results have the operands' dtype; questions and comparisons give bools. Scalars are rounded
        to the arrays' dtype first; at least one operand is an array. Which dtypes come:
        all of them: `add mul pow maximum minimum where isnan isinf isfinite logical_* eq ne lt
        le gt ge` (bools add up as "or", multiply as "and"); all but bool: `neg abs sign square sub
        floor_divide remainder fmod`; all but floats: `invert bitwise_*`; integers: shifts
        (past the width: nothing is left but the sign); floats: the others.
        Integers are not divided by 0; to negative powers they are 0, but for 1 and -1.

        `out` has the result's shape and dtype, and is returned. It may be an operand, a view, or
        overlap an operand, which is then read as it was.
        """

    def cast(self, x: Any, dtype: DType) -> Any:
        """A new array, converted as C does: floats truncate toward zero, integers wrap.

        To floats: rounded to the nearest, ties to even. To bool: whether it is not 0 (NaN is not).
        """

    def copy(self, x: Any) -> Any:
        """A contiguous array of its own memory."""

    def assign(self, target: Any, source: Any) -> None:
        """Write `source` (broadcast, cast) into `target`'s memory, which views share.

        The two may overlap: all of `source` is read first. Results computed earlier keep their
        values.
        """

    # reduction, scan, order
    def reduce(self, op: str, x: Any, dims: Shape, keepdim: bool) -> Any:
        """One of `REDUCTIONS` over ascending `dims` (none: a copy); the result has `x`'s dtype.

        Sums and products of float16 and bfloat16 accumulate in float32; those of nothing are 0 and
        1. NaN is the largest and the smallest. Extremes of nothing are not asked for. `any` and
        `all` take bools.
        """

    def arg_reduce(self, op: Literal["max", "min"], x: Any, dim: int, keepdim: bool) -> Any:
        """int64 index of the first extreme along `dim`, of the first NaN if there is one."""

    def scan(self, op: str, x: Any, dim: int) -> Any:
        """Inclusive running result of one of `SCANS` along `dim`; otherwise as `reduce`."""

    def argsort(self, x: Any, dim: int, descending: bool) -> Any:
        """int64 indices that sort along `dim`; NaN is the largest.

        Stable either way: equal elements (and NaNs) stay in their order.
        """

    # linear algebra
    def matmul(self, a: Any, b: Any) -> Any:
        """`numpy.matmul` for numbers in arrays of at least 1 dim.

        float16 and bfloat16 accumulate in float32 and are rounded once.
        """

    # windows (`tinynet.windows`): x is (batch, channels, *input), y (batch, channels, *output)
    def convolve(self, x: Any, weight: Any, windows: Windows, groups: int) -> Any:
        """y: sums over each window and its group's channels, times (out, in / groups, *kernel)."""

    def convolve_input(self, y: Any, weight: Any, windows: Windows, groups: int) -> Any:
        """x: the transpose of `convolve` as a function of x (a gradient, or an upsampling)."""

    def convolve_weight(self, x: Any, y: Any, windows: Windows, groups: int) -> Any:
        """Of the shape of `weight`: the transpose of `convolve` as a function of weight.

        Numbers of any dtype come to these three; float16 and bfloat16 accumulate in float32.
        """

    def pool_max(self, x: Any, windows: Windows) -> tuple[Any, Any]:
        """y: the largest element of each window, the first one of these, or the last NaN;
        and as int32 which tap that is, counted row by row over the kernel.

        Every window covers something. Of zeros, the backend chooses which sign `y` has.
        """

    def pick(self, x: Any, taps: Any, windows: Windows) -> Any:
        """y: of each window the element at its tap."""

    def spread(self, y: Any, taps: Any, windows: Windows) -> Any:
        """x: the transpose of `pick`. Sums where windows overlap, zeros where no window picks.

        Here and in `fold`, sums run in the order of taps; those of float16 and bfloat16 in float32.
        """

    def fold(self, parts: Any, windows: Windows) -> Any:
        """x: the sums of (batch, channels, *kernel, *output), each at its place; what is outside
        of the input is left out.
        """

    # recurrence: rows of the first time step, of the second, ..., n rows each
    def lstm(
        self, sums: Any, weight: Any, h: Any, c: Any, is_reverse: bool
    ) -> tuple[Any, Any, Any] | None:
        """Long short-term memory over all time steps; None if it does not pay to have its own.

        Of the gates' `sums` (steps * n, 4 * hidden), to which `h @ weight.T` is added in each step,
        with a weight (4 * hidden, hidden), and the first output and state `h` and `c`
        (n, hidden): all outputs and states (steps * n, hidden), and the input gates, forget gates,
        candidates and output gates (steps * n, 4 * hidden). The last step comes first if
        `is_reverse`.
        """

    def lstm_backward(
        self,
        grads: tuple[Any, Any],
        weight: Any,
        gates: Any,
        cells: Any,
        c: Any,
        is_reverse: bool,
    ) -> tuple[Any, Any, Any]:
        """Gradients of `sums`, `h` and `c`: of those of all outputs and of the last state, with
        what `lstm` gave. Asked only where it gave something.
        """

    # attention: (sequences, heads, rows, columns)
    def attention(
        self, q: Any, k: Any, v: Any, mask: Any | None, scale: float
    ) -> tuple[Any, Any] | None:
        """`softmax(q @ k.mT * scale + mask) @ v`; None if it does not pay to have its own.

        Of queries (n, h, l, e), keys (n, h, s, e), values (n, h, s, v) and a mask (n or 1, h or 1,
        l or 1, s) or None: the results (n, h, l, v), zeros where all along s is barred by -inf, and
        the logarithms (n, h, l) of the weights' sums, inf there.
        """

    def attention_backward(
        self,
        grad: Any,
        q: Any,
        k: Any,
        v: Any,
        mask: Any | None,
        made: tuple[Any, Any],
        scale: float,
    ) -> tuple[Any, Any, Any]:
        """Gradients of queries, keys and values: of the results' one, with what
        `attention` gave. Asked only where it gave something.
        """

    def run_kernel(
        self,
        source: str,
        name: str,
        arguments: list[Any],
        outputs: list[tuple[Shape, DType]],
        size: Shape,
        group: Shape,
    ) -> list[Any]:
        """What a user's kernel makes of arrays and NumPy scalars, on devices that run OpenCL C.

        Raises `DeviceError` on others, `KernelError` if it does not compile or run.
        """

    def linalg(self, op: str, *operands: Any) -> tuple[Any, ...]:
        """A routine of LAPACK, batched, for float32 and float64.

        `inv(x)`, `solve(a, b)`, `cholesky(x)` (lower), `qr(x)` to (q, r) and `svd(x)` to (u, s, vh)
        of reduced size. Raises `ArgumentError` for singular matrices.
        """

    # movement: views where memory allows
    def reshape(self, x: Any, shape: Shape) -> Any:
        """The same elements in row-major order; a view where strides allow, else a copy."""

    def permute(self, x: Any, dims: Shape) -> Any:
        """A view with dims in this order."""

    def expand(self, x: Any, shape: Shape) -> Any:
        """A view broadcast to `shape`; read-only where elements repeat."""

    def slice(self, x: Any, ranges: tuple[Range, ...]) -> Any:
        """A view of `count` elements `x[start], x[start + step], ...` along each dim."""

    def strided(self, x: Any, shape: Shape, strides: Shape, offset: int) -> Any:
        """A view of `x`'s memory; strides and offset count elements from `x`'s first."""

    def strides(self, x: Any) -> Shape:
        """Steps in memory, in elements, along each dim."""

    def shares_memory(self, x: Any, base: Any) -> bool:
        """Whether `x`, made from `base` by a movement primitive, is a view and not a copy."""

    def is_writable(self, x: Any) -> bool:
        """False where several elements share memory (`expand`) or the memory is read-only."""

    def concatenate(self, arrays: list[Any], dim: int) -> Any:
        """A new array: joined along `dim`. The arrays have one dtype."""

    # indexing
    def take(self, x: Any, indices: tuple[Any | None, ...]) -> Any:
        """A new array: `x[indices]`, NumPy's advanced indexing; None stands for a whole dim.

        Negative indices count from the end. Raises `DimError` for those out of range:
        `index: index 5 is out of range for dim 0 of size 3`.
        """

    def put(self, x: Any, indices: tuple[Any | None, ...], values: Any, mode: PutMode) -> None:
        """`x[indices] = values` in place, or combined with what is there, in index order.

        `values` have `x`'s dtype and broadcast. Where an index repeats, the last one is set and all
        are combined, with the same result each time. Raises as `take` does, and writes nothing.
        """

    def nonzero(self, x: Any) -> Any:
        """int64 array (count, ndim): where `x` is not zero, in row-major order."""
