"""Parametrizations that training is known to profit from: weight norm and spectral norm."""

from __future__ import annotations

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, PartError
from tinynet.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinynet.nn.functional import normalize
from tinynet.nn.module import Module
from tinynet.nn.utils.parametrize import register_parametrization
from tinynet.shape import as_dim
from tinynet.tensor import Tensor


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn lengths and directions of a weight's slices along `dim` apart: `w = g v / |v|`.

    With `dim` None (or -1, as in PyTorch) one length of the whole weight. Originals: `original0` is
    g, `original1` is v (Salimans & Kingma 2016, eq. 2). Returns the module.

    >>> from tinynet import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    (40, 1)
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight, as a matrix with `dim` for rows, by its largest singular value.

    Power iterations estimate it, `n_power_iterations` more at each use in training mode, none in
    evaluation mode (Miyato et al. 2018, algorithm 1). `dim` is where outputs are: 0, or 1 for
    transposed convolutions. Returns the module.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise PartError(
            f"spectral_norm: {type(module).__name__} has no parameter or buffer {name!r}"
        )
    if dim is None:
        transposed = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The weight."""
        return weight_v * (weight_g / self._norm(weight_v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths and the weight itself."""
        return self._norm(weight), weight

    def _norm(self, weight: Tensor) -> Tensor:
        if self.dim == -1:
            return weight.norm()
        dim = as_dim("weight_norm", self.dim, weight.ndim)
        others = [i for i in range(weight.ndim) if i != dim]
        return weight.norm(2, others, keepdim=True) if others else weight.abs()


class _SpectralNorm(Module):
    """`_u` and `_v` are estimates of the first singular vectors, for weights of 2 dims or more."""

    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if n_power_iterations <= 0:
            raise ArgumentError(
                f"spectral_norm: n_power_iterations must be above 0, got {n_power_iterations}"
            )
        self.dim = as_dim("spectral_norm", dim, weight.ndim)
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._as_matrix(weight.detach())
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                start = matrix.new_empty(size).normal_()
                self.register_buffer(name, normalize(start, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its norm; a vector's norm is its length."""
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._as_matrix(weight)
        if self.training:
            u, v = self._iterate(matrix.detach(), self.n_power_iterations)
        else:  # copies, so that a later iteration does not change what backward needs
            u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix @ v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value

    def _as_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    @no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> tuple[Tensor, Tensor]:
        """Improve the estimates, and return them apart from the buffers."""
        u, v = self._u, self._v
        for _ in range(times):
            u = normalize(matrix @ v, dim=0, eps=self.eps)
            v = normalize(matrix.T @ u, dim=0, eps=self.eps)
        self._u.copy_(u)
        self._v.copy_(v)
        return u, v
