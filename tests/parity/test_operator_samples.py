"""PyTorch's own operator samples, run here: values, dtypes, shapes, gradients and errors are equal.

`op_db` holds sample arguments for each of PyTorch's operators, and arguments that must raise. Every
operator that tinynet has too runs as function, method and in place, with all dtypes, and with its
arguments given by name; those of `nn.functional` on every device, with fewer samples and dtypes.
`DIFFERENCES` lists what is meant to be unlike, and why.

`python -m tests.parity.test_operator_samples` prints how many samples pass, operator by operator.
"""

import warnings
from collections import Counter
from functools import partial
from itertools import islice
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's samples import it

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences, gradient_differences  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

pytestmark = pytest.mark.filterwarnings("ignore")

DTYPES = [
    torch.float32, torch.float64, torch.int64, torch.bool, torch.float16, torch.bfloat16,
    torch.uint8, torch.int32,
]  # fmt: skip
MOST_SAMPLES = 12  # per operator and dtype, spread evenly over what PyTorch offers

# Random numbers, or memory that nobody wrote: only dtype and shape are compared.
WITHOUT_VALUES = set(
    "empty empty_like new_empty randn randn_like rand_like randint multinomial bernoulli".split()
) | {
    f"nn.functional.{name}"
    for name in "dropout dropout2d dropout3d alpha_dropout feature_alpha_dropout rrelu".split()
}
# Of ties, PyTorch's faster sorts keep none in order, tinynet all: only values are compared.
UNSTABLE = {"sort", "topk", "argsort"}
# Names that PyTorch's documents do not know.
UNDOCUMENTED = {"tensor_indices_or_sections", "indices", "sections"}
# Arguments about memory, which tinynet leaves to its backends.
ABOUT_MEMORY = {"memory_format", "layout", "pin_memory"}


class Difference(NamedTuple):
    """What is unlike on purpose: of which operators, in which case, why."""

    operators: str
    aspect: str  # "value", "gradient", "in place", "error" or "keyword"
    reason: str
    applies: object = lambda dtype, sample: True


def is_narrow(dtype, sample):
    return dtype in (torch.float16, torch.bfloat16)


def is_narrow_integer(dtype, sample):
    return dtype in (torch.uint8, torch.int32)


def is_integer(dtype, sample):
    return not dtype.is_floating_point


def is_bool(dtype, sample):
    return dtype is torch.bool


def is_number_first(dtype, sample):
    return isinstance(sample.input, (int, float))


def has_number(dtype, sample):
    return any(isinstance(x, (int, float)) for x in (sample.input, *sample.args))


