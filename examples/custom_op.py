"""An operation of your own: forward, gradient, an OpenCL kernel, and the check that finds mistakes.

    python examples/custom_op.py

The operation is softsign with a slope, `x / (1 + k |x|)`. On OpenCL devices its two kernels are the
strings below; elsewhere it is written in Tensor operations. The gradient checker compares what
`backward` says with differences of `forward`: what to see is that it passes, and that with a
mistake planted in the gradient, a forgotten square, it does not. At the end a network learns a wave
with it, under `tn.jit`, like with any other activation.
"""

import math

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

SOURCE = """
#define DOWN(x, k) (1 + (k) * fabs(x))

kernel void forward(global const T *x, const float k, global T *y) {
    const int i = get_global_id(0);
    y[i] = x[i] / DOWN(x[i], k);
}

kernel void backward(global const T *x, global const T *grad, const float k, global T *x_grad) {
    const int i = get_global_id(0);
    x_grad[i] = grad[i] / (DOWN(x[i], k) * DOWN(x[i], k));
}
"""
KERNELS = {  # one program for each dtype, one kernel for each direction
    (dtype, name): tn.Kernel(f"#define T {c_type}\n{SOURCE}", name)
    for dtype, c_type in ((tn.float32, "float"), (tn.float64, "double"))
    for name in ("forward", "backward")
}


def run_kernel(name, x, *others):
    (y,) = KERNELS[x.dtype, name](x, *others, outputs=[(x.shape, x.dtype)], size=x.numel())
    return y


class Softsign(tn.autograd.Function):
    """`x / (1 + k |x|)`; its derivative is `1 / (1 + k |x|)**2`."""

    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x)
        ctx.k = k
        if x.device.type == "opencl":
            return run_kernel("forward", x, k)
        return x / (1 + k * x.abs())

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        if x.device.type == "opencl" and not tn.is_grad_enabled():  # not differentiated again
            return run_kernel("backward", x, grad, ctx.k), None
        return grad / (1 + ctx.k * x.abs()).square(), None


class Wrong(Softsign):
    """The same with a mistake in the gradient."""

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + ctx.k * x.abs()), None


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    x = tn.randn(5, dtype=tn.float64, device=options.device, requires_grad=True)
    for function in (Softsign, Wrong):
        try:
            tn.autograd.gradcheck(lambda x, function=function: function.apply(x, 0.5), (x,))
            print(f"{function.__name__}: the gradient is right")
        except tn.errors.GradientError as error:
            print(f"{function.__name__}: {str(error).splitlines()[0]}")
    steps = 200 if options.quick else 1000
    losses, x, y, fit = learn_wave(steps, options.device)
    print(f"a network with it learns a wave: error {losses[0]:.3f} at first, {losses[-1]:.4f} "
          f"after {steps} steps")  # fmt: skip
    figure, axes = make_figure(1, 3)
    draw_function(axes[0, 0], options.device)
    axes[0, 1].plot(losses)
    axes[0, 1].set(
        title="learning a wave", xlabel="step", ylabel="mean squared error", yscale="log"
    )
    axes[0, 2].plot(x, y, label="the wave")
    axes[0, 2].plot(x, fit, label="the network")
    axes[0, 2].set(title=f"after {steps} steps", xlabel="x", ylabel="y", ylim=(-1.2, 1.6))
    axes[0, 2].legend(loc="upper right", ncols=2)
    save_figure(figure, options.out, "custom_op")


def learn_wave(steps, device):
    """The losses; places, the wave, and what the network made of it."""
    x = tn.linspace(-1, 1, 128, device=device).reshape(-1, 1)
    y = (2 * math.pi * x).sin()
    first, second = nn.Linear(1, 32).to(device), nn.Linear(32, 1).to(device)
    with tn.no_grad():
        first.weight *= 5
    optimizer = tn.optim.Adam([*first.parameters(), *second.parameters()], lr=0.01)

    @tn.jit
    def step(x, y):
        loss = nn.functional.mse_loss(second(Softsign.apply(first(x), 1.0)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = tn.stack([step(x, y) for _ in range(steps)]).tolist()
    with tn.no_grad():
        fit = second(Softsign.apply(first(x), 1.0))
    return losses, *(tensor.flatten().tolist() for tensor in (x, y, fit))


def draw_function(axes, device):
    x = tn.linspace(-5, 5, 201, device=device)
    for k in (0.5, 1.0, 2.0):
        axes.plot(x.tolist(), Softsign.apply(x, k).tolist(), label=f"k = {k}")
    axes.set(title="x / (1 + k |x|)", xlabel="x", ylabel="y")
    axes.legend()


if __name__ == "__main__":
    run_script(main)
