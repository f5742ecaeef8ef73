"""Random transforms: their ranges, seeds, devices, composition, batches, and statistics."""

import math

import numpy as np
import pytest
from scipy import stats

import tinynet as tn
from tinynet.data import augmentation
from tinynet.data.augmentation import (
    ColorJitter,
    Compose,
    Cutout,
    ElasticDistortion,
    GaussianNoise,
    MixUp,
    Normalize,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomScale,
    RandomShear,
    RandomTranslation,
    RandomVerticalFlip,
)
from tinynet.data.augmentation.random_pixels import draw_beta
from tinynet.errors import DeviceError, MissingDependencyError

AFFINE = RandomAffine(30, (0.2, 0.1), (0.8, 1.2), (-10, 10, -5, 5), mode="nearest")
TRANSFORMS = [
    AFFINE, RandomRotation(20), RandomTranslation((0.2, 0.2)), RandomScale((0.5, 2)),
    RandomShear(20), RandomHorizontalFlip(), RandomVerticalFlip(), RandomCrop(6, 2),
    ElasticDistortion(20, 2), ColorJitter(0.5, 0.5), GaussianNoise(0.2), Cutout(4),
    RandomApply(RandomRotation(90)),
    Compose([AFFINE, RandomHorizontalFlip(), ElasticDistortion(mode="nearest"), Cutout(4)]),
]  # fmt: skip


def seeded(seed=0):
    return tn.Generator().manual_seed(seed)


def name_of(transform):
    return type(transform).__name__


@pytest.mark.parametrize("transform", TRANSFORMS, ids=name_of)
def test_seeds_repeat_and_images_differ(transform):
    image = tn.rand(1, 2, 12, 10)
    images = image.expand(40, 2, 12, 10)
    one, same, other = (transform(images, seeded(seed)) for seed in (1, 1, 2))
    assert one.equal(same)
    assert not one.equal(other)
    assert len({tuple(each.reshape(-1).tolist()) for each in one}) > 1
    assert images.equal(image.expand(40, 2, 12, 10))
    tn.manual_seed(1)
    assert transform(images).equal(one)  # the global generator is one like the others


@pytest.mark.parametrize("transform", [TRANSFORMS[-1], ColorJitter(0.5, 0.5)], ids=name_of)
def test_devices_agree(transform):
    try:
        images = tn.rand(6, 2, 12, 10, device="opencl")
    except (DeviceError, MissingDependencyError) as error:
        pytest.skip(str(error))
    found = transform(images, seeded())
    assert found.device == images.device
    np.testing.assert_allclose(
        found.cpu().numpy(), transform(images.cpu(), seeded()).numpy(), atol=2e-5
    )


def drawn(transform, n=2000, shape=(1, 20, 10)):
    map_, _ = transform.draw(tn.zeros(n, *shape, dtype=tn.float64), seeded())
    return [each.numpy() if isinstance(each, tn.Tensor) else each for each in map_]


def is_spread(values, low, high):
    """Uniform between the two, as Kolmogorov and Smirnov test it."""
    assert low <= values.min()
    assert values.max() <= high
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.001


def test_ranges_of_parameters():
    yy, yx, xy, xx, y, x = drawn(RandomRotation((10, 40)))
    assert is_spread(np.degrees(np.arctan2(yx, yy)), 10, 40)
    assert (xy == -yx).all()
    assert (y, x) == (0, 0)
    yy, yx, xy, xx, y, x = drawn(RandomTranslation((0.2, 0.1)))
    assert is_spread(x, -2, 2)
    assert is_spread(y, -2, 2)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.1
    yy, yx, xy, xx, y, x = drawn(RandomScale((0.5, 2)))
    assert is_spread(1 / xx, 0.5, 2)
    assert (xx == yy).all()
    yy, yx, xy, xx, y, x = drawn(RandomScale((0.5, 2, 1, 1.5)))
    assert is_spread(1 / xx, 0.5, 2)
    assert is_spread(1 / yy, 1, 1.5)
    yy, yx, xy, xx, y, x = drawn(RandomShear(30))
    assert is_spread(np.degrees(np.arctan(xy)), -30, 30)
    assert (yy, yx) == (1, 0)
    yy, yx, xy, xx, y, x = drawn(RandomShear((0, 0, 10, 20)))
    assert is_spread(np.degrees(np.arctan(yx)), 10, 20)
    assert xy == 0


