"""Random expression graphs: their gradients, to second order, against differences of values."""

from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet.autograd import check_gradient

UNARY = {
    "tanh": tn.Tensor.tanh,
    "sigmoid": tn.Tensor.sigmoid,
    "sin": tn.Tensor.sin,
    "square": tn.Tensor.square,
    "exp of less": lambda x: (x * 0.3).exp(),
    "root of more": lambda x: (x * x + 1).sqrt(),
    "log of more": lambda x: (x * x + 1).log(),
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(0),
    "transposed": lambda x: x.T.reshape(x.shape),
    "flipped": lambda x: x.flip(0),
    "row sums": lambda x: x.sum(-1, keepdim=True),
    "columns' means": lambda x: x.mean(0),
    "running sums": lambda x: x.cumsum(1),
    "norm": lambda x: x / (x.norm() + 1),
    "picked": lambda x: x[[0, 1, 0]],
    "halves": lambda x: tn.cat(x.split([1, 2], 1)[::-1], 1),
    "written": lambda x: doubled_in_place(x * 1),
    "recomputed": lambda x: tn.autograd.checkpoint(lambda x: x.sin() * x, x),
    "matrix": lambda x: (x @ x.T * 0.2) @ x,
}
BINARY = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b * 0.5,
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: a / (b * b + 1),
    "where": lambda a, b: tn.where(tn.tensor([True, False, True], device=a.device), a, b),
    "inner": lambda a, b: a * (a * b).sum(),
    "in place": lambda a, b: (a * 1).mul_(b).add_(a),
}


def doubled_in_place(y):
    y[1:].mul_(2)
    y[:, 0] += 1
    return y


@st.composite
def programs(draw):
    """Steps (operation, places of its operands); places count among the values so far."""
    steps = []
    for count in range(2, 2 + draw(st.integers(1, 7))):
        table = draw(st.sampled_from([UNARY, BINARY]))
        name = draw(st.sampled_from(sorted(table)))
        places = [draw(st.integers(0, count - 1)) for _ in range(1 if table is UNARY else 2)]
        steps.append((name, table, places))
    return steps


def run(steps, *inputs):
    values = list(inputs)
    for name, table, places in steps:
        operands = [values[place] for place in places]
        values.append(table[name](*operands).expand(3, 3))
    return values[-1]


@settings(max_examples=150)
@given(programs())
def test_random_expressions(steps):
    check_gradient(lambda a, b: run(steps, a, b), (3, 3), (3, 3), low=-1, high=1, rtol=1e-4)
