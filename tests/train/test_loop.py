"""`fit`: what it computes, against loops written by hand; what it says about bad data."""

import re
import signal
import typing

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn, train
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimError,
    DivergenceError,
    RecordingError,
    ShapeError,
)
from tinynet.train.batches import to_device

mse = nn.functional.mse_loss


def make_batches(device="cpu", sizes=(4, 4, 2)):
    tn.manual_seed(2)
    return [(tn.randn(n, 3, device=device), tn.randn(n, 1, device=device)) for n in sizes]


def make_model(device="cpu"):
    tn.manual_seed(3)
    return nn.Linear(3, 1).to(device)


def fit(model, batches, rate=0.1, **options):
    optimizer = options.pop("optimizer", None) or tn.optim.SGD(model.parameters(), lr=rate)
    loss = options.pop("loss", mse)
    return train.fit(model, batches, loss, optimizer, **options)


def by_hand(batches, epochs=1, clip=None, rate=0.1):
    """The same by NumPy: weights, and the mean loss of each epoch."""
    model = make_model()
    w, b = (p.detach().numpy().astype(np.float64) for p in model.parameters())
    losses = []
    for _ in range(epochs):
        total, count = 0.0, 0
        for group in batches:
            group = group if isinstance(group, list) else [group]
            x = np.concatenate([x.cpu().numpy() for x, _ in group])
            y = np.concatenate([y.cpu().numpy() for _, y in group])
            gap = x @ w.T + b - y
            total, count = total + (gap**2).sum(), count + len(x)
            grads = [2 * gap.T @ x / len(x), 2 * gap.sum(0) / len(x)]
            if clip:
                norm = np.sqrt(sum((g**2).sum() for g in grads))
                grads = [g * min(1, clip / norm) for g in grads]
            w, b = w - rate * grads[0], b - rate * grads[1]
        losses.append(total / count)
    return w, b, losses


def assert_is(model, w, b):
    np.testing.assert_allclose(model.weight.detach().cpu().numpy(), w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.bias.detach().cpu().numpy(), b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("jit", [True, False])
def test_steps_and_mean_loss(device, jit):
    model, batches = make_model(device), make_batches()  # on the host: they are brought over
    history = fit(model, batches, epochs=3, jit=jit)
    w, b, losses = by_hand(batches, 3)
    assert_is(model, w, b)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)


def test_accumulated_gradients_equal_those_of_one_batch(device):
    batches = make_batches(sizes=(4, 2, 3, 1, 5))
    model = make_model(device)
    fit(model, batches, epochs=2, accumulate=2, clip_norm=0.5)
    groups = [batches[0:2], batches[2:4], batches[4:]]
    w, b, _ = by_hand(groups, 2, clip=0.5)
    assert_is(model, w, b)


def test_clipping_by_value():
    model = make_model()
    before = model.weight.detach().clone()
    fit(model, make_batches(sizes=(4,)), clip_value=1e-3)
    assert (model.weight - before).abs().max().item() <= 1.001e-4


def test_parameters_without_gradients_are_left_alone():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(3, 1), nn.Linear(3, 1)

        def forward(self, x):
            return self.used(x)

    model = Half()
    before = model.unused.weight.tolist()
    optimizer = tn.optim.AdamW(model.parameters(), weight_decay=0.5)
    fit(model, make_batches(), optimizer=optimizer, accumulate=2, epochs=2)
    assert model.unused.weight.tolist() == before


def test_inputs_in_tuples_and_dicts():
    class Sum(nn.Linear):
        def forward(self, a, b):
            return super().forward(a + b)

    for kind in (tuple, list, lambda parts: dict(zip("ab", parts))):
        tn.manual_seed(3)
        model = Sum(3, 1)
        batches = [(kind([x, x]), y) for x, y in make_batches()]
        fit(model, batches)
        w, b, _ = by_hand([(2 * x, y) for x, y in make_batches()])
        assert_is(model, w, b)


def test_modes_are_put_back():
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)).eval()
    model[1].train()
    seen = []

    class Look(train.Callback):
        def on_step_end(self, trainer):
            seen.append([m.training for m in trainer.model.modules()])

        def on_epoch_end(self, trainer):
            seen.append("end")

    batches = make_batches()
    fit(model, batches, validation=batches, callbacks=[Look()])
    assert seen == [[True] * 3] * 3 + ["end"]
    assert [m.training for m in model.modules()] == [False, False, True]
    assert not tn.are_deterministic_algorithms_enabled()


