"""Metrics: NumPy's formulas on all data at once, whatever the batches, the device, or replays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet import train
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DimError,
    DTypeError,
    ShapeError,
    StateError,
)
from tinynet.ops.creation import widest_float
from tinynet.train.metrics.sums import read_sum

SIZES = (4, 4, 4, 4, 3)  # of batches; the last is smaller
N, CLASSES = sum(SIZES), 3
RANDOM = np.random.default_rng(0)
SCORES = RANDOM.standard_normal((N, CLASSES)).astype(np.float32)
TARGETS = RANDOM.integers(0, CLASSES, N)
CHANCES = np.eye(CLASSES, dtype=np.float32)[TARGETS] * 0.7 + 0.1  # soft targets of the same classes
NUMBERS = (100 + RANDOM.standard_normal(N)).astype(np.float32)
GUESSES = (NUMBERS + 0.5 * RANDOM.standard_normal(N)).astype(np.float32)
BITS = (NUMBERS > 100).astype(np.int64)
PREDICTED = SCORES.argmax(1)
MATRIX = np.zeros((CLASSES, CLASSES), int)
np.add.at(MATRIX, (TARGETS, PREDICTED), 1)
PRECISION = np.diagonal(MATRIX) / MATRIX.sum(0)
RECALL = np.diagonal(MATRIX) / MATRIX.sum(1)
GAP = NUMBERS.astype(np.float64) - GUESSES

CASES = {  # the metric, outputs, targets, what NumPy makes of all of them
    "accuracy": (train.Accuracy, SCORES, TARGETS, (PREDICTED == TARGETS).mean()),
    "soft": (train.Accuracy, SCORES, CHANCES, (PREDICTED == TARGETS).mean()),
    "top-k": (
        lambda: train.TopK(2), SCORES, TARGETS,
        (np.argsort(-SCORES, 1)[:, :2] == TARGETS[:, None]).any(1).mean(),
    ),
    "binary": (
        lambda: train.BinaryAccuracy(100.3), GUESSES, BITS, ((GUESSES > 100.3) == BITS).mean()
    ),
    "matrix": (lambda: train.ConfusionMatrix(3), SCORES, TARGETS, np.trace(MATRIX) / N),
    "precision": (lambda: train.Precision(3), SCORES, CHANCES, PRECISION.mean()),
    "recall": (
        lambda: train.Recall(3, average="weighted"), SCORES, TARGETS,
        (RECALL * MATRIX.sum(1)).sum() / N,
    ),
    "f1": (lambda: train.F1(3), SCORES, TARGETS, (2 / (1 / PRECISION + 1 / RECALL)).mean()),
    "squares": (train.MeanSquaredError, GUESSES, NUMBERS, (GAP**2).mean()),
    "root": (
        lambda: train.MeanSquaredError(squared=False), GUESSES, NUMBERS, np.sqrt((GAP**2).mean())
    ),
    "sizes": (train.MeanAbsoluteError, GUESSES, NUMBERS, np.abs(GAP).mean()),
    "r-squared": (
        train.RSquared, GUESSES, NUMBERS,
        1 - (GAP**2).sum() / ((NUMBERS - NUMBERS.mean(dtype=np.float64)) ** 2).sum(),
    ),
    "function": (
        lambda: train.FunctionMetric(tn.nn.functional.l1_loss), GUESSES, NUMBERS, np.abs(GAP).mean()
    ),
}  # fmt: skip


def exactness(device):
    """The relative error that a device's sums may have."""
    return 1e-12 if widest_float(device) is tn.float64 else 1e-6


def batches(outputs, targets, device, sizes=SIZES):
    """Tensors, batch by batch."""
    ends = np.cumsum(sizes)
    for start, end in zip([0, *ends], ends):
        yield tuple(tn.tensor(x[start:end], device=device) for x in (outputs, targets))


