"""Random geometry: affine transforms, flips, crops and elastic distortion, other ones each time.

`order`, `mode` and `cval` are those of `resampling`.
"""

from collections.abc import Sequence
from typing import Any

from tinynet.data.augmentation.checks import (
    check_chance,
    check_count,
    check_finite,
    check_positive,
    check_range,
)
from tinynet.data.augmentation.elastic import elastic_displacements
from tinynet.data.augmentation.geometry import affine_map, crop, horizontal_flip, vertical_flip
from tinynet.data.augmentation.mapping import AffineMap
from tinynet.data.augmentation.resampling import check_resampling
from tinynet.data.augmentation.transform import (
    Resampling,
    Transform,
    Warp,
    draw_choice,
    draw_uniform,
)
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.random import Generator, randint
from tinynet.tensor import Tensor

Range = tuple[float, float]
Ranges = tuple[Range, Range]  # of x and of y
FIXED = (0.0, 0.0)


class RandomAffine(Warp):
    """Images sheared, scaled, rotated and translated at random (`torchvision`'s arguments).

    * `degrees`: a number d for angles between -d and d, or a pair (lowest, highest)
    * `translate`: the largest shifts (x, y) as fractions of the width and height
    * `scale`: the smallest and the largest factor; or four numbers, for x and for y apart
    * `shear`: a number s for x between -s and s degrees, a pair for x, or four for x and y
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(order, mode, cval)
        self.degrees = _symmetric(self._name, "degrees", degrees)
        self.translate = _check_fractions(self._name, translate)
        self.scale = _check_factors(self._name, scale)
        self.shear = _check_shear(self._name, shear)

    def draw(self, images: Tensor, generator: Generator | None) -> tuple[AffineMap, None]:
        """An affine map for each image."""
        height, width = images.shape[2:]
        x, y = self.translate[0] * width, self.translate[1] * height
        ranges = [self.degrees, (-x, x), (-y, y), *self.shear, *self.scale]
        angle, right, down, shear_x, shear_y, *factors = draw_uniform(ranges, images, generator)
        pair = factors[0], factors[-1]  # one factor is for both
        map_ = affine_map(self._name, images, angle, (right, down), pair, (shear_x, shear_y))
        return map_, None


def _symmetric(op: str, name: str, value: Any) -> Range:
    """A range; a number is one about 0."""
    if isinstance(value, Sequence):
        return check_range(op, name, value)
    most = check_finite(op, name, value)
    if most < 0:
        raise ArgumentError(f"{op}: {name} is {most}, expected none below 0, or a pair (low, high)")
    return -most, most


def _check_fractions(op: str, value: Any) -> Range:
    if value is None:
        return FIXED
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ArgumentTypeError(f"{op}: translate is {value!r:.60}, expected a pair (x, y)")
    x, y = (check_finite(op, "translate", each) for each in value)
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ArgumentError(
            f"{op}: translate is {value!r:.60}, expected fractions of the size, between 0 and 1"
        )
    return x, y


def _check_factors(op: str, value: Any) -> tuple[Range, ...]:
    """One range for both directions, or two."""
    if value is None:
        return ((1.0, 1.0),)
    ranges = _split(op, "scale", value)
    for low, _ in ranges:
        check_positive(op, "scale", low)
    return ranges


def _check_shear(op: str, value: Any) -> Ranges:
    if value is None:
        return FIXED, FIXED
    if not isinstance(value, Sequence):
        first, second = _symmetric(op, "shear", value), FIXED
    else:
        first, second = (*_split(op, "shear", value), FIXED)[:2]
    for bound in (*first, *second):
        if abs(bound) >= 90:
            raise ArgumentError(f"{op}: shear is {value!r:.60}, expected less than 90 degrees")
    return first, second


def _split(op: str, name: str, value: Any) -> tuple[Range, ...]:
    """Two numbers as a range, four as two ranges."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (2, 4):
        raise ArgumentTypeError(
            f"{op}: {name} is {value!r:.60}, expected (low, high), or four numbers for x and y"
        )
    return tuple([check_range(op, name, value[i : i + 2]) for i in range(0, len(value), 2)])