def test_crops_are_at_all_places_equally_often():
    places = tn.arange(20.0).reshape(1, 1, 4, 5).expand(6000, 1, 4, 5) + 1
    found = RandomCrop((3, 4), 1)(places, seeded())[:, 0, 1, 1].numpy()
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == [1 + 5 * i + j for i in range(4) for j in range(4)]
    assert stats.chisquare(counts).pvalue > 0.001


def test_cuts_have_their_centres_everywhere():
    found = Cutout(3)(tn.ones(6000, 1, 4, 5), seeded())
    first = found[:, 0, 0, 0].mean().item()
    assert first == pytest.approx(1 - 4 / 20, abs=0.02)  # of the centres 4 of 20 are near enough
    assert found[:, 0, 1, 2].mean().item() == pytest.approx(1 - 9 / 20, abs=0.02)


@pytest.mark.parametrize("flip", [RandomHorizontalFlip, RandomVerticalFlip])
def test_flips_of_every_pth_image(flip):
    images = tn.rand(1000, 1, 2, 3)
    turned = images.flip(3 if flip is RandomHorizontalFlip else 2)
    found = flip(0.2)(images, seeded())
    is_flipped = (found == turned).all((1, 2, 3))
    is_same = (found == images).all((1, 2, 3))
    assert (is_flipped ^ is_same).all()
    assert is_flipped.float().mean().item() == pytest.approx(0.2, abs=0.04)


def test_elastic_fields_are_as_large_as_documented():
    field = augmentation.elastic_displacements(tn.zeros(50, 1, 60, 60), 34, 4, seeded())
    middle = field[:, :, 20:40, 20:40]
    assert middle.std().item() == pytest.approx(34 / (4 * 6.14), rel=0.05)
    assert abs(middle.mean().item()) < 0.4


def test_jitter_and_noise():
    images = tn.full((2000, 1, 2, 2), 0.5)
    factors = ColorJitter(brightness=0.4)(images, seeded())[:, 0, 0, 0] / 0.5
    assert is_spread(factors.numpy(), 0.6, 1.4)
    steps = tn.tensor([[0.25, 0.75]]).expand(2000, 1, 1, 2)
    contrasts = ColorJitter(contrast=(0.5, 1.5))(steps, seeded())
    assert is_spread(((contrasts[..., 1] - contrasts[..., 0]) * 2).reshape(-1).numpy(), 0.5, 1.5)
    noise = (GaussianNoise(0.2, limits=None)(images, seeded()) - images).reshape(-1).numpy()
    assert stats.kstest(noise / 0.2, "norm").pvalue > 0.001


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_from_a_beta_distribution(alpha):
    found = draw_beta(alpha, 4000, seeded(), tn.zeros(1, dtype=tn.float64)).numpy()
    assert stats.kstest(found, stats.beta(alpha, alpha).cdf).pvalue > 0.001
    narrow = draw_beta(0.001, 4000, seeded(), tn.zeros(1)).numpy()
    assert np.isfinite(narrow).all()


def test_mixup_of_a_batch():
    images = tn.eye(6).reshape(6, 1, 2, 3)  # image i is 1 at pixel i
    mixed, targets = MixUp(7, alpha=1.0)([images, tn.arange(6)], seeded())
    assert (targets.shape, targets.dtype) == ((6, 7), tn.float32)
    np.testing.assert_allclose(mixed.numpy().reshape(6, 6), targets.numpy()[:, :6], atol=1e-6)
    np.testing.assert_allclose(targets.numpy().sum(1), 1, atol=1e-6)
    assert len(np.unique(targets.numpy().max(1))) > 3  # a share for each
    soft = MixUp(7)([images, targets], seeded())[1]
    assert soft.shape == (6, 7)


