"""What random augmentations have in common, and how they are put together."""

from collections.abc import Sequence
from typing import Any, overload

from tinynet.data.augmentation.checks import Value, check_chance, check_images
from tinynet.data.augmentation.mapping import AffineMap, warp
from tinynet.data.augmentation.resampling import check_resampling, computing_dtype
from tinynet.errors import ArgumentTypeError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.random import Generator, rand
from tinynet.tensor import Tensor

Batch = list[Any]  # the images (n, channels, height, width), then what belongs to them
Resampling = tuple[int, str, float]  # order, mode and cval


class Transform:
    """Base of augmentations: `transform(images, generator=None)` gives changed images.

    A list or tuple in place of images is a batch as `DataLoader` makes it, images first: the
    result is a list with other images, so a transform can be given to
    `DataLoader(transform=...)`. Parameters are drawn for each image, from `generator` or the
    global one, on the images' device; images given are never changed. A subclass writes `change`.
    """

    @overload
    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor: ...
    @overload
    def __call__(self, images: Sequence[Any], generator: Generator | None = None) -> Batch: ...
    def __call__(self, images: Any, generator: Generator | None = None) -> Any:
        """Changed images, or a batch with changed images."""
        if isinstance(images, list | tuple):
            if not images:
                raise ShapeError(f"{self._name}: an empty batch, expected [images, ...]")
            return self.change_batch(list(images), generator)
        return self.change(check_images(self._name, images), generator)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images changed, with parameters drawn from `generator`."""
        raise NotImplementedError(f"{self._name}: change is not written")

    def change_batch(self, batch: Batch, generator: Generator | None) -> Batch:
        """The batch with changed images; a subclass that changes targets too overrides this."""
        return [self(batch[0], generator), *batch[1:]]

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        arguments = [f"{k}={x!r}" for k, x in vars(self).items() if not k.startswith("_")]
        return f"{self._name}({', '.join(arguments)})"


class Warp(Transform):
    """Base of transforms that move pixels; `Compose` makes one resampling of several in a row.

    A subclass writes `draw`. `resampling` is None for those that resample as their neighbours do;
    `has_displacements` says whether `draw` gives some.
    """

    has_displacements = False

    def __init__(self, order: int = 1, mode: str = "constant", cval: float = 0.0) -> None:
        check_resampling(self._name, order, mode, cval)
        self.order, self.mode, self.cval = order, mode, cval

    @property
    def resampling(self) -> Resampling | None:
        """How it reads pixels: order, mode and cval."""
        return self.order, self.mode, self.cval

    def draw(self, images: Tensor, generator: Generator | None) -> tuple[AffineMap, Tensor | None]:
        """A map for each image, and displacements that follow it."""
        raise NotImplementedError(f"{self._name}: draw is not written")

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images, resampled once."""
        return resample([self], images, generator)


def resample(warps: Sequence[Warp], images: Tensor, generator: Generator | None) -> Tensor:
    """One warp after the other, drawn in that order, by one resampling.

    Only the last one may have displacements, and the resamplings must be the same.
    """
    map_, displacements = AffineMap(), None
    for each in warps:
        next_map, displacements = each.draw(images, generator)
        map_ = map_.then(next_map)
    order, mode, cval = next(each.resampling for each in warps if each.resampling is not None)
    return warp(images, map_, order, mode, cval, displacements)


class Compose(Transform):
    """Transforms one after the other; those that move pixels, in a row, by one resampling.

    So rotating and then translating blurs no more than one of them, and nothing is lost that
    leaves the frame and comes back. That holds where `order`, `mode` and `cval` are the same, and
    up to the first elastic distortion.

    >>> import tinynet as tn
    >>> from tinynet.data.augmentation import RandomRotation, RandomTranslation
    >>> transform = Compose([RandomRotation(10), RandomTranslation((0.1, 0.1))])
    >>> images = transform(tn.rand(2, 1, 28, 28), tn.Generator().manual_seed(0))
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        for each in transforms:
            if not isinstance(each, Transform):
                raise ArgumentTypeError(f"Compose: {each!r:.60} is no transform")
        self.transforms = list(transforms)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images after all transforms."""
        for run in self._runs():
            images = _apply(run, images, generator)
        return images

    def change_batch(self, batch: Batch, generator: Generator | None) -> Batch:
        """The batch after all transforms."""
        for run in self._runs():
            if len(run) == 1:
                batch = run[0](batch, generator)
            else:
                batch = [_apply(run, batch[0], generator), *batch[1:]]
        return batch

    def _runs(self) -> list[list[Transform]]:
        """The transforms, those together that one resampling does."""
        runs: list[list[Transform]] = []
        for each in self.transforms:
            if runs and _fits(runs[-1], each):
                runs[-1].append(each)
            else:
                runs.append([each])
        return runs


def _fits(run: list[Transform], transform: Transform) -> bool:
    """Whether one resampling can do a run and then another transform."""
    warps = [each for each in (*run, transform) if isinstance(each, Warp)]
    if len(warps) <= len(run) or any(each.has_displacements for each in warps[:-1]):
        return False
    return len({each.resampling for each in warps} - {None}) <= 1


def _apply(run: list[Transform], images: Tensor, generator: Generator | None) -> Tensor:
    warps = [each for each in run if isinstance(each, Warp)]
    if len(run) > 1 and any(each.resampling is not None for each in warps):
        return resample(warps, images, generator)
    for each in run:
        images = each(images, generator)
    return images


class RandomApply(Transform):
    """Each image changed by `transform` with probability `p`, else left as it is."""

    def __init__(self, transform: Transform, p: float = 0.5) -> None:
        if not isinstance(transform, Transform):
            raise ArgumentTypeError(f"RandomApply: {transform!r:.60} is no transform")
        self.transform = transform
        self.p = check_chance("RandomApply", "p", p)

    def change(self, images: Tensor, generator: Generator | None) -> Tensor:
        """The images, some of them changed."""
        is_changed = draw_choice(self.p, images, generator)
        changed = self.transform(images, generator)
        if changed.shape != images.shape:
            raise ShapeError(
                f"RandomApply: {self.transform!r:.60} makes images of shape {changed.shape}"
                f" of {images.shape}, expected the same shape"
            )
        return where(is_changed.reshape(-1, 1, 1, 1), changed, images)  # type: ignore[no-any-return]


def draw_choice(p: float, images: Tensor, generator: Generator | None) -> Tensor:
    """For each image whether something of probability `p` happens."""
    return rand(images.shape[0], generator=generator, device=images.device) < p


def draw_uniform(
    ranges: Sequence[tuple[float, float]], images: Tensor, generator: Generator | None
) -> list[Value]:
    """For each range (low, high) a number between the two for each image, or the only one."""
    n_drawn = sum(low != high for low, high in ranges)
    if not n_drawn:
        return [low for low, _ in ranges]
    rows = iter(
        rand(
            n_drawn, images.shape[0],
            generator=generator, dtype=computing_dtype(images.dtype), device=images.device,
        )
    )  # fmt: skip
    return [low if low == high else next(rows) * (high - low) + low for low, high in ranges]
