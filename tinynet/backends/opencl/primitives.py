"""Each elementwise primitive and each reduction as OpenCL C: one line a primitive.

Placeholders: `a b c` are the operands, `C` their computed type, `U` an unsigned type that wraps
around as theirs does, `bits` their width, SMALLEST their least float that is not denormal. What two
kinds of numbers compute differently has a line for each kind: floats ("f"), integers ("i", both
signs) and bools ("b").
"""

from __future__ import annotations

from functools import cache

from tinynet.backends.opencl.ctypes import UNSIGNED, computed
from tinynet.dtype import DType, bfloat16, float16, uint32, uint64

ANY = {
    "load": "{a}", "square": "{a} * {a}",
    "maximum": "{a} >= {b} ? {a} : {b}", "minimum": "{a} <= {b} ? {a} : {b}",
    "eq": "{a} == {b}", "ne": "{a} != {b}", "lt": "{a} < {b}", "le": "{a} <= {b}",
    "gt": "{a} > {b}", "ge": "{a} >= {b}",
    "logical_not": "{a} == 0", "logical_and": "{a} != 0 && {b} != 0",
    "logical_or": "{a} != 0 || {b} != 0", "logical_xor": "({a} != 0) != ({b} != 0)",
    "where": "{a} ? {b} : {c}",
}  # fmt: skip
FLOATS = {
    "neg": "-{a}", "abs": "fabs_of({a})", "sign": "{a} != {a} ? {a} : ({a} > 0) - ({a} < 0)",
    "sqrt": "sqrt_of({a})", "rsqrt": "1 / sqrt_of({a})", "reciprocal": "1 / {a}",
    "floor": "floor_of({a})", "ceil": "ceil_of({a})", "round": "rint_of({a})",
    "trunc": "trunc_of({a})",
    "isnan": "{a} != {a}", "isinf": "fabs_of({a}) == INFINITY",
    "isfinite": "fabs_of({a}) < INFINITY",
    "add": "{a} + {b}", "sub": "{a} - {b}", "mul": "{a} * {b}", "div": "{a} / {b}",
    "maximum": "{a} >= {b} || {a} != {a} ? {a} : {b}",
    "minimum": "{a} <= {b} || {a} != {a} ? {a} : {b}",
    "floor_divide": "floor_divide({a}, {b})", "remainder": "remainder_of({a}, {b})",
    "fmod": "fmod({a}, {b})", "copysign": "copysign({a}, {b})",
    "logaddexp": "logaddexp({a}, {b})",
}  # fmt: skip
# These compute on vectors as on single numbers: on CPUs, drivers have them for whole registers.
VECTOR = {
    **{name: f"{name}({{a}})" for name in (
        "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh"
        " atanh erf").split()},
    "sigmoid": "1 / (1 + exp(-{a}))", "logit": "log({a} / (1 - {a}))",
    # PoCL's takes denormal numbers apart with arithmetic that flushes them to 0
    "pow": "pow(fabs({a}) < SMALLEST ? {a} * 0 : {a}, {b})", "atan2": "atan2_of({a}, {b})",
}  # fmt: skip
OWN = {  # those of float32 that kernels/functions.cl has for CPUs
    "exp": "exp_of({a})", "tanh": "tanh_of({a})", "erf": "erf_of({a})",
    "sigmoid": "1 / (1 + exp_of(-{a}))",
    "sin": "sin_of({a})", "cos": "cos_of({a})", "tan": "tan_of({a})",
}  # fmt: skip
INTEGERS = {
    "neg": "(C)(0 - (U){a})", "abs": "{a} < 0 ? (C)(0 - (U){a}) : {a}",
    "sign": "({a} > 0) - ({a} < 0)", "square": "(C)((U){a} * (U){a})",
    "isnan": "0", "isinf": "0", "isfinite": "1", "invert": "~{a}",
    "add": "(C)((U){a} + (U){b})", "sub": "(C)((U){a} - (U){b})", "mul": "(C)((U){a} * (U){b})",
    "floor_divide": "FLOOR_DIVIDE(C, U, {a}, {b})", "remainder": "REMAINDER(C, {a}, {b})",
    "fmod": "{b} == 0 || {b} == (C)-1 && {b} < 0 ? 0 : {a} % {b}",
    "pow": "(C)POW({a}, {b})",
    "bitwise_and": "{a} & {b}", "bitwise_or": "{a} | {b}", "bitwise_xor": "{a} ^ {b}",
    "left_shift": "(ulong){b} >= {bits} ? 0 : (C)((U){a} << {b})",
    "right_shift": "(ulong){b} >= {bits} ? ({a} < 0 ? (C)-1 : 0) : {a} >> {b}",
}  # fmt: skip
BOOLS = {
    "square": "{a}", "isnan": "0", "isinf": "0", "isfinite": "1", "invert": "!{a}",
    "add": "{a} | {b}", "mul": "{a} & {b}", "pow": "{a} | !{b}",
    "bitwise_and": "{a} & {b}", "bitwise_or": "{a} | {b}", "bitwise_xor": "{a} ^ {b}",
}  # fmt: skip
# reduction: where it starts, how it goes on, by kind
REDUCTIONS = {
    "sum": {"f": ("0", "{a} + {b}"), "i": ("0", "(C)((U){a} + (U){b})"), "b": ("0", "{a} | {b}")},
    "prod": {"f": ("1", "{a} * {b}"), "i": ("1", "(C)((U){a} * (U){b})"), "b": ("1", "{a} & {b}")},
    "max": {
        "f": ("-INFINITY", "{b} > {a} || {b} != {b} ? {b} : {a}"),
        "i": ("LEAST", "{b} > {a} ? {b} : {a}"),
        "b": ("0", "{a} | {b}"),
    },
    "min": {
        "f": ("INFINITY", "{b} < {a} || {b} != {b} ? {b} : {a}"),
        "i": ("MOST", "{b} < {a} ? {b} : {a}"),
        "b": ("1", "{a} & {b}"),
    },
    "any": {"b": ("0", "{a} | {b}")},
    "all": {"b": ("1", "{a} & {b}")},
}
QUESTIONS = frozenset(
    "eq ne lt le gt ge logical_not logical_and logical_or logical_xor isnan isinf isfinite".split()
)
# What float16 and bfloat16 need not be rounded after.
EXACT = QUESTIONS | set(
    "load neg abs sign floor ceil round trunc maximum minimum where copysign fmod".split()
)


