"""Normalisation, padding, resizing and dropout beside PyTorch, on every device.

Random settings: values, gradients of all inputs, for a part of them second gradients, and errors.
"""

import itertools
import random
import warnings

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

TOLERANCES = {torch.float32: (1e-4, 1e-4), torch.float64: (1e-10, 1e-10)}
# What PyTorch says where its own gradients forget that weight may be None, or dims missing.
FAULTS = ("Expected a proper Tensor but got None", "tensor does not have a device",
          "shape '[0]' is invalid for input")  # fmt: skip
F32, F64 = torch.float32, torch.float64


@pytest.fixture(autouse=True)
def every_device(on_device):
    """Tensors are made on one device after the other."""


def rand(*shape, dtype=F64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def run(module, name, args, kwargs, order):
    """The result, changed arguments, and gradients up to an order."""
    given = [*args, *kwargs.values()]
    tensors = [x for x in given if hasattr(x, "requires_grad")]
    inputs = [x for x in tensors if x.requires_grad]
    y = getattr(module.nn.functional, name)(*args, **kwargs)
    results = [y, *(x for x in tensors if not x.requires_grad)]
    if not inputs or not y.requires_grad or order == 0:
        return results
    weights = (module.arange(y.numel(), dtype=y.dtype).reshape(y.shape) % 7) * 0.3 - 0.8
    if module is tn:
        weights = weights.to(y.device)
    grads = module.autograd.grad(y, inputs, weights, create_graph=order > 1)
    results += grads
    if order > 1:
        total = sum((g * g * (i + 1)).sum() for i, g in enumerate(grads))
        if total.requires_grad:
            results += module.autograd.grad(total, inputs, materialize_grads=True)
        else:  # PyTorch returns zeros where there is no graph
            results += [x.detach() * 0 for x in inputs]
    return results


def check(name, *args, order=1, scale=1.0, **kwargs):
    """tinynet does what PyTorch does with these arguments, errors included."""
    args = [x.detach().clone().requires_grad_(x.requires_grad)
            if isinstance(x, torch.Tensor) else x for x in args]  # fmt: skip
    ours = converted(list(args)), converted(kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = run(torch, name, args, kwargs, order)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            if any(fault in str(error) for fault in FAULTS):
                return check(name, *args, order=order - 1, **kwargs)
            try:
                got = run(tn, name, *ours, order)
            except TinynetError:
                return "error"
            got = [(y.dtype, y.shape) for y in got]
            message = f"{name}: expected an error like {str(error).splitlines()[0]}, got {got}"
            raise AssertionError(message) from None
        got = run(tn, name, *ours, order)
    relative, absolute = TOLERANCES.get(expected[0].dtype, (2e-2, 2e-2))
    found = differences(expected, got, (relative * scale, absolute * scale))
    assert not found, f"{name}({[getattr(x, 'shape', x) for x in args]}, {kwargs}): {found}"
    return "value"


def shapes_of(chooser, ndim, least=1, most=5):
    return tuple(chooser.randint(least, most) for _ in range(ndim))


def vectors(chooser, *shape, dtype, chance=0.7):
    """A weight and a bias, or None."""
    return [
        rand(*shape, dtype=dtype, seed=i).requires_grad_() if chooser.random() < chance else None
        for i in (1, 2)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_batch_norm(seed):
    chooser = random.Random(seed)
    dtype = chooser.choice([F32, F64])
    shape = shapes_of(chooser, chooser.randint(2, 5))
    training = chooser.random() < 0.7
    x = (rand(*shape, dtype=dtype) * 2 + chooser.choice([0, 3])).requires_grad_()
    weight, bias = vectors(chooser, shape[1], dtype=dtype)
    running = [None, None]
    if not training or chooser.random() < 0.7:
        running = [rand(shape[1], dtype=dtype, seed=3), rand(shape[1], dtype=dtype, seed=4).abs()]
    order = 2 if seed % 3 == 0 else 1
    check(
        "batch_norm", x, *running, weight, bias, training, chooser.choice([0.1, 0.9, 0.0, 1.0]),
        chooser.choice([1e-5, 0.3]), order=order, scale=30 if order == 2 else 1,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_instance_norm(seed):
    chooser = random.Random(seed)
    dtype = chooser.choice([F32, F64])
    shape = shapes_of(chooser, chooser.randint(3, 5))
    x = rand(*shape, dtype=dtype).requires_grad_()
    weight, bias = vectors(chooser, shape[1], dtype=dtype)
    running = [None, None]
    if chooser.random() < 0.5:
        running = [rand(shape[1], dtype=dtype, seed=3), rand(shape[1], dtype=dtype, seed=4).abs()]
    check(
        "instance_norm", x, *running, weight, bias, chooser.random() < 0.7, 0.2, 1e-2,
        order=1 + (seed % 3 == 0), scale=30 if seed % 3 == 0 else 1,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_group_norm(seed):
    chooser = random.Random(seed)
    dtype = chooser.choice([F32, F64])
    groups = chooser.randint(1, 3)
    n, *rest = shapes_of(chooser, chooser.randint(1, 4))
    channels = groups * chooser.randint(1, 3) + (chooser.random() < 0.1)
    x = rand(n, channels, *rest, dtype=dtype).requires_grad_()
    weight, bias = vectors(chooser, channels, dtype=dtype)
    order = 2 if seed % 3 == 0 else 1
    check("group_norm", x, groups, weight, bias, 1e-2, order=order, scale=30 if order == 2 else 1)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_layer_norm(name, seed):
    chooser = random.Random(seed)
    dtype = chooser.choice([F32, F64])
    shape = shapes_of(chooser, chooser.randint(1, 4))
    last = shape[len(shape) - chooser.randint(1, len(shape)) :]
    x = rand(*shape, dtype=dtype).requires_grad_()
    vector = vectors(chooser, *last, dtype=dtype)[: 2 if name == "layer_norm" else 1]
    order = 2 if seed % 3 == 0 else 1
    eps = {"eps": 1e-2} if order == 2 or chooser.random() < 0.5 else {}
    check(name, x, last, *vector, order=order, scale=30 if order == 2 else 1, **eps)


@pytest.mark.parametrize("seed", range(20))
def test_local_response_norm(seed):
    chooser = random.Random(seed)
    shape = shapes_of(chooser, chooser.randint(2, 5))
    x = rand(*shape, dtype=chooser.choice([F32, F64])).requires_grad_()
    options = {"alpha": 0.7, "beta": chooser.choice([0.75, 1.0]), "k": chooser.choice([1.0, 2.0])}
    check("local_response_norm", x, chooser.randint(1, 6), order=1 + seed % 2, **options)


@pytest.mark.parametrize("seed", range(20))
def test_normalize(seed):
    chooser = random.Random(seed)
    shape = shapes_of(chooser, chooser.randint(1, 4))
    dim = chooser.choice([-1, 0, 1, (0, 1)])
    p = chooser.choice([2.0, 1.0, 3.0, float("inf")])
    x = rand(*shape, dtype=chooser.choice([F32, F64])).requires_grad_()
    check("normalize", x, p=p, dim=dim, order=1 + (p != float("inf")))
    check("normalize", x.detach() * 0, p=p, dim=dim)


def test_normalization_of_half_precision():
    for dtype, wide in itertools.product([torch.float16, torch.bfloat16], [False, True]):
        kind = F32 if wide else dtype
        x = rand(6, 4, 3, dtype=dtype).requires_grad_()
        weight, bias = rand(4, dtype=kind, seed=1), rand(4, dtype=kind, seed=2)
        mean, var = rand(4, dtype=kind, seed=3), rand(4, dtype=kind, seed=4).abs() + 0.5
        check("batch_norm", x, mean, var, weight, bias, True)
        check("batch_norm", x, mean, var, weight, bias, False)
        check("group_norm", x, 2, weight, bias)
        if not wide:
            check("layer_norm", x, (3,), weight[:3], bias[:3], order=0)  # its gradients are coarse
            check("rms_norm", x, (3,), weight[:3])


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("batch_norm", [rand(1, 3), None, None], {"training": True}),
        ("batch_norm", [rand(1, 3, 1, 1), None, None], {"training": True}),
        ("batch_norm", [rand(4), None, None], {"training": True}),
        ("batch_norm", [rand(4, 3), None, None], {}),
        ("batch_norm", [rand(4, 3), rand(3), None], {}),
        ("batch_norm", [rand(4, 3), rand(2), rand(2)], {}),
        ("batch_norm", [rand(4, 3), rand(3), rand(2)], {"training": True}),
        ("batch_norm", [rand(4, 3), rand(3), rand(3).abs()], {"weight": rand(4)}),
        ("batch_norm", [rand(4, 3), rand(3), rand(3).abs()], {"bias": rand(4)}),
        ("batch_norm", [rand(4, 3), rand(3), rand(3).abs()], {"eps": -1.0}),
        ("batch_norm", [rand(4, 3), rand(3), rand(3).abs()], {"eps": 0.0}),
        ("batch_norm", [rand(4, 3), None, None], {"eps": 0.0, "training": True}),
        ("batch_norm", [rand(4, 3).long(), None, None], {"training": True}),
        ("batch_norm", [rand(4, 3), None, None], {"training": True, "weight": rand(3).float()}),
        ("batch_norm", [rand(0, 3, 2), rand(3), rand(3)], {"training": True}),
        ("batch_norm", [rand(2, 3, 0), rand(3), rand(3).abs()], {}),
        ("instance_norm", [rand(2, 3, 1)], {}),
        ("instance_norm", [rand(2, 3)], {}),
        ("instance_norm", [rand(2, 3, 4)], {"use_input_stats": False}),
        ("instance_norm", [rand(2, 3, 4), rand(3)], {}),
        ("instance_norm", [rand(2, 3, 4)], {"weight": rand(4)}),
        ("group_norm", [rand(2, 4, 3), 3], {}),
        ("group_norm", [rand(4), 2], {}),
        ("group_norm", [rand(1, 2), 2], {}),
        ("group_norm", [rand(2, 4, 3), 2], {"weight": rand(2)}),
        ("group_norm", [rand(0, 4, 3), 2], {}),
        ("group_norm", [rand(2, 4, 0), 2], {}),
        ("layer_norm", [rand(2, 4), (2, 3)], {}),
        ("layer_norm", [rand(2, 4), (3,)], {}),
        ("layer_norm", [rand(2, 4), ()], {}),
        ("layer_norm", [rand(2, 4), (4,)], {"weight": rand(3)}),
        ("layer_norm", [rand(2, 4), (4,)], {"bias": rand(2, 4)}),
        ("layer_norm", [rand(2, 4).long(), (4,)], {}),
        ("layer_norm", [rand(0, 4), (4,)], {}),
        ("layer_norm", [rand(4), (2, 4)], {}),
        ("rms_norm", [rand(2, 4), (3,)], {}),
        ("rms_norm", [rand(2, 4), (4,)], {"weight": rand(3)}),
        ("local_response_norm", [rand(2, 4), 2], {}),
        ("local_response_norm", [rand(2, 4, 3), 0], {}),
        ("local_response_norm", [rand(2, 0, 3), 2], {}),
        ("normalize", [rand(4)], {}),
    ],
)  # fmt: skip
def test_normalization_refuses_what_pytorch_does(name, args, kwargs):
    check(name, *args, **kwargs)


MODES = ["constant", "reflect", "replicate", "circular"]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("mode", MODES)
def test_pad(mode, seed):
    chooser = random.Random(seed)
    shape = shapes_of(chooser, chooser.randint(2, 5), least=2, most=5)
    ndim = chooser.randint(1, min(3, len(shape) - 1))
    widths = [chooser.randint(-1, 3) for _ in range(2 * ndim)]
    if mode == "circular":  # PyTorch goes round what is left, and past that into unwritten memory
        sizes = shape[::-1]
        left = [n + min(i, 0) + min(j, 0) for n, i, j in zip(sizes, widths[::2], widths[1::2])]
        widths = [min(width, left[i // 2]) for i, width in enumerate(widths)]
    value = chooser.choice([None, 0.0]) if mode != "constant" else chooser.choice([None, -1.5, 2])
    x = rand(*shape, dtype=chooser.choice([F32, F64])).requires_grad_()
    check("pad", x, widths, mode, value, order=1)
    y = rand(*shape).requires_grad_()
    expected = run_cubed(torch, y, widths, mode)
    assert not differences(expected, run_cubed(tn, converted(y), widths, mode))


def run_cubed(module, x, widths, mode):
    """Gradients of the sum of cubes, twice."""
    try:
        y = module.nn.functional.pad(x, widths, mode)
    except (TinynetError, RuntimeError, ValueError, NotImplementedError):
        return "error"
    (first,) = module.autograd.grad((y * y * y).sum(), x, create_graph=True)
    (second,) = module.autograd.grad((first * first).sum(), x)
    return second


@pytest.mark.parametrize(
    ("x", "widths", "kwargs"),
    [
        (rand(3, 4), (1,), {}), (rand(3, 4), (1, 2, 3, 4, 5, 6), {}), (rand(3, 4), (-2, -3), {}),
        (rand(3, 4), (-2, -2), {}), (rand(3, 4), (), {}), (rand(3, 4), (-5, 3), {}),
        (rand(3, 4).long(), (1, 1), {"value": 2}), (rand(3, 4) > 0, (1, 1), {"value": True}),
        (rand(3, 4).long(), (1, 1), {"value": 2.7}), (rand(0, 4), (1, 1), {}),
        (rand(0, 4), (1, 1, 1, 1), {"value": 5.0}),
        (rand(3, 4), (1, 1), {"mode": "mirror"}), (rand(4), (1, 1), {"mode": "reflect"}),
        (rand(3, 4), (1, 1, 1, 1), {"mode": "reflect"}), (rand(3, 4), (4, 1), {"mode": "reflect"}),
        (rand(3, 4), (3, 3), {"mode": "reflect"}), (rand(3, 4), (4, 4), {"mode": "circular"}),
        (rand(3, 4), (5, 1), {"mode": "circular"}), (rand(3, 4), (9, 9), {"mode": "replicate"}),
        (rand(3, 0), (1, 1), {"mode": "replicate"}), (rand(3, 0), (1, 1), {"mode": "reflect"}),
        (rand(0, 3, 4), (1, 1), {"mode": "reflect"}), (rand(0, 3, 4), (1, 1), {"mode": "circular"}),
        (rand(3, 4), (1, 1), {"mode": "reflect", "value": 1.0}),
        (rand(2, 3, 4), (), {"mode": "reflect"}),
        (rand(2, 3, 4, 5, 6, 7), (1, 1), {"mode": "replicate"}),
    ],
)  # fmt: skip
def test_pad_at_its_limits(x, widths, kwargs):
    check("pad", x, widths, **kwargs)


INTERPOLATING = [
    ("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 1), ("nearest-exact", 2),
    ("nearest-exact", 3), ("area", 1), ("area", 2), ("area", 3), ("linear", 1), ("bilinear", 2),
    ("bicubic", 2), ("trilinear", 3), ("bilinear", 3),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("mode", "ndim"), INTERPOLATING)
def test_interpolate(mode, ndim, seed):
    chooser = random.Random(seed)
    x = rand(2, 3, *shapes_of(chooser, ndim, 1, 7), dtype=chooser.choice([F32, F64]))
    options = {"mode": mode}
    if chooser.random() < 0.5:
        options["size"] = [chooser.randint(1, 12) for _ in range(ndim)]
    else:
        factors = [chooser.choice([2, 3, 0.5, 1.3, 0.7, 2.5, 1.0]) for _ in range(ndim)]
        options["scale_factor"] = factors if chooser.random() < 0.5 else factors[0]
        options["recompute_scale_factor"] = chooser.choice([None, True, False])
    if chooser.random() < 0.4 and mode not in ("nearest", "nearest-exact", "area"):
        options["align_corners"] = chooser.choice([True, False])
    check("interpolate", x.requires_grad_(), order=1 + seed % 2, **options)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_interpolate_without_aliases(mode, seed):
    chooser = random.Random(seed)
    x = rand(2, 3, *shapes_of(chooser, 2, 1, 9), dtype=chooser.choice([F32, F64]))
    size = [chooser.randint(1, 9) for _ in range(2)]
    options = {"size": size} if seed % 3 else {"scale_factor": chooser.choice([0.4, 1.7])}
    corners = chooser.choice([None, False, True])
    check(
        "interpolate", x.requires_grad_(), mode=mode, antialias=True, align_corners=corners,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("x", "kwargs"),
    [
        (rand(2, 3, 4), {}), (rand(2, 3, 4), {"size": 3, "scale_factor": 2.0}),
        (rand(2, 3, 4), {"size": (3, 3)}), (rand(2, 3, 4), {"scale_factor": (3, 3)}),
        (rand(2, 3, 4), {"size": 0}), (rand(2, 3, 4), {"scale_factor": 0.1}),
        (rand(2, 3, 4), {"size": -1}), (rand(2, 3, 4), {"size": 2.5}),
        (rand(2, 3), {"size": 2}), (rand(2, 3, 4), {"size": 2, "mode": "bilinear"}),
        (rand(2, 3, 4), {"size": 2, "mode": "cubic"}),
        (rand(2, 3, 4), {"size": 2, "align_corners": False}),
        (rand(2, 3, 4), {"size": 2, "recompute_scale_factor": True}),
        (rand(2, 3, 4), {"size": 2, "mode": "linear", "antialias": True}),
        (rand(2, 3, 4, 4), {"size": 2, "mode": "lanczos"}),
        (rand(2, 3, 0), {"size": 2}), (rand(0, 3, 4), {"size": 2}), (rand(2, 0, 4), {"size": 2}),
        (rand(0, 3, 4), {"size": 2, "mode": "linear"}),
        (rand(2, 3, 4).long(), {"size": 2, "mode": "linear"}),
        (rand(2, 3, 4).to(torch.uint8), {"size": 6}),
    ],
)  # fmt: skip
def test_interpolate_refuses_what_pytorch_does(x, kwargs):
    check("interpolate", x, **kwargs)


@pytest.mark.parametrize(
    "shape", [(2, 12, 3, 4), (12, 2, 3), (2, 3, 4, 6, 4), (2, 5, 3, 3), (12, 4)]
)
@pytest.mark.parametrize("factor", [1, 2, 3, 0])
@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
def test_shuffles(name, factor, shape):
    check(name, rand(*shape).requires_grad_(), factor, order=1)


MODULES = [
    ("BatchNorm1d", (3,), {}), ("BatchNorm2d", (3,), {"momentum": None}),
    ("BatchNorm2d", (3,), {"affine": False}), ("BatchNorm3d", (3,), {"bias": False}),
    ("BatchNorm2d", (3, 1e-3, 0.2), {"track_running_stats": False}),
    ("InstanceNorm1d", (3,), {}), ("InstanceNorm2d", (3,), {"affine": True}),
    ("InstanceNorm3d", (3,), {"track_running_stats": True}), ("GroupNorm", (2, 4), {}),
    ("GroupNorm", (2, 4), {"affine": False}), ("LayerNorm", (3,), {}),
    ("LayerNorm", ((3, 4),), {"bias": False}), ("LayerNorm", ([3],), {"elementwise_affine": False}),
    ("RMSNorm", (3,), {}), ("RMSNorm", ((2, 3), 1e-3, False), {}), ("LocalResponseNorm", (2,), {}),
    ("ZeroPad1d", (2,), {}), ("ZeroPad2d", ((1, 2, 3, 4),), {}), ("ZeroPad3d", (1,), {}),
    ("ConstantPad1d", (2, 3.5), {}), ("ConstantPad2d", ((1, 2, 3, 4), 1), {}),
    ("ConstantPad3d", (1, 0.0), {}), ("ReflectionPad1d", (2,), {}), ("ReflectionPad2d", (2,), {}),
    ("ReflectionPad3d", (2,), {}), ("ReplicationPad1d", ((1, 2),), {}),
    ("ReplicationPad2d", (1,), {}), ("ReplicationPad3d", (1,), {}), ("CircularPad1d", (1,), {}),
    ("CircularPad2d", ([1, 2, 1, 2],), {}), ("CircularPad3d", (1,), {}),
    ("Upsample", (), {"scale_factor": 2}), ("Upsample", ((3, 4),), {"mode": "bilinear"}),
    ("Upsample", (), {"scale_factor": (2, 3)}), ("UpsamplingNearest2d", (), {"scale_factor": 2}),
    ("UpsamplingBilinear2d", (3,), {}), ("PixelShuffle", (2,), {}), ("PixelUnshuffle", (2,), {}),
    ("ChannelShuffle", (2,), {}), ("Dropout1d", (), {}), ("Dropout2d", (0.2,), {}),
    ("Dropout3d", (0.2, True), {}), ("AlphaDropout", (), {}), ("FeatureAlphaDropout", (0.1,), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES)
def test_modules_read_and_default_as_pytorch_s(name, args, kwargs):
    expected = getattr(torch.nn, name)(*args, **kwargs)
    got = getattr(tn.nn, name)(*args, **kwargs)
    assert repr(got) == repr(expected)
    state = expected.state_dict()
    assert list(got.state_dict()) == list(state)
    assert not differences(list(state.values()), list(got.state_dict().values()))
    hidden = {"in_features", "inplace"}
    public = {k for k in vars(expected) if not k.startswith("_")} - hidden
    assert public <= set(dir(got))
    for key in public - {"training"}:
        assert getattr(got, key) == getattr(expected, key)


NORMS = [
    ("BatchNorm1d", (3,), {}, (4, 3)), ("BatchNorm1d", (3,), {"momentum": None}, (4, 3, 5)),
    ("BatchNorm2d", (3,), {"momentum": 0.3}, (4, 3, 5, 2)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (4, 3, 5, 2)),
    ("BatchNorm3d", (3,), {"affine": False}, (4, 3, 2, 2, 2)),
    ("InstanceNorm1d", (3,), {"track_running_stats": True}, (4, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    ("InstanceNorm2d", (3,), {"track_running_stats": True, "momentum": 0.3}, (4, 3, 5, 2)),
    ("InstanceNorm3d", (3,), {"affine": True}, (4, 3, 5, 2, 2)),
    ("GroupNorm", (3, 6), {}, (2, 6, 4)), ("LayerNorm", ((4, 5),), {}, (2, 4, 5)),
    ("RMSNorm", (5,), {}, (2, 4, 5)), ("LocalResponseNorm", (2,), {}, (2, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), NORMS)
def test_modules_train_as_pytorch_s(name, args, kwargs, shape):
    found = []
    for module in (torch, tn):
        layer = getattr(module.nn, name)(*args, **kwargs).double()
        results = []
        for i in range(3):
            x = rand(*shape, seed=i) * (i + 1)
            x = (x if module is torch else converted(x)).requires_grad_()
            layer.train(i < 2)
            y = layer(x)
            (y * y * y).sum().backward()
            results += [y, x.grad, *(p.grad for p in layer.parameters())]
        found.append([*results, *layer.state_dict().values()])
    assert not differences(*found)


def test_modules_refuse_what_pytorch_s_do():
    for name, shape in [
        ("BatchNorm1d", (4,)), ("BatchNorm2d", (4, 3)), ("BatchNorm3d", (4, 3, 2, 2)),
        ("BatchNorm2d", (4, 2, 3, 3)), ("InstanceNorm1d", (4,)), ("InstanceNorm2d", (4, 3)),
        ("InstanceNorm3d", (2, 3, 4)),
    ]:  # fmt: skip
        with pytest.raises((ValueError, RuntimeError)):
            getattr(torch.nn, name)(3)(rand(*shape).float())
        with pytest.raises(TinynetError):
            getattr(tn.nn, name)(3)(tn.ones(shape))


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
                                  "feature_alpha_dropout"])  # fmt: skip
def test_dropout_arguments(name):
    for shape in [(3,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)]:
        check(name, rand(*shape).requires_grad_(), p=0.4, training=False)
        check(name, rand(*shape).requires_grad_(), p=0.0, training=True)
        check(name, rand(*shape).requires_grad_(), p=1.0, training=True)
        check(name, rand(*shape), p=1.5)
        check(name, rand(*shape), p=-0.5, training=False)
