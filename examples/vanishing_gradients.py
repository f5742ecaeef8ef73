"""Gradients that vanish or explode with depth, and what keeps them whole.

    python examples/vanishing_gradients.py

A layer's gradient is the next one's times weights and a slope, so over many layers it shrinks or
grows like a power (Hochreiter 1991; Glorot & Bengio 2010). What to see:

* 30 layers of 64 at the start. The sigmoid's slope is at most 1/4, so less than 1/4 ** 29 = 3e-18
  of the last layer's gradient gets to the first (1). With weights of variance gain ** 2 / 64, ReLU
  needs a gain of sqrt(2) (He et al. 2015), less vanishes, more explodes (2);
* 100 layers, gain 1: batch norm makes up for the gain, but overdoes it: gradients grow towards the
  first layers, in theory by sqrt(pi / (pi - 1)) = 1.21 a layer (Yang et al. 2019). Shortcuts,
  x + f(x), keep them within a factor of ten (3), and so the net learns digits; without them it
  does not (4; He et al. 2016);
* a recurrent network multiplies by the same matrix at each step: over t steps its gradient goes
  like radius ** t (5), and its loss has walls. Pascanu et al. (2013) show that of one unit,
  h = w s(h) + b, 50 times, s the sigmoid: descent that meets the wall is thrown away. Clipping
  keeps the gradient's direction and bounds its length, so the same descent stays at the wall's
  foot, where the lowest points are (6).
"""

import math

from frame import COLORS, STROKES, make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

WIDTH, SHALLOW, DEEP, TIME = 64, 30, 100, 50
GAINS = {"sigmoid": 1.0, "tanh": 1.0, "relu": math.sqrt(2)}


class Layer(nn.Module):
    """activation(norm(W x)), or with a shortcut x + a tenth of that; (n, 64) to (n, 64)."""

    def __init__(self, activation="relu", gain=1.0, norm=False, shortcut=False):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(self.linear.weight, std=gain / math.sqrt(WIDTH))
        nn.init.zeros_(self.linear.bias)
        self.norm = nn.BatchNorm1d(WIDTH) if norm else nn.Identity()
        self.activate, self.shortcut = getattr(tn, activation), shortcut

    def forward(self, x):
        """All of a batch at once."""
        y = self.activate(self.norm(self.linear(x)))
        return x + 0.1 * y if self.shortcut else y


def main(arguments=None):
    options = parse_options(__doc__, arguments, steps=(300, 40))
    steps = options.steps
    train, _ = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    batch = train[:100]
    figure, axes = make_figure(2, 3, width=4.6, height=3.6)
    panels = [
        (SHALLOW, {name: {"activation": name, "gain": gain} for name, gain in GAINS.items()}),
        (SHALLOW, {f"relu, gain {gain:.2f}": {"gain": gain} for gain in (1, math.sqrt(2), 2)}),
        (DEEP, {"plain": {}, "batch norm": {"norm": True}, "shortcuts": {"shortcut": True}}),
    ]
    for place, (depth, kinds) in zip(axes[0], panels):
        for name, options_of_layer in kinds.items():
            model = make_network(depth, options.device, **options_of_layer)
            norms = measure_gradients(model, *batch)
            print(f"{depth} layers, {name}: first gradient {norms[0]:.1e} of the last")
            place.plot(range(1, depth + 1), norms, label=name)
        place.set(title=f"gradients of {depth} layers", xlabel="layer", ylabel="norm / last norm")

    for name, kind in {"plain": {}, "shortcuts": {"shortcut": True}}.items():
        model = make_network(DEEP, options.device, **kind)
        losses = learn_digits(model, train, steps)
        print(f"100 layers, {name}: loss {losses[0]:.2f} at first, {losses[-1]:.2f} after {steps}")
        axes[1, 0].plot(losses, label=name)
    axes[1, 0].axhline(math.log(10), color="gray", linewidth=0.8, label="log 10, by chance")
    axes[1, 0].set(title="100 layers learn digits", xlabel="step", ylabel="loss", ylim=(0, 4))

    for radius in (0.8, 1.0, 1.2):
        norms = gradients_in_time(radius, options.device)
        print(f"{TIME} steps, radius {radius}: first gradient {norms[0]:.1e} of the last")
        axes[1, 1].plot(range(1, TIME + 1), norms, label=f"radius {radius}")
    axes[1, 1].set(title="a recurrent network", xlabel="time step", ylabel="norm / last norm")
    draw_wall(axes[1, 2], options.device)
    for number, place in enumerate(axes.flat, 1):
        place.set_title(f"({number}) {place.get_title()}")
        if number not in (4, 6):
            place.set_yscale("log")
        place.legend(fontsize="small")
    save_figure(figure, options.out, "vanishing_gradients")


