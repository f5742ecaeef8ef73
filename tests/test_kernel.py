"""Users' own OpenCL kernels."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ArgumentError, ArgumentTypeError, DeviceError, KernelError, ShapeError

CUBE = tn.Kernel(
    "kernel void cube(global const float *x, const float scale, global float *y) {"
    "    const int i = get_global_id(0); y[i] = scale * x[i] * x[i] * x[i]; }",
    "cube",
)


@pytest.fixture(scope="module")
def x():
    return tn.arange(12.0, device="opencl").reshape(3, 4)


def run(x, scale=1.0, **options):
    (y,) = CUBE(x, scale, outputs=[(x.shape, x.dtype)], size=x.numel(), **options)
    return y


def test_elements_come_row_by_row(x):
    assert tn.equal(run(x, 2.0), 2 * x**3)
    assert tn.equal(run(x.T), x.T.contiguous() ** 3)
    assert tn.equal(run(x[1:, ::2] + 1), (x[1:, ::2] + 1) ** 3)
    assert tn.equal(run(x, group=(6,)), x**3)


def test_several_outputs_and_kinds_of_numbers(x):
    mixed = tn.Kernel(
        """
        kernel void mixed(global const float *x, const int a, const long b, const uchar c,
                          global long *y, global uchar *z) {
            const int i = get_global_id(0) * get_global_size(1) + get_global_id(1);
            y[i] = (long)x[i] * b + a;
            z[i] = x[i] > c;
        }""",
        "mixed",
    )
    kinds = [(x.shape, tn.int64), ((12,), tn.bool)]
    for number in (True, 7, -(2**31)):
        y, z = mixed(x, number, np.int64(2**40), np.uint8(5), outputs=kinds, size=(3, 4))
        assert tn.equal(y, x.long() * 2**40 + int(number))
        assert tn.equal(z, x.flatten() > 5)


def test_built_in_functions_are_those_of_the_arguments_types(capfd):
    """Not a wider one, and whether or not kernels of tinynet's own call them."""
    kernel = tn.Kernel(
        """
        kernel void f(global const uint *x, global uint *y) {
            y[0] = mul_hi(x[0], x[1]);
            y[1] = 0;
            atomic_inc(y + 1);
            y[2] = clamp(x[0], 5u, 7u);
        }""",
        "f",
    )
    x = tn.tensor([3_000_000_000, 3_000_000_001], dtype=tn.uint32, device="opencl")
    (y,) = kernel(x, outputs=[((3,), x.dtype)], size=1)
    assert y.tolist() == [3_000_000_000 * 3_000_000_001 >> 32, 1, 7]
    assert capfd.readouterr().err == ""


def test_in_a_recording(x):
    step = tn.jit(lambda x: run(x + 1).sum(0) * 2)
    for offset in range(5):
        assert tn.equal(step(x + offset), ((x + offset + 1) ** 3).sum(0) * 2)


def test_in_a_function():
    class Cube(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return run(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 3 * grad * x * x

    x = tn.tensor([1.0, -2.0], device="opencl", requires_grad=True)
    Cube.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: run(x.cpu()), DeviceError, "Kernel: cube: cpu runs no OpenCL"),
        (lambda x: run(x, "2"), ArgumentTypeError, "Kernel: cube: arguments are tensors and numb"),
        (lambda x: CUBE(2.0, outputs=[], size=1), ArgumentError, "expected at least one tensor"),
        (lambda x: CUBE(x, 2.0, outputs=[], size=1), KernelError, "cube: takes 3 arguments, got 2"),
        (lambda x: CUBE(x, 2.0, outputs=[((-1,), x.dtype)], size=1), ShapeError,
         r"Kernel: sizes cannot be negative, got \(-1,\)"),
        (lambda x: CUBE(x, 2.0, outputs=[(x.shape, "float32")], size=1), ArgumentTypeError,
         r"cube: outputs are pairs of a shape and a dtype .* got \(\(3, 4\), 'float32'\)"),
        (lambda x: CUBE(x, 2.0, outputs=(x.shape, x.dtype), size=1), ArgumentTypeError,
         r"cube: outputs are pairs of a shape and a dtype .* got \(3, 4\)"),
        (lambda x: CUBE(x, 2.0, outputs=[x.dtype], size=1), ArgumentTypeError,
         "cube: outputs are pairs of a shape and a dtype .* got tinynet.float32"),
        (lambda x: CUBE(x, 2.0, 3.0, outputs=[((1,), tn.float32)], size=1), KernelError,
         "cube: takes 3 arguments, got 4"),
        (lambda x: run(x, group=(5,)), ArgumentError, r"size \(12,\) does not consist of groups"),
        (lambda x: run(x, group=(1, 1)), ArgumentError, r"size \(12,\) does not consist of groups"),
        (lambda x: run(x, 2**40), ArgumentError, "cube: 1099511627776 is no int of 32 bits"),
        (lambda x: run(x, -1e300), ArgumentError,
         r"cube: -1e\+300 is no float of 32 bits; a double is numpy.float64\(-1e\+300\)"),
        (lambda x: run(x, np.longdouble(2)), ArgumentTypeError, "and numbers, got longdouble"),
        (lambda x: run(x, np.timedelta64(2)), ArgumentTypeError, "and numbers, got timedelta64"),
        (lambda x: CUBE(x, 2.0, outputs=[(x.shape, x.dtype)], size=2**70), ArgumentError,
         "cube: size is 1180591620717411303424, expected numbers up to 18446744073709551615"),
        (lambda x: CUBE(x, 2.0, outputs=3, size=1), ArgumentTypeError,
         "cube: outputs are pairs of a shape and a dtype .* got 3"),
        (lambda x: tn.Kernel(CUBE.source, None), ArgumentTypeError,
         "Kernel: name must be a str, got NoneType"),
        (lambda x: tn.Kernel(CUBE.source.encode(), "cube"), ArgumentTypeError,
         "Kernel: source must be a str, got bytes"),
        (lambda x: tn.Kernel("\ud800", "cube"), ArgumentError,
         "Kernel: source is no text: .* surrogates not allowed"),
        (lambda x: run(x, np.float64(2)), KernelError, "INVALID_ARG_SIZE"),
        (lambda x: run(x[:0]), ArgumentError, "size must be one to three numbers above 0, got 0"),
        (lambda x: run(x, group=(4096,)), ArgumentError, "does not consist of groups"),
        (lambda x: tn.Kernel(CUBE.source, "cub")(x, 1.0, outputs=[], size=1), KernelError,
         "kernel cub: the source has no kernel of this name"),
        (lambda x: tn.Kernel("kernel void k(global float *x) { x[0] = y; }", "k")(
            x, outputs=[], size=1), KernelError, "use of undeclared identifier 'y'"),
    ],
)  # fmt: skip
def test_misuse(x, call, kind, message):
    with pytest.raises(kind, match=message):
        call(x)
    assert tn.equal(run(x), x**3)
