"""Summaries, penalties, parametrizations under jit, hooks that are always called."""

import copy
import pickle

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError

F = nn.functional


# Summary
def test_a_summary_of_a_convolutional_network(on_device):
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(6 * 14 * 14, 10),
    ).train()  # fmt: skip
    before = model[1].running_mean.clone()
    found = nn.summary(model, input_size=(3, 1, 28, 28))
    rows = {row.name: row for row in found.rows}
    assert rows["0"].output_shape == (3, 6, 28, 28)
    assert rows["0"].parameters == 6 * 25 + 6
    assert rows["0"].multiply_adds == 3 * 6 * 28 * 28 * 25
    assert rows["5"].multiply_adds == 3 * 1176 * 10
    assert found.parameters == nn.count_parameters(model) == 156 + 12 + 11770
    assert found.parameter_bytes == 4 * found.parameters
    assert found.activation_bytes == 4 * 3 * (3 * 4704 + 1176 + 1176 + 10)
    assert model.training
    assert tn.equal(model[1].running_mean, before)
    assert model[1].num_batches_tracked.item() == 0
    assert model[0]._hooks is None
    lines = str(found).splitlines()
    assert lines[0].split() == "Layer Kind Output shape Parameters Trainable Multiply-adds".split()
    assert f"Parameters: {found.parameters:,}, {found.parameters:,} of them trainable" in lines


@pytest.mark.parametrize(
    ("model", "inputs", "multiply_adds"),
    [
        (nn.Linear(3, 4), [(5, 3)], 60),
        (nn.Conv1d(4, 6, 3, groups=2), [(2, 4, 10)], 2 * 6 * 8 * 2 * 3),
        (nn.ConvTranspose2d(2, 3, 3), [(1, 2, 4, 4)], 2 * 16 * 3 * 9),
        (nn.LSTM(3, 5), [(7, 2, 3)], 14 * (20 * 3 + 20 * 5)),
        (nn.GRU(3, 5, bidirectional=True), [(7, 2, 3)], 14 * 2 * (15 * 3 + 15 * 5)),
        (nn.MultiheadAttention(4, 2), [(3, 2, 4)] * 3, 4 * 6 * 16 + 2 * 2 * 9 * 4),
        (nn.Bilinear(2, 3, 4), [(5, 2), (5, 3)], 120),
    ],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_multiply_adds(model, inputs, multiply_adds):
    assert nn.summary(model, *[tn.zeros(shape) for shape in inputs]).multiply_adds == multiply_adds


def test_depth_shared_weights_and_several_calls():
    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = nn.Sequential(inner, inner, nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    found = nn.summary(model, tn.ones(1, 4))
    assert found.parameters == 20 + 10
    assert found.trainable == 22
    assert {row.name: row.calls for row in found.rows}["0.0"] == 2
    shallow = nn.summary(model, tn.ones(1, 4), depth=1)
    assert shallow.multiply_adds == found.multiply_adds == 2 * 16 + 8
    assert {row.name for row in shallow.rows} == {"", "0", "2"}
    with pytest.raises(ArgumentError, match=r"^summary: expected inputs or input_size, got both$"):
        nn.summary(model, tn.ones(1, 4), input_size=(1, 4))


# Penalties
def test_penalties_and_their_gradients(on_device):
    x = tn.tensor([3.0, 0.0, -4.0], requires_grad=True)
    for penalty, value, gradient in [
        (nn.l1_penalty(x), 7.0, [1, 0, -1]),
        (nn.l2_penalty(x), 12.5, [3, 0, -4]),
        (nn.norm_penalty(x), 5.0, [0.6, 0, -0.8]),
        (nn.norm_penalty([x, x.detach()], p=1), 14.0, [1, 0, -1]),
        (nn.norm_penalty(x, float("inf")), 4.0, [0, 0, -1]),
    ]:
        x.grad = None
        penalty.backward()
        assert penalty.item() == pytest.approx(value)
        assert x.grad.tolist() == pytest.approx(gradient)
    zero = tn.zeros(2, requires_grad=True)
    nn.norm_penalty(zero).backward()
    assert zero.grad.tolist() == [0, 0]
    assert nn.l2_penalty(nn.ReLU()).item() == 0
    with pytest.raises(ArgumentError, match=r"^norm_penalty: p must be 1 or more, got 0\.5$"):
        nn.norm_penalty(x, 0.5)


def test_max_norm(on_device):
    layer = nn.Linear(2, 3)
    with tn.no_grad():
        layer.weight.copy_(tn.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]))
    nn.max_norm_(layer, 2.0)
    assert layer.weight.flatten().tolist() == pytest.approx([1.2, 1.6, 0.3, 0.4, 0.0, 0.0])


def test_penalties_are_recorded(on_device):
    tn.manual_seed(0)
    layer = nn.Linear(3, 3)
    optimizer = tn.optim.SGD(layer.parameters(), lr=0.1)

    @tn.jit
    def step(x):
        loss = layer(x).square().mean() + 0.1 * nn.l1_penalty(layer) + nn.norm_penalty(layer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        nn.max_norm_(layer, 0.5)
        return loss.detach()

    losses = [step(tn.randn(8, 3)).item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert layer.weight.norm(dim=1).max().item() <= 0.5 + 1e-6
    assert step.count == 1


# Parametrizations
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_parametrised_layers_are_recorded_and_copied(on_device, kind):
    results = []
    for record in (False, True):
        tn.manual_seed(0)
        layer = getattr(nn.utils.parametrizations, kind)(nn.Linear(3, 2))
        optimizer = tn.optim.SGD(layer.parameters(), lr=0.1)
        x = tn.randn(8, 3)

        def step(x, layer=layer, optimizer=optimizer):
            loss = (layer(x) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = tn.jit(step) if record else step
        results.append([step(x).item() for _ in range(12)])
    assert results[1] == pytest.approx(results[0], rel=1e-4)
    assert results[0][-1] < results[0][0]
    layer.eval()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert tn.allclose(other(x), layer(x))
    weight = layer.weight.detach()
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert tn.allclose(layer.weight, weight)


def test_what_others_hold_of_an_original_stays():
    layer = nn.Linear(3, 3)
    weight = layer.weight
    held = weight.detach()
    before = held.clone()
    nn.utils.parametrizations.spectral_norm(layer)
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert layer.weight is weight
    assert not tn.equal(layer.weight, before)
    assert tn.equal(held, before)


# Hooks
def test_hooks_that_are_always_called():
    class Failing(nn.Module):
        def forward(self, x):
            raise RuntimeError("no")

    seen = []
    module = Failing()
    module.register_forward_hook(lambda *args: seen.append("never"))
    module.register_forward_hook(lambda *args: seen.append("always"), always_call=True)
    with pytest.raises(RuntimeError, match=r"^no$"):
        module(tn.ones(1))
    assert seen == ["always"]
