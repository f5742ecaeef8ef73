"""Random training steps and programs, recorded and not: both do the same, call after call.

Each example builds everything twice, from the same seed. One copy's function runs as ever, the
other's under jit. Between calls both are changed in the same ways from outside. After each call
all that can be seen is compared: results, parameters, gradients, the optimiser's state, random
numbers; on the CPU exactly.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet import nn

F = nn.functional
EXAMPLES = {"cpu": 60}  # other devices have kernels to compile
CALLS = 8  # at most: jit warns at the ninth recording


# What is compared
def plain(item):
    """A value with arrays for tensors, and what is promised about these."""
    if isinstance(item, tn.Tensor):
        return str(item.dtype), item.requires_grad, np.array(item.detach())
    if isinstance(item, dict):
        return {key: plain(part) for key, part in item.items()}
    if isinstance(item, (list, tuple)):
        return [plain(part) for part in item]
    return item


def assert_same(found, expected, where):
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(expected, np.ndarray):
        assert found.shape == expected.shape, where
        if str(tn.zeros(()).device) == "cpu":
            np.testing.assert_array_equal(found, expected, where)
        else:
            largest = np.abs(expected[np.isfinite(expected)]).max(initial=1)
            np.testing.assert_allclose(found, expected, 1e-4, 1e-5 * largest, err_msg=where)
    elif isinstance(expected, float) and expected == expected:
        assert type(found) is float, where
        assert found == pytest.approx(expected, rel=1e-9), where
    else:
        assert type(found) is type(expected), where
        assert found == expected or found != found, where


def tensors_in(item):
    if isinstance(item, tn.Tensor):
        return [item]
    parts = item.values() if isinstance(item, dict) else item
    is_nested = isinstance(item, (dict, list, tuple))
    return [x for part in parts for x in tensors_in(part)] if is_nested else []


def sharing(results):
    """Which of the results are one and the same tensor."""
    ids = [id(x) for x in tensors_in(results)]
    return [ids.index(i) for i in ids]


def run(make, calls, is_watched=True):
    """Build with `make` twice, and hold the recorded one against the other.

    `calls`: for each call an event, and how large its batch is. Comparing reads, which makes lazy
    devices compute; unless it `is_watched`, that is done only after the last call.
    """
    worlds = [make(), make()]
    functions = [worlds[0].call, tn.jit(worlds[1].call)]
    history = [[], []]  # of results, which nobody may write but their owner
    for number, (event, size) in enumerate(calls):
        found = []
        state = tn.get_rng_state()
        for world, function, results in zip(worlds, functions, history, strict=True):
            tn.set_rng_state(state)
            EVENTS[event](world, number, results)
            inputs = world.inputs(size, np.random.default_rng(number))
            results.append(function(*inputs))
            seen = {"random": tn.get_rng_state()}
            if is_watched or number == len(calls) - 1:
                seen |= {
                    "results": plain(results),
                    "sharing": [sharing(result) for result in results],
                    "returned inputs": sharing([inputs, results[-1]]),
                    "inputs": plain(inputs),
                    "gradients of inputs": plain([x.grad for x in inputs]),
                    "world": plain(world.seen()),
                }
            found.append(seen)
        assert_same(found[1], found[0], f"call {number}: ")


# What happens between calls
def nothing(world, number, results):
    pass


def change_options(world, number, results):
    for group in world.optimizer.param_groups:
        group["lr"] = 0.1 / (1 + number)
        group["weight_decay"] = 0.01 * number


def copy_weights(world, number, results):
    with tn.no_grad():
        for x in world.parameters():
            x.copy_(x * 0.5 + 0.01)
            x[..., :1] = 0.1 * number


def load_weights(world, number, results):
    values = {key: value * 0.9 for key, value in world.model.state_dict().items()}
    world.model.load_state_dict(values)


def load_optimizer(world, number, results):
    saved = world.optimizer.state_dict()
    world.optimizer.load_state_dict(
        {**saved, "state": {key: {**kept} for key, kept in saved["state"].items()}}
    )


def turn_over_training(world, number, results):
    world.model.train(not world.model.training)


def forget_gradients(world, number, results):
    world.optimizer.zero_grad()


def give_gradients(world, number, results):
    for x in world.parameters():
        x.grad = tn.ones_like(x) * 0.1


def hold_gradients(world, number, results):
    results.append([x.grad for x in world.parameters()])


def freeze_parameters(world, number, results):
    for x in world.parameters()[1:]:
        x.requires_grad_(not x.requires_grad)


def write_into_results(world, number, results):
    for x in tensors_in(results[-1:]):
        if x.dtype.is_floating_point and not any(x is y for y in world.parameters()):
            with tn.no_grad():
                x.contiguous().mul_(2)
                if x.ndim:
                    x[:1] = 0.5


EVENTS = {
    function.__name__: function
    for function in (
        nothing, change_options, copy_weights, load_weights, load_optimizer, turn_over_training,
        forget_gradients, give_gradients, hold_gradients, freeze_parameters, write_into_results,
    )
}  # fmt: skip


def calls_with(events):
    """Some quiet calls, so that there is something to replay, then any."""
    sizes = st.sampled_from([3, 3, 5])
    quiet = st.tuples(st.just("nothing"), sizes)
    anything = st.tuples(st.sampled_from(events), sizes)
    return st.tuples(
        st.lists(quiet, min_size=2, max_size=3),
        st.lists(anything, min_size=1, max_size=CALLS - 3),
    ).map(lambda parts: [*parts[0], *parts[1]])


def check(device, strategy, *, with_calls):
    """Run examples of a strategy, as many as the device can do in a while."""

    @settings(max_examples=EXAMPLES.get(device, 20))
    @given(strategy, with_calls, st.booleans())
    def same(example, calls, is_watched):
        tn.manual_seed(0)
        run(partial(example.build, device), calls, is_watched)

    same()


# Training steps
ACTIVATIONS = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "softmax": partial(nn.Softmax, dim=-1),
    "log_softmax": partial(nn.LogSoftmax, dim=-1),
    "dropout": partial(nn.Dropout, 0.5),
}
LOSSES = {
    "mse": lambda y, target, labels: F.mse_loss(y, target),
    "cross_entropy": lambda y, target, labels: F.cross_entropy(y, labels),
    "smoothed": lambda y, target, labels: F.cross_entropy(y, labels, label_smoothing=0.1),
    "ignoring": lambda y, target, labels: F.cross_entropy(
        y, labels.masked_fill(target[:, 0] > 0, -100), reduction="sum"
    ),
    "smooth_l1": lambda y, target, labels: F.smooth_l1_loss(y, target),
    "bce": lambda y, target, labels: F.binary_cross_entropy_with_logits(y, target.sigmoid()),
    "squares": lambda y, target, labels: ((y - target) ** 2).sum(1).mean() / 2,
    "quadratic": lambda y, target, labels: (y @ y.T).sum() * 0.01 + (y * target).sum(),
    "gaussian": lambda y, target, labels: (
        0.5 * ((target - y) / 2).square() + y[:, :1] * 0.1
    ).mean(),
    "picked": lambda y, target, labels: -F.log_softmax(y, 1)[tn.arange(len(labels)), labels].mean(),
    "gathered": lambda y, target, labels: (
        -y.softmax(1).gather(1, labels.unsqueeze(1)).clamp(min=1e-3).log().sum()
    ),
}
OPTIMIZERS = {
    "sgd": partial(tn.optim.SGD, lr=0.05),
    "momentum": partial(tn.optim.SGD, lr=0.05, momentum=0.9),
    "dampened": partial(tn.optim.SGD, lr=0.05, momentum=0.9, dampening=0.1, maximize=True),
    "nesterov": partial(
        tn.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "adam": partial(tn.optim.Adam, lr=0.05, eps=1e-3),
    "adam_decay": partial(tn.optim.Adam, lr=0.05, eps=1e-3, weight_decay=0.1),
    "amsgrad": partial(tn.optim.Adam, lr=0.05, eps=1e-3, amsgrad=True),
    "adamw": partial(tn.optim.AdamW, lr=0.05, eps=1e-3),
}  # fmt: skip
CLIPS = {
    "none": lambda parameters: None,
    "norm": partial(nn.utils.clip_grad_norm_, max_norm=0.1),
    "large_norm": partial(nn.utils.clip_grad_norm_, max_norm=1e3),
    "max_norm": partial(nn.utils.clip_grad_norm_, max_norm=0.1, norm_type=float("inf")),
    "value": partial(nn.utils.clip_grad_value_, clip_value=0.02),
}


def assign_parts(mean, y):
    mean[1:] = y.mean(0)[1:]
    mean[0] = y.sum()
    mean[:2] += 1


def assign_at_indices(mean, y):
    mean[tn.tensor([0, 2])] = y[0, :2]
    mean.index_add_(0, tn.tensor([1, 1]), y[:2, 0])


STATISTICS = {
    "none": lambda mean, y: None,
    "decayed": lambda mean, y: mean.mul_(0.9).add_(y.mean(0), alpha=0.1),
    "lerp": lambda mean, y: mean.lerp_(y.amax(0), 0.1),
    "copied": lambda mean, y: mean.copy_(y[0]),
    "counted": lambda mean, y: mean.add_(1).sub_(y.argmax(1).sum()),
    "parts": assign_parts,
    "indices": assign_at_indices,
    "turned": lambda mean, y: mean.copy_(mean.flip(0) + y.min()),
}
RESULTS = {
    "loss": lambda loss, y, x, norm, world: loss,
    "value": lambda loss, y, x, norm, world: loss.detach(),
    "nested": lambda loss, y, x, norm, world: {"loss": loss, "more": [y.detach(), ("y", y)]},
    "views": lambda loss, y, x, norm, world: (y, y[1:], y.T, y.reshape(-1)[::2]),
    "only a view": lambda loss, y, x, norm, world: y.detach()[1:, :2],
    "twice": lambda loss, y, x, norm, world: [loss, y, loss],
    "input": lambda loss, y, x, norm, world: (x, x[1:], loss),
    "state": lambda loss, y, x, norm, world: (world.mean, world.mean[:2], loss),
    "weights": lambda loss, y, x, norm, world: (world.parameters()[0], norm),
    "gradients": lambda loss, y, x, norm, world: [p.grad for p in world.parameters()],
    "best": lambda loss, y, x, norm, world: (y.argmax(1), y.max(1).values),
    "nothing": lambda loss, y, x, norm, world: None,
}


@dataclass
class Step:
    """What a training step is made of."""

    sizes: list[int]
    activations: list[str]
    bias: bool
    loss: str
    second_loss: str | None  # whose gradient is added
    optimizer: str
    zero_grad: str
    clip: str
    statistics: str
    result: str
    repeats: int = 1  # in a call

    def build(self, device):
        return Training(self)


class Training:
    """A model that learns, and a function that does a step."""

    def __init__(self, step):
        tn.manual_seed(1)
        layers = []
        for n, m, activation in zip(
            [4, *step.sizes], [*step.sizes, 3], [*step.activations, None], strict=True
        ):
            layers.append(nn.Linear(n, m, bias=step.bias))
            if activation is not None:
                layers.append(ACTIVATIONS[activation]())
        self.model = nn.Sequential(*layers).to(tn.zeros(()).device)
        self.optimizer = OPTIMIZERS[step.optimizer](self.model.parameters())
        self.mean = tn.zeros(3)
        self.step = step

    def parameters(self):
        return [*self.model.parameters()]

    def inputs(self, size, random):
        x, target = random.normal(size=(size, 4)), random.normal(size=(size, 3))
        labels = random.integers(0, 3, size)
        return [
            tn.tensor(x, dtype=tn.float32), tn.tensor(target, dtype=tn.float32), tn.tensor(labels)
        ]  # fmt: skip

    def seen(self):
        return {
            "weights": self.model.state_dict(),
            "gradients": [x.grad for x in self.parameters()],
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
        }

    def call(self, x, target, labels):
        for _ in range(self.step.repeats):
            result = self.train(x, target, labels)
        return result

    def train(self, x, target, labels):
        step, optimizer = self.step, self.optimizer
        if step.zero_grad in ("first", "zeros"):
            optimizer.zero_grad(set_to_none=step.zero_grad == "first")
        y = self.model(x)
        loss = LOSSES[step.loss](y, target, labels)
        loss.backward()
        if step.second_loss is not None:
            LOSSES[step.second_loss](self.model(x * 0.5), target, labels).backward()
        norm = CLIPS[step.clip](self.parameters())
        optimizer.step()
        with tn.no_grad():
            STATISTICS[step.statistics](self.mean, y)
        result = RESULTS[step.result](loss, y, x, norm, self)
        if step.zero_grad == "last":
            optimizer.zero_grad()
        return result


def one_of(table):
    return st.sampled_from(list(table))


@st.composite
def steps(draw):
    sizes = draw(st.lists(st.integers(1, 6), max_size=2))
    return Step(
        sizes=sizes,
        activations=[draw(one_of(ACTIVATIONS)) for _ in sizes],
        bias=draw(st.booleans()),
        loss=draw(one_of(LOSSES)),
        second_loss=draw(st.none() | one_of(LOSSES)),
        optimizer=draw(one_of(OPTIMIZERS)),
        zero_grad=draw(one_of(["first", "last", "zeros", "never"])),
        clip=draw(one_of(CLIPS)),
        statistics=draw(one_of(STATISTICS)),
        result=draw(one_of(RESULTS)),
        repeats=draw(st.sampled_from([1, 1, 2, 3])),
    )


def test_random_training_steps(device):
    check(device, steps(), with_calls=calls_with(list(EVENTS)))


# Programs
def in_place(change):
    """The operation that copies its first operand and changes the copy."""

    def operation(a, b, world):
        y = a.clone()
        change(y, b)
        return y

    return operation


def in_state(change):
    """The operation that changes the world's state, and gives its operand."""

    def operation(a, b, world):
        with tn.no_grad():
            change(world.state, a.detach())
        return a

    return operation