class RandomRotation(RandomAffine):
    """Images turned by random angles, in degrees: between -d and d, or a pair."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(degrees, order=order, mode=mode, cval=cval)


class RandomTranslation(RandomAffine):
    """Images moved by random distances, at most fractions (x, y) of the width and height."""

    def __init__(
        self,
        translate: Sequence[float],
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(0, translate, order=order, mode=mode, cval=cval)


class RandomScale(RandomAffine):
    """What images show made larger by random factors: (low, high), or four numbers for x and y."""

    def __init__(
        self,
        scale: Sequence[float],
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(0, scale=scale, order=order, mode=mode, cval=cval)


class RandomShear(RandomAffine):
    """Images sheared by random angles: a number or (low, high) for x, or four for x and y."""

    def __init__(
        self,
        shear: float | Sequence[float],
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(0, shear=shear, order=order, mode=mode, cval=cval)


class RandomHorizontalFlip(Warp):
    """Left and right exchanged with probability `p`."""

    resampling: Resampling | None = None

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_chance(self._name, "p", p)

    def draw(self, images: Tensor, generator: Generator | None) -> tuple[AffineMap, None]:
        """A mirror image, or the same, for each image."""
        return AffineMap(xx=self._draw_sign(images, generator)), None

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images, some of them mirrored; nothing is interpolated."""
        is_flipped = draw_choice(self.p, images, generator).reshape(-1, 1, 1, 1)
        return where(is_flipped, self._flipped(images), images)  # type: ignore[no-any-return]

    def _draw_sign(self, images: Tensor, generator: Generator | None) -> Tensor:
        return 1.0 - 2.0 * draw_choice(self.p, images, generator).to(images.dtype)

    def _flipped(self, images: Tensor) -> Tensor:
        return horizontal_flip(images)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Above and below exchanged with probability `p`."""

    def draw(self, images: Tensor, generator: Generator | None) -> tuple[AffineMap, None]:
        """A mirror image, or the same, for each image."""
        return AffineMap(yy=self._draw_sign(images, generator)), None

    def _flipped(self, images: Tensor) -> Tensor:
        return vertical_flip(images)


class RandomCrop(Transform):
    """Windows of `size` (a number, or (height, width)) at random places of the images.

    `padding` is how many pixels they may reach beyond the image on each side; `mode` and `cval`
    say what is to be seen there.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int = 0,
        *,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        check_resampling(self._name, 0, mode, cval)
        pair = size if isinstance(size, Sequence) else (size, size)
        if len(pair) != 2:
            raise ArgumentTypeError(f"RandomCrop: size is {size!r:.60}, expected (height, width)")
        height, width = (check_count(self._name, "size", each) for each in pair)
        self.size = height, width
        self.padding = check_count(self._name, "padding", padding, least=0)
        self.mode, self.cval = mode, cval

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """A window of each image."""
        height, width = self.size
        top = self._draw_start(images, 2, height, generator)
        left = self._draw_start(images, 3, width, generator)
        return crop(images, top, left, height, width, mode=self.mode, cval=self.cval)

    def _draw_start(
        self, images: Tensor, dim: int, length: int, generator: Generator | None
    ) -> Tensor:
        """For each image where the window begins along a dim."""
        count = images.shape[dim] + 2 * self.padding - length + 1
        if count < 1:
            raise ShapeError(
                f"RandomCrop: images of shape {images.shape} with {self.padding} pixels of"
                f" padding, expected at least {self.size}"
            )
        n = images.shape[0]
        start = randint(0, count, (n,), generator=generator, device=images.device)
        return (start - self.padding).to(images.dtype)


class ElasticDistortion(Warp):
    """Images distorted by smooth random fields: `elastic_displacements` (Simard et al. 2003)."""

    has_displacements = True

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        *,
        order: int = 1,
        mode: str = "constant",
        cval: float = 0.0,
    ) -> None:
        super().__init__(order, mode, cval)
        self.alpha = check_finite(self._name, "alpha", alpha)
        self.sigma = check_positive(self._name, "sigma", sigma)

    def draw(self, images: Tensor, generator: Generator | None) -> tuple[AffineMap, Tensor]:
        """A field of displacements for each image."""
        return AffineMap(), elastic_displacements(images, self.alpha, self.sigma, generator)
