"""A training step of a workload, as each system would write it.

A system is named by its library and how it runs the step, tinynet's also by a device, and so is
PyTorch's on a GPU: `tinynet:cpu`, `tinynet-jit:opencl`, `torch`, `torch-compile`, `torch:cuda`,
`jax`, `tinygrad`. Libraries are imported where they are used: a worker needs its own one and NumPy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tinynet.benchmarks.language import Array, LanguageModel
from tinynet.benchmarks.workloads import Workload

Task = Workload | LanguageModel


class Trainer(NamedTuple):
    """A network in training.

    `put` takes an array to the device, `step(images, targets)` trains and gives the loss, `wait`
    returns when a loss and the weights after it are computed.
    """

    put: Callable[[Array], Any]
    step: Callable[[Any, Any], Any]
    wait: Callable[[Any], None]


def make_trainer(system: str, workload: Task, rate: float) -> Trainer:
    """The workload in this system, at its first weights."""
    kind, _, device = system.partition(":")
    if kind == "tinynet":
        return tinynet_trainer(workload, rate, device, is_recorded=False)
    if kind == "tinynet-jit":
        return tinynet_trainer(workload, rate, device, is_recorded=True)
    if kind == "torch":
        return torch_trainer(workload, rate, device or "cpu", is_compiled=False)
    if kind == "torch-compile":
        return torch_trainer(workload, rate, device or "cpu", is_compiled=True)
    assert isinstance(workload, Workload)
    return {"jax": jax_trainer, "tinygrad": tinygrad_trainer}[kind](workload, rate)


def can_train(system: str, workload: Task) -> bool:
    """Whether a workload is written for a system."""
    library = system.partition(":")[0].partition("-")[0]
    return isinstance(workload, Workload) or library in ("tinynet", "torch")


def tinynet_trainer(workload: Task, rate: float, device: str, is_recorded: bool) -> Trainer:
    """By `tinynet`, eager or recorded by its jit."""
    import tinynet as tn

    model, loss_of, optimizer = _make_model(tn, workload, rate, device)

    def train(images: Any, targets: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(images, targets)
        loss.backward()
        optimizer.step()
        return loss

    def train_and_realize(images: Any, targets: Any) -> Any:
        # what nobody asks for is never computed on OpenCL, and nothing else asks for the loss
        return train(images, targets).realize()

    def wait(loss: Any) -> None:
        for x in (loss, *model.parameters()):
            x.realize()
        tn.synchronize(device)

    eager = train if device == "cpu" else train_and_realize
    step = tn.jit(train) if is_recorded else eager
    return Trainer(lambda array: tn.from_numpy(array).to(device), step, wait)


def torch_trainer(workload: Task, rate: float, device: str, is_compiled: bool) -> Trainer:
    """By PyTorch, eager or with `torch.compile` of loss and update; in whole float32."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    _, loss_of, optimizer = _make_model(torch, workload, rate, device)

    def update() -> None:
        optimizer.step()

    if is_compiled:
        loss_of, update = torch.compile(loss_of), torch.compile(update)

    def step(images: Any, targets: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(images, targets)
        loss.backward()
        update()
        return loss

    def wait(loss: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    return Trainer(lambda array: torch.from_numpy(array).to(device), step, wait)


def _make_model(library: Any, workload: Task, rate: float, device: str) -> tuple[Any, Any, Any]:
    """The model, the function of its loss and the optimiser, in the names of PyTorch's API."""
    if isinstance(workload, LanguageModel):
        return _make_language_model(library, workload, rate, device)
    nn = library.nn
    makers = {
        "linear": nn.Linear, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "norm": nn.BatchNorm2d,
        "pool": nn.MaxPool2d, "flatten": nn.Flatten,
        "conv": lambda *sizes: nn.Conv2d(*sizes[:3], padding=sizes[3]),
    }  # fmt: skip
    model = nn.Sequential(*[makers[kind](*sizes) for kind, *sizes in workload.layers]).to(device)
    with library.no_grad():
        for parameter, values in zip(model.parameters(), workload.make_weights(), strict=True):
            parameter.copy_(library.from_numpy(values))

    def quadratic(images: Any, targets: Any) -> Any:
        return ((model(images) - targets) ** 2).sum() / (2 * workload.batch)

    def cross_entropy(images: Any, targets: Any) -> Any:
        return nn.functional.cross_entropy(model(images), targets)

    if workload.is_nielsen:
        return model, quadratic, library.optim.SGD(model.parameters(), lr=rate)
    return model, cross_entropy, library.optim.Adam(model.parameters(), lr=rate)


def _make_language_model(
    library: Any, workload: LanguageModel, rate: float, device: str
) -> tuple[Any, Any, Any]:
    model = workload.make_model(library)
    with library.no_grad():
        workload.fill(library, model.named_parameters())
    model = model.to(device)

    def loss_of(tokens: Any, targets: Any) -> Any:
        return library.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())

    return model, loss_of, library.optim.Adam(model.parameters(), lr=rate)


def jax_trainer(workload: Workload, rate: float) -> Trainer:
    """By JAX: one jitted function of the state, whose memory it may use again."""
    import jax
    from jax import numpy as jnp

    def loss_of(weights: list[Any], x: Any, targets: Any) -> Any:
        remaining = iter(weights)
        for layer in workload.layers:
            x = jax_layer(layer, x, remaining)
        if workload.is_nielsen:
            return ((x - targets) ** 2).sum() / (2 * workload.batch)
        return -jnp.take_along_axis(jax.nn.log_softmax(x), targets[:, None], axis=1).mean()

    def train(state: Any, images: Any, targets: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(state[0], images, targets)
        return update(state, grads), loss

    def update(state: Any, grads: Any) -> Any:
        if workload.is_nielsen:
            return ([x - rate * grad for x, grad in zip(state[0], grads)],)
        weights, means, squares, count = state
        count = count + 1
        means = [0.9 * mean + 0.1 * grad for mean, grad in zip(means, grads)]
        squares = [0.999 * square + 0.001 * grad**2 for square, grad in zip(squares, grads)]
        scale, root = rate / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        weights = [
            x - scale * mean / (jnp.sqrt(square) / root + 1e-8)
            for x, mean, square in zip(weights, means, squares)
        ]
        return weights, means, squares, count

    weights = [jnp.asarray(values) for values in workload.make_weights()]
    zeros = [[jnp.zeros_like(x) for x in weights] for _ in range(2)]
    state: Any = (weights,) if workload.is_nielsen else (weights, *zeros, jnp.zeros(()))
    train = jax.jit(train, donate_argnums=0)

    def step(images: Any, targets: Any) -> Any:
        nonlocal state
        state, loss = train(state, images, targets)
        return loss

    return Trainer(jnp.asarray, step, lambda loss: jax.block_until_ready((state, loss)))


def jax_layer(layer: Any, x: Any, weights: Any) -> Any:
    """A layer in JAX; it takes its weights from an iterator."""
    import jax
    from jax import numpy as jnp

    kind, *sizes = layer
    if kind == "linear":
        return x @ next(weights).T + next(weights)
    if kind == "conv":
        pads = [(sizes[3], sizes[3])] * 2
        y = jax.lax.conv_general_dilated(x, next(weights), (1, 1), pads)
        return y + next(weights)[:, None, None]
    if kind == "norm":
        centred = x - x.mean((0, 2, 3), keepdims=True)
        scale = jax.lax.rsqrt((centred**2).mean((0, 2, 3), keepdims=True) + 1e-5)
        return centred * scale * next(weights)[:, None, None] + next(weights)[:, None, None]
    if kind == "pool":
        size = (1, 1, sizes[0], sizes[0])
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, size, size, "VALID")
    if kind == "flatten":
        return x.reshape(len(x), -1)
    return getattr(jax.nn, kind)(x)


def tinygrad_trainer(workload: Workload, rate: float) -> Trainer:
    """By tinygrad on its default device (DEV chooses one), the step in TinyJit."""
    from tinygrad import Context, Device, Tensor, TinyJit, nn

    weights = [Tensor(values).realize() for values in workload.make_weights()]
    optimizer = (nn.optim.SGD if workload.is_nielsen else nn.optim.Adam)(weights, lr=rate)

    def loss_of(x: Any, targets: Any) -> Any:
        remaining = iter(weights)
        for layer in workload.layers:
            x = tinygrad_layer(layer, x, remaining)
        if workload.is_nielsen:
            return ((x - targets) ** 2).sum() / (2 * workload.batch)
        return x.sparse_categorical_crossentropy(targets)

    @TinyJit  # type: ignore[untyped-decorator, unused-ignore]
    def train(images: Any, targets: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(images, targets).backward()
        return loss.realize(*optimizer.schedule_step())

    def step(images: Any, targets: Any) -> Any:
        with Context(TRAINING=1):
            return train(images, targets)

    def wait(loss: Any) -> None:
        Device[Device.DEFAULT].synchronize()

    return Trainer(lambda array: Tensor(array).realize(), step, wait)


def tinygrad_layer(layer: Any, x: Any, weights: Any) -> Any:
    """A layer in tinygrad; it takes its weights from an iterator."""
    kind, *sizes = layer
    if kind == "linear":
        return x.linear(next(weights).transpose(), next(weights))
    if kind == "conv":
        return x.conv2d(next(weights), next(weights), padding=sizes[3])
    if kind == "norm":
        mean = x.mean((0, 2, 3))
        centred = x - mean.reshape(1, -1, 1, 1)
        scale = ((centred * centred).mean((0, 2, 3)) + 1e-5).rsqrt()
        return x.batchnorm(next(weights), next(weights), mean, scale)
    if kind == "pool":
        return x.max_pool2d((sizes[0], sizes[0]))
    return x.flatten(1) if kind == "flatten" else getattr(x, kind)()