def set_parts(y, b):
    y[:, 0] = b[:, 1]
    y[1:, 2:] *= 2
    y[0] = b[-1]


def set_places(y, b):
    y[:, tn.tensor([0, 2])] = b[:, :2]
    y[tn.tensor([1, 0])] += 1


def set_state_parts(state, a):
    state[::2] = a[0, 1:3]
    state[1:].mul_(0.5)


OPERATIONS = {
    "add": lambda a, b, world: a + b,
    "subtract": lambda a, b, world: 1 - a * 0.5 - b,
    "multiply": lambda a, b, world: a * b.tanh(),
    "divide": lambda a, b, world: a / (b.abs() + 1),
    "power": lambda a, b, world: (a.abs() + 0.1) ** 1.5,
    "exp": lambda a, b, world: (-a.abs()).exp(),
    "sqrt": lambda a, b, world: (a.square() + 1).sqrt(),
    "erf": lambda a, b, world: F.gelu(a),
    "clamp": lambda a, b, world: a.clamp(-1, 0.5),
    "maximum": lambda a, b, world: tn.maximum(a, b),
    "where": lambda a, b, world: tn.where(a > b, a, b * 2),
    "masked_fill": lambda a, b, world: a.masked_fill(b > 0, 0.5),
    "lerp": lambda a, b, world: a.lerp(b, 0.3),
    "round": lambda a, b, world: a + (b * 3).round().detach(),
    "double": lambda a, b, world: (a.double() * 1.5).float(),
    "half": lambda a, b, world: a.half().float() if world.is_cpu else a,
    "integers": lambda a, b, world: a + (b * 3).to(tn.int32),
    "softmax": lambda a, b, world: a.softmax(1),
    "logsumexp": lambda a, b, world: a - a.logsumexp(1, keepdim=True),
    "mean": lambda a, b, world: a - b.mean(0),
    "variance": lambda a, b, world: a / (1 + b.var(1, keepdim=True)),
    "largest": lambda a, b, world: a - b.max(1, keepdim=True).values,
    "argmax": lambda a, b, world: a + b.argmax(1, keepdim=True),
    "count": lambda a, b, world: a * (b > 0).sum() * 0.1,
    "cumsum": lambda a, b, world: a.cumsum(0) * 0.5,
    "sort": lambda a, b, world: a.sort(1).values,
    "argsort": lambda a, b, world: a.gather(1, b.argsort(1)),
    "topk": lambda a, b, world: tn.cat([a.topk(2, 1).values, b[:, :2]], 1),
    "scatter_add": lambda a, b, world: a.scatter_add(1, b.argsort(1)[:, :2], b),
    "index_select": lambda a, b, world: a.index_select(1, tn.tensor([3, 0, 0, 1])),
    "rows": lambda a, b, world: a[b[:, 0].argsort()],
    "list": lambda a, b, world: a[:, [2, 0, 3, 1]],
    "transpose": lambda a, b, world: a.T.reshape(-1, 4),
    "reshape": lambda a, b, world: a.reshape(4, -1).T,
    "flip": lambda a, b, world: a.flip(1) + b.flip(0),
    "roll": lambda a, b, world: a.roll(1, 0),
    "tril": lambda a, b, world: a.tril() + b.triu(1),
    "slices": lambda a, b, world: tn.cat([a[:, 1:], b[:, :1]], 1),
    "strides": lambda a, b, world: tn.cat([a[:, ::2], b[:, 1::2]], 1),
    "chunks": lambda a, b, world: tn.cat([*a.chunk(2, 1)][::-1], 1),
    "stack": lambda a, b, world: tn.stack([a, b, a]).sum(0),
    "picked": lambda a, b, world: tn.stack([a, b], 1)[:, 1],
    "expand": lambda a, b, world: a[:, :1].expand(-1, 4) * b[:1],
    "matmul": lambda a, b, world: a @ (b.T @ a) * 0.1,
    "einsum": lambda a, b, world: tn.einsum("ij,kj,kl->il", a, b, a) * 0.1,
    "batches": lambda a, b, world: (a[:, :, None] @ b[:, None, :]).sum(1) * 0.1,
    "outer": lambda a, b, world: a + tn.outer(a[:, 0], b[0]),
    "arange": lambda a, b, world: a * tn.arange(4.0),
    "constant": lambda a, b, world: a * tn.tensor([1.0, 0.5, 0.25, 2.0]),
    "random": lambda a, b, world: a * tn.rand(a.shape) + tn.randn(4),
    "detach": lambda a, b, world: a.detach() + b,
    "weight": lambda a, b, world: a * world.weight,
    "weights": lambda a, b, world: a @ world.matrix,
    "columns": lambda a, b, world: a + world.matrix[1:3, ::2].reshape(-1),
    "copy": lambda a, b, world: a.clone(),
    "sum in place": lambda a, b, world: a + (total := tn.zeros(4)).add_(b.detach()[0]) + total,
    "mul_": in_place(lambda y, b: y.mul_(b).add_(1)),
    "relu_": in_place(lambda y, b: y[:, 1:].relu_()),
    "parts": in_place(set_parts),
    "places": in_place(set_places),
    "masked": in_place(lambda y, b: y.masked_fill_(b > 0.2, -1.0)),
    "transposed": in_place(lambda y, b: y.T[1:3].copy_(b.T[:2])),
    "state": lambda a, b, world: a + world.state,
    "state part": lambda a, b, world: a * world.state[1:2].cos(),
    "state add_": in_state(lambda state, a: state.add_(a.mean(0)).mul_(0.5)),
    "state copy_": in_state(lambda state, a: state.copy_(a[-1])),
    "state parts": in_state(set_state_parts),
    "state index": in_state(lambda state, a: state.__setitem__(a[0].argsort()[:2], a[1, :2])),
    "state turned": in_state(lambda state, a: state.copy_(state.flip(0))),
    "input add_": lambda a, b, world: (world.second.add_(b.detach()), a)[1],
    "input read": lambda a, b, world: a + world.second,
}
GATHERED = {
    "last": lambda values, loss: values[-1],
    "all": lambda values, loss: [x.detach() for x in values],
    "views": lambda values, loss: {"a": values[-1].detach()[1:], "b": (values[-2].T, loss)},
    "twice": lambda values, loss: (values[-1], loss, values[-1]),
    "inputs": lambda values, loss: (values[0], values[1].detach(), loss),
    "shared": lambda values, loss: [(y := values[-1].detach()), y[:, 1:], y.reshape(-1)],
}