def make_network(depth, device, **options_of_layer):
    layers = [Layer(**options_of_layer) for _ in range(depth)]
    return nn.Sequential(nn.Linear(784, WIDTH), *layers, nn.Linear(WIDTH, 10)).to(device)


def measure_gradients(model, images, labels):
    """The norm of the gradient by each layer's output, as a share of the last layer's."""
    outputs = [model[0](images)]
    for layer in list(model)[1:]:
        outputs.append(layer(outputs[-1]))
    loss = 1e8 * nn.functional.cross_entropy(outputs[-1], labels)  # so that no square underflows
    norms = tn.stack([grad.norm() for grad in tn.autograd.grad(loss, outputs[1:-1])])
    return (norms / norms[-1]).tolist()


def learn_digits(model, train, steps):
    optimizer = tn.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    loader = tn.data.DataLoader(train, 100, shuffle=True)
    while len(losses) < steps:
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses[:steps]


def gradients_in_time(radius, device):
    """The norms of the gradients of the inputs at each step, as shares of the last.

    A recurrent ReLU network that starts as radius times the identity (Le et al. 2015).
    """
    rnn = nn.RNN(1, 32, nonlinearity="relu", batch_first=True).to(device)
    with tn.no_grad():
        rnn.weight_hh_l0.copy_(radius * tn.eye(32))
    x = tn.rand(64, TIME, 1, device=device).requires_grad_()
    rnn(x)[0][:, -1].sum().backward()
    norms = x.grad[:, :, 0].norm(dim=0)
    return (norms / norms[-1]).tolist()


def loss_of_unit(w, b):
    """How far the unit is from 0.7 at the end; it starts at 0.5."""
    h = 0.5 * tn.ones_like(w)
    for _ in range(TIME):
        h = w * h.sigmoid() + b
    return (h.sigmoid() - 0.7).square()


def descend(limit, device, steps=60, rate=0.1):
    """The points (w, b) of gradient descent, and the loss at each."""
    point = tn.tensor([4.8, -2.2], device=device).requires_grad_()
    path, losses = [], []
    for _ in range(steps):
        loss = loss_of_unit(*point)
        point.grad = None
        loss.backward()
        path.append(point.tolist())
        losses.append(loss.item())
        nn.utils.clip_grad_norm_([point], limit)
        with tn.no_grad():
            point -= rate * point.grad
    return path, losses


def draw_wall(axes, device):
    w, b = tn.meshgrid(tn.linspace(4, 5.6, 200), tn.linspace(-3, -1.2, 200), indexing="ij")
    axes.contourf(w.numpy(), b.numpy(), loss_of_unit(w, b).numpy(), 30, cmap="Greys_r")
    axes.set(xlim=(4, 5.6), ylim=(-3, -1.2), xlabel="w", ylabel="b", title="a unit's loss: a wall")
    for limit, color, stroke in zip((math.inf, 0.1), COLORS[1:], STROKES):
        path, losses = descend(limit, device)
        name = "not clipped" if limit == math.inf else f"clipped to {limit:g}"
        longest = max(map(math.dist, path, path[1:]))
        print(f"{name}: longest step {longest:.2g}, loss {losses[0]:.3f} at first, "
              f"{losses[-1]:.3f} at the end")  # fmt: skip
        axes.plot(*zip(*path), marker=".", color=color, linestyle=stroke, label=name)


if __name__ == "__main__":
    run_script(main)
