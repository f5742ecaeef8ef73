"""Long short-term memory in plain NumPy: what the primitives must give, in float64."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(sums, weight, h, c, is_reverse):
    """All outputs, all states and all gates."""
    n = len(h)
    outputs, cells, gates = [], [], []
    steps = np.split(sums, len(sums) // n)
    for part in steps[::-1] if is_reverse else steps:
        i, f, g, o = np.split(part + h @ weight.T, 4, 1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
        cells.append(c)
        gates.append(np.concatenate([i, f, g, o], 1))
    order = slice(None, None, -1 if is_reverse else 1)
    return tuple(np.concatenate(parts[order]) for parts in (outputs, cells, gates))


def backward(grads, weight, gates, cells, c, is_reverse):
    """Gradients of the sums, the first output and the first state."""
    grad, grad_c = grads
    n = len(c)
    count = len(gates) // n
    grad_h = np.zeros_like(c)
    grad_sums = np.zeros_like(gates)
    order = range(count) if is_reverse else range(count - 1, -1, -1)
    for place, t in enumerate(order):
        before = t + (1 if is_reverse else -1)
        earlier = c if place == count - 1 else cells[before * n : before * n + n]
        rows = slice(t * n, t * n + n)
        i, f, g, o = np.split(gates[rows], 4, 1)
        tanh_c = np.tanh(cells[rows])
        dh = grad[rows] + grad_h
        dc = grad_c + dh * o * (1 - tanh_c**2)
        parts = dc * g * i * (1 - i), dc * earlier * f * (1 - f), dc * i * (1 - g * g)
        grad_sums[rows] = np.concatenate([*parts, dh * tanh_c * o * (1 - o)], 1)
        grad_h, grad_c = grad_sums[rows] @ weight, dc * f
    return grad_sums, grad_h, grad_c


def operands(steps, n, hidden, seed=0):
    """Sums, weight, first output and first state, in float64."""
    random = np.random.default_rng(seed)
    sums, h, c = (random.standard_normal((k * n, m)) for k, m in (
        (steps, 4 * hidden), (1, hidden), (1, hidden)))  # fmt: skip
    return sums, random.uniform(-1, 1, (4 * hidden, hidden)) / hidden**0.5, h, c
