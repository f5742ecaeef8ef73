"""Digits from noise: two networks play against one another.

    python examples/gan.py

The generator makes images of random numbers; the discriminator tells them from real ones; each
learns from the other's mistakes, until the made images pass for real (Goodfellow et al. 2014). What
to see: blots after one epoch, digits after five or ten. No loss says how good they are: both hover,
since both players get better. So a classifier that learnt from real digits judges: which digits
come up, and of how many it is sure (above 90%), which of noise it is not.

The generator's loss is -log D(made), not log(1 - D(made)), which gives no gradient while it loses.
What keeps the players even: batch norm in the generator and Adam's numbers are from Radford et al.
2016, targets of 0.9 for real images from Salimans et al. 2016; and the discriminator has dropout.
"""

import itertools

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

NOISE = 64
FEW = 10_000  # images, with --quick
judge_loss = nn.functional.binary_cross_entropy_with_logits


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(20, 5), batch_size=(128, 64))
    epochs = options.epochs
    train, test = tn.data.mnist(flatten=True, device=options.device)
    train = tn.data.TensorDataset(*train[: FEW if options.quick else None])
    batch_size = min(options.batch_size, len(train))
    classifier = make_network([784, 128, 10]).to(options.device)
    loader = tn.data.DataLoader(train, 100, shuffle=True)
    adam, loss = tn.optim.Adam(classifier.parameters()), nn.functional.cross_entropy
    tn.train.fit(classifier, loader, loss, adam, epochs=5 if options.quick else 2, progress=False)
    generator = make_network([NOISE, 256, 512, 784], norm=True).append(nn.Sigmoid())
    discriminator = make_network([784, 256, 64, 1], dropout=0.5).to(options.device)
    play = make_player(generator.to(options.device), discriminator)

    loader = tn.data.DataLoader(train, batch_size, shuffle=True, drop_last=True)
    noise = tn.randn(1000, NOISE, device=options.device)
    images = {"before": make_images(generator, noise)}
    judge(classifier, images["before"], "before")
    judge(classifier, test.images[:1000], "real")
    for epoch in range(1, epochs + 1):
        losses = [play(real) for real, _ in loader]
        losses = tn.stack(losses).mean(0).tolist()
        print(f"epoch {epoch}: loss of discriminator {losses[0]:.3f}, of generator {losses[1]:.3f}")
        if epoch == epochs or epoch in (1, 5):
            images[f"epoch {epoch}"] = make_images(generator, noise)
            judge(classifier, images[f"epoch {epoch}"], f"made after epoch {epoch}")
    draw(options.out, images)


def make_network(sizes, norm=False, dropout=0.0):
    layers = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        between = nn.BatchNorm1d(n_outputs) if norm else nn.Dropout(dropout)
        layers += [nn.Linear(n_inputs, n_outputs), between, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-2])


def make_player(generator, discriminator):
    """One move of both players on a batch of real images; their losses."""
    adams = [
        tn.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for player in (generator, discriminator)
    ]

    @tn.jit
    def play(real):
        made = generator(tn.randn(len(real), NOISE, device=real.device))
        of_real, of_made = discriminator(real), discriminator(made.detach())
        right = judge_loss(of_real, 0.9 * tn.ones_like(of_real))
        discriminator_loss = (right + judge_loss(of_made, tn.zeros_like(of_made))) / 2
        adams[1].zero_grad()
        discriminator_loss.backward()
        adams[1].step()

        generator_loss = judge_loss(discriminator(made), tn.ones_like(of_made))
        adams[0].zero_grad()
        generator_loss.backward()
        adams[0].step()
        return tn.stack([discriminator_loss, generator_loss]).detach()

    return play


@tn.no_grad()
def make_images(generator, noise):
    """Images (n, 784), with the running averages of batch norm."""
    generator.eval()
    images = generator(noise)
    generator.train()
    return images


@tn.no_grad()
def judge(classifier, images, what):
    """Say what a classifier thinks of the images."""
    probabilities, digits = nn.functional.softmax(classifier(images), dim=1).max(dim=1)
    shares = tn.bincount(digits, minlength=10) / len(digits)
    n_common = (shares > 0.01).sum().item()
    sure = (probabilities > 0.9).float().mean().item()
    print(f"{what}: {n_common} of 10 digits come up, the classifier is sure of {sure:.0%}")


def draw(folder, images):
    figure, axes = make_figure(1, len(images), width=3.2, height=3.7)
    for place, (title, made) in zip(axes.flat, images.items()):
        grid = made[:100].reshape(10, 10, 28, 28).transpose(1, 2).reshape(280, 280)
        place.imshow(grid.cpu().numpy(), cmap="gray_r")
        place.set(title=title, xticks=[], yticks=[])
    save_figure(figure, folder, "gan")


if __name__ == "__main__":
    run_script(main)
