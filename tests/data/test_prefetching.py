"""Batches made in a background thread: the same ones, in time, with their errors, and its end."""

import gc
import os
import subprocess
import sys
import threading
import time
import traceback

import pytest

import tinynet as tn
from tests.data.test_dataset import Squares, make_pairs
from tests.data.test_loader import add_noise, run
from tinynet.data import DataLoader, Dataset, TensorDataset


def threads():
    return [each for each in threading.enumerate() if each.name == "tinynet-prefetch"]


def wait_for(condition):
    """Until it holds; the deadline is for the case that it never does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    wait_for(lambda: not threads())


class Watched(Dataset):
    """A data set that notes which samples were asked for, and by which threads."""

    def __init__(self, n):
        self.n = n
        self.asked = []
        self.threads = set()

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.threads.add(threading.current_thread())
        self.asked.append(index)
        return index


@pytest.mark.parametrize("dataset", [make_pairs(50), Squares(50)])
@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"sampler": [7, 3, 3, 9, 0] * 4}])
def test_batches_are_the_same_however_many_are_made_ahead(dataset, options):
    def batches(prefetch):
        tn.manual_seed(3)
        return run(DataLoader(dataset, 8, prefetch=prefetch, transform=add_noise, **options))

    expected = batches(0)
    assert len(expected) == (6 if "sampler" in options else 14)
    for prefetch in (1, 2, 20):
        assert batches(prefetch) == expected


def test_batches_are_made_in_one_other_thread():
    dataset = Watched(30)
    assert [y.tolist() for y in DataLoader(dataset, 10, prefetch=2)][2] == [*range(20, 30)]
    assert dataset.asked == list(range(30))
    assert len(dataset.threads) == 1
    assert threading.current_thread() not in dataset.threads


@pytest.mark.parametrize("ahead", [1, 3])
def test_as_many_batches_are_made_ahead_as_allowed(ahead):
    dataset = Watched(20)
    batches = iter(DataLoader(dataset, prefetch=ahead))
    assert not threads()  # before anything is asked for
    for i in range(5):
        next(batches)
        wait_for(lambda: len(dataset.asked) == i + 1 + ahead)
        time.sleep(0.01)
        assert len(dataset.asked) == i + 1 + ahead


def test_thread_ends_with_the_epoch():
    list(DataLoader(make_pairs(5), 2, prefetch=2))
    wait_for(lambda: not threads())


def test_thread_ends_when_the_loop_is_left():
    dataset = Watched(1000)
    for _ in DataLoader(dataset, 2, prefetch=2):
        assert len(threads()) == 1
        break
    wait_for(lambda: not threads())
    assert len(dataset.asked) <= 6


def test_thread_ends_when_the_loops_body_raises():
    def fail():
        for _ in DataLoader(Watched(1000), 2, prefetch=2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    wait_for(lambda: not threads())


def test_thread_ends_when_the_iterator_is_part_of_garbage():
    batches = iter(DataLoader(make_pairs(100), prefetch=1))
    next(batches)
    circle = [batches]
    circle.append(circle)
    del batches, circle
    gc.collect()
    wait_for(lambda: not threads())


def test_errors_arrive_at_their_batch_with_their_traceback():
    class Broken(Watched):
        def __getitem__(self, index):
            if index == 5:
                raise KeyError("sample 5 is broken")
            return super().__getitem__(index)

    received = []
    dataset = Broken(20)
    batches = iter(DataLoader(dataset, 2, prefetch=4))
    with pytest.raises(KeyError, match="sample 5 is broken") as caught:
        received.extend(batch.tolist() for batch in batches)
    assert received == [[0, 1], [2, 3]]
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "__getitem__" in names
    assert next(batches, "the end") == "the end"
    wait_for(lambda: not threads())
    assert dataset.asked == [0, 1, 2, 3, 4]


def test_errors_of_a_transform_arrive():
    def transform(batch, generator):
        raise ValueError("no such rotation")

    with pytest.raises(ValueError, match="no such rotation"):
        next(iter(DataLoader(make_pairs(3), prefetch=1, transform=transform)))


def test_two_iterators_of_one_loader():
    loader = DataLoader(make_pairs(6), 2, prefetch=2)
    pairs = [(a.tolist(), b.tolist()) for (_, a), (_, b) in zip(loader, loader)]
    assert pairs == [([0, 1],) * 2, ([2, 3],) * 2, ([4, 5],) * 2]


def test_several_loaders_at_once():
    loaders = [DataLoader(Squares(40), 4, prefetch=2) for _ in range(4)]
    expected = [y.tolist() for _, y in DataLoader(Squares(40), 4)]
    found = [[] for _ in loaders]
    for batches in zip(*loaders):
        for each, (_, y) in zip(found, batches):
            each.append(y.tolist())
    assert found == [expected] * 4


def test_consumers_in_several_threads():
    loader = DataLoader(Squares(100), 4, prefetch=2)
    found = []
    consumers = [
        threading.Thread(target=lambda: found.append([y.tolist() for _, y in loader]))
        for _ in range(4)
    ]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()
    assert found == [[y.tolist() for _, y in DataLoader(Squares(100), 4)]] * 4


def test_whether_operations_are_recorded_is_the_consumers_choice():
    weight = tn.ones(1, requires_grad=True)

    def transform(batch, generator):
        return [batch[0] * weight]

    loader = DataLoader(TensorDataset(tn.ones(4)), 2, prefetch=1, transform=transform)
    assert all(batch.requires_grad for [batch] in loader)
    with tn.no_grad():
        assert not any(batch.requires_grad for [batch] in loader)


def test_training_with_jit_gives_the_same_bits(on_device):
    def train(prefetch, device):
        tn.manual_seed(0)
        x = tn.randn(60, 5, device="cpu").to(device)
        model = tn.nn.Linear(5, 1)
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

        @tn.jit
        def step(batch):
            optimizer.zero_grad()
            loss = (model(batch) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        loader = DataLoader(TensorDataset(x), 8, shuffle=True, prefetch=prefetch)
        for _ in range(3):
            for [batch] in loader:
                step(batch.to(on_device))
        return model.weight.tolist()

    assert train(2, "cpu") == train(0, "cpu")
    assert train(2, on_device) == train(0, on_device)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_forked_process_goes_on_without_the_thread():
    batches = iter(DataLoader(Squares(8), 2, prefetch=1))
    next(batches)
    wait_for(lambda: threads())
    child = os.fork()
    if not child:
        found = [y.tolist() for _, y in batches]
        os._exit(0 if found == [[4, 9], [16, 25], [36, 49]] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [y.tolist() for _, y in batches] == [[4, 9], [16, 25], [36, 49]]


PROGRAM = """
import atexit, threading, time
atexit.register(lambda: print(threading.active_count()))  # runs after those registered later
import tinynet as tn
class Slow(tn.data.Dataset):
    def __len__(self): return 1000
    def __getitem__(self, index):
        time.sleep(0.01)
        return index
batches = iter(tn.data.DataLoader(Slow(), 4, prefetch=3))
print(next(batches).tolist())
"""


def test_program_may_end_in_the_midst_of_an_epoch():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2, 3]\n1\n", "")
