"""Optimisers of every family against their formulas, written out for one number."""

import math
import pickle

import pytest

import tinynet as tn
from tinynet.errors import ArgumentError, ArgumentTypeError, StateError
from tinynet.optim import (
    ASGD,
    LAMB,
    LBFGS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adamax,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)

GRADIENTS = [math.sin(3 * i) + 0.1 for i in range(50)]


def trained(make, **options):
    x = tn.tensor([0.5], dtype=tn.float64, requires_grad=True)
    optimizer = make([x], **options)
    for gradient in GRADIENTS:
        x.grad = tn.tensor([gradient], dtype=tn.float64)
        optimizer.step()
    return x.item()


def adagrad():
    x, total = 0.5, 2.0
    for i, g in enumerate(GRADIENTS):
        total += g * g
        x -= 0.1 / (1 + 0.2 * i) * g / (math.sqrt(total) + 0.01)
    return x


def adadelta():
    x, square, changes = 0.5, 0.0, 0.0
    for g in GRADIENTS:
        g += 0.1 * x
        square = 0.8 * square + 0.2 * g * g
        change = math.sqrt(changes + 1e-3) / math.sqrt(square + 1e-3) * g
        changes = 0.8 * changes + 0.2 * change * change
        x -= 0.3 * change
    return x


def rmsprop():
    x, square, mean, moved = 0.5, 0.0, 0.0, 0.0
    for g in GRADIENTS:
        square = 0.7 * square + 0.3 * g * g
        mean = 0.7 * mean + 0.3 * g
        moved = 0.5 * moved + g / (math.sqrt(square - mean * mean) + 0.1)
        x -= 0.05 * moved
    return x


def adamax():
    x, mean, size = 0.5, 0.0, 0.0
    for i, g in enumerate(GRADIENTS, 1):
        mean = 0.8 * mean + 0.2 * g
        size = max(0.95 * size, abs(g) + 1e-8)
        x -= 0.05 / (1 - 0.8**i) * mean / size
    return x


def nadam():
    x, mean, square, product = 0.5, 0.0, 0.0, 1.0
    for i, g in enumerate(GRADIENTS, 1):
        x *= 1 - 0.05 * 0.1
        now = 0.9 * (1 - 0.5 * 0.96 ** (0.01 * i))
        following = 0.9 * (1 - 0.5 * 0.96 ** (0.01 * (i + 1)))
        product *= now
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
        ahead = following * mean / (1 - product * following) + (1 - now) * g / (1 - product)
        x -= 0.05 * ahead / (math.sqrt(square / (1 - 0.99**i)) + 0.1)
    return x


def radam():
    x, mean, square, most = 0.5, 0.0, 0.0, 2 / 0.01 - 1
    for i, g in enumerate(GRADIENTS, 1):
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
        now = most - 2 * i * 0.99**i / (1 - 0.99**i)
        change = mean / (1 - 0.9**i)
        if now > 5:
            share = (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now)
            change *= math.sqrt(share * (1 - 0.99**i)) / (math.sqrt(square) + 0.1)
        x -= 0.05 * change
    return x


def asgd():
    x, eta = 0.5, 0.1
    for i, g in enumerate(GRADIENTS, 1):
        x = (1 - 0.01 * eta) * x - eta * g
        eta = 0.1 / (1 + 0.01 * 0.1 * i) ** 0.6
    return x


def rprop():
    x, size, before = 0.5, 0.1, 0.0
    for g in GRADIENTS:
        if g * before > 0:
            size = min(size * 1.5, 0.4)
        elif g * before < 0:
            size, g = max(size * 0.4, 0.03), 0.0
        x -= size * ((g > 0) - (g < 0))
        before = g
    return x


def adafactor():
    x, square = 0.5, 0.0
    for i, g in enumerate(GRADIENTS, 1):
        share = i**-0.5
        step_size = max(0.01, abs(x)) * min(0.3, 1 / math.sqrt(i))
        x *= 1 - 0.3 * 0.1
        square = (1 - share) * square + share * g * g
        change = g / math.sqrt(max(square, 0.1**2))
        x -= step_size * change / max(1, abs(change) / 1.2)
    return x


def lion():
    x, mean = 0.5, 0.0
    for g in GRADIENTS:
        x -= 0.01 * (math.copysign(1, 0.8 * mean + 0.2 * g) + 0.1 * x)
        mean = 0.95 * mean + 0.05 * g
    return x


