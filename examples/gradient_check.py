"""A wrong gradient is found: what backward says against what the loss does.

    python examples/gradient_check.py

Backpropagation with a mistake in it often still learns, only worse, so one does not notice. The
check moves each parameter a little to both sides and looks what the loss does: a slope that has
nothing to do with backpropagation. What to see: a network of two layers with an activation of our
own, first with the right derivative of tanh, then with a mistake (1 - y instead of 1 - y squared).
The check finds all parameters before the mistake wrong, and those behind it right: it says where to
look. The wrong network learns all the same.
"""

import math

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn


class RightTanh(tn.autograd.Function):
    """tanh, by hand."""

    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class WrongTanh(RightTanh):
    """The same, with a mistake."""

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y)


class Network(nn.Module):
    """Linear, the activation, linear."""

    def __init__(self, activation):
        super().__init__()
        self.first = nn.Linear(2, 16)
        self.last = nn.Linear(16, 2)
        self.activation = activation

    def forward(self, x):
        """Scores of two classes."""
        return self.last(self.activation.apply(self.first(x)))


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    x, labels = tn.data.make_moons(200, noise=0.1, device=options.device)
    figure, axes = make_figure(1, 2, width=5)
    for activation in (RightTanh, WrongTanh):
        tn.manual_seed(options.seed)
        net = Network(activation).to(options.device)
        report = tn.train.gradient_check(net, nn.functional.cross_entropy, x[:16], labels[:16])
        print(f"{activation.__name__}: wrong gradients of {report.wrong or 'no parameter'}")
        print(report)
        losses = learn(net, x, labels, 100 if options.quick else 400)
        print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} steps\n")
        draw(axes[0], activation.__name__, report, losses)
    axes[0, 0].axhline(report.tolerance, color="gray", linewidth=0.8, label="tolerance")
    axes[0, 0].legend()
    axes[0, 1].legend()
    save_figure(figure, options.out, "gradient_check")


def learn(net, x, labels, steps):
    optimizer = tn.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def draw(axes, name, report, losses):
    rows = report.rows
    errors = [max(row.worst.relative_error, 1e-16) for row in rows]
    axes[0].plot([row.name for row in rows], errors, marker="o", label=name)
    axes[0].set(title="relative error of each parameter's gradient", yscale="log")
    axes[1].plot(losses, label=name)
    axes[1].set(title="both learn", xlabel="step", ylabel="loss", ylim=(0, math.log(2) * 1.5))


if __name__ == "__main__":
    run_script(main)