@pytest.mark.parametrize("name", CASES)
def test_recorded_updates_give_numpy_s_value(name, device):
    """Batches of two sizes, two epochs: the second one replays only, into the same state."""
    make, outputs, targets, expected = CASES[name]
    metric = make()
    metric.reset(device)
    places = {key: id(x) for key, x in metric.state.items()}
    step = tn.jit(metric.update, warm_up=False)
    for _ in range(2):
        metric.reset(device)
        for batch in batches(outputs, targets, device):
            step(*batch)
        # float32 rounds the function's results itself
        tolerance = 1e-6 if name == "function" else exactness(device)
        assert metric.compute() == pytest.approx(expected, rel=tolerance)
    assert {key: id(x) for key, x in metric.state.items()} == places
    assert step.count == 2  # recordings: one for each size of batches


@pytest.mark.parametrize("name", CASES)
def test_state_goes_on_where_it_was_saved(name, tmp_path):
    make, outputs, targets, _ = CASES[name]
    whole, first, second = make(), make(), make()
    parts = list(batches(outputs, targets, "cpu"))
    for i, batch in enumerate(parts):
        whole.update(*batch)
        if i < 2:
            first.update(*batch)
    tn.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(tn.load(tmp_path / "state"))
    first.update(*parts[0])  # the copy does not follow
    for batch in parts[2:]:
        second.update(*batch)
    assert second.compute() == whole.compute()


@pytest.mark.parametrize("name", CASES)
def test_without_samples_there_is_no_value(name):
    make, outputs, targets, _ = CASES[name]
    metric = make()
    with pytest.raises(StateError, match=r"compute: no samples since reset\(\), expected an upda"):
        metric.compute()
    assert metric.state_dict() == {}
    metric.load_state_dict({})
    metric.update(*next(batches(outputs, targets, "cpu")))
    metric.reset()
    with pytest.raises(StateError, match="no samples"):
        metric.compute()


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=30),
    st.integers(1, 4),
    st.data(),
)
def test_classes_of_any_data(pairs, k, data):
    """Ties, ignored targets, any batches."""
    targets = np.array([target for _, target in pairs])
    best = np.array([place for place, _ in pairs])
    levels = st.lists(st.integers(0, 2), min_size=4, max_size=4)
    scores = np.array([data.draw(levels) for _ in pairs], dtype=np.float32)
    scores[np.arange(len(pairs)), best] += 1
    cut = data.draw(st.integers(0, len(pairs)))
    order = np.argsort(-scores, axis=1, kind="stable")
    matrix = np.zeros((4, 4), int)
    for line, target in zip(order, targets):
        if target >= 0:
            matrix[target, line[0]] += 1
    accuracy = train.Accuracy(ignore_index=-1)
    top_k = train.TopK(k, ignore_index=-1)
    confusion = train.ConfusionMatrix(4, ignore_index=-1)
    for metric in (accuracy, top_k, confusion):
        for x, t in batches(scores, targets, "cpu", (cut, len(pairs) - cut)):
            metric.update(x, t)
    is_counted = targets >= 0
    if not is_counted.any():
        for metric in (accuracy, top_k, confusion):
            with pytest.raises(StateError, match="no samples"):
                metric.compute()
        return
    assert accuracy.compute() == pytest.approx(np.trace(matrix) / matrix.sum())
    is_found = (order[:, :k] == targets[:, None]).any(1)
    assert top_k.compute() == pytest.approx(is_found[is_counted].mean())
    np.testing.assert_array_equal(confusion.counts(), matrix)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=30),
       st.lists(st.integers(0, 30), max_size=3), st.sampled_from([0.0, 1.0, 1e6]))  # fmt: skip
def test_regressions_of_any_data(pairs, cuts, offset):
    outputs, targets = (np.array(x) + offset for x in zip(*pairs))
    edges = sorted(min(cut, len(pairs)) for cut in cuts)
    sizes = np.diff([0, *edges, len(pairs)])
    squares, score = train.MeanSquaredError(), train.RSquared()
    for batch in batches(outputs, targets, "cpu", sizes):
        squares.update(*batch)
        score.update(*batch)
    error = ((targets - outputs) ** 2).mean()
    spread = ((targets - targets.mean()) ** 2).mean()
    assert squares.compute() == pytest.approx(error)
    if np.ptp(targets) == 0:
        assert score.compute() == float(error == 0)
    elif spread > 1e-10 * targets.mean() ** 2:  # else NumPy's formula is the less exact one
        assert score.compute() == pytest.approx(1 - error / spread, rel=1e-4)


