"""The best of several starts."""

import pickle

import pytest

import tinynet as tn
from tests.train import objectives
from tinynet.errors import ArgumentError, ArgumentTypeError, SearchError
from tinynet.train.restarts import FromStart, restart
from tinynet.train.search.trial import Evaluation, Trial


def test_the_best_minimum_is_kept():
    found = restart(objectives.start_at, [1.5, 0.5, -0.5, -1.5])
    assert found.score == pytest.approx(-1.3055, abs=1e-3)
    assert found.result == pytest.approx(-1.0347, abs=1e-3)
    assert found.start in (-0.5, -1.5)
    assert found.scores[:2] == pytest.approx([-0.7053, -0.7053], abs=1e-3)
    assert [row.result is None for row in found.rows].count(False) == 1
    assert str(found).startswith("best -1.30543 from start ")
    assert "(2 came as near)" in str(found)
    assert restart(objectives.start_at, [1.5, -1.5], mode="max").start == 1.5


def test_initial_weights_differ_and_are_repeated():
    def run(number):
        model = tn.nn.Linear(3, 1)
        return model.weight.sum(), model.state_dict()

    state = tn.get_rng_state()
    first, second = restart(run, 4), restart(run, 4)
    assert tn.get_rng_state() == state
    assert first.scores == second.scores
    assert len(set(first.scores)) == 4
    assert first.result["weight"].sum().item() == first.score == min(first.scores)
    assert restart(run, 4, seed=1).scores != first.scores


def test_rows_of_a_tensor_are_starts():
    found = restart(lambda x: (x**2).sum(), tn.tensor([[3.0, 1.0], [0.0, 2.0]]))
    assert found.start.tolist() == [0.0, 2.0]


def test_other_processes_can_have_runs_and_results():
    """What goes there and back; that it does is tested with searches."""
    evaluate = Evaluation("restart", FromStart(objectives.start_at), has_result=True)
    outcome = pickle.loads(pickle.dumps(evaluate))(Trial(0, {"start": 1.5}, seed=0))
    here = restart(objectives.start_at, [1.5])
    there = pickle.loads(pickle.dumps(outcome))
    assert (there.score, there.result) == (here.score, here.result)


def test_ctrl_c_keeps_what_has_come():
    def run(start):
        if start == 2:
            raise KeyboardInterrupt
        return start

    with pytest.warns(UserWarning, match=r"^restart: interrupted after 2 runs"):
        assert restart(run, 5).scores == [0.0, 1.0]


def test_runs_that_fail():
    def run(start):
        if start == 1:
            raise ValueError("no way")
        return float(start)

    with pytest.warns(UserWarning, match=r"^restart: trial 1 failed, the search goes on"):
        found = restart(run, 3)
    assert found.scores == [0.0, None, 2.0]
    assert str(found).endswith("; 1 failed")
    with pytest.warns(UserWarning, match="failed"):
        found = restart(lambda start: float("nan"), 1)
    assert str(found) == "all 1 runs failed"
    with pytest.raises(SearchError, match=r"^restart: of 1 runs none succeeded, expected one; the"):
        _ = found.score


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((abs, []), "no starts, expected at least one"),
        ((abs, 0), "no starts, expected at least one"),
        ((abs, 1.5), "starts is 1.5, expected initial points or a number"),
        ((3, 2), "run is 3, expected a function of a start"),
    ],
)
def test_arguments_that_are_wrong(arguments, message):
    with pytest.raises(ArgumentError, match=f"^restart: {message}"):
        restart(*arguments)


def test_a_run_that_cannot_be_sent():
    with pytest.raises(ArgumentTypeError, match=r"^restart: cannot send"):
        restart(lambda start: start, 2, processes=2)
