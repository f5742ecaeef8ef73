"""Dropout: how many units to keep, what is left is an ensemble, and it knows what it does not know.

    python examples/dropout.py

In training each hidden unit is left out with probability p, so that none can rely on another
(Srivastava et al. 2014). On few digits a large network learns all of them by heart; what to see:

* with dropout the loss on other digits falls, by a fifth or so, since the network is less sure
  where it is wrong (the accuracy gains a percent at most); with too much both get bad (left);
* one network without dropout approximates the mean of many thinned ones: the accuracy of single
  thinned networks is lower, that of their mean rises to the whole network's (middle);
* where thinned networks disagree, the answer is uncertain (Gal & Ghahramani 2016): as one turns
  digits, which were all upright in training, they disagree far more (right).
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

RATES = [0.0, 0.2, 0.4, 0.6, 0.8, 0.95]
ANGLES = range(0, 181, 20)


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(40, 8))
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    few = tn.data.TensorDataset(*train[:1000])
    rates = [0.0, 0.4, 0.95] if options.quick else RATES
    results, models = [], {}
    for rate in rates:
        tn.manual_seed(options.seed)
        models[rate] = learn(few, rate, options.epochs, options.device)
        known, others = measure(models[rate], few), measure(models[rate], test)
        results.append((known["loss"], others["loss"]))
        print(
            f"dropout {rate:.2f}: on the 1,000 digits loss {known['loss']:.3f}, accuracy "
            f"{known['accuracy']:.1%}; on others {others['loss']:.3f}, {others['accuracy']:.1%}"
        )
    best = min(zip(rates, results), key=lambda pair: pair[1][1])[0]
    print(f"lowest loss on others: dropout {best:.2f}")

    model = models[0.4]
    single, growing, whole = compare_with_ensemble(model, test, 10 if options.quick else 50)
    print(f"thinned networks alone {single:.2%}, their mean {growing[-1]:.2%}, whole {whole:.2%}")
    spreads = uncertainty_by_angle(model, test)
    print(f"uncertainty of upright digits {spreads[0]:.3f}, turned by 80 degrees {spreads[4]:.3f}")
    draw(options.out, rates, results, single, growing, whole, spreads)


def learn(dataset, rate, epochs, device):
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Dropout(rate),
        nn.Linear(512, 512), nn.ReLU(), nn.Dropout(rate), nn.Linear(512, 10),
    ).to(device)  # fmt: skip
    optimizer = tn.optim.Adam(model.parameters(), lr=1e-3)
    loader = tn.data.DataLoader(dataset, 100, shuffle=True)
    loss = nn.functional.cross_entropy
    tn.train.fit(model, loader, loss, optimizer, epochs=epochs, progress=False)
    return model


def measure(model, dataset):
    loader = tn.data.DataLoader(dataset, 1000)
    return tn.train.evaluate(model, loader, nn.functional.cross_entropy, [tn.train.Accuracy()])


@tn.no_grad()
def compare_with_ensemble(model, test, samples):
    """Accuracy of thinned networks alone, of the mean of 1, 2, ... of them, and of the whole."""
    images, labels = test[:1000]
    found = tn.train.monte_carlo_dropout(model, images, samples=samples).samples
    probabilities = nn.functional.softmax(found, dim=2)
    sums = probabilities.cumsum(0)
    single = (probabilities.argmax(dim=2) == labels).float().mean().item()
    growing = (sums.argmax(dim=2) == labels).float().mean(1).tolist()
    model.eval()
    whole = (model(images).argmax(dim=1) == labels).float().mean().item()
    return single, growing, whole


def uncertainty_by_angle(model, test):
    """The mean of what thinned networks disagree by (mutual information) on turned digits."""
    images = test.images[:200].reshape(-1, 1, 28, 28)
    spreads = []
    for angle in ANGLES:
        turned = tn.data.augmentation.rotate(images, angle, cval=images.min().item())
        found = tn.train.monte_carlo_dropout(model, turned.flatten(1), samples=20)
        spreads.append(found.softmax().mutual_information().mean().item())
    return spreads


def draw(folder, rates, results, single, growing, whole, spreads):
    figure, axes = make_figure(1, 3)
    left, middle, right = axes[0]
    for label, values in zip(("on the 1,000 digits", "on others"), zip(*results)):
        left.plot(rates, values, marker="o", label=label)
    left.set(title="trained on 1,000 digits", xlabel="dropout", ylabel="loss", yscale="log")
    left.legend()
    middle.plot(range(1, len(growing) + 1), growing, label="mean of thinned networks")
    middle.axhline(single, color="gray", linestyle=":", label="thinned networks alone")
    middle.axhline(whole, color="black", linewidth=0.8, label="the whole network")
    middle.set(title="an ensemble", xlabel="number of networks", ylabel="accuracy")
    middle.legend()
    right.plot(list(ANGLES), spreads, marker="o")
    right.set(title="turned digits", xlabel="angle in degrees", ylabel="disagreement in nats")
    save_figure(figure, folder, "dropout")


if __name__ == "__main__":
    run_script(main)