DIFFERENCES = [
    Difference(
        "addcmul addcdiv lerp baddbmm addmm", "value in place",
        "PyTorch rounds float16 once, at the end; tinynet, made of smaller steps, after each",
        is_narrow,
    ),
    Difference(
        "linspace logspace", "value",
        "PyTorch rounds the step to 16 bits before it is multiplied, tinynet only the result",
        is_narrow,
    ),
    Difference(
        "arange", "value",
        "with float bounds and a narrow integer dtype PyTorch counts before it cuts the bounds, "
        "but after it with int64; tinynet always after it", is_narrow_integer,
    ),
    Difference(
        "baddbmm", "value in place",
        "PyTorch cuts alpha and beta to integers silently; tinynet promotes", is_integer,
    ),
    Difference(
        "einsum", "value", "sums of narrow integers become int64 in some of PyTorch's orders",
        is_narrow_integer,
    ),
    Difference("square", "value", "bools have no square: an error says what to do", is_bool),
    Difference(
        "norm linalg.norm linalg.vector_norm", "gradient",
        "a count has no gradient, in PyTorch zeros",
        lambda dtype, sample: 0 in (*sample.args[:1], sample.kwargs.get("ord")),
    ),
    Difference(
        "linalg.norm", "gradient", "the second one at 0 is NaN in PyTorch",
        lambda dtype, sample: not sample.input.any(),
    ),
    Difference(
        "linalg.norm linalg.matrix_norm linalg.vector_norm", "value",
        "there is no largest of no numbers, in PyTorch 0",
        lambda dtype, sample: sample.input.numel() == 0,
    ),
    Difference(
        "zero_", "gradient", "the sample is a leaf that requires grad: not to be changed"
    ),
    Difference(
        "eq ne lt le gt ge", "in place", "writing bools over numbers: nobody's x.eq_(y)",
    ),
    Difference(
        "squeeze unsqueeze transpose t as_strided", "in place",
        "a tensor's shape never changes, which graph and backends rely on",
    ),
    Difference(
        "add sub mul div true_divide floor_divide remainder fmod atan2 copysign eq ne lt le gt ge "
        "maximum minimum max min isclose logaddexp logical_and logical_or logical_xor "
        "__radd__ __rmul__ __rand__ __ror__ __rxor__",
        "error", "a Python number may stand wherever a tensor may", has_number,
    ),
    Difference(
        "narrow", "error", "Python itself takes a bool for an index",
        lambda dtype, sample: isinstance(sample.args[1], torch.Tensor),
    ),
    Difference(
        "nn.functional.conv_transpose1d nn.functional.conv_transpose2d "
        "nn.functional.conv_transpose3d nn.functional.interpolate "
        "nn.functional.adaptive_avg_pool3d", "value",
        "PyTorch adds 16-bit numbers up in 16 bits; tinynet rounds once, at the end", is_narrow,
    ),
    Difference(
        "nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss", "value gradient",
        "a score without a dim of classes is an error",
        lambda dtype, sample: sample.input.ndim == 0,
    ),
    Difference(
        "nn.functional.batch_norm", "value gradient", "an input without channels is an error",
        lambda dtype, sample: sample.input.ndim < 2,
    ),
    Difference(
        "nn.functional.binary_cross_entropy", "gradient",
        "the second one has an epsilon in PyTorch that the first one has not",
    ),
    Difference(
        "nn.functional.hardsigmoid", "gradient", "PyTorch's sixth has the digits of float32",
    ),
    Difference(
        "nn.functional.embedding", "value", "there are no sparse gradients",
        lambda dtype, sample: sample.kwargs.get("sparse"),
    ),
    Difference(
        "nn.functional.embedding_bag", "gradient", "PyTorch has no second one",
        lambda dtype, sample: sample.kwargs.get("per_sample_weights") is not None,
    ),
    Difference(
        "nn.functional.scaled_dot_product_attention", "value", "dropout draws otherwise",
        lambda dtype, sample: sample.kwargs.get("dropout_p"),
    ),
    Difference(
        "nn.functional.scaled_dot_product_attention", "gradient",
        "PyTorch has no second one: test_attention.py compares the first",
    ),
    Difference(
        "nn.functional.bilinear", "value", "products of the two inputs are rounded before weighed",
        is_narrow,
    ),
]  # fmt: skip


OWNERS = {"": tn, "linalg": tn.linalg, "nn.functional": tn.nn.functional}


def mimic_of(op):
    """tinynet's function for one of PyTorch's operators, called as `op_db` calls it, or None."""
    if op.name == "einsum":
        return lambda operands, equation: tn.einsum(equation, *operands)
    if op.name in ("nn.functional.embedding", "nn.functional.embedding_bag"):  # weight first
        function = getattr(tn.nn.functional, op.name.rpartition(".")[2])
        return lambda weight, indices, **options: function(indices, weight, **options)
    if op.name in ("normal", "uniform", "where"):
        return None  # op_db means methods of these names
    owner, _, name = op.name.rpartition(".")
    found = getattr(OWNERS.get(owner), name, None)
    return found if callable(found) else None


def in_place_of(op):
    """tinynet's function that writes into its input, or None."""
    if op.name.startswith("nn.functional"):
        return partial(mimic_of(op), inplace=True)
    return getattr(tn.Tensor, f"{op.name}_", None)


def method_of(op):
    """tinynet's method (properties called like one) for an operator, or None."""
    if op.name in ("normal", "uniform", "rand", "randn", "zeros", "ones", "empty"):
        return None  # static methods, which samples do not call as methods
    found = getattr(tn.Tensor, op.name, None)
    return (lambda x: getattr(x, op.name)) if isinstance(found, property) else found