def lamb():
    x, mean, square = 0.5, 0.0, 0.0
    for i, g in enumerate(GRADIENTS, 1):
        mean, square = 0.8 * mean + 0.2 * g, 0.95 * square + 0.05 * g * g
        size = math.sqrt(square / (1 - 0.95**i)) + 1e-3
        change = mean / (1 - 0.8**i) / size + 0.1 * x
        x -= 0.05 * abs(x) / abs(change) * change
    return x


RULES = [
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 2, "eps": 0.01}),
    (Adadelta, adadelta, {"lr": 0.3, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.7, "eps": 0.1, "momentum": 0.5, "centered": True}),
    (Adamax, adamax, {"lr": 0.05, "betas": (0.8, 0.95)}),
    (NAdam, nadam, {"lr": 0.05, "betas": (0.9, 0.99), "eps": 0.1, "momentum_decay": 0.01,
                    "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, radam, {"lr": 0.05, "betas": (0.9, 0.99), "eps": 0.1}),
    (ASGD, asgd, {"lr": 0.1, "lambd": 0.01, "alpha": 0.6}),
    (Rprop, rprop, {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (0.03, 0.4)}),
    (Adafactor, adafactor, {"lr": 0.3, "beta2_decay": -0.5, "eps": (0.1, 0.01), "d": 1.2,
                            "weight_decay": 0.1}),
    (Lion, lion, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    (LAMB, lamb, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "formula", "options"), RULES, ids=[rule[0].__name__ for rule in RULES]
)
def test_a_rule_is_its_formula(make, formula, options, on_device):
    assert trained(make, **options) == pytest.approx(formula(), rel=1e-11)


@pytest.mark.parametrize("make", [rule[0] for rule in RULES])
def test_maximize_goes_uphill(make):
    for sign in (1.0, -1.0):
        x = tn.tensor([0.5], requires_grad=True)
        x.grad = tn.tensor([2.0])
        make([x], lr=0.1, maximize=sign > 0).step()
        assert (x.item() - 0.5) * sign > 0


def test_asgd_keeps_the_mean_of_parameters():
    x = tn.tensor([1.0], requires_grad=True)
    optimizer = ASGD([x], lr=0.1, lambd=0, alpha=0, t0=3)
    seen = []
    for _ in range(8):
        x.grad = tn.tensor([1.0])
        optimizer.step()
        seen.append(x.item())
    assert optimizer.state[x]["ax"].item() == pytest.approx(sum(seen[4:]) / 4, rel=1e-5)


def test_a_matrix_of_adafactor_keeps_a_row_and_a_column():
    x = tn.ones(3, 4).requires_grad_()
    optimizer = Adafactor([x], lr=0.1, beta2_decay=-1.0)
    x.grad = tn.tensor([[1.0], [2.0], [3.0]]) * tn.tensor([1.0, 2.0, 3.0, 4.0])
    optimizer.step()
    state = optimizer.state[x]
    assert state["row_var"].flatten().tolist() == pytest.approx([7.5, 30.0, 67.5])
    assert state["col_var"].shape == (1, 4)
    assert x.flatten().tolist() == pytest.approx([0.9] * 12)  # of rank 1: known exactly


def test_lamb_steps_from_zero_as_adam_does():
    x = tn.zeros(2).requires_grad_()
    x.grad = tn.tensor([3.0, -4.0])
    LAMB([x], lr=0.1).step()
    assert x.tolist() == pytest.approx([-0.1, 0.1])


# Muon
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_muon_steps_along_an_orthogonal_matrix(shape, on_device):
    x = tn.zeros(shape).requires_grad_()
    x.grad = tn.randn(shape)
    Muon([x], lr=1.0, weight_decay=0).step()
    rows, columns = shape
    step = x.detach() / max(1, rows / columns) ** 0.5
    values = tn.linalg.svd(step.cpu())[1]
    assert 0.6 < values.min().item() < values.max().item() < 1.3
    assert (step * x.grad).sum() < 0
    other = tn.zeros(shape).requires_grad_()
    other.grad = x.grad
    Muon([other], lr=1.0, weight_decay=0, adjust_lr_fn="match_rms_adamw").step()
    ratio = 0.2 * 6**0.5 / max(1, rows / columns) ** 0.5
    assert tn.allclose(other, x * ratio, rtol=1e-5)


def test_muon_decays_and_looks_ahead():
    grads = [tn.randn(2, 2), tn.randn(2, 2)]
    ends = []
    for nesterov in (True, False):
        x = tn.ones(2, 2).requires_grad_()
        optimizer = Muon([x], lr=0.5, weight_decay=0.2, momentum=0.5, nesterov=nesterov, ns_steps=0)
        for x.grad in grads:
            optimizer.step()
        mean = grads[0] / 4 + grads[1] / 2
        assert tn.allclose(optimizer.state[x]["momentum_buffer"], mean)
        ends.append(x.detach())
    ahead = [(g + m) / 2 for g, m in zip(grads, [grads[0] / 2, mean])]
    for end, parts in zip(ends, [ahead, [grads[0] / 2, mean]]):
        expected = 0.81 - 0.5 * (0.9 * parts[0] / parts[0].norm() + parts[1] / parts[1].norm())
        assert tn.allclose(end, expected, atol=0.01)


# LBFGS
def valley(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def minimise(function, start, steps=1, **options):
    x = tn.tensor(start, dtype=tn.float64, requires_grad=True)
    optimizer = LBFGS([x], **options)

    def closure():
        optimizer.zero_grad()
        loss = function(x)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(steps)]
    return x, losses, optimizer.state[x]


def test_lbfgs_finds_the_bottom_of_a_valley(on_device):
    x, losses, state = minimise(valley, [-1.2, 1.0], 4, line_search_fn="strong_wolfe")
    assert x.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    assert losses[0] == pytest.approx(24.2)
    assert losses == sorted(losses, reverse=True)
    assert state["func_evals"] < 80


@pytest.mark.parametrize("lr", [1e-4, 0.3, 1.0, 50.0])
def test_lines_are_searched_from_any_step(lr):
    x, _, _ = minimise(valley, [-1.2, 1.0], 30, line_search_fn="strong_wolfe", lr=lr)
    assert x.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_the_first_step_of_lbfgs_is_along_the_gradient():
    x, _, state = minimise(lambda x: (x * x).sum(), [3.0, -4.0], lr=0.7, max_iter=1)
    assert x.tolist() == pytest.approx([3 - 0.7 * 6 / 14, -4 + 0.7 * 8 / 14])
    assert (state["n_iter"], state["func_evals"]) == (1, 1)


def test_two_pairs_know_a_quadratic_function():
    scale = tn.tensor([1.0, 10.0], dtype=tn.float64)
    options = {"line_search_fn": "strong_wolfe", "max_iter": 30, "max_eval": 60}
    x, _, state = minimise(lambda x: (scale * x * x).sum(), [3.0, -4.0], **options)
    assert x.tolist() == pytest.approx([0.0, 0.0], abs=1e-5)
    assert len(state["old_dirs"]) == len(state["old_stps"]) == len(state["ro"])


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        ({"max_iter": 3}, 3), ({"max_iter": 9, "max_eval": 4}, 4), ({"tolerance_grad": 1000.0}, 1),
        ({"tolerance_change": 1e9}, 1),
    ],
)  # fmt: skip
def test_lbfgs_stops(options, evaluations):
    _, _, state = minimise(valley, [1.2, 1.0], lr=1e-3, **options)
    assert state["func_evals"] == evaluations


