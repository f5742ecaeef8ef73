"""Networks by name, for any size of input and number of outputs: what `tinynet train` makes.

The examples write theirs out, to be read; these take the sizes of whatever data there is.

>>> from tinynet import models
>>> models.make_model("mlp", (1, 28, 28), 10)
Sequential(
  (0): Flatten(start_dim=1, end_dim=-1)
  (1): Linear(in_features=784, out_features=128, bias=True)
  (2): ReLU()
  (3): Linear(in_features=128, out_features=10, bias=True)
)
"""

from __future__ import annotations

import difflib
import functools
import itertools
from collections.abc import Callable
from math import prod

from tinynet import nn
from tinynet.errors import ArgumentError, ShapeError
from tinynet.io import register
from tinynet.tensor import Tensor

F = nn.functional
Shape = tuple[int, ...]


def make_model(name: str, shape: Shape, outputs: int) -> nn.Module:
    """A new network from inputs (n, *shape) to (n, outputs).

    `name` is one of `NAMES`, or hidden sizes joined by `-`: "512-256" has two hidden layers.
    Raises `ArgumentError` for other names, `ShapeError` for inputs that a network cannot take.
    """
    make = find_model(name)
    if name in IMAGE_MODELS and (len(shape) != 3 or min(shape[1:]) < IMAGE_MODELS[name]):
        raise ShapeError(
            f"model: {name!r} got inputs of shape {shape}, expected images (channels, height, "
            f"width) of at least {IMAGE_MODELS[name]} x {IMAGE_MODELS[name]} pixels"
        )
    return make(shape, outputs)


def find_model(name: str) -> Callable[[Shape, int], nn.Module]:
    """What `make_model` calls with shape and outputs. Raises `ArgumentError` for other names."""
    sizes = name.split("-")
    if all(size.isdecimal() and int(size) > 0 for size in sizes):
        return functools.partial(perceptron, hidden=tuple(map(int, sizes)))
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(
            f"model: no model {name!r}, expected one of {', '.join(NAMES)}, or hidden sizes such "
            f"as 512-256{hint}"
        )
    return MODELS[name]


def logistic(shape: Shape, outputs: int) -> nn.Module:
    """One linear layer: logistic regression, or with one output linear regression."""
    return perceptron(shape, outputs, ())


def mlp(shape: Shape, outputs: int) -> nn.Module:
    """A hidden layer of 128, with ReLU."""
    return perceptron(shape, outputs, (128,))


def nielsen(shape: Shape, outputs: int) -> nn.Module:
    """A hidden layer of 30 sigmoids, as in the first chapter of Nielsen's book.

    The outputs have no sigmoid: the loss has softmax in it, as in his third chapter.
    """
    return perceptron(shape, outputs, (30,), nn.Sigmoid)


def perceptron(
    shape: Shape, outputs: int, hidden: Shape, activation: type[nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Linear layers with these hidden sizes and an activation in between."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n_inputs, n_outputs in itertools.pairwise((prod(shape), *hidden, outputs)):
        layers += [nn.Linear(n_inputs, n_outputs), activation()]
    return nn.Sequential(*layers[:-1])


def lenet(shape: Shape, outputs: int) -> nn.Module:
    """LeNet-5 with ReLU and maxima in its pools (LeCun, Bottou, Bengio & Haffner 1998)."""
    channels, height, width = shape
    features = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(6, 16, kernel_size=5),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "linear3": nn.Linear(features, 120),
            "relu3": nn.ReLU(),
            "linear4": nn.Linear(120, 84),
            "relu4": nn.ReLU(),
            "linear5": nn.Linear(84, outputs),
        }
    )


def mnist_cnn(shape: Shape, outputs: int) -> nn.Module:
    """Two blocks of two convolutions, batch norm and a pool, then a linear layer."""
    channels, height, width = shape
    features = 64 * prod((((size - 8) // 2) - 4) // 2 for size in (height, width))
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, kernel_size=5), nn.ReLU()),
        *(nn.Conv2d(32, 32, kernel_size=5), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, kernel_size=3), nn.ReLU()),
        *(nn.Conv2d(64, 64, kernel_size=3), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(features, outputs)),
    )


@register
class Block(nn.Module):
    """Two convolutions with batch norm, added to the input, which is subsampled (option A)."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_outputs)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_outputs)
        self.stride = stride
        self.n_new = n_outputs - n_inputs

    def forward(self, x: Tensor) -> Tensor:
        """From (n, n_inputs, h, w) to (n, n_outputs, h / stride, w / stride), sizes rounded up."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.n_new:
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, self.n_new // 2, self.n_new - self.n_new // 2))
        return F.relu(y + x)


@register
class ResNet(nn.Module):
    """The network for CIFAR-10 of He, Zhang, Ren & Sun 2015, arXiv:1512.03385, section 4.2.

    A convolution, three stages of `depth` blocks, and a linear layer on the channels' means:
    6 * depth + 2 layers with weights.
    """

    def __init__(self, channels: int, outputs: int, depth: int = 3) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.conv = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential()
        for n_inputs, n_outputs in itertools.pairwise((widths[0], *widths)):
            self.blocks.append(Block(n_inputs, n_outputs, 1 if n_inputs == n_outputs else 2))
            self.blocks.extend(Block(n_outputs, n_outputs, 1) for _ in range(depth - 1))
        self.linear = nn.Linear(widths[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """From (n, channels, height, width) to (n, outputs)."""
        x = F.relu(self.norm(self.conv(x)))
        y: Tensor = self.linear(self.blocks(x).mean((2, 3)))
        return y


def resnet20(shape: Shape, outputs: int) -> nn.Module:
    """`ResNet` with three stages of three blocks."""
    return ResNet(shape[0], outputs)


MODELS: dict[str, Callable[[Shape, int], nn.Module]] = {
    function.__name__: function for function in (logistic, mlp, nielsen, lenet, mnist_cnn, resnet20)
}
NAMES = tuple(MODELS)
IMAGE_MODELS = {"lenet": 12, "mnist_cnn": 20, "resnet20": 4}  # and the least side that they take