# The nuclear norm needs an SVD: tn.linalg has it. Samples of partial views count strides from the
# base's first element, tinynet's `as_strided` from the tensor's own. Singular vectors may have any
# sign: test_linalg.py compares what does not depend on it.
LEFT_OUT = {
    ("norm", "nuc"), ("as_strided", "partial_views"), ("linalg.svd", ""),
    ("nn.functional.triplet_margin_with_distance_loss", ""),  # of distances made by PyTorch
    ("nn.functional.one_hot", ""),  # of integers: test_embedding.py
    ("nn.functional.silu", "complex"), ("nn.functional.batch_norm", "without_cudnn"),
}  # fmt: skip
OPERATORS = [
    op
    for op in op_db
    if (mimic_of(op) or method_of(op)) and (op.name, op.variant_test_name) not in LEFT_OUT
]
FUNCTIONS = [op for op in OPERATORS if op.name.startswith("nn.functional")]
OPERATORS = [op for op in OPERATORS if op not in FUNCTIONS]


def samples_of(op, dtype, requires_grad=False, most=MOST_SAMPLES):
    """Evenly spread samples."""
    if dtype not in op.dtypes:
        return []
    torch.manual_seed(0)
    samples = list(islice(op.sample_inputs("cpu", dtype, requires_grad=requires_grad), 200))
    samples = [sample for sample in samples if not has_complex(sample)]
    for sample in samples:
        for name in ABOUT_MEMORY & set(sample.kwargs):
            del sample.kwargs[name]
    return samples[:: -(-len(samples) // most) or 1]


def has_complex(sample):
    """Whether a sample holds complex numbers, which tinynet has not."""
    values = [sample.input, *sample.args, *sample.kwargs.values()]
    return any(
        isinstance(x, complex) or (isinstance(x, torch.Tensor) and x.is_complex()) for x in values
    )


class Survey:
    """What was compared of an operator: `passed` counts, `failed` says what was unlike."""

    def __init__(self, op, dtypes=DTYPES, most=MOST_SAMPLES):
        self.op = op
        self.dtypes = dtypes
        self.most = most
        self.passed = Counter()
        self.failed = []
        self.known = Counter()
        self.expected = [d for d in DIFFERENCES if op.name in d.operators.split()]

    def note(self, aspect, dtype, sample, found):
        """Count a comparison; `found` is "" where all is alike."""
        if not found:
            self.passed[aspect] += 1
            return
        for difference in self.expected:
            if aspect in difference.aspect and difference.applies(dtype, sample):
                self.known[difference.reason] += 1
                return
        shown = (_short(sample.input), _short(tuple(sample.args)), _short(sample.kwargs))
        self.failed.append(f"{aspect} {dtype}: {found}; sample {shown}")

    def run(self):
        for dtype in self.dtypes:
            for sample in samples_of(self.op, dtype, most=self.most):
                self.compare_values(dtype, sample)
                self.compare_in_place(dtype, sample)
        if self.op.supports_autograd and self.op.name not in WITHOUT_VALUES:
            for sample in samples_of(self.op, torch.float64, True, self.most):
                self.compare_gradients(sample)
        self.compare_errors()
        return self

    def compare_values(self, dtype, sample):
        arguments = (sample.input, *sample.args)
        expected = self.op.op(*arguments, **sample.kwargs)
        is_method = isinstance(sample.input, torch.Tensor)
        has_values = self.op.name not in WITHOUT_VALUES
        if self.op.name in UNSTABLE and not sample.kwargs.get("stable"):
            expected = expected if self.op.name == "argsort" else expected[:1]
            has_values = self.op.name != "argsort"
        for function in (mimic_of(self.op), method_of(self.op) if is_method else None):
            if function is None:
                continue
            got, error = _attempt(function, converted(arguments), converted(sample.kwargs))
            if self.op.name in ("sort", "topk") and len(expected) == 1 and got is not None:
                got = got[:1]
            found = error or differences(expected, got, has_values=has_values)
            self.note("value", dtype, sample, found and repr(found) if error else found)

    def compare_in_place(self, dtype, sample):
        theirs = self.op.inplace_variant
        if theirs is None or sample.broadcasts_input or self.op.name == "zero_":
            return
        target = sample.input.clone()
        expected, their_error = _attempt(theirs, (target, *sample.args), sample.kwargs)
        ours = in_place_of(self.op)
        if ours is None:
            self.note("in place", dtype, sample, f"no {self.op.name}_")
            return
        arguments = converted((sample.input, *sample.args))
        got, our_error = _attempt(ours, arguments, converted(sample.kwargs))
        if (their_error is None) != (our_error is None):
            found = f"expected {their_error!r:.120}, got {our_error!r:.120}"
        elif our_error is None:
            has_values = self.op.name not in WITHOUT_VALUES
            found = differences(expected, got, has_values=has_values)
            found = found or ("" if got is arguments[0] else "another tensor")
        else:
            found = "" if isinstance(our_error, tn.errors.TinynetError) else repr(our_error)
        self.note("in place", dtype, sample, found)

    def compare_gradients(self, sample):
        function = mimic_of(self.op) or method_of(self.op)
        arguments = (sample.input, *sample.args)
        found, error = _attempt(
            gradient_differences, (self.op.op, function, arguments, sample.kwargs), {}
        )
        self.note("gradient", torch.float64, sample, repr(error) if error else found)

    def compare_errors(self):
        if self.op.error_inputs_func is None:
            return
        for case in self.op.error_inputs("cpu"):
            sample = case.sample_input
            arguments = (sample.input, *sample.args)
            _, their_error = _attempt(self.op.op, arguments, sample.kwargs)
            if "out" in sample.kwargs or their_error is None:  # tinynet has no `out`
                continue
            if has_complex(sample) or getattr(sample.input, "ndim", 0) > 64:  # NumPy has no more
                continue
            function = mimic_of(self.op) or method_of(self.op)
            _, error = _attempt(function, converted(arguments), converted(sample.kwargs))
            found = "" if isinstance(error, (tn.errors.TinynetError, TypeError)) else repr(error)
            self.note(
                "error", torch.float32, sample, found and f"{their_error!r:.200}, got {found}"
            )


def _attempt(function, arguments, keywords):
    """The result and None, or None and the error."""
    try:
        return function(*arguments, **keywords), None
    except Exception as error:  # noqa: BLE001 (whatever is raised is what we compare)
        return None, error


def _short(value):
    """A sample's argument in few words."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype)[6:]}{list(value.shape)}"
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_short(item) for item in value)
    return value


def name_of(op):
    return f"{op.name}-{op.variant_test_name}" if op.variant_test_name else op.name


@pytest.mark.parametrize("op", OPERATORS, ids=name_of)
def test_samples(op):
    survey = Survey(op).run()
    assert not survey.failed, "\n".join([f"{len(survey.failed)} unlike:", *survey.failed[:8]])
    assert sum(survey.passed.values()) > 0


@pytest.mark.parametrize("op", FUNCTIONS, ids=name_of)
def test_samples_of_functions(op, on_device):
    survey = Survey(op, [torch.float32, torch.bfloat16], most=3).run()
    assert not survey.failed, "\n".join([f"{len(survey.failed)} unlike:", *survey.failed[:8]])
    assert sum(survey.passed.values()) > 0


def names_by_overload(op):
    """For each of the operator's signatures in PyTorch, the names of its arguments."""
    packet = getattr(torch.ops.aten, op.name, None)
    for overload in packet.overloads() if packet else ():
        schema = getattr(packet, overload)._schema
        arguments = schema.arguments
        if not any("Tensor" in str(y.type) for y in schema.returns):  # for numbers in scripts
            continue
        yield ["input" if a.name == "self" else a.name for a in arguments if not a.kwarg_only]


@pytest.mark.parametrize("op", [op for op in OPERATORS if mimic_of(op)], ids=name_of)
def test_keywords(op):
    """Every argument can be given by the name that PyTorch gives it."""
    theirs, ours = getattr(torch, op.name, None), mimic_of(op)
    for sample in samples_of(op, torch.float32)[:20]:
        arguments = (sample.input, *sample.args)
        for names in names_by_overload(op):
            named = {**dict(zip(names, arguments, strict=False)), **sample.kwargs}
            if len(arguments) > len(names) or theirs is None or UNDOCUMENTED & set(names):
                continue
            expected, error = _attempt(theirs, (), named)
            if error is None:
                got = ours(**converted(named))
                has_values = op.name not in WITHOUT_VALUES
                assert not differences(expected, got, has_values=has_values), _short(named)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"{'operator':32} passed  known differences  failed")
    totals = Counter()
    for operator in OPERATORS + FUNCTIONS:
        outcome = Survey(operator).run()
        counts = (sum(outcome.passed.values()), sum(outcome.known.values()), len(outcome.failed))
        totals.update(dict(zip(("passed", "known", "failed"), counts, strict=True)))
        print(f"{name_of(operator):32} {counts[0]:6} {counts[1]:18} {counts[2]:7}")
    print(f"{'all':32} {totals['passed']:6} {totals['known']:18} {totals['failed']:7}")