def test_validation_metrics_and_rates_in_the_history():
    batches = make_batches()
    model = make_model()
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    schedule = tn.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    history = fit(
        model, batches, optimizer=optimizer, epochs=3, validation=batches, schedule=schedule,
        metrics=[nn.functional.l1_loss, train.RSquared()],
    )  # fmt: skip
    assert history["lr"] == [0.1, 0.05, 0.025]
    assert history.names[:3] == ["loss", "l1_loss", train.RSquared().name]
    now = train.evaluate(model, batches, mse, [nn.functional.l1_loss])
    assert now["loss"] == history["validation_loss"][-1]
    assert now["l1_loss"] == history["validation_l1_loss"][-1]


def test_schedule_per_step_and_on_a_plateau():
    schedules = tn.optim.lr_scheduler
    model = make_model()
    optimizer = tn.optim.SGD(model.parameters(), lr=1.0)
    schedule = schedules.ExponentialLR(optimizer, 0.5)
    fit(model, make_batches(), optimizer=optimizer, schedule=schedule, schedule_every="step")
    assert optimizer.param_groups[0]["lr"] == 0.125
    optimizer = tn.optim.SGD(model.parameters(), lr=0.0)
    optimizer.param_groups[0]["lr"] = 0.0
    plateau = schedules.ReduceLROnPlateau(optimizer, patience=0)
    history = fit(
        model, make_batches(), optimizer=optimizer, schedule=plateau, epochs=2,
        validation=make_batches(sizes=(1,)),
    )  # fmt: skip
    assert plateau.best == history["validation_loss"][0]
    with pytest.raises(ArgumentError, match="ReduceLROnPlateau needs an epoch's loss"):
        fit(model, [], optimizer=optimizer, schedule=plateau, schedule_every="step")


def test_predict(device):
    model, x = make_model(device), tn.randn(7, 3)
    expected = model(x.to(device)).detach()
    for data in (x, x.numpy(), [x[:3], [x[3:5]], (x[5:], tn.zeros(2))]):
        assert tn.allclose(train.predict(model, data, batch_size=4), expected, atol=1e-6)


class Both(typing.NamedTuple):
    twice: tn.Tensor
    half: tn.Tensor


@pytest.mark.parametrize("jit", [True, False])
def test_predict_of_named_outputs(jit):
    class Named(nn.Linear):
        def forward(self, x):
            return Both(x * 2, x / 2)

    x = tn.randn(5, 3)
    outputs = train.predict(Named(3, 1), x, batch_size=2, jit=jit)
    assert type(outputs) is Both
    assert tn.equal(outputs.twice, x * 2)
    assert tn.equal(outputs.half, x / 2)


def test_to_device_keeps_what_is_there():
    x = tn.ones(2)
    assert to_device(x, "cpu") is x
    assert to_device({"a": (x, 3)}, "cpu")["a"][0] is x


# What goes wrong
@pytest.mark.parametrize(("bad", "value"), [(1, float("nan")), (3, float("inf"))])
def test_nan_targets(device, bad, value):
    batches = make_batches(device, (4,) * 4)
    batches[bad - 1][1][0] = value
    with pytest.raises(DivergenceError) as caught:
        fit(make_model(device), batches)
    shown = "(nan|inf)"
    assert_matches(caught, rf"fit: the loss is {shown} in epoch 1, batch {bad} \(step {bad}\), ")


def assert_matches(caught, pattern):
    assert re.match(pattern, str(caught.value)), str(caught.value)


def test_nan_keeps_the_good_checkpoint(tmp_path):
    path = tmp_path / "run"
    batches = make_batches(sizes=(4,) * 5)
    batches[3][1][0] = float("nan")
    with pytest.raises(DivergenceError, match=r"batch 4 .*; the checkpoint is the one before"):
        fit(make_model(), batches, checkpoint=path, checkpoint_every=1)
    assert tn.load(path)["step"] == 3


