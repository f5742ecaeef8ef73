"""Batch normalization: what it does to activations, which rates it allows, and what it costs.

    python examples/batch_norm.py

Each unit's values over a batch are brought to mean 0 and variance 1, then scaled and shifted as it
learns to: y = gamma (x - mean) / sqrt(variance + eps) + beta (Ioffe & Szegedy 2015). What to see,
with four layers of ReLU on digits:

* without it what goes into the activations shrinks from layer to layer, and grows manifold as the
  weights learn; with it all layers get the same spread, before and after (1);
* so it learns at all rates of two decades, and without it hardly at any in as many steps (2);
* mean and variance are those of the batch, so an image's scores depend on its company: they wander
  with the noise of a mean, like 1 / sqrt(batch size) once batches are large (3). Such noise can
  regularize, but in batches of two it hides what there is to learn; with layer norm, whose mean is
  over the units of one image (Ba et al. 2016), as many images in batches of two are enough (large
  batches of as many images make few steps);
* eval() takes running averages instead, so that scores depend on the image alone. Who forgets it
  gets good results on mixed batches, and chance on batches of one digit: they lose their mean,
  which tells the digit (4).
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

DEPTH, WIDTH = 4, 64
RATES = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
SIZES = [2, 4, 8, 16, 32, 64, 128]
KINDS = {"plain": None, "batch norm": nn.BatchNorm1d}


def main(arguments=None):
    options = parse_options(__doc__, arguments, steps=(300, 100))
    steps, rates, sizes = options.steps, RATES, SIZES
    if options.quick:
        rates, sizes = RATES[1:6:2], [2, 32]
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    images = test.images[:1000]
    figure, axes = make_figure(2, 2, width=5.5, height=3.8)
    (first, second), (third, fourth) = axes

    for name, norm in KINDS.items():
        model = make_network(norm, options)
        first.plot(range(1, DEPTH + 1), measure_spreads(model, images), label=f"{name}, at first")
        print(f"{name}: spread by layer {rounded(measure_spreads(model, images))} at first", end="")
        learn(model, train, 0.3, steps)
        print(f", {rounded(measure_spreads(model, images))} after {steps} steps")
        first.plot(range(1, DEPTH + 1), measure_spreads(model, images), label=f"{name}, after")
        losses = [learn(make_network(norm, options), train, rate, steps) for rate in rates]
        good = [rate for rate, loss in zip(rates, losses) if loss < 0.7]  # nan is not
        print(f"{name}: loss below 0.7 with {len(good)} of {len(rates)} rates: {good}")
        second.plot(rates, losses, marker="o", label=name)

    wander = [measure_company(model, images, size) for size in sizes]
    for size, spread in zip(sizes, wander):
        print(f"batches of {size}: an image's scores wander by {spread:.3f}")
    third.plot(sizes, wander, marker="o", label="an image's scores wander")
    for name, norm in {"batch norm": nn.BatchNorm1d, "layer norm": nn.LayerNorm}.items():
        errors = []
        for size in sizes:
            small = make_network(norm, options)
            learn(small, train, 0.05, max(1, 20 * steps // size), size)
            errors.append(1 - measure_accuracy(small.eval(), [test[:1000]]))
            print(f"{name}, batches of {size}: {errors[-1]:.1%} wrong of the test set")
        third.plot(sizes, errors, marker="s", label=f"error rate, {name}")

    mixed = [test[i : i + 100] for i in range(0, 1000, 100)]
    single = [(test.images[rows][:100], test.labels[rows][:100])
              for rows in (test.labels == digit for digit in range(10))]  # fmt: skip
    for is_training, name in ((True, "train()"), (False, "eval()")):
        model.train(is_training)
        shares = [measure_accuracy(model, batches) for batches in (mixed, single)]
        mixed_share, single_share = shares
        print(f"{name}: {mixed_share:.1%} right in mixed batches, {single_share:.1%} of a digit")
        places = [i + (-0.2 if is_training else 0.2) for i in range(2)]
        fourth.bar(places, shares, 0.36, hatch="//" if is_training else "", label=name)

    first.set(title="(1) what goes into the activations", xlabel="layer", yscale="log")
    first.set(ylabel="standard deviation", xticks=range(1, DEPTH + 1))
    second.set(title=f"(2) after {steps} steps", xlabel="learning rate", xscale="log")
    second.set(ylabel="loss", ylim=(0, 2.6))
    third.set(title="(3) small batches", xlabel="batch size", yscale="log")
    third.set(ylabel="standard deviation; error rate", ylim=(0.05, 2))
    third.set_xscale("log", base=2)
    fourth.set(title="(4) train() and eval()", xticks=[0, 1], ylabel="accuracy", ylim=(0, 1.3))
    fourth.set_xticklabels(["mixed batches", "batches of one digit"])
    for place in axes.flat:
        place.legend(fontsize="small")
    save_figure(figure, options.out, "batch_norm")


def make_network(norm, options):
    tn.manual_seed(options.seed)
    layers = []
    for i in range(DEPTH):
        layers.append(nn.Linear(784 if i == 0 else WIDTH, WIDTH))
        layers += [norm(WIDTH), nn.ReLU()] if norm else [nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10)).to(options.device)


def learn(model, train, rate, steps, size=100):
    """The mean loss of the last 20 steps of gradient descent."""
    optimizer = tn.optim.SGD(model.parameters(), lr=rate)

    @tn.jit
    def step(rows):
        loss = nn.functional.cross_entropy(model(train.images[rows]), train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    device = train.images.device
    losses = [step(tn.randint(len(train), (size,), device=device)) for _ in range(steps)]
    return tn.stack(losses[-20:]).mean().item()


@tn.no_grad()
def measure_spreads(model, images):
    """The standard deviation of what goes into each ReLU."""
    found = []
    for layer in model:
        if isinstance(layer, nn.ReLU):
            found.append(images.std().item())
        images = layer(images)
    return found


@tn.no_grad()
def measure_company(model, images, size, trials=100):
    """The standard deviation of the first image's scores among others drawn at random."""
    model.train()
    rows = tn.randint(1, len(images), (trials, size), device=images.device)
    rows[:, 0] = 0
    return tn.stack([model(images[batch])[0] for batch in rows]).std(0).mean().item()


@tn.no_grad()
def measure_accuracy(model, batches):
    shares = [(model(images).argmax(dim=1) == labels).float().mean() for images, labels in batches]
    return tn.stack(shares).mean().item()


def rounded(values):
    return [round(value, 2) for value in values]


if __name__ == "__main__":
    run_script(main)