def test_the_history_is_limited():
    options = {"line_search_fn": "strong_wolfe", "history_size": 3}
    assert len(minimise(valley, [-1.2, 1.0], **options)[2]["old_dirs"]) == 3


def test_parameters_without_gradients_stay_in_lbfgs():
    x, y = tn.ones(2, requires_grad=True), tn.ones(3, requires_grad=True)
    optimizer = LBFGS([x, y], lr=0.1)

    def closure():
        x.grad = None
        loss = (x * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert y.tolist() == [1.0] * 3
    assert x.abs().max() < 1


# State, hooks, misuse
def test_numbers_that_are_tensors_elsewhere():
    x = tn.ones(2, requires_grad=True)
    optimizer = NAdam([x])
    state = {
        "step": tn.tensor(3.0),
        "mu_product": tn.tensor(0.25),
        "exp_avg": tn.ones(2),
        "exp_avg_sq": tn.ones(2),
    }
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [{"params": [0]}]})
    assert optimizer.state[x]["step"] == 3
    assert type(optimizer.state[x]["mu_product"]) is float
    x.grad = tn.ones(2)
    optimizer.step()
    assert optimizer.state[x]["step"] == 4


def test_step_hooks():
    x = tn.ones(1, requires_grad=True)
    x.grad = tn.ones(1)
    optimizer = SGD([x], lr=0.5)
    seen = []
    with optimizer.register_step_pre_hook(lambda *given: seen.append(("before", x.item()))):
        optimizer.register_step_post_hook(lambda *given: seen.append(("after", x.item())))
        optimizer.step()
    optimizer.step()
    assert seen == [("before", 1.0), ("after", 0.5), ("after", 0.0)]
    assert pickle.loads(pickle.dumps(optimizer)).hooks == {}
    optimizer.register_step_pre_hook(lambda *given: 3)
    with pytest.raises(ArgumentTypeError) as error:
        optimizer.step()
    assert str(error.value) == (
        "SGD: a step pre-hook must return None or a pair of args and kwargs, got 3"
    )


