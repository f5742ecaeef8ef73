"""Monte Carlo dropout: modes, masks, and the entropies of what comes out."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.train import DropoutSamples, monte_carlo_dropout


@pytest.fixture
def model():
    """Some layers that behave otherwise in training, in different modes."""
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3))
    model.eval()
    model[1].train()
    return model


def modes(model):
    return [module.training for module in model.modules()]


def test_only_dropout_is_in_training(model):
    seen = []
    model[1].register_forward_hook(lambda module, x, y: seen.append(module.training))
    before, state = modes(model), {k: v.clone() for k, v in model.state_dict().items()}
    found = monte_carlo_dropout(model, tn.randn(4, 2), samples=3)
    assert seen == [False] * 3
    assert modes(model) == before
    assert all((v == state[k]).all() for k, v in model.state_dict().items())
    assert found.samples.shape == (3, 4, 3)
    assert not found.samples.requires_grad
    assert repr(found) == "DropoutSamples(3 of shape (4, 3))"


def test_modes_come_back_after_an_error(model):
    before = modes(model)
    with pytest.raises(ValueError, match="linear"):
        monte_carlo_dropout(model, tn.randn(4, 5))
    assert modes(model) == before


def test_samples_are_of_other_masks_and_can_be_repeated(model):
    x = tn.randn(4, 2)
    tn.manual_seed(7)
    first = monte_carlo_dropout(model, x, samples=2).samples
    tn.manual_seed(7)
    again = monte_carlo_dropout(model, x, samples=2).samples
    assert (first == again).all()
    assert (first[0] != first[1]).any()


def test_moments_are_those_of_dropout(device):
    """A sum of 8 inputs, each zeroed with p or divided by 1 - p: mean and spread are known."""
    p, n = 0.25, 20_000
    model = nn.Sequential(nn.Dropout(p), nn.Linear(8, 1, bias=False)).to(device)
    with tn.no_grad():
        model[1].weight.fill_(1.0)
    x = tn.arange(1, 9, dtype=tn.float32, device=device).reshape(1, 8)
    # Rows have masks of their own, so many rows are many samples, as passes are
    found = monte_carlo_dropout(model, x.expand(n // 4, 8), samples=4)
    values = found.samples.cpu().numpy()
    if device == "cpu":
        np.testing.assert_allclose(found.mean().numpy(), values.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.std().numpy(), values.std(0), rtol=1e-4, atol=1e-5)
    spread = math.sqrt(p / (1 - p) * sum(i * i for i in range(1, 9)))
    assert values.mean() == pytest.approx(36, abs=4 * spread / math.sqrt(n))
    assert values.std() == pytest.approx(spread, rel=0.03)


def test_entropies_are_numpy_s():
    chances = np.random.default_rng(0).dirichlet([0.3] * 4, (10, 5))
    chances[0, 0] = [1, 0, 0, 0]
    found = DropoutSamples(tn.tensor(chances))

    def entropy(p):
        return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(-1)

    total, noise = entropy(chances.mean(0)), entropy(chances).mean(0)
    np.testing.assert_allclose(found.entropy().numpy(), total)
    np.testing.assert_allclose(found.expected_entropy().numpy(), noise)
    np.testing.assert_allclose(found.mutual_information().numpy(), total - noise)
    moved = DropoutSamples(tn.tensor(chances.transpose(0, 2, 1)))
    np.testing.assert_allclose(moved.entropy(dim=0).numpy(), total)


def test_what_networks_agree_and_disagree_about():
    sure, unsure, split = [1.0, 0.0], [0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]]
    found = DropoutSamples(tn.tensor([[sure, unsure, split[0]], [sure, unsure, split[1]]]))
    log2 = math.log(2)
    np.testing.assert_allclose(found.entropy().numpy(), [0, log2, log2], rtol=1e-6)
    np.testing.assert_allclose(found.mutual_information().numpy(), [0, 0, log2], rtol=1e-6)


def test_scores_become_probabilities():
    scores = tn.randn(3, 4, 5, 2)  # (samples, n, classes, places)
    found = DropoutSamples(scores).softmax()
    np.testing.assert_allclose(found.samples.sum(2).numpy(), np.ones((3, 4, 2)), rtol=1e-6)
    assert found.entropy().shape == (4, 2)
    assert DropoutSamples(scores).softmax(-2).samples.shape == scores.shape


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (lambda: nn.LSTM(2, 4, num_layers=2, dropout=0.5), [(5, 3, 2)]),
        (lambda: nn.MultiheadAttention(4, 2, dropout=0.5), [(5, 3, 4)] * 3),
    ],
)
def test_dropout_inside_of_other_layers(layer, inputs):
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer()

        def forward(self, *x):
            return self.layer(*x)[0]

    model = First().eval()
    found = monte_carlo_dropout(model, *map(tn.randn, inputs), samples=2).samples
    assert (found[0] != found[1]).any()
    assert modes(model) == [False] * len(modes(model))


def test_classes_of_one_s_own():
    class Own(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x, 0.5, self.training)

    with pytest.raises(ArgumentError, match="no module of the model drops anything"):
        monte_carlo_dropout(Own(), tn.ones(8, 8))
    found = monte_carlo_dropout(Own(), tn.ones(8, 8), samples=2, also=[Own]).samples
    assert (found[0] != found[1]).any()


def test_what_makes_no_sense():
    with pytest.raises(ArgumentError, match="no module of the model drops anything"):
        monte_carlo_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0)), tn.ones(1, 2))
    with pytest.raises(ArgumentError, match="samples is 0, expected 1 or more"):
        monte_carlo_dropout(nn.Dropout(), tn.ones(1, 2), samples=0)
    with pytest.raises(ArgumentTypeError, match="the model returned tuple, expected a tensor"):
        monte_carlo_dropout(nn.LSTM(2, 4, num_layers=2, dropout=0.5), tn.ones(5, 3, 2))
    for bad in (tn.randn(3, 4, 5), tn.full((3, 4, 5), math.nan), tn.tensor([[[2.0, -1.0]]])):
        with pytest.raises(ArgumentError, match=r"no probabilities along dim 1, .* by softmax"):
            DropoutSamples(bad).entropy()
    with pytest.raises(ArgumentError, match="dim 2 of outputs that have 2 dims"):
        DropoutSamples(tn.randn(3, 4, 5)).softmax(2)
