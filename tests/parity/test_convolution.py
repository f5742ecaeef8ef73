"""Convolutions beside PyTorch: a random grid of settings, with gradients of gradients."""

import random

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

TOLERANCES = {torch.float32: (1e-4, 1e-4), torch.float64: (1e-10, 1e-10)}
CHUNK, CHUNKS = 25, 12


def draw_setting(seed):
    """A function's name, its tensors and its options; some of them do not fit.

    PyTorch lets some sizes become 0 and refuses others, or their gradients: tinynet refuses all.
    """
    pick = random.Random(seed)
    ndim = pick.choice([1, 2, 2, 2, 3])
    groups = pick.choice([1, 1, 1, 2, 3])
    inputs, outputs = (groups * pick.choice([1, 2, 3, 5]) for _ in range(2))
    if pick.random() < 0.2:  # depthwise
        groups, outputs = inputs, inputs * pick.choice([1, 2])
    batch = pick.choice([(), (1,), (2,), (3,), (9,), (17,)])
    kernel = [pick.randint(1, 4) for _ in range(ndim)]
    sizes = [pick.randint(2, 12 if ndim < 3 else 6) for _ in range(ndim)]
    stride, dilation = ([pick.randint(1, 3 - i) for _ in range(ndim)] for i in range(2))
    is_transposed = pick.random() < 0.35
    shape = (inputs, outputs // groups) if is_transposed else (outputs, inputs // groups)
    options = {"groups": groups, "stride": tuple(stride), "dilation": tuple(dilation)}
    options["padding"] = tuple([pick.randint(0, 3) for _ in range(ndim)])
    if is_transposed:
        options["output_padding"] = tuple([pick.randint(0, 1) for _ in range(ndim)])
    elif pick.random() < 0.15:
        options["padding"] = pick.choice(["same", "valid"])
    dtype = pick.choice([torch.float32, torch.float64])
    generator = torch.Generator().manual_seed(seed)
    shapes = [(*batch, inputs, *sizes), (*shape, *kernel), (outputs,)]
    x, weight, bias = (torch.randn(s, dtype=dtype, generator=generator) for s in shapes)
    name = f"conv{'_transpose' if is_transposed else ''}{ndim}d"
    return name, [x, weight, bias if pick.random() < 0.7 else None], options


def run(library, name, tensors, options, device):
    """The result, its gradients, and those of their squares."""
    tensors = [x if x is None else x.to(device).requires_grad_() for x in tensors]
    y = getattr(library.nn.functional, name)(*tensors, **options)
    if 0 in y.shape:
        raise ValueError("nothing is left")
    wanted = [x for x in tensors if x is not None]
    grads = library.autograd.grad((y * y).sum(), wanted, create_graph=True)
    total = sum((grad * grad).sum() for grad in grads)
    return [y, *grads, *library.autograd.grad(total, wanted)]


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("device", ["cpu", "opencl"])
def test_random_settings(device, chunk):
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        name, tensors, options = draw_setting(seed)
        try:
            expected = run(torch, name, tensors, options, "cpu")
        except (RuntimeError, ValueError):
            with pytest.raises(TinynetError):
                run(tn, name, converted(tensors), options, device)
            continue
        got = run(tn, name, converted(tensors), options, device)
        relative, absolute = TOLERANCES[tensors[0].dtype]
        for y, z in zip(expected, got, strict=True):  # second gradients grow large
            scaled = (relative, absolute * max(1.0, y.abs().max().item() if y.numel() else 1.0))
            found = differences(y, z.cpu(), scaled)
            assert not found, (seed, name, options, found)