@cache
def template(op: str, dtype: DType, is_cpu: bool) -> str:
    """The C expression of a primitive on operands of `dtype`, with {a} {b} {c} to be filled in."""
    tables = {"f": (FLOATS, VECTOR, ANY), "b": (BOOLS, ANY)}.get(dtype.kind, (INTEGERS, ANY))
    kind = computed(dtype)
    if is_cpu and kind == "float":
        tables = (OWN, *tables)
    text = next(table[op] for table in tables if op in table)
    if op == "pow" and dtype.rank == 1:
        text = text.replace("POW", "power_unsigned" if dtype.kind == "u" else "power_signed")
    text = _with_types(text, kind, dtype).replace("{bits}", str(8 * dtype.itemsize))
    if dtype in (float16, bfloat16) and op not in EXACT:
        return f"round_{dtype.name}({text})"
    return text


def reduction(op: str, dtype: DType) -> tuple[str, str]:
    """A reduction's start and its step from {a} by {b}, in C."""
    kind = {"f": "f", "b": "b"}.get(dtype.kind, "i")
    start, step = REDUCTIONS[op][kind]
    bits, is_signed = 8 * dtype.itemsize, dtype.kind == "i"
    least = f"(-{2 ** (bits - 1) - 1}L - 1)" if is_signed else "0"
    most = f"{2 ** (bits - 1) - 1}L" if is_signed else f"{2**bits - 1}UL"
    return {"LEAST": least, "MOST": most}.get(start, start), _with_types(
        step, computed(dtype), dtype
    )


def cast(source: DType, target: DType) -> str:
    """The C expression that converts {a}."""
    if target.rank == 0:
        return "{a} != 0"
    if target is float16:
        return "round_float16({a})" if source.itemsize < 8 else "round_float16_once({a})"
    if target is bfloat16:
        return "round_bfloat16((float){a})"
    through = ""
    if source.rank == 2 and target is uint64:  # C leaves open what negative floats become
        return "({a} < 0 ? (ulong)(long){a} : (ulong){a})"
    if source.rank == 2 and target.rank == 1:  # and what those out of range do
        through = "(long)" if target is uint32 else "(int)" if target.itemsize < 4 else ""
    return f"({computed(target)}){through}{{a}}"


def _with_types(text: str, kind: str, dtype: DType) -> str:
    unsigned = "uint" if dtype.itemsize < 4 else UNSIGNED.get(kind, kind)
    text = text.replace("SMALLEST", "DBL_MIN" if kind == "double" else "FLT_MIN")
    for name, ctype in (("(C)", kind), ("(U)", unsigned)):
        text = text.replace(name, f"({ctype})")
    return text.replace("(C, U,", f"({kind}, {unsigned},").replace("(C,", f"({kind},")
