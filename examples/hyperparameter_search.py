"""Looking for hyperparameters: on a grid, at random, and coarse to fine.

    python examples/hyperparameter_search.py --processes 2

Two hyperparameters of a small network on digits: the learning rate, which matters much, and the
width of the hidden layer, which matters little. What to see: a grid of 4 x 4 tries only four rates,
and its best is as good as the luck of where these lie; sixteen random trials try sixteen rates
(Bergstra & Bengio 2012). Rates lie on a logarithmic scale, because only their order of magnitude is
unknown. Coarse to fine spends the same sixteen in two rounds, the second around the best so far.
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn
from tinynet.train import search

SPACE = {"rate": search.LogUniform(1e-3, 10), "width": search.IntegerRange(8, 64)}
SPLIT = 1600, 400  # digits to train and to validate on


def main(arguments=None):
    options = parse_options(__doc__, arguments, processes=1)
    more = {"mode": "max", "seed": options.seed, "processes": options.processes}
    side = 3 if options.quick else 4
    searches = {
        "grid": lambda: search.grid_search(train_and_score, SPACE, side, **more),
        "random": lambda: search.random_search(train_and_score, SPACE, side**2, **more),
        "coarse to fine": lambda: search.coarse_to_fine(
            train_and_score, SPACE, side**2 // 2, rounds=2, **more
        ),
    }
    found = {}
    for name, look in searches.items():
        results = found[name] = look()
        if results.interrupted:  # Ctrl-C ends a search with the results so far
            raise KeyboardInterrupt
        rates = {round(row["rate"], 9) for row in results}
        best = results.best
        print(f"{name}: {len(results)} trials, {len(rates)} rates; best {best.score:.1%} with rate "
              f"{best['rate']:.3g} and width {best['width']}", flush=True)  # fmt: skip
    draw(options.out, found)


def train_and_score(trial):
    """The share of validation digits that a network with these hyperparameters gets right."""
    digits, _ = tn.data.mnist(flatten=True, normalize=True, device="cpu")
    images, labels = digits[: sum(SPLIT)]
    n = SPLIT[0]
    model = nn.Sequential(nn.Linear(784, trial["width"]), nn.ReLU(), nn.Linear(trial["width"], 10))
    optimizer = tn.optim.SGD(model.parameters(), lr=trial["rate"])
    batches = tn.data.DataLoader(tn.data.TensorDataset(images[:n], labels[:n]), 50, shuffle=True)
    try:
        tn.train.fit(
            model, batches, nn.functional.cross_entropy, optimizer, epochs=3, progress=False
        )
    except tn.errors.DivergenceError:
        return 0.0  # the rate was too large
    held_out = tn.data.DataLoader(tn.data.TensorDataset(images[n:], labels[n:]), SPLIT[1])
    return tn.train.evaluate(model, held_out, metrics=[tn.train.Accuracy()])["accuracy"]


def draw(folder, found):
    figure, axes = make_figure(1, 3, sharex=True, sharey=True, height=3.8)
    for place, (name, results) in zip(axes[0], found.items()):
        rates, widths = [row["rate"] for row in results], [row["width"] for row in results]
        scores = [row.score for row in results]
        dots = place.scatter(
            rates, widths, c=scores, cmap="viridis", vmin=0, vmax=1, s=60, edgecolors="black"
        )
        best = results.best
        place.scatter(best["rate"], best["width"], s=250, facecolors="none", edgecolors="red")
        place.set(title=f"{name}: best {best.score:.1%}", xlabel="learning rate", xscale="log")
    axes[0, 0].set_ylabel("width of the hidden layer")
    figure.colorbar(dots, ax=axes[0], label="validation accuracy")
    save_figure(figure, folder, "hyperparameter_search")


if __name__ == "__main__":
    run_script(main)
