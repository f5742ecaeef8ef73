"""The networks that are trained, as NumPy arrays: every system starts from the same numbers."""

import itertools
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tinynet.benchmarks.language import Array, LanguageModel

# What a layer is and its numbers: ("linear", inputs, outputs), ("conv", in channels, out channels,
# kernel size, padding), ("norm", channels), ("pool", size), "flatten", "relu" or "sigmoid".
Layer = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """A network, and how many samples a step takes.

    Nielsen's has sigmoid after every layer, the quadratic cost and SGD, as in the first chapter of
    his book; the others softmax cross-entropy of integer labels, and Adam.
    """

    name: str
    layers: tuple[Layer, ...]
    shape: tuple[int, ...]  # of an image
    batch: int
    is_nielsen: bool = False

    @property
    def checked_rate(self) -> float:
        """The learning rate that one would take; where there is batch norm, a tenth of it.

        Batch norm and Adam amplify rounding: in float64, losses at 1e-3 agree to ten digits.
        """
        if self.is_nielsen:
            return 3.0
        return 1e-4 if any(kind == "norm" for kind, *_ in self.layers) else 1e-3

    @property
    def timed_rate(self) -> float:
        """A rate that changes next to nothing.

        Thousands of steps on one batch would make its gradients denormal, which are slow.
        """
        return self.checked_rate / 1000

    def make_weights(self) -> list[Array]:
        """Weight (outputs, inputs, ...) and bias of each layer that has them, as PyTorch does."""
        random = np.random.default_rng(0)
        weights: list[Array] = []
        for kind, *sizes in self.layers:
            if kind == "norm":
                weights += [np.ones(sizes, np.float32), np.zeros(sizes, np.float32)]
            elif kind in ("linear", "conv"):
                n_inputs, n_outputs = sizes[:2]
                kernel = (sizes[2], sizes[2]) if kind == "conv" else ()
                bound = (n_inputs * prod(kernel)) ** -0.5
                for shape in ((n_outputs, n_inputs, *kernel), (n_outputs,)):
                    weights.append(random.uniform(-bound, bound, shape).astype(np.float32))
        return weights

    def make_batch(self) -> tuple[Array, Array]:
        """Images (batch, *shape), and labels (batch,), or for Nielsen's one-hot vectors.

        Pixels have mean 0 and deviation 1, as normalized digits have. With pixels in [0, 1], `wide`
        amplifies rounding so much that after ten steps right losses differ in the third digit.
        """
        random = np.random.default_rng(1)
        images = random.standard_normal((self.batch, *self.shape), dtype=np.float32)
        labels = random.integers(0, 10, self.batch)
        if self.is_nielsen:
            return images, np.eye(10, dtype=np.float32)[labels]
        return images, labels


def perceptron(*sizes: int, activation: str = "relu") -> tuple[Layer, ...]:
    """Linear layers of these sizes, with an activation in between."""
    layers: list[Layer] = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        layers += [("linear", n_inputs, n_outputs), (activation,)]
    return tuple(layers[:-1])


LENET: tuple[Layer, ...] = (
    ("conv", 1, 6, 5, 2), ("relu",), ("pool", 2), ("conv", 6, 16, 5, 0), ("relu",), ("pool", 2),
    ("flatten",), *perceptron(400, 120, 84, 10),
)  # fmt: skip
MNIST_CNN: tuple[Layer, ...] = (
    ("conv", 1, 32, 5, 0), ("relu",), ("conv", 32, 32, 5, 0), ("relu",), ("norm", 32), ("pool", 2),
    ("conv", 32, 64, 3, 0), ("relu",), ("conv", 64, 64, 3, 0), ("relu",), ("norm", 64),
    ("pool", 2), ("flatten",), ("linear", 576, 10),
)  # fmt: skip

WORKLOADS: dict[str, Workload | LanguageModel] = {
    workload.name: workload
    for workload in (
        Workload(
            "nielsen", (*perceptron(784, 30, 10, activation="sigmoid"), ("sigmoid",)), (784,),
            batch=10, is_nielsen=True,
        ),
        Workload("mlp", perceptron(784, 128, 10), (784,), batch=128),
        Workload("wide", perceptron(784, 512, 512, 10), (784,), batch=128),
        Workload("lenet", LENET, (1, 28, 28), batch=128),
        Workload("mnist_cnn", MNIST_CNN, (1, 28, 28), batch=512),
        LanguageModel("transformer"),
        LanguageModel("lstm"),
    )
}  # fmt: skip
