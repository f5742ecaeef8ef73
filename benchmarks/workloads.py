"""The networks that are trained, as NumPy arrays: every system starts from the same numbers."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Workload:
    """A network of linear layers of these sizes, and how many samples a step takes.

    Nielsen's has sigmoid after every layer, the quadratic cost and SGD, as in the first chapter of
    his book; the others ReLU between the layers, softmax cross-entropy of integer labels, and Adam.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    is_nielsen: bool = False

    @property
    def checked_rate(self) -> float:
        """The learning rate that one would take."""
        return 3.0 if self.is_nielsen else 1e-3

    @property
    def timed_rate(self) -> float:
        """A rate that changes next to nothing.

        Thousands of steps on one batch would make its gradients denormal, which are slow.
        """
        return self.checked_rate / 1000

    def make_weights(self) -> list[Array]:
        """Weight (outputs, inputs) and bias of each layer in turn, as PyTorch draws them."""
        random = np.random.default_rng(0)
        weights: list[Array] = []
        for n_inputs, n_outputs in itertools.pairwise(self.sizes):
            for shape in ((n_outputs, n_inputs), (n_outputs,)):
                values = random.uniform(-(n_inputs**-0.5), n_inputs**-0.5, shape)
                weights.append(values.astype(np.float32))
        return weights

    def make_batch(self) -> tuple[Array, Array]:
        """Images (batch, inputs), and labels (batch,), or for Nielsen's one-hot vectors.

        Pixels have mean 0 and deviation 1, as normalized digits have. With pixels in [0, 1], `wide`
        amplifies rounding so much that after ten steps right losses differ in the third digit.
        """
        random = np.random.default_rng(1)
        images = random.standard_normal((self.batch, self.sizes[0]), dtype=np.float32)
        labels = random.integers(0, self.sizes[-1], self.batch)
        if self.is_nielsen:
            return images, np.eye(self.sizes[-1], dtype=np.float32)[labels]
        return images, labels


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("nielsen", (784, 30, 10), batch=10, is_nielsen=True),
        Workload("mlp", (784, 128, 10), batch=128),
        Workload("wide", (784, 512, 512, 10), batch=128),
    )
}