def test_equal_targets_have_no_spread_however_they_round():
    """The mean of a thousand times 0.1 is not 0.1 in floating point."""
    target = tn.full((1000,), 0.1, dtype=tn.float64)
    exact, wrong = train.RSquared(), train.RSquared()
    for _ in range(3):
        exact.update(target, target)
        wrong.update(target + 1, target)
    assert (exact.compute(), wrong.compute()) == (1, 0)


def test_several_outputs_are_averaged_as_scikit_learn_does():
    y = np.stack([NUMBERS, NUMBERS[::-1] ** 2], 1)
    guess = np.stack([GUESSES, GUESSES[::-1] ** 2], 1)
    metric = train.RSquared(2)
    for batch in batches(guess, y, "cpu"):
        metric.update(*batch)
    y, guess = y.astype(np.float64), guess.astype(np.float64)
    expected = 1 - ((y - guess) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    assert metric.compute() == pytest.approx(expected.mean())


def test_one_sample_has_no_spread():
    metric = train.RSquared()
    metric.update(tn.tensor([1.0]), tn.tensor([2.0]))
    assert math.isnan(metric.compute())


def test_pixels_are_samples(device):
    """(n, classes, height, width) scores and (n, height, width) classes."""
    scores = RANDOM.standard_normal((2, 3, 4, 5)).astype(np.float32)
    targets = RANDOM.integers(0, 3, (2, 4, 5))
    expected = (scores.argmax(1) == targets).mean()
    for metric in (train.Accuracy(), train.TopK(1), train.ConfusionMatrix(3)):
        metric.update(tn.tensor(scores, device=device), tn.tensor(targets, device=device))
        assert metric.compute() == pytest.approx(expected)


def test_two_classes_by_one_number_each():
    output, target = tn.tensor([0.9, 0.2, 0.7, 0.4]), tn.tensor([1.0, 1.0, 0.0, 0.0])
    matrix = train.ConfusionMatrix(2)
    matrix.update(output, target)
    assert matrix.counts().tolist() == [[1, 1], [1, 1]]
    score = train.Precision(2, average="binary", threshold=0.8)
    score.update(output, target.to(tn.int64))
    assert score.compute() == 1


def test_nan_is_never_right():
    nan = math.nan
    output = tn.tensor([[nan, 1.0], [1.0, nan], [nan, nan]])
    for metric in (train.Accuracy(), train.TopK(1)):
        metric.update(output, tn.tensor([1, 0, 1]))
        assert metric.compute() == 0
    binary = train.BinaryAccuracy()
    binary.update(tn.tensor([nan, nan]), tn.tensor([1.0, 1.0]))
    assert binary.compute() == 0
    for metric in (train.MeanSquaredError(), train.RSquared()):
        metric.update(tn.tensor([nan, 1.0]), tn.tensor([1.0, 2.0]))
        metric.update(tn.tensor([1.0, 1.0]), tn.tensor([1.0, 2.0]))
        assert math.isnan(metric.compute())


BAD = {  # what only values tell is raised by compute
    "class": (train.Accuracy, SCORES, np.where(TARGETS == 1, 7, TARGETS), "from 0 to less than"),
    "negative": (train.Accuracy, SCORES, np.where(TARGETS == 1, -1, TARGETS), "from 0 to less"),
    "top-k": (lambda: train.TopK(2), SCORES, TARGETS + 1, "invalid targets, expected class in"),
    "NaN": (train.Accuracy, SCORES, CHANCES * math.nan, "19 invalid targets"),
    "matrix": (lambda: train.ConfusionMatrix(3), SCORES, TARGETS + 1, "classes from 0 to 2"),
    "half": (lambda: train.ConfusionMatrix(2), GUESSES, BITS * 0.5, "invalid targets"),
    "NaN class": (lambda: train.ConfusionMatrix(2), GUESSES, GUESSES * math.nan, "19 invalid"),
    "predictions": (lambda: train.ConfusionMatrix(3), PREDICTED + 1, TARGETS, "such predictions"),
    "binary": (train.BinaryAccuracy, GUESSES, BITS * 2, "expected zeros and ones"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_targets_are_counted_and_raised_by_compute(name, device):
    make, outputs, targets, message = BAD[name]
    metric = make()
    for batch in batches(outputs, targets, device, (N,)):
        metric.update(*batch)
    with pytest.raises(DimError, match=message):
        metric.compute()
    metric.reset()
    good = CASES["binary"] if name == "binary" else CASES["accuracy"]
    if make().__class__ in (train.Accuracy, train.BinaryAccuracy):
        metric.update(*next(batches(good[1], good[2], device)))
        metric.compute()  # the bad ones are forgotten


@pytest.mark.parametrize(
    ("metric", "output", "target", "error", "message"),
    [
        (train.Accuracy(), (4,), (4,), ShapeError, "output is tinynet.float32 of shape"),
        (train.Accuracy(), (4, 3), (4, 2), ShapeError, "target of probabilities has shape"),
        (train.ConfusionMatrix(3), (4, 2), (4,), ShapeError, r"expected \(n, 3\) or \(n, 3, d1"),
        (train.TopK(5), (4, 3), (4, 3), ArgumentError, "3 classes, expected at least k=5"),
        (train.BinaryAccuracy(), (4, 1), (4,), ShapeError, r"\(4,\), expected \(4, 1\)"),
        (train.MeanSquaredError(), (4, 1), (4,), ShapeError, r"\(4,\), expected \(4, 1\)"),
        (train.RSquared(), (4, 2), (4, 2), ShapeError, r"a target has shape \(2,\), expected \(1"),
    ],
)
def test_shapes_that_do_not_fit(metric, output, target, error, message):
    with pytest.raises(error, match=f"{type(metric).__name__}.update: .*{message}"):
        metric.update(tn.zeros(output), tn.zeros(target))


def test_types_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"target has shape \(3,\), expected \(4,\)"):
        train.Accuracy().update(tn.zeros(4, 3), tn.zeros(3, dtype=tn.int64))
    with pytest.raises(DTypeError, match=r"target is tinynet\.bool, expected class indices"):
        train.Accuracy().update(tn.zeros(4, 3), tn.zeros(4, dtype=tn.bool))
    with pytest.raises(ArgumentTypeError, match=r"Accuracy\.update: target"):
        train.Accuracy().update(tn.zeros(4, 3), [1, 2, 0, 0])
    with pytest.raises(ShapeError, match=r"RunningMean\.update: value has shape"):
        train.RunningMean().update(tn.zeros(2))
    with pytest.raises(ShapeError, match="lambda returned list, expected a 0-d tensor"):
        train.FunctionMetric(lambda output, target: [1.0]).update(tn.zeros(2), tn.zeros(2))
    with pytest.raises(ArgumentTypeError, match="FunctionMetric: expected a function, got str"):
        train.FunctionMetric("loss")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train.TopK(0), "k must be at least 1, got 0"),
        (lambda: train.ConfusionMatrix(1), "n_classes must be at least 2"),
        (lambda: train.F1(3, average="mean"), "average 'mean', expected one of"),
        (lambda: train.Recall(3, average="binary"), "3 classes, expected 2 for average='binary'"),
        (lambda: train.RSquared(0), "n_outputs must be at least 1"),
        (lambda: train.ExponentialMean(1.0), r"beta must be in \[0, 1\), got 1.0"),
    ],
)
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train.TopK("a"), "TopK: k must be an int, got 'a'"),
        (lambda: train.TopK(1.5), "TopK: k must be an int, got 1.5"),
        (lambda: train.ConfusionMatrix("a"), "ConfusionMatrix: n_classes must be an int, got 'a'"),
        (lambda: train.F1(2.5), "F1: n_classes must be an int, got 2.5"),
        (lambda: train.F1(2, threshold="a"), "F1: threshold must be a number, got 'a'"),
        (lambda: train.BinaryAccuracy("a"), "BinaryAccuracy: threshold must be a number, got 'a'"),
        (lambda: train.RSquared("a"), "RSquared: n_outputs must be an int, got 'a'"),
        (lambda: train.ExponentialMean("a"), "ExponentialMean: beta must be a number, got 'a'"),
    ],
)
def test_arguments_of_other_types(make, message):
    with pytest.raises(ArgumentTypeError, match=f"^{message}"):
        make()
    assert train.TopK(np.int64(2)).name == "top_2_accuracy"