@dataclass
class Program:
    """Operations on earlier values, what becomes of the gradient, and what is returned."""

    operations: list[tuple[str, int, int]]
    grad: str
    result: str
    is_leaf: bool = field(default=False)  # whether the input wants a gradient

    def build(self, device):
        return Running(self, device)


class Running:
    """A program, and the tensors around it."""

    def __init__(self, program, device):
        self.program = program
        self.is_cpu = device == "cpu"
        self.weight = (tn.arange(4.0) * 0.3 - 0.2).requires_grad_()
        self.matrix = (tn.arange(16.0).reshape(4, 4).cos()).detach().requires_grad_()
        self.state = tn.ones(4)
        self.second = None

    def parameters(self):
        return [self.weight, self.matrix]

    def inputs(self, size, random):
        x = tn.tensor(random.normal(size=(size, 4)), dtype=tn.float32)
        y = tn.tensor(random.normal(size=(4, size)), dtype=tn.float32).T
        return [x.requires_grad_(self.program.is_leaf), y]

    def seen(self):
        return [self.weight, self.matrix, self.state, self.weight.grad, self.matrix.grad]

    def call(self, x, second):
        self.second = second
        values = [x, x * self.weight]
        for name, i, j in self.program.operations:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(OPERATIONS[name](a, b, self))
        self.second = None
        loss = (values[-1] * 0.1).sum() + (values[1] * 0.1).square().mean()
        if self.program.grad == "fresh":
            self.weight.grad = self.matrix.grad = None
        if self.program.grad in ("fresh", "added"):
            loss.backward()
        elif self.program.grad == "second":
            (first,) = tn.autograd.grad(loss, self.weight, create_graph=True)
            first.square().sum().backward()
        return GATHERED[self.program.result](values, loss)