def test_weights_that_became_infinite(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(DivergenceError, match="'weight' has NaN or infinity after step 1"):
        fit(make_model(), make_batches(), rate=float("inf"), checkpoint=path, checkpoint_every=1)
    assert tn.load(path)["step"] == 0


def test_class_index_out_of_range(device):
    model = nn.Linear(3, 2).to(device)
    batches = [(tn.ones(4, 3), tn.tensor([0, 1, 0, 1])) for _ in range(4)]
    batches[2] = (tn.ones(4, 3), tn.tensor([0, 1, 2, 1]))
    with pytest.raises(DimError, match=r"2 is out of range.*epoch 1, batch 3"):
        fit(model, batches, loss=nn.functional.cross_entropy, metrics=[train.Accuracy()])


def test_no_batches():
    with pytest.raises(ArgumentError, match="the loader gave no batches in epoch 1"):
        fit(make_model(), [])
    with pytest.raises(ArgumentError, match=r"in epoch 2, .*an iterator can be read only once"):
        fit(make_model(), iter(make_batches()), epochs=2)
    with pytest.raises(ArgumentError, match="no batches to evaluate on"):
        fit(make_model(), make_batches(), validation=[])
    with pytest.raises(ArgumentError, match="predict: no batches"):
        train.predict(make_model(), [])


def test_batches_that_are_none():
    x, y = make_batches()[0]
    for batch, what in (((x, y, y), "a tuple of 3 parts"), (x, "a Tensor"), ({"x": x}, "a dict")):
        with pytest.raises(ArgumentTypeError) as caught:
            fit(make_model(), [batch])
        assert str(caught.value) == (
            f"fit: a batch is {what}, expected a pair (inputs, targets) (in epoch 1, batch 1)"
        )
    with pytest.raises(ShapeError, match=r"in epoch 1, batch 2\)"):  # lengths that differ
        fit(make_model(), [(x, y), (x, y[:3])])
    with pytest.raises(ShapeError, match=r"returned a tensor of shape \(4, 1\), expected a 0-d"):
        fit(make_model(), [(x, y)], loss=lambda output, target: output - target)


def test_model_that_reads_values():
    class Reading(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (2 if x.sum().item() > 0 else 1)

    with pytest.raises(RecordingError, match=r"or pass jit=False \(in epoch 1, batch 2\)"):
        fit(Reading(3, 1), make_batches())
    assert len(fit(Reading(3, 1), make_batches(), jit=False)) == 1


@pytest.mark.parametrize(
    "options",
    [{"accumulate": 0}, {"checkpoint_every": 0}, {"schedule_every": "day"},
     {"metrics": [mse, mse]}, {"epochs": 1.5}, {"epochs": -1}, {"clip_norm": -1.0},
     {"clip_norm": float("nan")}, {"clip_norm": "1"}, {"clip_value": 0}, {"checkpoint_every": 2}],
)  # fmt: skip
def test_options_that_are_none(options):
    with pytest.raises(ArgumentError, match=r"^fit: "):
        fit(make_model(), make_batches(), **options)


def test_parts_of_other_types():
    model, dataset = make_model(), tn.data.TensorDataset(tn.randn(4, 3), tn.randn(4, 1))
    is_a_dataset = r"is a TensorDataset, .* expected batches: DataLoader"
    with pytest.raises(ArgumentTypeError, match="^fit: loader " + is_a_dataset):
        fit(model, dataset)
    with pytest.raises(ArgumentTypeError, match="^fit: validation " + is_a_dataset):
        fit(model, make_batches(), validation=dataset)
    with pytest.raises(ArgumentTypeError, match="^evaluate: loader " + is_a_dataset):
        train.evaluate(model, dataset)
    with pytest.raises(ArgumentTypeError, match="^predict: data " + is_a_dataset):
        train.predict(model, dataset)
    with pytest.raises(ArgumentTypeError, match=r"^fit: loader is a int, expected an iterable"):
        fit(model, 3)
    with pytest.raises(ArgumentTypeError, match=r"^fit: callbacks is a EarlyStopping, expected"):
        fit(model, make_batches(), callbacks=train.EarlyStopping())
    with pytest.raises(ArgumentTypeError, match=r"^fit: metrics is a int, expected a list"):
        fit(model, make_batches(), metrics=3)
    for loss in (None, "mse"):
        with pytest.raises(ArgumentTypeError, match=r"^fit: loss is a .*, expected a function"):
            fit(model, make_batches(), loss=loss)
    with pytest.raises(ArgumentTypeError, match=r"^evaluate: loss is a int, expected a function"):
        train.evaluate(model, make_batches(), 3)
    for use in (train.evaluate, train.predict):
        with pytest.raises(ArgumentTypeError, match="model is a int, expected a Module"):
            use(3, tn.ones(2, 3))
    with pytest.raises(ArgumentTypeError, match=r"^fit: a callback is a builtin_function"):
        fit(model, make_batches(), callbacks=[print])
    with pytest.raises(ArgumentTypeError, match=r"^fit: schedule is a str, expected one of optim"):
        fit(model, make_batches(), schedule="cosine")


class Interrupting(train.Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_with_a_checkpoint(tmp_path):
    path, batches = tmp_path / "run", make_batches()
    model = make_model()
    history = fit(model, batches, epochs=3, checkpoint=path, callbacks=[Interrupting(5)])
    assert len(history) == 1
    state = tn.load(path)
    assert (state["epoch"], state["batch"], state["step"]) == (1, 2, 5)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model = make_model()
    assert len(fit(model, batches, epochs=3, checkpoint=path, callbacks=[Interrupting(0)])) == 3
    assert_is(model, *by_hand(batches, 3)[:2])


def test_second_ctrl_c_stops_at_once():
    model = make_model().eval()
    with pytest.raises(KeyboardInterrupt):
        fit(model, make_batches(), callbacks=[Interrupting(2, times=2)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not model.training
