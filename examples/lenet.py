"""Train LeNet-5, the first convolutional network in wide use, on handwritten digits.

    python examples/lenet.py --epochs 5

Two convolutions, each with a pool behind it, then three linear layers: 61,706 parameters. As is
usual today it has ReLUs, maxima in its pools, and every channel of a layer sees all of the layer
before. What to see: after one epoch it finds over 97 of 100 digits, where mnist.py's 784-128-10
with its 101,770 parameters finds 95. In --out it leaves the weights (lenet.safetensors) and a
picture (lenet.png).

LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
"""

from frame import parse_options, run_script
from mnist import fit, make_step, save_results, shorten

import tinynet as tn
from tinynet import nn


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(5, 1), batch_size=(128, 20), lr=1e-3)
    train, test = shorten(options, *tn.data.mnist(normalize=True, device=options.device))
    model = make_model().to(options.device)
    optimizer = tn.optim.Adam(model.parameters(), lr=options.lr)
    loader = tn.data.DataLoader(train, options.batch_size, shuffle=True)
    print(f"{len(train):,} digits to train on, {len(test):,} to test on, device {options.device}")
    print(model)

    step = make_step(model, optimizer)
    losses, accuracies = fit(model, loader, test, step, options.epochs)
    save_results(options.out / "lenet", model, test, losses, accuracies)


def make_model():
    """From (n, 1, 28, 28) to (n, 10); the shapes on the right are of one image."""
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(1, 6, kernel_size=5, padding=2),  # 6, 28, 28
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),  # 6, 14, 14
            "conv2": nn.Conv2d(6, 16, kernel_size=5),  # 16, 10, 10
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),  # 16, 5, 5
            "flatten": nn.Flatten(),
            "linear3": nn.Linear(400, 120),
            "relu3": nn.ReLU(),
            "linear4": nn.Linear(120, 84),
            "relu4": nn.ReLU(),
            "linear5": nn.Linear(84, 10),
        }
    )


if __name__ == "__main__":
    run_script(main)
