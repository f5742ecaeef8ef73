"""Resizing by weights and by picking, and shuffles."""

import math

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, same
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

F = tn.nn.functional


def resized(**options):
    return lambda x: F.interpolate(x, **options)


def test_nearest_repeats():
    check_values(
        resized(scale_factor=2), lambda x: x.repeat(2, 2).repeat(2, 3), (2, 1, 3, 2), rtol=0
    )
    check_values(resized(size=6), lambda x: x.repeat(3, 2), (2, 1, 2), rtol=0)


def test_nearest_picks():
    x = tn.arange(10).reshape(1, 1, 10)
    assert F.interpolate(x, 4).reshape(-1).tolist() == [0, 2, 5, 7]
    assert F.interpolate(x, 4, mode="nearest-exact").reshape(-1).tolist() == [1, 3, 6, 8]
    assert F.interpolate(x, scale_factor=0.5).reshape(-1).tolist() == [0, 2, 4, 6, 8]
    assert F.interpolate(x, 12).reshape(-1).tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]


def test_infinities_stay_where_they_are_picked():
    x = tn.tensor([[[1.0, float("inf"), 3.0]]])
    assert F.interpolate(x, 2).reshape(-1).tolist() == [1.0, float("inf")]


def test_linear():
    x = tn.tensor([[[0.0, 1.0, 4.0]]])
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [
        [[0.0, 0.5, 1.0, 2.5, 4.0]]
    ]
    assert F.interpolate(x, 6, mode="linear").tolist() == [[[0.0, 0.25, 0.75, 1.75, 3.25, 4.0]]]
    assert F.interpolate(x, 1, mode="linear").tolist() == [[[1.0]]]


def test_area_is_a_mean():
    check_values(
        resized(size=(2, 1), mode="area"),
        lambda x: x.reshape(2, 1, 2, 2, 1, 3).mean((3, 5)), (2, 1, 4, 3), rtol=1e-10,
    )  # fmt: skip
    x = tn.tensor([[[0.0, 3.0, 9.0]]])
    assert F.interpolate(x, 2, mode="area").tolist() == [[[1.5, 6.0]]]


def test_weights_of_cubic_resizing_add_up():
    ones = tn.ones(1, 1, 5, 4, dtype=tn.float64)
    for options in ({}, {"align_corners": True}, {"antialias": True}):
        for size in ((3, 9), (1, 4), (12, 2)):
            y = F.interpolate(ones, size, mode="bicubic", **options)
            same(y, np.ones((1, 1, *size)), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 3, 4), {"size": 8}), ((2, 3, 5), {"size": 3}), ((1, 2, 3), {"size": 7}),
        ((1, 2, 3), {"size": 2, "mode": "nearest-exact"}), ((1, 2, 5), {"size": 3, "mode": "area"}),
        ((1, 2, 3), {"scale_factor": 1.7, "mode": "linear"}),
        ((1, 2, 3, 2), {"size": (2, 5), "mode": "bilinear"}),
        ((1, 2, 3, 2), {"size": (2, 5), "mode": "bilinear", "align_corners": True}),
        ((1, 2, 3, 2), {"scale_factor": (2, 1.5), "mode": "bicubic"}),
        ((1, 1, 5, 4), {"size": (2, 3), "mode": "lanczos", "antialias": True}),
        ((1, 1, 2, 3, 2), {"size": (3, 2, 4), "mode": "trilinear"}),
    ],
)  # fmt: skip
def test_gradients(shape, options):
    check_gradient(lambda x: F.interpolate(x, **options) ** 2, shape)


def test_sizes():
    x = tn.ones(1, 1, 10)
    assert F.interpolate(x, scale_factor=0.37).shape == (1, 1, 3)
    assert F.interpolate(x, scale_factor=0.37, recompute_scale_factor=True).shape == (1, 1, 3)
    assert F.interpolate(tn.ones(0, 1, 3), 5).shape == (0, 1, 5)
    assert F.interpolate(x.half(), 5, mode="linear").dtype is tn.float16
    same(F.interpolate(x, 10), np.ones((1, 1, 10), np.float32))


