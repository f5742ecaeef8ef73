"""K-fold cross-validation chooses how strong weight decay should be.

    python examples/cross_validation.py

A hyperparameter cannot be chosen by the error on the training set (no decay would be best), and
with few data one validation set is a matter of luck. So the data are split in k parts; each in turn
is held out, the others train, and the k scores are averaged (Stone 1974). What to see: with too
little decay a polynomial follows the noise, with too much it follows nothing; the choice lies in
between. The bars are the spread over the folds, and single folds would often choose otherwise. The
test set, which nobody looked at before, has its lowest error there or close by.
"""

import math

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

DEGREE = 15
DECAYS = [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def main(arguments=None):
    options = parse_options(__doc__, arguments, folds=5)
    data = make_data(60, options.device)
    test = make_data(1000, options.device)
    steps = 25 if options.quick else 1000
    means, errors, tests, choices = [], [], [], []
    for decay in DECAYS:
        tn.manual_seed(options.seed)  # the same folds for each
        result = tn.train.cross_validate(
            lambda train, held, decay=decay: error(fit(train, decay, steps), held),
            data,
            options.folds,
        )
        means.append(result.mean)
        errors.append(result.std)
        choices.append(result.scores)
        tests.append(error(fit(data, decay, steps), test))
        print(f"decay {decay:<7g} error {result.mean:.3f} +- {result.std:.3f} over the folds, "
              f"on the test set {tests[-1]:.3f}")  # fmt: skip
    best = means.index(min(means))
    alone = [DECAYS[scores.index(min(scores))] for scores in zip(*choices)]
    print(f"chosen: decay {DECAYS[best]:g}; single folds would choose {alone}")
    print(f"its error on the test set is {tests[best] / min(tests):.2f} times the lowest there")
    draw(options.out, means, errors, tests, best)


def make_data(n, device):
    """Powers of places in [-1, 1], and a wave with noise there."""
    x, _ = tn.data.make_polynomial(n, device=device)
    y = (1.5 * math.pi * x[:, 0]).sin() + 0.3 * tn.randn(n, device=device)
    return tn.data.TensorDataset(x ** tn.arange(1, DEGREE + 1, device=device), y)


def fit(dataset, decay, steps):
    """A linear model of the powers: the squared error and `decay` times the squared weights."""
    x, y = dataset[:]
    model = nn.Linear(DEGREE, 1).to(x.device)
    optimizer = tn.optim.LBFGS(model.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x)[:, 0], y) + decay * model.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return model


@tn.no_grad()
def error(model, dataset):
    x, y = dataset[:]
    return nn.functional.mse_loss(model(x)[:, 0], y).item()


def draw(folder, means, errors, tests, best):
    figure, axes = make_figure(width=6, height=4)
    places = range(len(DECAYS))
    axes[0, 0].errorbar(places, means, errors, capsize=4, marker="o", label="held-out folds")
    axes[0, 0].plot(places, tests, marker="s", label="test set")
    axes[0, 0].axvline(best, color="gray", linewidth=0.8, label="chosen")
    axes[0, 0].set_xticks(places, [f"{decay:g}" for decay in DECAYS])
    axes[0, 0].set(xlabel="weight decay", ylabel="mean squared error")
    axes[0, 0].set_ylim(0, max(tests) * 2)
    axes[0, 0].legend()
    save_figure(figure, folder, "cross_validation")


if __name__ == "__main__":
    run_script(main)
