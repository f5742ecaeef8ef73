"""Activation functions and their derivatives, and where they saturate.

    python examples/activations.py

A neuron learns through the derivative of its activation. What to see: sigmoid's is 0.25 at most, so
each layer passes on a quarter of the gradient or less; beyond about 5 those of sigmoid and tanh
are next to nothing, the neuron is saturated. ReLU passes on everything, or, left of 0, nothing at
all; leaky ReLU, ELU, GELU and SiLU are there for that. The derivatives are not formulas here: they
come from backward(), and are held against differences of the function's values.
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

ACTIVATIONS = {
    "sigmoid": tn.Tensor.sigmoid,
    "tanh": tn.Tensor.tanh,
    "ReLU": nn.functional.relu,
    "leaky ReLU": lambda x: nn.functional.leaky_relu(x, 0.1),
    "ELU": nn.functional.elu,
    "GELU": nn.functional.gelu,
    "SiLU (swish)": nn.functional.silu,
    "softplus": nn.functional.softplus,
}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    n = 61 if options.quick else 601
    x = tn.linspace(-6, 6, n, dtype=tn.float64).to(options.device)
    print("activation     largest derivative   share of [-6, 6] with a derivative below 0.01")
    curves = {}
    for name, function in ACTIVATIONS.items():
        y, slope = differentiate(function, x)
        error = (slope - differences(function, x)).abs().max().item()
        saturated = (slope.abs() < 0.01).double().mean().item()
        print(f"{name:14s} {slope.max().item():18.3f}   {saturated:.0%}")
        if error > 1e-6:
            raise SystemExit(f"{name}: the derivative is off by {error:.1e}")
        curves[name] = y.tolist(), slope.tolist()
    draw(options.out, x.tolist(), curves)


def differentiate(function, x):
    """Values and derivatives at all of `x`: each output depends on one input, so sum them up."""
    x = x.clone().requires_grad_()
    y = function(x)
    y.sum().backward()
    return y.detach(), x.grad


@tn.no_grad()
def differences(function, x, step=1e-6):
    """The same derivatives by central differences, from the left at a kink."""
    low, high = x - step, x + step
    slope = (function(high) - function(low)) / (2 * step)
    one_sided = (function(x) - function(low)) / step  # what backward() takes at the kink of ReLU
    return tn.where(x.abs() < step, one_sided, slope)


def draw(folder, x, curves):
    figure, axes = make_figure(2, 4, width=3.2, height=2.6, sharex=True)
    for place, (name, (y, slope)) in zip(axes.flat, curves.items()):
        place.plot(x, y, label="value")
        place.plot(x, slope, label="derivative")
        place.set(title=name, ylim=(-1.2, 2.2))
        place.grid(alpha=0.3)
    for place in axes[-1]:
        place.set_xlabel("x")
    axes[0, 0].legend()
    save_figure(figure, folder, "activations")


if __name__ == "__main__":
    run_script(main)