@st.composite
def programs(draw):
    places = st.integers(0, 3)
    operation = st.tuples(one_of(OPERATIONS), places, places)
    return Program(
        operations=draw(st.lists(operation, min_size=1, max_size=8)),
        grad=draw(one_of(["fresh", "added", "none", "second"])),
        result=draw(one_of(GATHERED)),
        is_leaf=draw(st.booleans()),
    )


def test_random_programs(device):
    events = [copy_weights, give_gradients, hold_gradients, freeze_parameters, write_into_results]
    names = [function.__name__ for function in (nothing, *events)]
    check(device, programs(), with_calls=calls_with(names))


# Examples that once failed
QUIET = [("nothing", 3)] * 4
PLAIN = Step([], [], False, "mse", None, "sgd", "first", "none", "none", "loss")
FAILED = {
    "gradients that become zeros": (replace(PLAIN, zero_grad="zeros"), QUIET),
    "a frozen parameter": (
        replace(PLAIN, sizes=[2], activations=["tanh"]),
        [*QUIET, ("freeze_parameters", 3)],
    ),
    "dropout that is turned off": (
        replace(PLAIN, sizes=[4], activations=["dropout"]),
        [*QUIET, ("turn_over_training", 3)],
    ),
    "a result that is a view": (replace(PLAIN, result="only a view"), QUIET),
    "views of what was made inside": (Program([("add", 0, 0)], "fresh", "views"), QUIET),
    "a write to an input that is transposed": (
        Program([("input add_", 0, 0)], "fresh", "views"),
        QUIET,
    ),
    "the largest": (Program([("largest", 0, 0)], "none", "all"), QUIET),
}


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "at the end"])
@pytest.mark.parametrize("name", FAILED)
def test_examples_that_failed(device, name, is_watched):
    example, calls = FAILED[name]
    run(partial(example.build, device), calls, is_watched)


def test_kept_results_of_the_recorded_call():
    last = tn.jit(lambda x: (x + x)[1:])
    kept = [last(tn.ones(2) * i) for i in range(5)]
    assert [y.tolist() for y in kept] == [[2 * i] for i in range(5)]


def test_writes_of_a_recording_that_is_given_up():
    kept = []

    def step(x, y):
        y.add_(x)
        kept.append(x + 1)  # which no replay could do

    f = tn.jit(step)
    for _ in range(2):
        y = tn.arange(6.0).reshape(2, 3).T
        f(tn.ones(3, 2), y)
        assert y.tolist() == [[1, 4], [2, 5], [3, 6]]