def test_warps_in_a_row_are_one_resampling():
    """Blurred once: out of the frame and back again, everything is where it was."""
    images = tn.rand(3, 1, 9, 9, dtype=tn.float64)
    there, back = (RandomAffine((a, a), scale=(f, f)) for a, f in ((30, 2.0), (-30, 0.5)))
    found = Compose([there, back])(images)
    np.testing.assert_allclose(found.numpy(), images.numpy(), atol=1e-12)
    assert not back(there(images)).allclose(images)


def test_composed_warps_are_done_in_their_order():
    images = tn.rand(4, 1, 12, 10, dtype=tn.float64)
    right, turned = RandomTranslation((0.0, 0.0)), RandomRotation((90, 90))
    right.translate = (0.2, 0.0)  # by up to 2 pixels
    shift = right.draw(images, seeded())[0].x
    found = Compose([right, turned])(images, seeded())
    expected = augmentation.affine(images, 90, (0, shift))  # to the right, then that is up
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-12)


def test_an_elastic_distortion_joins_the_warps_before_it():
    images = tn.rand(3, 1, 12, 12, dtype=tn.float64)
    turn, stretch = RandomRotation((20, 20)), ElasticDistortion(10, 2)
    found = Compose([turn, stretch])(images, seeded())
    field = augmentation.elastic_displacements(images, 10, 2, seeded()).numpy()
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij")) - 5.5 + field
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    matrix = np.array([[cos, sin], [-sin, cos]])
    places = np.einsum("ij,njhw->nihw", matrix, grid) + 5.5
    expected = augmentation.map_coordinates(images, tn.tensor(places))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-12)


def test_runs_end_where_one_resampling_cannot_go_on():
    turn, elastic, flip = RandomRotation(10), ElasticDistortion(), RandomHorizontalFlip()
    nearest, noise = RandomRotation(10, order=0), GaussianNoise()
    chain = Compose([flip, turn, elastic, turn, flip, noise, flip, flip, nearest, turn, flip])
    assert [len(run) for run in chain._runs()] == [3, 2, 1, 3, 2]


def test_flips_alone_are_exact_in_a_row():
    images = tn.rand(20, 1, 5, 4)
    found = Compose([RandomHorizontalFlip(1.0), RandomVerticalFlip(1.0)])(images)
    assert found.equal(images.flip((2, 3)))


def test_batches():
    images, labels = tn.rand(4, 1, 8, 8), tn.arange(4)
    chain = Compose([RandomRotation(10), RandomTranslation((0.1, 0.1)), Cutout(2)])
    changed, same = chain([images, labels], seeded())
    assert changed.equal(chain(images, seeded()))
    assert same is labels
    mixing = Compose([RandomRotation(10), RandomShear(5), MixUp(4), Normalize(0.5, 0.5)])
    mixed, targets = mixing((images, labels), seeded())
    assert (mixed.shape, targets.shape) == ((4, 1, 8, 8), (4, 4))


def test_transforms_in_a_recorded_step():
    compare_recorded(Compose([AFFINE, ElasticDistortion(mode="nearest"), Cutout(3)]))


def test_transforms_in_a_recorded_step_on_every_device(on_device):
    compare_recorded(RandomHorizontalFlip())


def compare_recorded(transform):
    """Replays draw on, as calls do."""
    images = tn.rand(20, 2, 12, 10)
    replayed, called = seeded(), seeded()
    step = tn.jit(lambda x: transform(x, replayed))
    for _ in range(4):
        np.testing.assert_allclose(
            step(images).cpu().numpy(), transform(images, called).cpu().numpy(), atol=1e-5
        )


def test_what_a_transform_says_of_itself():
    assert repr(RandomRotation(10)).startswith("RandomRotation(")
    assert "degrees=(-10.0, 10.0)" in repr(RandomRotation(10))
    assert repr(Compose([Cutout(3)])) == "Compose(transforms=[Cutout(size=3, cval=0.0)])"
