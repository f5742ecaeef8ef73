"""Whether indices that come into a recorded function are in range is looked at, not guessed."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import DimError, RecordingError


@pytest.fixture
def wide(on_device):
    """Recorded functions have seen larger indices of the same shapes before."""
    pick = tn.jit(lambda y: tn.arange(20).index_select(0, y.flatten()))
    for shape in ((5,), (5, 2)):
        for value in (0, 10, 19):
            pick(tn.full(shape, value, dtype=tn.int64))


@pytest.mark.parametrize("warm_up", [True, False])
def test_indices_as_a_column(wide, warm_up):
    x = tn.arange(15.0).reshape(5, 3)
    gather = tn.jit(lambda x, y: x.gather(1, y[:, None])[:, 0], warm_up=warm_up)
    for labels in ([0, 1, 2, 0, 1], [2, 2, 2, 2, 2], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]):
        expected = [3.0 * i + label for i, label in enumerate(labels)]
        assert gather(x, tn.tensor(labels)).tolist() == expected
    with pytest.raises(DimError, match="index 7 is out of range for dim 1 of size 3"):
        gather(x, tn.tensor([0, 1, 7, 0, 1]))


def test_some_of_the_indices(wide, on_device):
    x = tn.arange(15.0).reshape(5, 3)
    gather = tn.jit(lambda x, y: x.gather(1, y[:, :1])[:, 0], warm_up=False)
    assert gather(x, tn.tensor([[0, 1]] * 5)).tolist() == [0, 3, 6, 9, 12]
    assert gather(x, tn.tensor([[2, 0]] * 5)).tolist() == [2, 5, 8, 11, 14]
    unused = tn.tensor([[0, 9]] * 5)  # in range where it is used
    assert gather(x, unused).tolist() == [0, 3, 6, 9, 12]
    with pytest.raises(DimError, match="index 9 is out of range for dim 1 of size 3"):
        gather(x, unused.flip(1))


def test_bounds_of_a_part_are_not_those_of_the_whole(on_device):
    z, places = tn.arange(3.0), tn.tensor([1, 5, 5, 5, 5])
    assert z[places[:1].expand(5)].tolist() == [1.0] * 5
    with pytest.raises(DimError, match="index 5 is out of range for dim 0 of size 3"):
        z[places].tolist()


def test_other_functions_know_other_indices(wide):
    """Of what an index is made of, too: cross-entropy looks at labels before it picks by them."""
    cross_entropy = tn.nn.functional.cross_entropy
    x, labels = tn.arange(15.0).reshape(5, 3), tn.tensor([0, 2, 1, 0, 2])
    for warm_up in (True, False):
        step = tn.jit(lambda x, y: cross_entropy(x, y), warm_up=warm_up)
        for _ in range(4):
            expected = cross_entropy(x, labels).item()
            assert step(x, labels).item() == pytest.approx(expected, rel=1e-5)


def test_indices_from_outside_that_nobody_had_looked_at(on_device):
    """They are looked at while the function is recorded, and again once they were changed."""
    x, places = tn.arange(10.0), tn.tensor([1.0, 2.0]).long().realize()
    pick = tn.jit(lambda x: x[places].sum(), warm_up=False)
    assert [pick(x).item() for _ in range(3)] == [3, 3, 3]
    places.copy_(tn.tensor([1.0, 12.0]))
    with pytest.raises(DimError, match="index 12 is out of range for dim 0 of size 10"):
        pick(x).item()


def test_recordings_take_indices_that_came_before(on_device):
    """One recording more where larger indices come, which takes all that are in range."""
    pick = tn.jit(lambda y: tn.arange(20).index_select(0, y), warm_up=False)
    for largest in (3, 5, 9, 5, 3, 9):
        y = tn.tensor([0, largest])
        assert pick(y).tolist() == [0, largest]
    assert pick.count == (1 if on_device == "cpu" else 2)
    other = tn.jit(lambda y: tn.arange(5).index_select(0, y), warm_up=False)
    assert other(tn.tensor([4, 1])).tolist() == [4, 1]


def test_places_that_count_up(on_device):
    """As in a buffer that is filled step by step."""
    buffer = tn.zeros(20)

    @tn.jit
    def push(place, x):
        buffer[place] = x
        return buffer.sum()

    for i in range(20):
        assert push(tn.tensor([i]), tn.ones(1)).item() == i + 1
    assert push.count <= 2
    with pytest.raises(DimError, match="index 20 is out of range for dim 0 of size 20"):
        push(tn.tensor([20]), tn.ones(1))
    assert push(tn.tensor([-1]), tn.full((1,), 3.0)).item() == 22


def test_what_is_made_of_places_that_count_up(on_device):
    """They may not become any that are in range: these would not be."""
    x = tn.arange(20.0)
    pick = tn.jit(lambda place: x[place] + x[place + 1])
    assert [pick(tn.tensor([i])).item() for i in range(6)] == [1, 3, 5, 7, 9, 11]


# indices that are made of what comes from outside
FUNCTIONS = {
    "cross_entropy": lambda x, y: nn.functional.cross_entropy(x, y),
    "smoothed": lambda x, y: nn.functional.cross_entropy(x, y, label_smoothing=0.1),
    "gather": lambda x, y: x.gather(1, tn.where(y >= 0, y, 0)[:, None]),
    "embedding": lambda x, y: nn.functional.embedding(y.masked_fill(y < 0, 0), x),
    "product": lambda x, y: x[y * (y >= 0)],
    "of a view": lambda x, y: x[tn.arange(3), tn.where(y > 0, y, 0).flip(0)],
    "of a view of a part": lambda x, y: x[tn.where(y[:2] > 0, y[:2], 0)],
    "of a maximum": lambda x, y: x[(y.max() + y).relu() % 3],
    "put": lambda x, y: x.scatter(1, tn.where(y >= 0, y, 0)[:, None], 7.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_labels_of_which_some_do_not_count(on_device, name):
    function, x = FUNCTIONS[name], tn.arange(15.0).reshape(3, 5).sin()[:, :3]
    recorded = tn.jit(function)
    for labels in ([1, 2, 0], [1, -100, 2], [2, 2, 2], [-100, 1, 0], [0, -100, 1], [-100, -100, 1]):
        y = tn.tensor(labels)
        found, expected = recorded(x, y).flatten(), function(x, y).flatten()
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert recorded.count <= 3


@pytest.mark.parametrize("warm_up", [True, False])
def test_labels_out_of_range_beside_some_that_do_not_count(on_device, warm_up):
    x = tn.arange(15.0).reshape(3, 5).sin()
    recorded = tn.jit(FUNCTIONS["cross_entropy"], warm_up=warm_up)
    for _ in range(3):
        recorded(x, tn.tensor([1, -100, 4]))
    for wrong in (5, -1, 7):
        with pytest.raises(DimError, match=f"index {wrong} is out of range"):
            recorded(x, tn.tensor([1, -100, wrong])).item()
    assert recorded(x, tn.tensor([1, -100, 4])).item() == pytest.approx(
        FUNCTIONS["cross_entropy"](x, tn.tensor([1, -100, 4])).item(), rel=1e-5
    )


def test_an_index_that_was_never_negative(on_device):
    """Kernels do not count from the end then; one that is negative is recorded anew."""
    x, odd = tn.arange(10.0), tn.tensor([1, 1])
    pick = tn.jit(lambda y: x[y * odd], warm_up=False)
    for y in ([1, 2], [3, 9], [-1, -9], [-10, 2], [5, 5]):
        assert pick(tn.tensor(y)).tolist() == [i % 10 for i in y]
    with pytest.raises(DimError, match="index 12 is out of range for dim 0 of size 10"):
        pick(tn.tensor([12, 0])).tolist()


def test_an_index_made_of_state_that_is_written_elsewhere(on_device):
    x, state = tn.arange(10.0), tn.tensor([-100, 3])
    pick = tn.jit(lambda y: x[tn.where(state >= 0, state, 0) + y], warm_up=False)
    y = tn.tensor([0, 1])
    assert [pick(y).tolist() for _ in range(3)] == [[0, 4]] * 3
    state.copy_(tn.tensor([7, -100]))
    assert pick(y).tolist() == [7, 1]
    state.copy_(tn.tensor([7, 9]))
    with pytest.raises(DimError, match="index 10 is out of range for dim 0 of size 10"):
        pick(y).tolist()


def test_an_index_made_of_state_that_the_function_writes(on_device):
    x, place = tn.arange(10.0), tn.tensor([0])

    def take(y):
        place.add_(y)
        return x[tn.where(place > 4, place % 3, place)]

    def places(wrap):
        place.fill_(0)
        run = wrap(take)
        return [run(tn.tensor([1])).tolist() for _ in range(9)]

    expected = places(lambda function: function)
    assert places(tn.jit) == expected


def test_an_index_made_of_a_product(on_device):
    """Its values are known nowhere before the replay."""
    x, table = tn.eye(2), tn.arange(3.0)
    pick = tn.jit(lambda w: table[(x @ w).long()], warm_up=False)
    if on_device == "cpu":
        assert pick(tn.ones(2)).tolist() == [1.0, 1.0]
    else:
        with pytest.raises(RecordingError, match="values that jit cannot read while it records"):
            pick(tn.ones(2))


def test_a_product_that_was_never_negative(on_device):
    """Nor known to be in range by its factors: kernels do not count from the end."""
    x = tn.arange(10.0)
    pick = tn.jit(lambda y, z: x[y * z], warm_up=False)
    for y, z in (([0, 1], [20, 3]), ([0, 1], [20, 3]), ([-1, 1], [3, 2]), ([2, 0], [4, 20])):
        expected = [(a * b) % 10 for a, b in zip(y, z, strict=True)]
        assert pick(tn.tensor(y), tn.tensor(z)).tolist() == expected


def test_an_index_made_of_parts_that_the_function_writes(on_device):
    x, state = tn.arange(10.0), tn.tensor([0, -100])

    def take(y):
        state[:1] = y
        return x[tn.where(state >= 0, state, 0)]

    recorded = tn.jit(take, warm_up=False)
    if on_device == "cpu":
        assert [recorded(tn.tensor([i])).tolist() for i in range(4)] == [[i, 0] for i in range(4)]
    else:
        with pytest.raises(RecordingError, match="values that jit cannot read while it records"):
            recorded(tn.tensor([3]))


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_index_that_is_state_which_the_function_writes(on_device, is_whole):
    """Where that comes from a product, what it is in the call that is recorded says nothing."""
    x, state, eye = tn.arange(10.0), tn.tensor([0, 1]), tn.eye(2)

    def take(y):
        places = (y @ eye).long()
        if is_whole:
            state.copy_(places).realize()
        else:
            state[:1] = places[:1]
        return x[state]

    recorded = tn.jit(take, warm_up=False)
    if on_device == "cpu":
        assert recorded(tn.ones(2)).tolist() == [1.0, 1.0]
    else:
        with pytest.raises(RecordingError, match="values that jit cannot read while it records"):
            recorded(tn.ones(2))


@pytest.mark.parametrize("kind", [int, float])
def test_an_index_made_with_a_number_of_an_optimizer(on_device, kind):
    """An integer is a condition, a float may be another one in each replay."""
    x = tn.arange(10.0)
    optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=0.1)
    group = optimizer.param_groups[0]
    group["step"] = kind(1)

    def take(y):
        return x[(tn.where(y >= 0, y, 0) * group["step"]).long()]

    recorded = tn.jit(take, warm_up=False)
    if on_device == "opencl" and kind is float:
        with pytest.raises(RecordingError, match="values that jit cannot read while it records"):
            recorded(tn.tensor([2, -100]))
        return
    for step in (1, 3, 4):
        group["step"] = kind(step)
        assert recorded(tn.tensor([2, -100])).tolist() == [2 * step, 0]


# where integers beside them change: a BatchNorm counts its batches
def half_written(part):
    y = tn.zeros(4, dtype=tn.int64)
    y[:2] = part
    return y


PLACES = {
    "cat": lambda x: tn.cat([tn.arange(2, 4), tn.arange(2)]),
    "stack": lambda x: tn.stack([tn.arange(2), tn.arange(2)]).flatten(),
    "written in parts": lambda x: half_written(tn.arange(2, 4)),
    "put": lambda x: tn.zeros(4, dtype=tn.int64).index_put_((tn.tensor([2, 1]),), tn.arange(2, 4)),
    "argmax": lambda x: (x @ tn.eye(4)).argmax(1),
    "argsort": lambda x: x.argsort(1)[:, 1],
    "largest": lambda x: (x > 0).long().cummax(1).values[:, 3],
    "permutation": lambda x: tn.randperm(4),
    "drawn": lambda x: tn.multinomial(x.exp(), 1, replacement=True)[:, 0],
    "column": lambda x: x.flatten().topk(4).indices % 4,
}


@pytest.mark.parametrize("name", PLACES)
def test_indices_made_of_nothing_from_outside_are_no_condition(on_device, name):
    norm = nn.BatchNorm1d(4)
    step = tn.jit(lambda x: nn.functional.cross_entropy(norm(x), PLACES[name](x)))
    for _ in range(6):
        step(tn.randn(4, 4))
    assert step.count == 1


def test_a_place_that_goes_round_beside_a_counter(on_device):
    rows, place, count = tn.zeros(3), tn.tensor([0]), tn.tensor([0])

    @tn.jit
    def push(x):
        rows[place] = x
        rows[count % 3] += 1
        place.add_(1).remainder_(3)
        count.add_(1)

    for i in range(12):
        push(tn.tensor([float(i)]))
    assert rows.tolist() == [10, 11, 12]
    assert push.count <= 2


JOINED = {
    "cat": lambda y: tn.cat([y, y + 1]),
    "settled": lambda y: tn.cat([(y + 1).realize(), tn.arange(2)]),
    "written in parts": lambda y: half_written(y + 1),
    "largest": lambda y: (y + 1).cummax(0).values,
}


@pytest.mark.parametrize("name", JOINED)
def test_indices_joined_of_some_that_come_in(on_device, name):
    x, count = tn.arange(10.0), tn.tensor(0)

    def take(y):
        count.add_(1)
        return x[JOINED[name](y)]

    recorded = tn.jit(take)
    for y in ([0, 1], [2, 3], [8, 2], [0, 1], [3, 8], [8, 8], [5, 6]):
        assert recorded(tn.tensor(y)).tolist() == JOINED[name](tn.tensor(y)).tolist()
    assert recorded.count <= 4
    for y in ([9, 9], [0, 9], [100, 0]):
        with pytest.raises((DimError, RecordingError), match="range for dim 0 of size 10"):
            recorded(tn.tensor(y))


def test_what_comes_of_joined_indices_is_no_wider_than_it_says(on_device):
    """Outputs, and tensors that are written, are looked at in their turn."""
    x, state, count = tn.arange(10.0), tn.tensor([0, 0]), tn.tensor(0)

    @tn.jit
    def step(y):
        count.add_(1)
        state[:1] = y
        return tn.cat([y, y]), x[:5][y.clamp(0, 4)]

    for i in range(6):
        made, _ = step(tn.tensor([i]))
        assert x[made].tolist() == [i, i]
        assert x[state].tolist() == [i, 0]
    made, _ = step(tn.tensor([10]))
    for places in (made, state):
        with pytest.raises(DimError, match="index 10 is out of range"):
            x[places].tolist()


@pytest.mark.parametrize(
    "index",
    [lambda t: t // 4, lambda t: t.expand(2, 1).sum(0), lambda t: t % 7],
    ids=["//", "sum", "%"],
)
def test_indices_made_of_a_count_that_grows(on_device, index):
    table, count = tn.arange(64.0), tn.zeros(1, dtype=tn.int64)

    @tn.jit
    def step(x):
        y = table[index(count)] * x
        count.add_(1)
        return y

    for i in range(20):
        assert step(tn.ones(1)).item() == index(tn.full((1,), i)).item()
    assert step.count == 1
