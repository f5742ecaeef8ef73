"""Polynomials that fit too little, well, and too much.

    python examples/polynomial_overfitting.py

Points of a wave with noise are fitted by polynomials of more and more degrees. What to see: the
error on the points that were fitted only ever falls; on points that were not it falls, then rises:
a degree of 1 cannot follow the wave, one of 15 follows the noise. The remedy costs nothing but
data: with many points the degree of 15 does no harm, for there is too much noise to follow.

The fit is by least squares, solved exactly (QR); the columns are Chebyshev's polynomials, which are
no other functions than the powers of x, but can be told apart in floating point.
"""

import math

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn

NOISE = 0.3
DEGREES = {1: "too little", 5: "well", 15: "too much"}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    few, many = 20, 200 if options.quick else 1000
    x, y = make_data(few, options.device)
    others = make_data(1000, options.device)
    figure, axes = make_figure(2, 3, width=4, height=3.2)

    for place, (degree, word) in zip(axes[0], DEGREES.items()):
        coefficients = fit(x, y, degree)
        draw_fit(place, x, y, coefficients, f"degree {degree}: {word}")
    axes[0, 0].legend(fontsize="small")

    errors = [(error(fit(x, y, d), x, y), error(fit(x, y, d), *others)) for d in range(16)]
    best = min(range(16), key=lambda degree: errors[degree][1])
    print("degree   error on the fitted points   on others")
    for degree in (*DEGREES, best):
        print(f"{degree:6d}   {errors[degree][0]:26.3f}   {errors[degree][1]:9.3f}")
    print(f"the best degree is {best}; the noise alone makes an error of {NOISE**2:.3f}")
    draw_errors(axes[1, 0], range(16), errors, "degree", f"{few} points")

    sizes = [n for n in (20, 30, 50, 100, 200, 500, 1000) if n <= many]
    more = [make_data(n, options.device) for n in sizes]
    errors = [(error(fit(*data, 15), *data), error(fit(*data, 15), *others)) for data in more]
    print(f"degree 15 with {sizes[-1]} points: error {errors[-1][0]:.3f}, on others "
          f"{errors[-1][1]:.3f}")  # fmt: skip
    draw_errors(axes[1, 1], sizes, errors, "number of points", "degree 15", xscale="log")
    draw_fit(axes[1, 2], *more[-1], fit(*more[-1], 15), f"degree 15, {sizes[-1]} points")
    save_figure(figure, options.out, "polynomial_overfitting")


def make_data(n, device):
    """Places in [-1, 1] and a wave with noise there, (n,) each."""
    x = tn.rand(n, dtype=tn.float64, device=device) * 2 - 1
    return x, wave(x) + NOISE * tn.randn(n, dtype=tn.float64, device=device)


def wave(x):
    return (1.5 * math.pi * x).sin()


def columns(x, degree):
    """Chebyshev's polynomials up to `degree` at `x`: (n, degree + 1)."""
    values = [tn.ones_like(x), x]
    for _ in range(degree - 1):
        values.append(2 * x * values[-1] - values[-2])
    return tn.stack(values[: degree + 1], 1)


def fit(x, y, degree):
    """The coefficients of the least squared error."""
    q, r = tn.linalg.qr(columns(x, degree))
    return tn.linalg.solve(r, q.T @ y)


def evaluate(coefficients, x):
    return columns(x, len(coefficients) - 1) @ coefficients


def error(coefficients, x, y):
    """The mean squared error."""
    return (evaluate(coefficients, x) - y).square().mean().item()


def draw_fit(axes, x, y, coefficients, title):
    places = tn.linspace(-1, 1, 300, dtype=tn.float64, device=x.device)
    axes.scatter(x.tolist(), y.tolist(), s=10, color="silver", label="points")
    axes.plot(places.tolist(), wave(places).tolist(), label="the wave")
    axes.plot(places.tolist(), evaluate(coefficients, places).tolist(), label="the fit")
    axes.set(title=title, xlabel="x", ylabel="y", ylim=(-2, 2))


def draw_errors(axes, xs, errors, xlabel, title, xscale="linear"):
    for label, values in zip(("on the fitted points", "on others"), zip(*errors)):
        axes.plot(list(xs), values, marker=".", label=label)
    axes.axhline(NOISE**2, color="gray", linewidth=0.8, label="the noise")
    axes.set(title=title, xlabel=xlabel, ylabel="mean squared error", yscale="log", xscale=xscale)
    axes.legend(fontsize="small")


if __name__ == "__main__":
    run_script(main)