def test_hooks_of_states():
    x = tn.ones(1, requires_grad=True)
    optimizer, seen = SGD([x], lr=0.5), []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("out"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: state["inner"])
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    state = optimizer.state_dict()
    assert state["more"] == 1
    state["param_groups"][0]["lr"] = 0.25
    optimizer.load_state_dict({"inner": state})
    assert seen == ["out", 0.25]


X = tn.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Adadelta([X], rho=1.5), ArgumentError,
         "Adadelta: rho must be in [0, 1], got 1.5"),
        (lambda: Adagrad([X], lr_decay=-1), ArgumentError,
         "Adagrad: lr_decay cannot be negative, got -1"),
        (lambda: Rprop([X], etas=(1.5, 2)), ArgumentError,
         "Rprop: etas must be below and above 1, got (1.5, 2)"),
        (lambda: Adafactor([X], beta2_decay=1), ArgumentError,
         "Adafactor: beta2_decay cannot be positive, got 1"),
        (lambda: Adafactor([X], d=0.5), ArgumentError, "Adafactor: d must be at least 1, got 0.5"),
        (lambda: Adafactor([X], eps=(None, -1)), ArgumentError,
         "Adafactor: eps: second cannot be negative, got -1"),
        (lambda: Lion([X], betas=(0.9, 1)), ArgumentError,
         "Lion: betas must be two numbers in [0, 1), got (0.9, 1)"),
        (lambda: LAMB([X], eps=-1), ArgumentError, "LAMB: eps cannot be negative, got -1"),
        (lambda: Muon([X]), ArgumentError, "Muon: can train only matrices, got shape (2,)"),
        (lambda: Muon([tn.ones(2, 2)], ns_steps=100), ArgumentError,
         "Muon: ns_steps must be less than 100, got 100"),
        (lambda: Muon([tn.ones(2, 2)], ns_coefficients=(1, 2)), ArgumentError,
         "Muon: ns_coefficients must be three, got (1, 2)"),
        (lambda: Muon([tn.ones(2, 2)], adjust_lr_fn="no"), ArgumentError,
         "Muon: adjust_lr_fn must be one of ('original', 'match_rms_adamw'), got 'no'"),
        (lambda: LBFGS([X], line_search_fn="armijo"), ArgumentError,
         "LBFGS: line_search_fn must be None or 'strong_wolfe', got 'armijo'"),
        (lambda: LBFGS([{"params": [X]}, {"params": [tn.ones(1)]}]), ArgumentError,
         "LBFGS: expected one group of parameters, got another"),
        (lambda: LBFGS([X]).step(), ArgumentTypeError,
         "LBFGS: step needs a closure that computes the loss, got None"),
        (lambda: SGD([{"params": [("a", X)]}, {"params": [tn.ones(1)]}]), ArgumentError,
         "SGD: expected names in all groups, or in none"),
        (lambda: LBFGS([X]).load_state_dict({"state": {0: {"d": tn.ones(3)}},
                                             "param_groups": [{"params": [0]}]}), StateError,
         "LBFGS.load_state_dict: state[0]['d']: got shape (3,), expected (2,)"),
        (lambda: Adafactor([tn.ones(2, 3)]).load_state_dict(
            {"state": {0: {"row_var": tn.ones(3, 1)}}, "param_groups": [{"params": [0]}]}),
         StateError, "Adafactor.load_state_dict: state[0]['row_var']: got shape (3, 1), "
         "expected (2, 3)"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
