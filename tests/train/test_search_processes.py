"""Trials in other processes: the same results, and what happens when they end."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.train import objectives
from tinynet.errors import ArgumentTypeError
from tinynet.train import search
from tinynet.train.search import Uniform

ROOT = Path(__file__).parents[2]
X = {"x": Uniform(0, 1)}


def test_processes_change_no_result_and_a_killed_one_costs_its_trial():
    space = {"how": ["kill", "one", "raise", "two", "exit"]}
    with pytest.warns(UserWarning, match=r"^grid_search: trial \d (killed|failed)"):
        results = search.grid_search(objectives.faulty, space, processes=2)
    assert [row.trial.number for row in results] == list(range(5))
    assert [row.status for row in results] == ["killed", "ok", "failed", "ok", "killed"]
    assert results[0].error == "its process ended with exit code -9 (SIGKILL, out of memory?)"
    assert results[4].error == "its process ended with exit code 3"
    here = search.grid_search(objectives.noise, {"how": list(range(5))})
    for i in (1, 3):
        assert (results[i].trial.seed, results[i].score) == (here[i].trial.seed, here[i].score)


@pytest.mark.parametrize(
    ("objective", "space"),
    [(lambda trial: 1, X), (objectives.bowl, {"x": [lambda: 1, lambda y: 2][:1]})],
)
def test_an_objective_that_cannot_be_sent(objective, space):
    message = r"^random_search: cannot send the objective .* expected a function at the top level"
    with pytest.raises(ArgumentTypeError, match=message):
        search.random_search(objective, space, 2, processes=2)


def test_an_objective_that_cannot_be_loaded():
    message = r"^random_search: a worker process cannot load the objective: ValueError: .*top level"
    with pytest.raises(ArgumentTypeError, match=message):
        search.random_search(objectives.Unloadable(), X, 1, processes=2)


def run_script(tmp_path, text, **options):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_a_script_without_a_guard(tmp_path):
    process = run_script(
        tmp_path,
        """
        from tinynet.train.search import Uniform, random_search
        from tests.train.objectives import bowl
        random_search(bowl, {"x": Uniform(0, 1)}, 1, processes=2)
        """,
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SearchError: random_search: a worker process ended (exit code 1)" in errors
    assert "below `if __name__ == '__main__':`" in errors


def start_slow_search(tmp_path):
    """A script that searches, when its first two trials are done and the others run."""
    process = run_script(
        tmp_path,
        f"""
        from tinynet.train.search import Uniform, random_search
        from tests.train.objectives import slow
        if __name__ == "__main__":
            results = random_search(
                slow, {{"x": Uniform(0, 1)}}, 9, processes=2, folder={str(tmp_path)!r}
            )
            print(len(results), results.interrupted)
        """,
        start_new_session=True,
    )
    marks = [tmp_path / f"trial-{i}" / "started" for i in (2, 3)]
    wait_for(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    return process, [int(mark.read_text()) for mark in marks]


def check_that_it_goes_on(tmp_path):
    results = search.random_search(lambda trial: -1.0, X, 9, folder=tmp_path)
    assert [row.score for row in results] == [0.0, 1.0, *[-1.0] * 7]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_gives_the_results_so_far_and_the_same_call_goes_on(tmp_path):
    process, workers = start_slow_search(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=60)
    assert output == "2 True\n"
    assert "UserWarning: random_search: interrupted after 2 trials" in errors
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_running, workers)))
    check_that_it_goes_on(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_workers_end_with_a_search_that_is_killed(tmp_path):
    process, workers = start_slow_search(tmp_path)
    assert all(map(is_running, workers))
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(map(is_running, workers)))
    check_that_it_goes_on(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_this_process_passes_by_those_who_would_catch_it():
    """As `fit` does, which ends its epoch and returns where nobody else handles SIGINT."""
    handlers = []

    def objective(trial):
        handlers.append(signal.getsignal(signal.SIGINT))
        signal.raise_signal(signal.SIGINT)
        return 1.0

    with pytest.warns(UserWarning, match="interrupted after 0 trials"):
        results = search.random_search(objective, X, 4)
    assert results.interrupted
    assert handlers != [signal.default_int_handler]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # a zombie has ended
        return file.read().split()[2] != "Z"


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_ctrl_c_in_this_process():
    def objective(trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return trial.number

    with pytest.warns(UserWarning, match=r"^coarse_to_fine: interrupted after 2 trials"):
        results = search.coarse_to_fine(objective, X, 4)
    assert results.interrupted
    assert [row.score for row in results] == [0, 1]
    assert str(results).endswith("interrupted")
