"""Local minima and saddle points: starting again, noise, and simulated annealing.

    python examples/local_minima.py

Gradient descent ends in whatever minimum lies downhill of where it starts. What to see, on
Rastrigin's function (a bowl with a dent every unit, its deepest at the origin):

* from one start it is caught in the next dent; of many starts the best ends far deeper (left);
* noisy gradients, as mini-batches give them, shake it out of dents, with most seeds downhill;
* simulated annealing needs no gradient at all: it also accepts steps upwards, ever more seldom,
  and ends at or beside the deepest (Kirkpatrick et al. 1983) (middle);
* at a saddle point the gradient is 0 too, though it is no minimum: descent from exactly there, or
  from along its ridge, stays; the least noise lets it escape (right).
"""

import math

from frame import COLORS, STROKES, make_figure, parse_options, run_script, save_figure

import tinynet as tn

START = [3.4, -2.6]


def rastrigin(point):
    """0 at the origin; local minima near all whole numbers (Rastrigin 1974)."""
    x, y = point[..., 0], point[..., 1]
    waves = (2 * math.pi * x).cos() + (2 * math.pi * y).cos()
    return 20 + x * x + y * y - 10 * waves


def saddle(point):
    """A minimum along x, a maximum along y, until two valleys catch what slides down."""
    x, y = point[..., 0], point[..., 1]
    return x * x - y * y + y**4 / 2


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    n = 400 if options.quick else 1000
    start = tn.tensor(START, device=options.device)
    plain = descend(rastrigin, start, n, rate=0.002)
    noisy = descend(rastrigin, start, n, rate=0.002, noise=100.0)
    report("gradient descent", rastrigin, plain)
    report("with noisy gradients", rastrigin, noisy)

    def run(point):
        path = descend(rastrigin, point, n, rate=0.002)
        return rastrigin(path[-1]).item(), path

    starts = 8 * tn.rand(12 if options.quick else 30, 2, device=options.device) - 4
    found = tn.train.restart(run, list(starts))
    report(f"best of {len(starts)} starts", rastrigin, found.result)
    annealed = anneal(start, 4 * n)
    report("simulated annealing", rastrigin, annealed)

    ridge = tn.tensor([0.9, 0.0], device=options.device)
    stuck = descend(saddle, ridge, n, rate=0.02)
    free = descend(saddle, ridge, n, rate=0.02, noise=1e-3)
    print(f"saddle: descent along the ridge ends at {rounded(stuck[-1])}, value "
          f"{saddle(stuck[-1]).item():.3f}; with a little noise at {rounded(free[-1])}, value "
          f"{saddle(free[-1]).item():.3f}")  # fmt: skip

    figure, axes = make_figure(1, 3, width=4.6, height=4.2)
    draw(axes[0, 0], rastrigin, 4, {"descent": plain, "noisy gradients": noisy,
                                    f"best of {len(starts)} starts": found.result})  # fmt: skip
    draw(axes[0, 1], rastrigin, 4, {"annealing": annealed})
    draw(axes[0, 2], saddle, 1.5, {"along the ridge": stuck, "with a little noise": free})
    for place, title in zip(axes[0], ("Rastrigin's function", "Rastrigin's function", "a saddle")):
        place.set_title(title)
    save_figure(figure, options.out, "local_minima")


def descend(function, start, steps, rate, noise=0.0):
    """The points (steps + 1, 2) of gradient descent; the noise dies down towards the end."""
    point = start.clone().requires_grad_()
    path = [start]
    for step in range(steps):
        (grad,) = tn.autograd.grad(function(point), point)
        grad = grad + noise * (1 - step / steps) * tn.randn(2, device=start.device)
        point = (point - rate * grad).detach().requires_grad_()
        path.append(point.detach())
    return tn.stack(path)


def anneal(start, steps):
    """The points of simulated annealing that were accepted."""
    point = start.clone()
    cooling = tn.train.GeometricCooling(start=20.0, rate=0.001 ** (1 / steps))
    optimizer = tn.train.SimulatedAnnealing([point], cooling, step_size=0.7)
    path = [start]
    for _ in range(steps):
        optimizer.step(lambda: rastrigin(point))
        path.append(point.clone())
    optimizer.restore_best()
    return tn.stack([*path, point])


def rounded(point):
    return [round(x, 2) + 0.0 for x in point.tolist()]


def report(name, function, path):
    print(f"{name}: ends at {rounded(path[-1])}, value {function(path[-1]).item():.2f}")


def draw(axes, function, limit, paths):
    ticks = tn.linspace(-limit, limit, 201)
    rows, columns = tn.meshgrid(ticks, ticks, indexing="ij")
    heights = function(tn.stack([columns, rows], 2))
    axes.contourf(ticks.numpy(), ticks.numpy(), heights.numpy(), 30, cmap="Greys_r")
    widths = (3, 1.2, 1.2) if len(paths) > 1 else (1.2,)  # others may hide the first
    styles = zip(COLORS[1:], STROKES, widths)
    for (label, path), (color, stroke, width) in zip(paths.items(), styles):
        x, y = path.cpu().numpy().T
        axes.plot(x, y, color=color, linestyle=stroke, linewidth=width, label=label)
        axes.plot(x[-1], y[-1], "o", color=color, markeredgecolor="white")
    axes.set(xlabel="x", ylabel="y", xlim=(-limit, limit), ylim=(-limit, limit))
    axes.legend(loc="upper right", fontsize="small")


if __name__ == "__main__":
    run_script(main)