def test_a_state_of_another_metric():
    metric, other = train.Accuracy(), train.MeanSquaredError()
    other.reset("cpu")
    with pytest.raises(StateError, match=r"Accuracy\.load_state_dict: got tensors of shapes"):
        metric.load_state_dict(other.state_dict())
    with pytest.raises(StateError, match="no state yet"):
        _ = train.Accuracy().device


def test_metrics_move_between_devices(device):
    metric = train.Accuracy()
    metric.reset("cpu")
    state = metric.state
    metric.update(tn.zeros(4, 3), tn.zeros(4, dtype=tn.int64))
    metric.reset(device)
    metric.update(tn.zeros(4, 3, device=device), tn.ones(4, dtype=tn.int64, device=device))
    assert metric.compute() == 0
    metric.reset("cpu")
    assert metric.state is state  # recordings that write into it go on
    if device != "cpu":
        with pytest.raises(DeviceError, match=r"expected cpu, as before; call reset\(device\)"):
            metric.update(tn.zeros(4, 3, device=device), tn.zeros(4, dtype=tn.int64, device=device))


def test_means_of_values(device):
    values, weights = [4.0, 1.0, 7.0], [1, 2, 1]
    plain, weighted, recent = train.RunningMean(), train.RunningMean(), train.ExponentialMean(0.9)

    @tn.jit(warm_up=False)
    def step(value, weight):
        plain.update(value)
        weighted.update(value, weight)
        recent.update(value)

    for metric in (plain, weighted, recent):
        metric.reset(device)
    for value, weight in zip(values, weights):
        step(tn.tensor(value, device=device), tn.tensor(weight, device=device))
    assert plain.compute() == pytest.approx(4)
    assert weighted.compute() == pytest.approx(13 / 4)
    parts = [0.1 * 0.9 ** (2 - i) for i in range(3)]
    expected = sum(p * v for p, v in zip(parts, values)) / (1 - 0.9**3)
    assert recent.compute() == pytest.approx(expected, rel=exactness(device))


