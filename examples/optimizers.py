"""Optimisers race: on a ravine, a saddle and a valley, where one sees their paths, and on digits.

    python examples/optimizers.py            # --animate: a film too, in a minute

Gradient descent (GD) takes x -= rate * gradient. What to see, each method with one rate for all:

* GD, mini-batch and SGD differ in how many examples a gradient is the mean of: all, some, one. On
  the surfaces each of 64 "examples" pulls a way of its own. The fewer, the noisier: SGD never comes
  to rest, but its noise takes it off the saddle sooner. On digits, as many images make many steps
  or few: SGD is the fastest at first, and GD has hardly begun when all have learnt.
* The ravine is steep across, so GD's rate must be low, and flat along: it creeps. Momentum (Polyak
  1964), v = 0.9 v + gradient, adds up what gradients agree on; Nesterov's (1983) looks ahead, and
  overshoots less.
* Beside the saddle the way down begins almost flat. Who divides by the size of past gradients takes
  it at once: AdaGrad by the root of the sum of their squares (Duchi et al. 2011), RMSProp of their
  moving mean (Hinton 2012), AdaDelta too, times that of its own steps (Zeiler 2012), Adam with
  momentum (Kingma & Ba 2015).
* The valley (after Rosenbrock 1960) is bent: what came in fast is carried up its other side.
"""

from frame import COLORS, STROKES, make_figure, parse_options, run_script, save_figure, save_film

import tinynet as tn
from tinynet import nn, optim

