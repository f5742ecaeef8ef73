"""Rosenblatt's perceptron learns AND and OR, fails on XOR; a network with a hidden layer does not.

    python examples/perceptron.py

A perceptron says 1 where `w . x + b > 0`: one straight line divides the plane. Its rule changes the
weights only at mistakes, by `(label - answer) * x`, and finds a line after finitely many mistakes
if there is one (Rosenblatt 1958; Novikoff 1962). What to see: AND and OR are learnt within a few
rounds; on XOR, which no line divides (Minsky & Papert 1969), it never stops making mistakes. Two
layers with tanh between bend the line and solve it, by gradient descent.
"""

from frame import COLORS, make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

POINTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
GATES = {"AND": [0.0, 0.0, 0.0, 1.0], "OR": [0.0, 1.0, 1.0, 1.0], "XOR": [0.0, 1.0, 1.0, 0.0]}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    x = tn.tensor(POINTS, device=options.device)
    figure, axes = make_figure(1, 4, width=3, height=3.2, sharex=True, sharey=True)
    for place, (name, labels) in zip(axes.flat, GATES.items()):
        y = tn.tensor(labels, device=options.device)
        w, b, mistakes = learn_by_rosenblatt(x, y, rounds=20)
        print(f"perceptron on {name}: mistakes by round {mistakes}")
        draw(place, f"{name}, perceptron", x, y, lambda points, w=w, b=b: points @ w + b)
    net, steps = learn_by_descent(x, y, steps=500 if options.quick else 2000)
    print(f"network of 2-4-1 on XOR: all four right after {steps} steps of gradient descent")
    draw(axes[0, 3], "XOR, hidden layer of 4", x, y, lambda points: net(points)[:, 0])
    axes[0, 0].set_ylabel("second input")
    marks = axes[0, 0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside lower center", ncols=2)
    save_figure(figure, options.out, "perceptron")


@tn.no_grad()
def learn_by_rosenblatt(x, y, rounds):
    """Weights, bias, and the number of mistakes in each round until there was none."""
    w, b = tn.zeros(2, device=x.device), tn.zeros((), device=x.device)
    mistakes = []
    for _ in range(rounds):
        mistakes.append(0)
        for point, label in zip(x, y):
            error = label - (point @ w + b > 0).float()
            w += error * point
            b += error
            mistakes[-1] += int(error.item() != 0)
        if not mistakes[-1]:
            break
    return w, b, mistakes


def learn_by_descent(x, y, steps):
    """A network, and after how many steps all its answers stayed right."""
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).to(x.device)
    optimizer = tn.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
    last_wrong = 0
    for step in range(1, steps + 1):
        score = net(x)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(score, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not ((score > 0).float() == y).all().item():
            last_wrong = step
    if last_wrong == steps:
        raise SystemExit("the network did not learn XOR: try another --seed")
    return net, last_wrong


@tn.no_grad()
def draw(axes, title, x, y, score):
    """The four points, and the half of the plane where the score is above 0."""
    ticks = tn.linspace(-0.5, 1.5, 101, device=x.device)
    rows, columns = tn.meshgrid(ticks, ticks, indexing="ij")
    scores = score(tn.stack([columns.flatten(), rows.flatten()], 1)).reshape(101, 101)
    sides = ticks.cpu().numpy()
    axes.contourf(sides, sides, scores.cpu().numpy(), [-1e9, 0, 1e9], colors=["white", "#d0e4f0"])
    for label, marker, color in ((0, "o", COLORS[1]), (1, "s", COLORS[0])):
        chosen = x[y == label].cpu().numpy()
        axes.scatter(*chosen.T, marker=marker, color=color, s=60, label=f"label {label}")
    axes.set(title=title, xlabel="first input")


if __name__ == "__main__":
    run_script(main)
