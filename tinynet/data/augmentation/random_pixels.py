"""Random changes of pixels' values, and mixing: other ones for each image, each time."""

import math
from collections.abc import Sequence

from tinynet.data.augmentation import pixels
from tinynet.data.augmentation.checks import check_count, check_finite, check_positive, check_range
from tinynet.data.augmentation.pixels import UNIT, Limits
from tinynet.data.augmentation.transform import Batch, Transform, draw_uniform
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn.functional.embedding import one_hot
from tinynet.ops.operands import require_tensor
from tinynet.ops.random import Generator, rand, randint, randperm
from tinynet.tensor import Tensor


class Normalize(Transform):
    """`(images - mean) / std`, numbers or one for each channel. Nothing is random here.

    >>> import tinynet as tn
    >>> Normalize(0.5, 0.25)(tn.tensor([[[[0.0, 0.5, 1.0]]]]))
    tensor([[[[-2.,  0.,  2.]]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = mean, std

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images normalized."""
        return pixels.normalize(images, self.mean, self.std)


class ColorJitter(Transform):
    """Brightness and contrast changed by random factors: `torchvision`'s, without hue.

    `brightness` and `contrast` are a number b for factors between max(0, 1 - b) and 1 + b, or a
    pair (lowest, highest). `limits` are the pixels' lowest and highest value, or None.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        *,
        limits: Limits = UNIT,
    ) -> None:
        self.brightness = _factors(self._name, "brightness", brightness)
        self.contrast = _factors(self._name, "contrast", contrast)
        self.limits = limits if limits is None else check_range(self._name, "limits", limits)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images with other brightness, then other contrast."""
        brightness, contrast = draw_uniform([self.brightness, self.contrast], images, generator)
        if self.brightness != (1.0, 1.0):
            images = pixels.adjust_brightness(images, brightness, self.limits)
        if self.contrast != (1.0, 1.0):
            images = pixels.adjust_contrast(images, contrast, self.limits)
        return images


def _factors(op: str, name: str, value: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(value, Sequence):
        low, high = check_range(op, name, value)
    else:
        amount = check_finite(op, name, value)
        low, high = max(0.0, 1 - amount), 1 + amount
    if low < 0 or high < low:
        raise ArgumentError(f"{op}: {name} is {value!r:.60}, expected none below 0")
    return low, high


class GaussianNoise(Transform):
    """Normal noise of deviation `std` added; the result is held within `limits`, if any."""

    def __init__(self, std: float = 0.1, *, limits: Limits = UNIT) -> None:
        self.std = check_finite(self._name, "std", std)
        if self.std < 0:
            raise ArgumentError(f"{self._name}: std is {std}, expected none below 0")
        self.limits = limits if limits is None else check_range(self._name, "limits", limits)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images with noise."""
        return pixels.gaussian_noise(images, self.std, self.limits, generator)


class Cutout(Transform):
    """A square of `size` pixels set to `cval`, with its centre anywhere in the image.

    What of it lies outside is left out, so often less is cut. DeVries & Taylor 2017.
    """

    def __init__(self, size: int, cval: float = 0.0) -> None:
        self.size = check_count(self._name, "size", size)
        self.cval = check_finite(self._name, "cval", cval)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images with a square missing."""
        n, _, height, width = images.shape
        top, left = (
            randint(0, side, (n,), generator=generator, device=images.device) - self.size // 2
            for side in (height, width)
        )
        return pixels.cutout(images, top, left, self.size, self.cval)


class MixUp(Transform):
    """Each image mixed with another one of its batch, and their targets likewise.

    Takes a batch [images, targets] and gives [mixed images, soft targets]: classes become rows
    of `num_classes` probabilities, which `cross_entropy` takes; floats are mixed as they are.
    The share that an image keeps is drawn from Beta(`alpha`, `alpha`). Zhang et al. 2018.

    >>> import tinynet as tn
    >>> batch = [tn.rand(4, 1, 28, 28), tn.tensor([0, 1, 2, 1])]
    >>> images, targets = MixUp(num_classes=3)(batch)
    >>> targets.shape
    (4, 3)
    """

    def __init__(self, num_classes: int, alpha: float = 0.2) -> None:
        self.num_classes = check_count(self._name, "num_classes", num_classes)
        self.alpha = check_positive(self._name, "alpha", alpha)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """An error: mixing needs the targets too."""
        raise ShapeError("MixUp: images alone, expected a batch [images, targets]")

    def change_batch(self, batch: Batch, generator: Generator | None) -> Batch:
        """The batch mixed."""
        if len(batch) != 2:
            raise ShapeError(f"MixUp: a batch of {len(batch)} parts, expected [images, targets]")
        images, targets = batch[0], require_tensor("MixUp", batch[1], "targets")
        n = len(images)
        if not targets.dtype.is_floating_point:
            targets = one_hot(targets.long(), self.num_classes).to(images.dtype)
        partners = randperm(n, generator=generator, device=images.device)
        share = draw_beta(self.alpha, n, generator, images)
        return list(pixels.mixup(images, targets, partners, share))


def draw_beta(alpha: float, n: int, generator: Generator | None, like: Tensor) -> Tensor:
    """`n` numbers from Beta(alpha, alpha), exactly, by four uniforms for each.

    A gamma variable of shape alpha is one of shape alpha + 1 times U**(1 / alpha) (Marsaglia &
    Tsang 2000). The share that one of two such variables of shape alpha + 1 has in their sum is
    from Beta(alpha + 1, alpha + 1), which the polar method draws (Ulrich 1984).
    """
    u = 1 - rand(4, n, generator=generator, dtype=like.dtype, device=like.device)  # none is 0
    radius = (1 - u[0] ** (2 / (2 * alpha + 1))).sqrt()
    ratio = (1 + radius * (u[1] * (2 * math.pi)).cos()) / 2
    odds = ratio.log() - (1 - ratio).log() + (u[2].log() - u[3].log()) / alpha
    return odds.sigmoid()
