"""Averages of models."""

import copy

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError
from tinynet.optim import swa_utils
from tinynet.optim.swa_utils import AveragedModel

KINDS = {
    "mean": ({}, lambda a, x, n: a + (x - a) / (n + 1)),
    "ema": ({"avg_fn": swa_utils.get_ema_avg_fn(0.75)}, lambda a, x, n: 0.75 * a + 0.25 * x),
    "many": ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)},
             lambda a, x, n: 0.75 * a + 0.25 * x),
    "own": ({"avg_fn": lambda a, x, n: a.maximum(x)}, lambda a, x, n: max(a, x)),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_averages(name, on_device):
    options, formula = KINDS[name]
    model = nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(model, **options)
    expected = None
    for n, value in enumerate([4.0, 2.0, 8.0, -1.0]):
        nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
        expected = value if expected is None else formula(expected, value, n)
    assert averaged.module.weight.item() == pytest.approx(expected)
    assert averaged.n_averaged.item() == 4
    assert averaged(tn.ones(1, 1)).item() == pytest.approx(expected)
    assert model.weight.item() == -1
    assert averaged.module.weight.requires_grad


def test_the_first_update_copies_exactly():
    model = nn.Linear(2, 2)
    averaged = AveragedModel(model)
    nn.init.constant_(averaged.module.weight, 1e30)
    averaged.update_parameters(model)
    assert tn.equal(averaged.module.weight, model.weight)


def test_buffers_are_copied_or_averaged():
    model = nn.BatchNorm1d(1)
    copied, averaged = AveragedModel(model), AveragedModel(model, use_buffers=True)
    for value in (1.0, 3.0):
        model.running_mean.fill_(value)
        model.num_batches_tracked.fill_(int(value))
        copied.update_parameters(model)
        averaged.update_parameters(model)
    assert copied.module.running_mean.item() == 3
    assert averaged.module.running_mean.item() == 2
    assert averaged.module.num_batches_tracked.item() == 2
    assert averaged.module.num_batches_tracked.dtype is tn.int64


def test_state_dict_and_copies():
    model = nn.Linear(1, 1)
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    state = averaged.state_dict()
    assert list(state) == ["n_averaged", "module.weight", "module.bias"]
    other = AveragedModel(nn.Linear(1, 1))
    other.load_state_dict(state)
    assert other.n_averaged.item() == 1
    assert copy.deepcopy(averaged).module.weight.item() == model.weight.item()


def test_update_bn(on_device):
    model = nn.Sequential(nn.BatchNorm1d(1, momentum=0.3), nn.Dropout()).eval()
    model[0].running_mean.fill_(100.0)
    model[0].num_batches_tracked.fill_(8)
    batches = [tn.tensor([[1.0], [3.0]]), tn.tensor([[5.0], [9.0]])]
    swa_utils.update_bn([(x, "label") for x in batches], model)
    assert model[0].running_mean.item() == pytest.approx(4.5)
    assert model[0].running_var.item() == pytest.approx((2 + 8) / 2)
    assert model[0].momentum == 0.3
    assert not model.training


def test_update_bn_without_batch_norms_reads_nothing():
    swa_utils.update_bn(iter(lambda: pytest.fail("read"), 0), nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AveragedModel(nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max),
         "AveragedModel: expected avg_fn or multi_avg_fn, got both"),
        (lambda: swa_utils.get_ema_avg_fn(1.5), "get_ema_avg_fn: decay must be in [0, 1], got 1.5"),
        (lambda: swa_utils.get_ema_multi_avg_fn(-1),
         "get_ema_multi_avg_fn: decay must be in [0, 1], got -1"),
    ],
)  # fmt: skip
def test_misuse(call, message):
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == message
