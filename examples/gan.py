"""Digits from noise: two networks play against one another.

    python examples/gan.py --device opencl --epochs 30

The generator makes images of random numbers; the discriminator tells them from real ones; each
learns from the other's mistakes, until the made images pass for real (Goodfellow et al. 2014). What
to see: strokes after a few epochs, digits after some twenty. No loss says how good they are: both
players' losses hover, since both get better. So a classifier that learnt from real digits judges:
which digits come up, and of how many it is sure. On pure noise it is sure of few.

The generator's loss is -log D(made), not log(1 - D(made)), which gives no gradient while it loses.
Rates and betas are those of Radford et al. 2016.
"""

import itertools

from frame import make_figure, parse_options, save_figure

import tinynet as tn
from tinynet import nn

NOISE = 64
SHOWN = 100


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=30, batch_size=128)
    device = options.device
    train, test = tn.data.mnist(flatten=True, device=device)
    epochs = 4 if options.quick else options.epochs
    classifier = make_network([784, 128, 10]).to(device)
    train_classifier(classifier, train, 10 if options.quick else 2)
    generator = nn.Sequential(*make_network([NOISE, 256, 512, 784]), nn.Sigmoid()).to(device)
    discriminator = make_network([784, 256, 64, 1], dropout=0.3).to(device)
    play = make_player(generator, discriminator)

    noise = tn.randn(1000, NOISE, device=device)
    images = {"before": make_images(generator, noise)}
    judge(classifier, images["before"], "before")
    judge(classifier, test.images[:1000], "real")
    for epoch in range(1, epochs + 1):
        generator.train()
        losses = [play(real) for real, _ in loader_of(train, options.batch_size)]
        losses = tn.stack(losses).mean(0).tolist()
        made = make_images(generator, noise)
        if epoch == epochs or epoch in (1, 5, 15):
            images[f"epoch {epoch}"] = made
        print(f"epoch {epoch}: loss of discriminator {losses[0]:.3f}, of generator {losses[1]:.3f}")
    judge(classifier, made, "made")
    draw(options.out, images)


def make_network(sizes, dropout=0.0):
    layers = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(n_inputs, n_outputs), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def loader_of(train, batch_size):
    """Batches of one size, in a new order."""
    return tn.data.DataLoader(train, batch_size, shuffle=True, drop_last=True)


def train_classifier(model, train, epochs):
    optimizer = tn.optim.Adam(model.parameters())

    @tn.jit
    def step(images, labels):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(epochs):
        for images, labels in loader_of(train, 100):
            step(images, labels)


def make_player(generator, discriminator):
    """One move of both players on a batch of real images; their losses."""
    adams = [
        tn.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for player in (generator, discriminator)
    ]
    judge_loss = nn.functional.binary_cross_entropy_with_logits

    @tn.jit
    def play(real):
        ones, zeros = tn.ones(len(real), 1).to(real.device), tn.zeros(len(real), 1).to(real.device)
        made = generator(tn.randn(len(real), NOISE, device=real.device))

        found = discriminator(real), discriminator(made.detach())
        discriminator_loss = (judge_loss(found[0], ones) + judge_loss(found[1], zeros)) / 2
        adams[1].zero_grad()
        discriminator_loss.backward()
        adams[1].step()

        generator_loss = judge_loss(discriminator(made), ones)
        adams[0].zero_grad()
        generator_loss.backward()
        adams[0].step()
        return tn.stack([discriminator_loss, generator_loss]).detach()

    return play


@tn.no_grad()
def make_images(generator, noise):
    generator.eval()
    return generator(noise)


@tn.no_grad()
def judge(classifier, images, what):
    """Say what a classifier thinks of the images."""
    probabilities, digits = nn.functional.softmax(classifier(images), dim=1).max(dim=1)
    shares = tn.bincount(digits, minlength=10) / len(digits)
    n_common = (shares > 0.01).sum().item()
    sure = (probabilities > 0.9).float().mean().item()
    print(f"{what}: {n_common} of 10 digits come up, the classifier is sure of {sure:.0%}")


def draw(folder, images):
    figure, axes = make_figure(1, len(images), width=3.2, height=3.4)
    for place, (title, made) in zip(axes.flat, images.items()):
        side = int(SHOWN**0.5)
        grid = made[:SHOWN].reshape(side, side, 28, 28).transpose(1, 2)
        place.imshow(grid.reshape(side * 28, side * 28).cpu().numpy(), cmap="gray_r")
        place.set(title=title, xticks=[], yticks=[])
    save_figure(figure, folder, "gan")


if __name__ == "__main__":
    main()