def test_counts_beyond_float32(device):
    """2**24 + 1 samples: a float32 counter would stay where it is."""
    mean, accuracy = train.RunningMean(), train.Accuracy()
    mean.reset(device)
    accuracy.reset(device)
    mean.update(tn.tensor(1.0, device=device), weight=2**24)
    accuracy.state["right"].add_(2**24)
    accuracy.state["total"].add_(2**24)
    for _ in range(3):
        mean.update(tn.tensor(1.0, device=device))
        accuracy.update(tn.ones(1, 2, device=device), tn.tensor([0], device=device))
    assert read_sum(mean.state, "weight") == 2**24 + 3
    assert accuracy.state["total"].item() == accuracy.state["right"].item() == 2**24 + 3


def test_sums_without_float64_lose_nothing(monkeypatch, device):
    """A device of float32 only: the error does not grow with the number of batches."""
    monkeypatch.setattr("tinynet.train.metrics.sums.widest_float", lambda device: tn.float32)
    monkeypatch.setattr("tinynet.train.metrics.means.widest_float", lambda device: tn.float32)
    mean = train.RunningMean()
    mean.reset(device)
    assert mean.state["total"].dtype is tn.float32
    step = tn.jit(mean.update, warm_up=False)
    step(tn.tensor(1.0, device=device), 2**24)
    for _ in range(64):
        step(tn.tensor(1.1, device=device), 1)
    expected = (2**24 + 64 * float(np.float32(1.1))) / (2**24 + 64)
    assert mean.compute() == pytest.approx(expected, rel=1e-9)  # plain float32: 4e-7 off
    again = train.RunningMean()
    again.load_state_dict(mean.state_dict())
    assert again.compute() == mean.compute()


def test_updates_leave_no_graph():
    output = tn.zeros(4, 3, requires_grad=True)
    metrics = [train.Accuracy(), train.MeanSquaredError(), train.FunctionMetric(tn.nn.MSELoss())]
    for metric in metrics:
        metric.update(output * 2, tn.zeros(4, 3))
        assert not any(x.requires_grad for x in metric.state.values())
    assert metrics[2].name == "MSELoss"
    assert repr(metrics[0]) == "Accuracy(name='accuracy')"
