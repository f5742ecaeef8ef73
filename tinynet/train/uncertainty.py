"""How sure a network is: Monte Carlo dropout (Gal & Ghahramani 2016, arXiv:1506.02142).

Dropout stays on while the network predicts, many times. Each time other units are missing, so each
time another network answers. Where the data have taught them all the same, they agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.nn.attention import MultiheadAttention
from tinynet.nn.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from tinynet.nn.module import Module
from tinynet.nn.recurrent import RNNBase
from tinynet.ops.arithmetic import where
from tinynet.ops.joining import stack
from tinynet.tensor import Tensor
from tinynet.viz.layers import evaluating

LAYERS = (Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout)
WITH_DROPOUT = (MultiheadAttention, RNNBase)  # and no other use of modes
SLACK = 1e-3  # by which probabilities may miss a sum of 1: float16 rounds by less


def monte_carlo_dropout(
    model: Module, *inputs: Any, samples: int = 50, also: Sequence[type[Module]] = ()
) -> DropoutSamples:
    """What `model(*inputs)` is with dropout, `samples` times.

    Only what drops is in training mode meanwhile: dropout layers, and the dropout inside of
    `MultiheadAttention` and of RNNs. All else, such as batch normalisation, is in evaluation mode,
    and afterwards every module is in its own mode again. A module of your own that calls
    `functional.dropout(x, p, self.training)` is known by its class in `also`.

    The model returns a tensor. Masks come from the global random numbers (`manual_seed`); there is
    no graph. Memory is needed for `samples` outputs. Raises `ArgumentError` for a model in which
    nothing drops, of which all samples would be equal.

    >>> import tinynet as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(2, 8), tn.nn.Dropout(0.5), tn.nn.Linear(8, 3))
    >>> found = monte_carlo_dropout(model, tn.ones(5, 2), samples=20)
    >>> found.mean().shape, found.std().shape
    ((5, 3), (5, 3))
    >>> found.softmax().mutual_information().shape
    (5,)
    """
    if not isinstance(samples, int) or samples < 1:
        raise ArgumentError(f"monte_carlo_dropout: samples is {samples!r}, expected 1 or more")
    outputs: list[Tensor] = []
    with dropping(model, also), no_grad():
        for _ in range(samples):
            output = model(*inputs)
            if not isinstance(output, Tensor):
                raise ArgumentTypeError(
                    f"monte_carlo_dropout: the model returned {type(output).__name__}, expected a "
                    "tensor"
                )
            outputs.append(output)
        return DropoutSamples(stack(outputs))


@contextmanager
def dropping(model: Module, also: Sequence[type[Module]] = ()) -> Iterator[None]:
    """Evaluation mode for all but dropout; each module's own mode again afterwards.

    See `monte_carlo_dropout` for what drops, and for `also`.
    """
    found = [x for x in model.modules() if drops(x) or isinstance(x, tuple(also))]
    if not found:
        raise ArgumentError(
            "monte_carlo_dropout: no module of the model drops anything, expected a dropout layer "
            "with p > 0; name classes of your own in also="
        )
    with evaluating(model):
        for module in found:
            module.training = True
        yield


def drops(module: Any) -> bool:
    """Whether training mode means dropout, and nothing else, for a module."""
    if isinstance(module, LAYERS):
        return bool(module.p > 0)
    has_place = getattr(module, "num_layers", 2) > 1  # an RNN's dropout is between layers
    return isinstance(module, WITH_DROPOUT) and has_place and bool(module.dropout > 0)


class DropoutSamples:
    """Outputs of a network under many dropout masks: `samples`, (samples, ...) as a tensor.

    `mean()` and `std()` are a prediction and its spread. A classifier's scores become probabilities
    by `softmax()`; then `entropy()` is how unsure a prediction is in all, and
    `mutual_information()` the part of that which comes from the networks' disagreement, and which
    more data like this would remove.
    """

    def __init__(self, samples: Tensor) -> None:
        self.samples = samples

    def mean(self) -> Tensor:
        """The predictive mean."""
        return self.samples.mean(0)

    def std(self) -> Tensor:
        """The standard deviation of the samples: the spread of the networks (section 4).

        The noise of the targets themselves, the paper's 1 / tau, is not in it.
        """
        return self.samples.std(0, correction=0)

    def softmax(self, dim: int = 1) -> DropoutSamples:
        """Samples of probabilities, of scores whose classes are dim `dim` of an output."""
        return DropoutSamples(self.samples.softmax(self._dim(dim) + 1))

    def entropy(self, dim: int = 1) -> Tensor:
        """The entropy, in nats, of the mean of probabilities; the dim of classes is gone.

        From 0, sure, to the logarithm of the number of classes.
        """
        place = self._probabilities(dim)
        return _entropy(self.mean(), place)

    def expected_entropy(self, dim: int = 1) -> Tensor:
        """The mean of the samples' entropies: what noise in the data explains."""
        place = self._probabilities(dim)
        return _entropy(self.samples, place + 1).mean(0)

    def mutual_information(self, dim: int = 1) -> Tensor:
        """`entropy - expected_entropy`: of prediction and network (Houlsby et al. 2011, eq. 2).

        0 where all networks give the same probabilities, whatever these are.
        """
        return (self.entropy(dim) - self.expected_entropy(dim)).clamp(min=0)

    def _dim(self, dim: int) -> int:
        n = self.samples.ndim - 1
        if not -n <= dim < n:
            raise ArgumentError(f"DropoutSamples: dim {dim} of outputs that have {n} dims")
        return dim % n

    def _probabilities(self, dim: int) -> int:
        """`dim` of an output, checked: its elements are none below 0 and sum to 1."""
        place = self._dim(dim)
        gap = (self.samples.sum(place + 1) - 1).abs()
        if not ((gap <= SLACK).all() & (self.samples >= 0).all()):
            raise ArgumentError(
                f"DropoutSamples: the samples are no probabilities along dim {dim}, expected none "
                "below 0 and sums of 1; scores become some by softmax()"
            )
        return place

    def __repr__(self) -> str:
        return f"DropoutSamples({self.samples.shape[0]} of shape {self.samples.shape[1:]})"


def _entropy(chances: Tensor, dim: int) -> Tensor:
    """`-sum(p * log(p))` over `dim`; what never happens adds nothing."""
    logarithms = where(chances > 0, chances, 1.0).log()
    entropy: Tensor = -(chances * logarithms).sum(dim)
    return entropy