@pytest.mark.parametrize(
    ("shape", "options", "kind", "message"),
    [
        ((1, 1, 4), {}, ArgumentError,
         "interpolate: expected one of size and scale_factor, got None and None"),
        ((1, 1, 4), {"size": (2, 2)}, ShapeError,
         "interpolate: size (2, 2) has 2 numbers for 1 spatial dims, shape (1, 1, 4)"),
        ((1, 1, 4), {"size": 0}, ShapeError,
         "interpolate: cannot resize from (4,) to (0,), shape (1, 1, 4)"),
        ((1, 1, 4), {"size": 2.5}, ArgumentTypeError,
         "interpolate: size must be an int, got 2.5 (float)"),
        ((1, 1, 4), {"size": 2, "mode": "cubic"}, ArgumentError,
         "interpolate: mode must be one of nearest, nearest-exact, area, linear, bilinear, "
         "bicubic, trilinear, lanczos, got 'cubic'"),
        ((1, 1, 4), {"size": 2, "mode": []}, ArgumentError,
         "interpolate: mode must be one of nearest, nearest-exact, area, linear, bilinear, "
         "bicubic, trilinear, lanczos, got []"),
        ((1, 1, 4), {"scale_factor": math.inf}, ArgumentError,
         "interpolate: scale_factor must be finite, got inf"),
        ((1, 1, 4), {"scale_factor": [math.nan]}, ArgumentError,
         "interpolate: scale_factor must be finite, got [nan]"),
        ((1, 1, 4), {"size": 2, "mode": "bilinear"}, ShapeError,
         "interpolate: mode 'bilinear' needs 4 dims, got shape (1, 1, 4)"),
        ((1, 4), {"size": 2}, ShapeError,
         "interpolate: mode 'nearest' needs 3 or 4 or 5 dims, got shape (1, 4)"),
        ((1, 1, 4), {"size": 2, "align_corners": True}, ArgumentError,
         "interpolate: mode 'nearest' takes no align_corners"),
        ((1, 1, 4), {"size": 2, "antialias": True}, ArgumentError,
         "interpolate: antialias is for bilinear, bicubic, lanczos, got mode 'nearest'"),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos"}, ArgumentError,
         "interpolate: mode 'lanczos' needs antialias, and no align_corners"),
        ((1, 1, 4), {"size": 2, "recompute_scale_factor": True}, ArgumentError,
         "interpolate: recompute_scale_factor is for scale_factor, not for size"),
    ],
)  # fmt: skip
def test_mistakes_in_resizing(shape, options, kind, message):
    with pytest.raises(kind) as error:
        F.interpolate(tn.ones(shape), **options)
    assert str(error.value) == message


def test_integers_have_no_weights():
    with pytest.raises(DTypeError) as error:
        F.interpolate(tn.ones(1, 1, 4, dtype=tn.int64), 2, mode="linear")
    assert str(error.value) == "interpolate: expected a floating dtype, got tinynet.int64"


# Shuffles
def test_pixel_shuffle():
    x = tn.arange(8).reshape(4, 1, 2)
    assert tn.pixel_shuffle(x, 2).tolist() == [[[0, 2, 1, 3], [4, 6, 5, 7]]]
    assert tn.pixel_unshuffle(tn.pixel_shuffle(x, 2), 2).tolist() == x.tolist()
    check_gradient(lambda x: tn.pixel_shuffle(x, 2) ** 2, (2, 8, 1, 2))
    check_gradient(lambda x: tn.pixel_unshuffle(x, 2) ** 2, (1, 2, 2, 4))


def test_channel_shuffle():
    x = tn.arange(6).reshape(1, 6, 1)
    assert tn.channel_shuffle(x, 2).reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]
    assert tn.channel_shuffle(tn.channel_shuffle(x, 2), 3).tolist() == x.tolist()
    check_gradient(lambda x: tn.channel_shuffle(x, 2) ** 2, (2, 4, 1, 2))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: tn.pixel_shuffle(tn.ones(6, 2, 2), 2), ShapeError,
         "pixel_shuffle: 6 channels are no multiple of 2 * 2, shape (6, 2, 2)"),
        (lambda: tn.pixel_shuffle(tn.ones(6, 2), 2), ShapeError,
         "pixel_shuffle: the input needs at least 3 dims, got shape (6, 2)"),
        (lambda: tn.pixel_shuffle(tn.ones(6, 2, 2), 0), ArgumentError,
         "pixel_shuffle: upscale_factor must be positive, got 0"),
        (lambda: tn.pixel_unshuffle(tn.ones(1, 3, 2), 2), ShapeError,
         "pixel_unshuffle: height and width are no multiples of 2, shape (1, 3, 2)"),
        (lambda: tn.channel_shuffle(tn.ones(1, 3, 2), 2), ArgumentError,
         "channel_shuffle: 3 channels do not part into 2 groups"),
        (lambda: tn.channel_shuffle(tn.ones(4, 2), 2), ShapeError,
         "channel_shuffle: the input needs at least 3 dims, got shape (4, 2)"),
    ],
)  # fmt: skip
def test_mistakes_in_shuffles(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
