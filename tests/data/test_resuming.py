"""A loader's position, saved in the middle of an epoch: what follows is bit for bit the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.data.test_dataset import Squares, make_pairs
from tests.data.test_loader import add_noise
from tinynet.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    StratifiedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinynet.errors import StateError

N = 23


class Rotating(Sampler):
    """A sampler as PyTorch's users write them, with a state of its own: where it begins."""

    def __init__(self):
        self.first = 0

    def __len__(self):
        return N

    def __iter__(self):
        self.first += 1
        return iter([(i + self.first) % N for i in range(N)])


class Remembering(Rotating):
    def state_dict(self):
        return {"first": self.first}

    def load_state_dict(self, state):
        self.first = state["first"]


class ByNumPy(Sampler):
    """One whose `generator` is none of tinynet's."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def __len__(self):
        return N

    def order(self):
        return self.generator.permutation(N)


class Pairs(BatchSampler):
    """A batch sampler of the user's own, around one of tinynet's."""

    def __init__(self, sampler):
        super().__init__(sampler, 2, False)


class Shuffled:
    """One that is no Sampler, and draws from the global random numbers."""

    def __len__(self):
        return N

    def __iter__(self):
        return iter(tn.randperm(N).tolist())


MAKERS = {
    "in order": lambda g: {},
    "shuffle": lambda g: {"shuffle": True, "generator": g},
    "random": lambda g: {"sampler": RandomSampler(range(N), True, 31, g)},
    "subset": lambda g: {"sampler": SubsetRandomSampler([3, 5, 7, 11, 13], g)},
    "weighted": lambda g: {"sampler": WeightedRandomSampler(range(N), 17, generator=g)},
    "two generators": lambda g: {
        "sampler": RandomSampler(range(N), generator=g),
        "generator": tn.Generator().manual_seed(5),
    },
    "list": lambda g: {"sampler": [4, 8, 15, 16, 22, 23 % N]},
    "with a state": lambda g: {"sampler": Remembering()},
    "batches around a sampler": lambda g: {
        "batch_sampler": Pairs(RandomSampler(range(N), generator=g)),
        "batch_size": 1,
    },
    "shuffled": lambda g: {"sampler": Shuffled()},
    "batches": lambda g: {"batch_sampler": [[0, 1], [2], [5, 4, 3]], "batch_size": 1},
    "tinynet's batches": lambda g: {
        "batch_sampler": BatchSampler(RandomSampler(range(N), generator=g), 5, True),
        "batch_size": 1,
    },
}


def make(name, seed, dataset=None, **options):
    """A loader, its own generator seeded if there is a seed."""
    generator = None if seed is None else tn.Generator().manual_seed(seed)
    options = {"batch_size": 4, **options, **MAKERS[name](generator)}
    return DataLoader(dataset or make_pairs(N), **options)


def as_lists(batches):
    return [[part.tolist() for part in batch] for batch in batches]


def resumed(make_loader, epochs, stop, path):
    """Batches of some epochs; after `stop` of them another loader, in another state, goes on."""
    tn.manual_seed(11)
    loader, received = make_loader(3), []
    for _ in range(epochs):
        for batch in loader:
            received.append([part.tolist() for part in batch])
            if len(received) == stop:
                tn.save({"loader": loader.state_dict(), "random": tn.get_rng_state()}, path)
                break
        else:
            continue
        break
    state = tn.load(path)
    tn.manual_seed(99)
    other = make_loader(77)
    other.load_state_dict(state["loader"])
    assert tn.get_rng_state() == (99, 0)
    tn.set_rng_state(state["random"])
    n_begun = -(-stop // len(loader))
    for _ in range(epochs - n_begun + 1):
        received += as_lists(other)
    return received


def uninterrupted(make_loader, epochs):
    tn.manual_seed(11)
    loader = make_loader(3)
    return [batch for _ in range(epochs) for batch in as_lists(loader)]


@pytest.mark.parametrize("transform", [None, add_noise])
@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_of_loader_goes_on(name, transform, tmp_path):
    def make_loader(seed):
        return make(name, seed, transform=transform)

    expected = uninterrupted(make_loader, 3)
    n = len(make_loader(1))
    for stop in {1, n - 1, n, n + 1, 2 * n + 1}:
        assert resumed(make_loader, 3, stop, tmp_path / "state") == expected, stop


@settings(max_examples=25)
@given(data=st.data())
def test_any_loader_goes_on_from_anywhere(data, tmp_path_factory):
    names = [name for name in MAKERS if "batches" not in name]
    name = data.draw(st.sampled_from(names))
    options = {
        "batch_size": data.draw(st.integers(1, 9)),
        "transform": data.draw(st.sampled_from([None, add_noise])),
        "drop_last": data.draw(st.booleans()),
    }
    dataset = data.draw(st.sampled_from([make_pairs(N), Squares(N)]))
    ahead = iter(data.draw(st.tuples(*[st.integers(0, 3)] * 3)))
    if dataset.has_batch_indexing is False:
        options["transform"] = None

    def make_loader(seed):
        seed = None if name == "shuffle" else seed
        return make(name, seed, dataset, prefetch=next(ahead), **options)

    expected = uninterrupted(make_loader, 2)
    if expected:
        stop = data.draw(st.integers(1, len(expected)))
        path = tmp_path_factory.mktemp("resuming") / "state"
        assert resumed(make_loader, 2, stop, path) == expected


def test_global_generator_is_the_callers_affair():
    tn.manual_seed(1)
    loader = make("shuffle", None)
    batches = iter(loader)
    first = as_lists([next(batches)])
    state = loader.state_dict()
    assert state["generators"] == []
    rest = as_lists(batches)
    tn.manual_seed(2)
    other = make("shuffle", None)
    other.load_state_dict(state)
    assert as_lists(other) == rest
    assert tn.get_rng_state() == (2, 0)
    assert first not in rest


def test_global_generator_given_by_name_is_left_alone_too():
    tn.manual_seed(1)
    loader = DataLoader(make_pairs(N), 4, shuffle=True, generator=tn.manual_seed(1))
    state = loader.state_dict()
    tn.manual_seed(2)
    loader.load_state_dict(state)
    assert tn.get_rng_state() == (2, 0)


def test_stratified_epoch_goes_on():
    def make_loader(seed):
        sampler = StratifiedSampler([0, 1, 1] * 5, 3, tn.Generator().manual_seed(seed))
        return DataLoader(make_pairs(15), 3, sampler=sampler)

    loader, other = make_loader(1), make_loader(2)
    batches = iter(loader)
    next(batches)
    other.load_state_dict(loader.state_dict())
    rest = as_lists(batches)
    assert as_lists(other) == rest
    assert as_lists(other) == as_lists(loader)


def test_position_of_a_loader():
    loader = make("shuffle", 1)
    assert loader.state_dict()["epoch"] is None
    batches = iter(loader)
    assert loader.state_dict()["epoch"]["done"] == 0
    next(batches)
    assert loader.state_dict()["epoch"]["done"] == 1
    assert len(list(batches)) == 5
    assert loader.state_dict()["epoch"] is None


@pytest.mark.parametrize("prefetch", [0, 3])
def test_position_counts_what_was_received(prefetch):
    loader = make("in order", None, prefetch=prefetch)
    for i, _ in enumerate(loader):
        assert loader.state_dict()["epoch"]["done"] == i + 1


def test_epoch_begun_but_not_received_from_is_not_drawn_again():
    loader = make("shuffle", 1)
    batches = iter(loader)
    other = make("shuffle", 2)
    other.load_state_dict(loader.state_dict())
    assert as_lists(other) == as_lists(batches)
    assert as_lists(other) == as_lists(loader)


def test_state_after_the_last_batch_gives_an_empty_rest():
    loader = make("in order", None)
    for _ in loader:
        state = loader.state_dict()
    loader.load_state_dict(state)
    assert list(loader) == []
    assert len(list(loader)) == 6


def test_state_can_be_saved_before_the_resumed_epoch_begins():
    loader = make("shuffle", 1)
    batches = iter(loader)
    next(batches)
    second, third = make("shuffle", 2), make("shuffle", 3)
    second.load_state_dict(loader.state_dict())
    third.load_state_dict(second.state_dict())
    assert as_lists(third) == as_lists(batches)


def test_position_is_that_of_the_iterator_begun_last():
    loader = make("in order", None)
    first, second = iter(loader), iter(loader)
    next(second)
    next(first), next(first)
    assert loader.state_dict()["epoch"]["done"] == 1
    assert len(list(first)) == 4
    assert loader.state_dict()["epoch"]["done"] == 1


def test_loop_left_early_can_go_on_or_begin_anew():
    loader = make("in order", None)
    for _ in range(2):
        for _, y in loader:
            assert y.tolist() == [0, 1, 2, 3]
            break
    loader.load_state_dict(loader.state_dict())
    assert next(y.tolist() for _, y in loader) == [4, 5, 6, 7]


def test_resumed_loop_left_early_begins_anew():
    loader = make("in order", None)
    next(iter(loader))
    loader.load_state_dict(loader.state_dict())
    assert [next(iter(loader))[1].tolist() for _ in range(2)] == [[4, 5, 6, 7], [0, 1, 2, 3]]


@pytest.mark.parametrize("kind", [Rotating, ByNumPy])
def test_own_sampler_without_a_state_keeps_its_order(kind):
    loader = DataLoader(make_pairs(N), 10, sampler=kind())
    batches = iter(loader)
    next(batches)
    other = DataLoader(make_pairs(N), 10, sampler=kind())
    other.load_state_dict(loader.state_dict())
    assert as_lists(other) == as_lists(batches)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dataset": make_pairs(N + 1)}, "samples was 23, expected this loader's, 24"),
        ({"batch_size": 5}, "batch_size was 4, expected this loader's, 5"),
        ({"drop_last": True}, "drop_last was False, expected this loader's, True"),
        ({"shuffle": False},
         "sampler was 'RandomSampler', expected this loader's, 'SequentialSampler'"),
        ({"transform": add_noise}, "has_transform was False, expected this loader's, True"),
        ({"generator": tn.Generator()}, "n_generators was 0, expected this loader's, 1"),
    ],
)  # fmt: skip
def test_state_of_another_loader(other, message):
    given = {"dataset": make_pairs(N), "batch_size": 4, "shuffle": True}
    state = DataLoader(**given).state_dict()
    loader = DataLoader(**{**given, **other})
    with pytest.raises(StateError) as caught:
        loader.load_state_dict(state)
    assert str(caught.value) == f"DataLoader.load_state_dict: {message}"
    assert len(list(loader)) == len(loader)


@pytest.mark.parametrize("state", [None, {}, {"epoch": None}, [1]])
def test_what_is_no_state(state):
    with pytest.raises(StateError) as caught:
        make("in order", None).load_state_dict(state)
    assert str(caught.value) == (
        f"DataLoader.load_state_dict: expected what DataLoader.state_dict gives, got {state!r}"
    )
