"""Attention in NumPy, in float64: what backends and kernels are held against."""

import numpy as np


def operands(n, heads, queries, keys, q_size, v_size, seed=0):
    """Queries, keys, values, and a gradient of the results."""
    random = np.random.default_rng(seed)
    shapes = [(queries, q_size), (keys, q_size), (keys, v_size), (queries, v_size)]
    return [random.standard_normal((n, heads, *shape)) for shape in shapes]


def masks(n, heads, queries, keys):
    """Masks of every kind, by name."""
    random = np.random.default_rng(1)
    some = random.random((n, heads, queries, keys)) < 0.5
    some[..., queries // 2, :] = False
    barred = {
        "causal": np.tri(queries, keys)[None, None] > 0,
        "keys": some[:, :1, :1],
        "some": some,
        "last": (np.arange(keys) >= keys - 2)[None, None, None],
        "nothing": np.zeros((1, 1, queries, keys)) > 0,
    }
    found = {name: np.where(seen, 0, -np.inf) for name, seen in barred.items()}
    return {"no": None, **found, "numbers": random.standard_normal((1, heads, queries, keys))}


def forward(q, k, v, mask, scale):
    """Results, and the logarithms of the weights' sums."""
    scores = q @ np.swapaxes(k, -1, -2) * scale + (0 if mask is None else mask)
    top = scores.max(-1, keepdims=True)
    exps = np.exp(scores - np.where(np.isinf(top), 0, top))
    total = exps.sum(-1, keepdims=True)
    sees = total[..., 0] > 0
    logs = np.where(sees, top[..., 0] + np.log(np.where(sees, total[..., 0], 1)), np.inf)
    return exps / np.where(total == 0, 1, total) @ v, logs


def backward(grad, q, k, v, mask, logs, scale):
    """Gradients of queries, keys and values."""
    scores = q @ np.swapaxes(k, -1, -2) * scale + (0 if mask is None else mask)
    weights = np.exp(scores - logs[..., None])
    weights_grad = grad @ np.swapaxes(v, -1, -2)
    scores_grad = weights * (weights_grad - (weights_grad * weights).sum(-1, keepdims=True)) * scale
    turned, across = np.swapaxes(scores_grad, -1, -2), np.swapaxes(weights, -1, -2)
    return scores_grad @ k, turned @ q, across @ grad
