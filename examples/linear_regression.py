"""Linear regression: a hand-written loop, the same with `nn`, and the answer without any loop.

    python examples/linear_regression.py

The data are made: y = w . x + b + noise, so we know what is to be found. First with one input, by
gradient descent in five lines on two tensors; then with eight inputs by `nn.Linear` and
`optim.SGD`. What to see: both end where the normal equations say (X^T X w = X^T y), which is not
exactly what the data were made with: noise moves the best fit by about its size over the square
root of the number of points.
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

NOISE = 0.5


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    n = 100 if options.quick else 1000
    figure, axes = make_figure(1, 3)

    x, y, true_w, true_b = make_data(n, 1, options.device)
    w, b, losses = descend_by_hand(x, y)
    print(f"one input: made with w {true_w.item():.3f}, b {true_b.item():.3f}")
    print(f"by hand:   found     w {w.item():.3f}, b {b.item():.3f}")
    solution = solve_normal_equations(x, y)
    print(f"equations: found     w {solution[0].item():.3f}, b {solution[1].item():.3f}")
    draw_line(axes[0, 0], x, y, w, b)
    axes[0, 1].plot(losses)
    axes[0, 1].axhline(NOISE**2, color="gray", linewidth=0.8, label="the noise's variance")
    axes[0, 1].set(title="by hand", xlabel="step", ylabel="mean squared error", yscale="log")
    axes[0, 1].legend()

    x, y, true_w, true_b = make_data(n, 8, options.device)
    model = fit_with_nn(x, y)
    solution = solve_normal_equations(x, y)
    found = tn.cat([model.weight[0], model.bias]).detach()
    made_with = tn.cat([true_w, true_b.reshape(1)])
    print(f"eight inputs: largest distance from the normal equations' solution "
          f"{(found - solution).abs().max().item():.1e}, from what the data were made with "
          f"{(found - made_with).abs().max().item():.3f}")  # fmt: skip
    draw_weights(axes[0, 2], made_with, found, solution)
    save_figure(figure, options.out, "linear_regression")


def make_data(n, n_inputs, device):
    """Inputs (n, n_inputs), outputs (n,), and the weights and bias they were made with."""
    x = tn.randn(n, n_inputs, device=device)
    w, b = 2 * tn.randn(n_inputs, device=device), tn.randn((), device=device)
    return x, x @ w + b + NOISE * tn.randn(n, device=device), w, b


def descend_by_hand(x, y, rate=0.1, steps=60):
    """Gradient descent on the mean squared error; weights, bias, and the error before each step."""
    w = tn.randn(x.shape[1], device=x.device, requires_grad=True)
    b = tn.zeros((), device=x.device, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = (x @ w + b - y).square().mean()
        loss.backward()
        with tn.no_grad():
            for parameter in (w, b):
                parameter -= rate * parameter.grad
                parameter.grad = None
        losses.append(loss.item())
    return w.detach(), b.detach(), losses


def fit_with_nn(x, y, steps=200):
    """The same, with the library's parts."""
    model = nn.Linear(x.shape[1], 1).to(x.device)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x)[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def solve_normal_equations(x, y):
    """Weights and bias, one behind the other, of the least squared error: no step is needed."""
    rows = tn.cat([x, tn.ones(len(x), 1, device=x.device)], 1)
    return tn.linalg.solve(rows.T @ rows, rows.T @ y)


def draw_line(axes, x, y, w, b):
    axes.scatter(x[:, 0].tolist(), y.tolist(), s=8, alpha=0.5, label="data")
    ends = tn.tensor([-3.0, 3.0], device=w.device)
    axes.plot(ends.tolist(), (ends * w + b).tolist(), color="black", label="fit")
    axes.set(title="one input", xlabel="x", ylabel="y")
    axes.legend()


def draw_weights(axes, made_with, found, solution):
    names = [*(f"w{i}" for i in range(1, len(found))), "b"]
    for offset, label, values in (
        (-0.25, "made with", made_with), (0, "nn, SGD", found), (0.25, "equations", solution)
    ):  # fmt: skip
        axes.bar([i + offset for i in range(len(names))], values.tolist(), 0.25, label=label)
    axes.set_xticks(range(len(names)), names)
    axes.set(title="eight inputs", ylabel="value")
    axes.legend()


if __name__ == "__main__":
    run_script(main)
