"""Ways not to learn few data by heart: L1, L2, weight decay, dropout, augmentation, early stopping.

    python examples/regularization.py

A network of 784-256-10 has 200,000 parameters; 500 digits do not determine them. What to see:

* without regularization the loss on other digits falls, then rises for good, while that on the 500
  goes to 0: the network gets ever surer, and so its mistakes ever dearer;
* each remedy keeps the loss on others from rising, or less so; only augmentation, which makes new
  data, also raises the accuracy much;
* an L1 penalty makes weights exactly nothing: most of them are (the share is printed);
* early stopping costs nothing: it takes the weights of the best epoch.
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn
from tinynet.data import augmentation

FEW = 500


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(60, 20))
    train, test = tn.data.mnist(normalize=True, device=options.device)
    few = tn.data.TensorDataset(*train[:FEW])
    others = tn.data.TensorDataset(*test[:1000])
    background = train.images.min().item()
    shift = augmentation.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), cval=background)
    ways = {
        "none": {},
        "L1": {"l1": 3e-4},
        "L2": {"l2": 3e-3},
        "weight decay": {"decay": 0.3},
        "dropout": {"dropout": 0.6},
        "augmentation": {"transform": shift},
        "early stopping": {"patience": 5},
    }
    curves = {}
    for name, way in ways.items():
        tn.manual_seed(options.seed)
        model, history = learn(few, others, options.epochs, options.device, **way)
        found = tn.train.evaluate(
            model, tn.data.DataLoader(others, 1000), nn.functional.cross_entropy,
            [tn.train.Accuracy()],
        )  # fmt: skip
        tiny = (model[1].weight.abs() < 1e-3).float().mean().item()
        print(f"{name:15s} loss on others {found['loss']:.3f}, accuracy {found['accuracy']:.1%}, "
              f"{tiny:.0%} of the first weights below 0.001, {len(history)} epochs")  # fmt: skip
        curves[name] = history
    draw(options.out, curves)


def learn(few, others, epochs, device, *, l1=0.0, l2=0.0, decay=0.0, dropout=0.0, transform=None,
          patience=None):  # fmt: skip
    """Train one network with one of the ways."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, 10)
    ).to(device)
    weights = [model[1].weight, model[4].weight]
    optimizer = tn.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)

    def loss(scores, labels):
        value = nn.functional.cross_entropy(scores, labels)
        if l1 and model.training:
            value = value + l1 * sum(w.abs().sum() for w in weights)
        if l2 and model.training:
            value = value + l2 * sum(w.square().sum() for w in weights)
        return value

    history = tn.train.fit(
        model,
        tn.data.DataLoader(few, 50, shuffle=True, transform=transform),
        loss,
        optimizer,
        epochs=epochs,
        validation=tn.data.DataLoader(others, 1000),
        callbacks=[tn.train.EarlyStopping(patience=patience)] if patience else [],
        progress=False,
    )
    return model, history


def draw(folder, curves):
    figure, axes = make_figure(1, 2, width=5.5, height=4)
    for name, history in curves.items():
        epochs = range(1, len(history) + 1)
        axes[0, 0].plot(epochs, history["loss"], label=name)
        axes[0, 1].plot(epochs, history["validation_loss"], label=name)
    axes[0, 0].set(title="training, penalties included", xlabel="epoch", ylabel="loss")
    axes[0, 1].set(title="other digits", xlabel="epoch", ylabel="loss")
    for place in axes[0]:
        place.set_yscale("log")
    axes[0, 1].legend(fontsize="small")
    save_figure(figure, folder, "regularization")


if __name__ == "__main__":
    run_script(main)