SURFACES = {  # height, start, lowest height, what is drawn: left, right, bottom, top
    "ravine": (lambda x, y: x * x / 2 + 10 * y * y, (-4.0, 1.0), 0.0, (-4.5, 4.5, -1.5, 1.5)),
    "saddle": (lambda x, y: x * x - y * y + y**4 / 2, (1.0, 1e-3), -0.5, (-1.3, 1.3, -1.5, 1.5)),
    "valley": (
        lambda x, y: (1 - x) ** 2 / 4 + 4 * (y - x * x) ** 2,
        (-1.5, 1.5),
        0.0,
        (-2, 2, -0.7, 2.3),
    ),
}
METHODS = {  # its rates on surfaces and on digits; how many examples a gradient is of, on both
    "GD": (optim.SGD, 0.04, 0.5, 64, None),
    "mini-batch": (optim.SGD, 0.04, 0.1, 16, 50),
    "SGD": (optim.SGD, 0.04, 0.01, 1, 1),
    "momentum": (lambda p, lr: optim.SGD(p, lr, momentum=0.9), 0.02, 0.02, 64, 50),
    "Nesterov": (lambda p, lr: optim.SGD(p, lr, 0.9, nesterov=True), 0.02, 0.02, 64, 50),
    "AdaGrad": (optim.Adagrad, 0.6, 0.02, 64, 50),
    "RMSProp": (optim.RMSprop, 0.04, 0.001, 64, 50),
    "AdaDelta": (optim.Adadelta, 5.0, 1.0, 64, 50),
    "Adam": (optim.Adam, 0.2, 0.002, 64, 50),
}
PLAIN = ["GD", "mini-batch", "SGD", "momentum", "Nesterov"]
ADAPTIVE = ["GD", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


def main(arguments=None):
    options = parse_options(__doc__, arguments, animate=False)
    n_steps = 150 if options.quick else 300
    pulls = tn.randn(64, 2)
    pulls -= pulls.mean(0)
    paths = {}
    print("            steps until 0.05 above the minimum, and mean height in the last 50")
    for name in METHODS:
        paths[name] = race(name, pulls, n_steps, options.device)
        cells = []
        for i, (surface, (height, _, lowest, _)) in enumerate(SURFACES.items()):
            heights = (height(*paths[name][:, i].T) - lowest).tolist()
            first = next((step for step, value in enumerate(heights) if value < 0.05), "-")
            cells.append(f"{surface} {first:>3}, {sum(heights[-50:]) / 50:.1e}")
        print(f"{name:10s}  {'; '.join(cells)}")
    figure, lines = draw_paths(paths)
    if options.animate:
        save_film(figure, lines, options.out, "optimizers")
    save_figure(figure, options.out, "optimizers")
    race_on_digits(options)


def race(name, pulls, n_steps, device):
    """The points (n_steps + 1, 3, 2) that a method comes by on the three surfaces.

    They race as one tensor: no method lets one element's steps depend on another's gradient.
    """
    make_optimizer, rate, _, n_examples, _ = METHODS[name]
    starts = [start for _, start, _, _ in SURFACES.values()]
    points = tn.tensor(starts, device=device, requires_grad=True)
    optimizer = make_optimizer([points], rate)

    @tn.jit
    def step(pull):
        heights = [height(x, y) for (height, *_), (x, y) in zip(SURFACES.values(), points)]
        loss = sum(heights) + (points * pull).sum()  # the mean of some examples' losses
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return points.detach().clone()

    chosen = tn.rand(n_steps, 64).argsort(1)[:, :n_examples]
    path = map(step, pulls[chosen].mean(1).to(device))
    return tn.stack([points.detach().clone(), *path]).cpu()


def draw_paths(paths):
    """The figure, and for each line in it the path that it shows; a dot every ten steps."""
    figure, axes = make_figure(2, 3, width=4.4, height=4.0)
    lines = []
    for row, names in zip(axes, (PLAIN, ADAPTIVE)):
        for i, (surface, (height, start, _, limits)) in enumerate(SURFACES.items()):
            place = row[i]
            x, y = tn.linspace(*limits[:2], 121), tn.linspace(*limits[2:], 121)[:, None]
            place.contour(x, y[:, 0], height(x, y).log1p(), 12, cmap="Greys_r", linewidths=0.6)
            place.plot(*start, "ko")
            place.set(title=surface, xlim=limits[:2], ylim=limits[2:], xlabel="x", ylabel="y")
            for name, color, stroke in zip(names, COLORS, STROKES):
                path = paths[name][:, i].numpy()
                [line] = place.plot(*path.T, color=color, linestyle=stroke, marker=".",
                                    markevery=10, label=name)  # fmt: skip
                lines.append((line, path))
        row[0].legend(loc="lower right", fontsize="small", ncols=2)
    return figure, lines


def race_on_digits(options):
    """Each method sees the same images equally often; the test loss meanwhile and at the end."""
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    n, epochs = (1000, 1) if options.quick else (min(10_000, len(train)), 2)
    curves = {}
    for name, (make_optimizer, _, rate, _, size) in METHODS.items():
        tn.manual_seed(options.seed)
        model = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)).to(options.device)
        order = tn.cat([tn.randperm(n, device=options.device) for _ in range(epochs)])
        batches = order.reshape(-1, size or n)
        curves[name] = fit(model, make_optimizer(model.parameters(), rate), train, test, batches)
        print(f"digits, {name:10s} {len(batches):6d} steps, test loss {curves[name][1][-1]:.3f}")
    figure, [axes] = make_figure(1, 2, width=5.2, height=4, sharey=True)
    for place, names, title in (
        (axes[0], PLAIN[:3], "gradients of all images, of 50, of 1"),
        (axes[1], ["mini-batch", *PLAIN[3:], *ADAPTIVE[1:]], "gradients of 50 images"),
    ):
        for name in names:
            place.plot(*curves[name], label=name)
        place.set(title=title, xlabel="images seen", yscale="log")
        place.set_yticks([0.2, 0.3, 0.5, 1, 2], [0.2, 0.3, 0.5, 1, 2])
        place.minorticks_off()
        place.legend(fontsize="small")
    axes[0].set_ylabel("loss on test images")
    save_figure(figure, options.out, "optimizers_mnist")


def fit(model, optimizer, train, test, batches):
    """A step for each row of `batches`; 21 numbers of images seen, and the test loss then."""

    @tn.jit
    def step(images, labels):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    seen, losses = [], []
    every = max(1, len(batches) // 20)
    for i, batch in enumerate([*batches, None]):
        if i % every == 0:
            with tn.no_grad():
                images, labels = test[:]
                losses.append(nn.functional.cross_entropy(model(images), labels).item())
            seen.append(i * batches.shape[1])
        if batch is not None:
            step(*train[batch])
    return seen, losses


if __name__ == "__main__":
    run_script(main)
