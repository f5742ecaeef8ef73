"""Random numbers: NumPy's own bits, repeatable, of the right shapes, ranges and moments."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ArgumentError


@pytest.fixture(autouse=True)
def every_device(on_device):
    """The numbers are the same on every device."""


def reference(seed):
    return np.random.Generator(np.random.Philox(key=seed))


# Bits
@pytest.mark.parametrize("seed", [0, 1, 42, 2**63, 2**64 + 1, 2**128 - 1])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_uniforms_are_numpy_s(seed, count):
    tn.manual_seed(seed)
    wide = tn.rand(count, dtype=tn.float64)
    np.testing.assert_array_equal(wide.cpu().numpy(), reference(seed).random(count))
    tn.manual_seed(seed)
    single = tn.rand(count)
    np.testing.assert_array_equal(
        single.cpu().numpy(), reference(seed).random(count, dtype=np.float32)
    )


def test_every_draw_starts_a_new_block():
    tn.manual_seed(3)
    tn.rand(1)
    stream = np.random.Philox(key=3, counter=1)
    expected = np.random.Generator(stream).random(5)
    np.testing.assert_array_equal(tn.rand(5, dtype=tn.float64).cpu().numpy(), expected)


def test_a_draw_of_many_goes_on_where_blocks_end():
    tn.manual_seed(3)
    tn.rand(9, dtype=tn.float64)  # 9 words of 64 bits are 3 blocks of 4
    assert tn.get_rng_state() == (3, 3)
    tn.rand(9)  # 9 words of 32 bits are 2
    assert tn.get_rng_state() == (3, 5)
    tn.rand(0)
    assert tn.get_rng_state() == (3, 5)


DRAWS = {
    "rand": lambda g: tn.rand(7, generator=g),
    "randn": lambda g: tn.randn(7, generator=g),
    "randint": lambda g: tn.randint(0, 1000, (7,), generator=g),
    "randperm": lambda g: tn.randperm(20, generator=g),
    "rand_like": lambda g: tn.rand_like(tn.zeros(7), generator=g),
    "randn_like": lambda g: tn.randn_like(tn.zeros(7), generator=g),
    "normal": lambda g: tn.normal(tn.zeros(7), 1.0, generator=g),
    "normal of a size": lambda g: tn.normal(0, 1, (7,), generator=g),
    "uniform": lambda g: tn.uniform(0, 1, (7,), generator=g),
    "bernoulli": lambda g: tn.bernoulli(tn.full((50,), 0.5), generator=g),
    "multinomial": lambda g: tn.multinomial(tn.ones(50), 7, generator=g),
    "with replacement": lambda g: tn.multinomial(tn.ones(50), 7, True, generator=g),
    "uniform_": lambda g: tn.zeros(7).uniform_(generator=g),
    "normal_": lambda g: tn.zeros(7).normal_(generator=g),
    "bernoulli_": lambda g: tn.zeros(50).bernoulli_(0.5, generator=g),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_repeat_after_the_same_seed_and_differ_otherwise(draw):
    draws = []
    for seed in (5, 5, 6):
        tn.manual_seed(seed)
        draws += [DRAWS[draw](None).tolist(), DRAWS[draw](None).tolist()]
    first, second = draws[:2]
    assert draws[2:4] == [first, second]
    assert first != second
    assert first not in draws[4:]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_generator_of_one_s_own(draw):
    tn.manual_seed(5)
    expected, state = DRAWS[draw](None).tolist(), tn.get_rng_state()
    generator = tn.Generator().manual_seed(5)
    assert DRAWS[draw](generator).tolist() == expected
    assert generator.get_state() == state
    assert tn.get_rng_state() == state  # the default generator has not moved


# State
def test_state_goes_back_and_on():
    state = tn.get_rng_state()
    first = tn.rand(5).tolist()
    tn.set_rng_state(state)
    assert tn.rand(5).tolist() == first
    generator = tn.Generator().manual_seed(9)
    generator.set_state((generator.initial_seed(), 4))
    other = tn.Generator().set_state(generator.get_state())
    assert tn.rand(3, generator=other).tolist() == tn.rand(3, generator=generator).tolist()


def test_seeds():
    assert tn.manual_seed(7) is tn.manual_seed(7)
    assert tn.initial_seed() == 7
    generator = tn.Generator()
    assert generator.initial_seed() != tn.Generator().initial_seed()
    chosen = generator.seed()
    assert generator.initial_seed() == chosen
    assert generator.get_state()[1] == 0
    assert tn.Generator().manual_seed(-1).initial_seed() == 2**128 - 1
    assert tn.Generator("cpu").device == "cpu"


# Shapes, dtypes, ranges
@pytest.mark.parametrize("size", [(), (3,), (2, 3), (0,), (2, 0)], ids=str)
def test_shapes(size):
    for made in (tn.rand(size), tn.rand(*size), tn.randn(size), tn.randint(5, size),
                 tn.randint(2, 5, size=size), tn.uniform(size=size), tn.normal(0, 1, size),
                 tn.rand_like(tn.zeros(size)), tn.bernoulli(tn.full(size, 0.5))):  # fmt: skip
        assert made.shape == size


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16, tn.float32, tn.float64], ids=str)
def test_uniforms_lie_between_0_and_1(dtype):
    x = tn.rand(5000, dtype=dtype)
    assert x.dtype is dtype
    assert (x >= 0).all()
    assert (x < 1).all()
    y = tn.zeros(5000, dtype=dtype).uniform_(-1, 3)
    assert ((y >= -1) & (y < 3)).all()


def test_normals_are_finite():
    for dtype in (tn.float16, tn.bfloat16, tn.float32, tn.float64):
        assert tn.randn(10001, dtype=dtype).isfinite().all()


def test_integers():
    x = tn.randint(-3, 4, (7000,))
    assert x.dtype is tn.int64
    counts = tn.bincount(x + 3)
    assert counts.shape == (7,)
    assert ((counts - 1000).abs() < 150).all()
    assert tn.randint(1, (5,)).tolist() == [0] * 5
    assert tn.randint(3, (5,), dtype=tn.int8).dtype is tn.int8
    wide = tn.randint(-(2**62), 2**62, (1000,))
    assert (wide < 0).any()
    assert (wide > 0).any()
    assert (wide.abs() <= 2**62).all()
    assert tn.randint(-128, 128, (9,), dtype=tn.int8).dtype is tn.int8


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: tn.randint(-5, 300, (9,), dtype=tn.int8),
         "randint: the numbers from -5 to 299 do not fit tinynet.int8"),
        (lambda: tn.randint(-1, 2, (9,), dtype=tn.uint8),
         "randint: the numbers from -1 to 1 do not fit tinynet.uint8"),
        (lambda: tn.randint(2**64, (9,)),
         f"randint: the numbers from 0 to {2**64 - 1} do not fit tinynet.int64"),
        (lambda: tn.randint(-(2**63), 2, (9,)),
         f"randint: {-(2**63)} to 2 are {2**63 + 2} numbers, expected at most 2**63"),
        (lambda: tn.randperm(257, dtype=tn.uint8),
         "randperm: the numbers from 0 to 256 do not fit tinynet.uint8"),
        (lambda: tn.randperm(2050, dtype=tn.float16),
         "randperm: the numbers from 0 to 2049 do not fit tinynet.float16"),
    ],
)  # fmt: skip
def test_integers_that_a_dtype_does_not_hold(draw, message):
    with pytest.raises(ArgumentError) as error:
        draw()
    assert str(error.value) == message


def test_permutations():
    for n in (0, 1, 2, 100):
        assert sorted(tn.randperm(n).tolist()) == list(range(n))
    assert tn.randperm(3, dtype=tn.int32).dtype is tn.int32
    for n, dtype in ((256, tn.uint8), (2049, tn.float16)):
        assert sorted(tn.randperm(n, dtype=dtype).tolist()) == list(range(n))
    firsts = [tn.randperm(4)[0].item() for _ in range(400)]
    assert all(60 < firsts.count(i) < 140 for i in range(4))


# Moments
@pytest.mark.parametrize("dtype", [tn.float32, tn.float64], ids=str)
def test_moments_of_uniforms(dtype):
    x = tn.rand(100_000, dtype=dtype)
    assert abs(x.mean().item() - 1 / 2) < 0.004
    assert abs(x.var().item() - 1 / 12) < 0.001
    assert ((x * 10).long().bincount() - 10_000).abs().max().item() < 450


@pytest.mark.parametrize("dtype", [tn.float32, tn.float64], ids=str)
def test_moments_of_normals(dtype):
    x = tn.randn(100_000, dtype=dtype)
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert abs((x**power).mean().item() - expected) < 0.1
    for bound in (0.5, 1, 2):
        expected = math.erf(bound / math.sqrt(2))
        assert abs((x.abs() < bound).double().mean().item() - expected) < 0.006


def test_draws_do_not_follow_from_each_other():
    x, y = tn.randn(50_000), tn.randn(50_000)
    for a, b in ((x, y), (x[:-1], x[1:]), (x[:25_000], x[25_000:]), (tn.rand(50_000) - 0.5, x)):
        correlation = (a * b).mean() / (a.std() * b.std())
        assert abs(correlation.item()) < 0.03


def test_neighbouring_seeds_do_not_follow_from_each_other():
    draws = [tn.randn(10_000, generator=tn.Generator().manual_seed(seed)) for seed in range(4)]
    for i in range(4):
        for j in range(i):
            assert abs((draws[i] * draws[j]).mean().item()) < 0.05


# Distributions
def test_normal_of_tensors():
    mean, std = tn.tensor([0.0, 100.0]), tn.tensor([[1.0], [5.0]])
    x = tn.normal(mean.expand(2, 2), std)
    assert x.shape == (2, 2)
    assert abs(x[0, 1].item() - 100) < 6
    y = tn.normal(2.0, tn.full((20_000,), 3.0))
    assert abs(y.mean().item() - 2) < 0.1
    assert abs(y.std().item() - 3) < 0.1


def test_bernoulli():
    p = tn.tensor([0.0, 0.25, 1.0]).expand(20_000, 3)
    x = tn.bernoulli(p)
    assert x.dtype is tn.float32
    share = x.mean(0).tolist()
    assert share[0] == 0
    assert share[2] == 1
    assert abs(share[1] - 0.25) < 0.02
    assert abs(tn.bernoulli(tn.zeros(20_000), 0.7).mean().item() - 0.7) < 0.02


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
@pytest.mark.parametrize("p", [0.002, 0.999])
def test_bernoulli_of_small_chances_in_half_precision(p, dtype):
    drawn = tn.empty(100_000, dtype=dtype).bernoulli_(p)
    assert drawn.dtype is dtype
    assert abs(drawn.float().mean().item() - p) < 0.0006
    assert abs(tn.bernoulli(drawn, p).float().mean().item() - p) < 0.0006


@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(replacement):
    weights = tn.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    draws = tn.cat([tn.multinomial(weights, 1, replacement) for _ in range(600)], 1)
    assert draws.dtype is tn.int64
    first, second = (row.bincount(minlength=3).tolist() for row in draws)
    assert first[1] == second[0] == 0
    assert 100 < first[0] < 200
    assert 250 < second[1] < 350


def test_multinomial_without_replacement_does_not_repeat():
    for row in tn.multinomial(tn.rand(20, 10) + 0.01, 10).tolist():
        assert sorted(row) == list(range(10))
    assert tn.multinomial(tn.ones(4), 2).shape == (2,)
    assert max(tn.multinomial(tn.tensor([1.0, 1, 0]), 100, True).tolist()) == 1


def test_no_gradients_through_draws():
    x = tn.full((3,), 0.5, requires_grad=True)
    for made in (tn.bernoulli(x), tn.normal(x, x), tn.multinomial(x, 1), tn.rand_like(x)):
        assert not made.requires_grad
    assert tn.rand_like(x, requires_grad=True).is_leaf


def test_numpy_numbers_and_tensors_as_sizes(on_device):
    x = tn.zeros(1)
    assert (x.new_full((1, np.int64(2)), 3.0) + 1).tolist() == [[4.0, 4.0]]
    for size in (np.int64(2), tn.tensor(2)):
        tn.manual_seed(0)
        drawn = tn.multinomial(tn.ones(3), size, True).tolist()
        tn.manual_seed(0)
        assert drawn == tn.multinomial(tn.ones(3), 2, True).tolist()
        assert tn.normal(0.0, 1.0, (size,)).shape == (2,)
        tn.set_rng_state(tn.get_rng_state())
        assert tn.rand(2).shape == (2,)


def test_uniform_bounds_that_are_reversed():
    x = tn.zeros(3)
    with pytest.raises(ArgumentError, match=r"low must not be above high, got 2\.0 and -3\.0"):
        x.uniform_(2.0, -3.0)
    assert x.tolist() == [0.0] * 3
    assert x.uniform_(2.0, 2.0).tolist() == [2.0] * 3
