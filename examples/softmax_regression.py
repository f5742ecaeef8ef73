"""Softmax regression: a linear classifier of digits, by two losses, and what its weights look like.

    python examples/softmax_regression.py

Each class has a row of weights, and its score is their product with the pixels: how well the image
fits a template. Softmax makes probabilities of the scores; cross-entropy asks that the right one be
large, always larger. The hinge loss (multiclass SVM) asks only that the right score be ahead of the
others by 1, and then has no gradient any more. What to see: both find templates one can recognise,
the zero as a ring, and are right about nine times of ten (92 % on all of MNIST); the hinge loss is
0 on most images, cross-entropy is small on many but goes on pulling at all of them.

Names as in Stanford's CS231n, "Linear classification".
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn


def cross_entropy(scores, labels):
    """The mean of -log(softmax(scores)[label]), one loss for each image."""
    shifted = scores - scores.max(dim=1, keepdim=True).values  # exp() shall not overflow
    log_probabilities = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    return -log_probabilities.gather(1, labels[:, None])[:, 0]


def hinge(scores, labels):
    """The sum, over the wrong classes, of how far their score is not 1 below the right one."""
    right = scores.gather(1, labels[:, None])
    return (scores - right + 1).relu().sum(dim=1) - 1  # the right class itself adds 1


LOSSES = {"cross-entropy": cross_entropy, "hinge": hinge}


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(10, 3))
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    figure, axes = make_figure(3, 10, width=1.1, height=1.3)
    for place, (name, loss_of) in zip(axes, LOSSES.items()):
        tn.manual_seed(options.seed)
        w, b = learn(train, loss_of, options.epochs)
        scores = test.images @ w + b
        accuracy = (scores.argmax(dim=1) == test.labels).float().mean().item()
        idle = (loss_of(scores, test.labels) < 1e-3).float().mean().item()
        print(f"{name:14s} test accuracy {accuracy:.1%}, loss below 0.001 on {idle:.0%}")
        draw_templates(place, w, name)
        if loss_of is cross_entropy:
            draw_probabilities(axes[2], test, scores)
    save_figure(figure, options.out, "softmax_regression")


def learn(train, loss_of, epochs, decay=1e-3):
    """Weights (784, 10) and biases (10,) by stochastic gradient descent, a little L2 decay."""
    device = train.images.device
    w = tn.zeros(784, 10, device=device, requires_grad=True)
    b = tn.zeros(10, device=device, requires_grad=True)
    optimizer = tn.optim.SGD([w, b], lr=0.02, weight_decay=decay)

    @tn.jit
    def step(images, labels):
        loss = loss_of(images @ w + b, labels).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(epochs):
        for images, labels in tn.data.DataLoader(train, 100, shuffle=True):
            step(images, labels)
    return w.detach(), b.detach()


def draw_templates(axes, w, name):
    """The weights of each class as an image: what raises its score is blue, what lowers it red."""
    largest = w.abs().max().item()
    for digit, place in enumerate(axes):
        template = w[:, digit].reshape(28, 28).cpu().numpy()
        place.imshow(template, cmap="RdBu", vmin=-largest, vmax=largest)
        place.set(title=digit, xticks=[], yticks=[])
    axes[0].set_ylabel(name)


def draw_probabilities(axes, test, scores):
    """Some images, and what softmax makes of their scores: the two most probable classes."""
    probabilities = nn.functional.softmax(scores, dim=1)
    for image, row, place in zip(test.images, probabilities, axes):
        values, classes = row.topk(2)
        place.imshow(image.reshape(28, 28).cpu().numpy(), cmap="gray_r")
        title = "\n".join(f"{c}: {p:.0%}" for c, p in zip(classes.tolist(), values.tolist()))
        place.set_title(title, fontsize="small")
        place.set(xticks=[], yticks=[])
    axes[0].set_ylabel("test images")


if __name__ == "__main__":
    run_script(main)
