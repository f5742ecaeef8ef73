"""Autoencoders: plain, denoising and variational ones, and the map of digits that they draw.

    python examples/autoencoder.py --device opencl

An encoder squeezes an image into two numbers, a decoder makes the image again; nobody says what the
numbers should mean. What to see:

* plain: digits fall into groups on the plane, though labels were never shown; between the groups
  there are gaps, from which the decoder makes nothing one can read;
* denoising (Vincent et al. 2008): the input is half noise, the target the clean image: what
  comes out has less error than what went in;
* variational (Kingma & Welling 2014): the two numbers are drawn around a mean, and held close to a
  normal distribution. The map has no gaps, and points drawn at random become digits (right).
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

NOISE = 0.5
FEW = 10_000  # images, with --quick


class Autoencoder(nn.Module):
    """Images (n, 784) to codes (n, 2) and back."""

    def __init__(self, is_variational=False):
        super().__init__()
        self.is_variational = is_variational
        self.encoder = nn.Sequential(
            nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(),
            nn.Linear(64, 4 if is_variational else 2),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 784)
        )

    def encode(self, images):
        """The code of each image, and the penalty on how far its distribution is from normal."""
        code = self.encoder(images)
        if not self.is_variational:
            return code, code.sum() * 0
        mean, log_variance = code[:, :2], code[:, 2:]
        penalty = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
        if self.training:
            mean = mean + (log_variance / 2).exp() * tn.randn(mean.shape, device=mean.device)
        return mean, penalty

    def forward(self, images):
        """Scores of pixels to be white, and the penalty."""
        code, penalty = self.encode(images)
        return self.decoder(code), penalty


def loss_of(output, images):
    """Bits of pixels as a cross-entropy, summed over each image; plus the penalty."""
    scores, penalty = output
    bits = nn.functional.binary_cross_entropy_with_logits(scores, images, reduction="sum")
    return bits / len(images) + penalty


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(20, 5))
    train, test = tn.data.mnist(flatten=True, device=options.device)
    train = tn.data.TensorDataset(train.images[: FEW if options.quick else None])
    images = test.images[:2000]
    figure, axes = make_figure(2, 3, width=4, height=3.6)

    plain = learn("plain", Autoencoder().to(options.device), train, options.epochs)
    draw_map(figure, axes[0, 0], plain, images, test.labels[:2000], "plain")
    clean = learn("denoising", Autoencoder().to(options.device), train, options.epochs, NOISE)
    noisy = add_noise(images, tn.Generator().manual_seed(options.seed))
    restored = restore(clean, noisy)
    before, after = ((x - images).square().mean().item() for x in (noisy, restored))
    print(f"denoising: mean squared error {before:.3f} of the noisy images, {after:.3f} restored")
    draw_rows(axes[0, 1], [images, noisy, restored], "clean, noisy, restored")
    model = Autoencoder(is_variational=True).to(options.device)
    variational = learn("variational", model, train, options.epochs)
    draw_map(figure, axes[1, 0], variational, images, test.labels[:2000], "variational")
    for name, model in (("plain", plain), ("variational", variational)):
        error = (restore(model, images) - images).square().mean().item()
        codes = codes_of(model, images)
        print(f"{name}: mean squared error {error:.3f}; codes spread by "
              f"{codes.std(0).tolist()[0]:.2f} and {codes.std(0).tolist()[1]:.2f}")  # fmt: skip
    draw_rows(axes[1, 1], [images, restore(variational, images)], "images and their copies")
    draw_plane(axes[0, 2], plain, codes_of(plain, images).std().item(), "plain: decoded plane")
    draw_plane(axes[1, 2], variational, 1.0, "variational: decoded plane")
    save_figure(figure, options.out, "autoencoder")


def learn(name, model, train, epochs, noise=0.0):
    """Train on pairs of images: what goes in, and what should come out."""
    print(f"{name}: {epochs} epochs of {len(train):,} images", flush=True)

    def as_pairs(batch, generator):
        images = batch[0]
        return [add_noise(images, generator) if noise else images, images]

    loader = tn.data.DataLoader(train, 100, shuffle=True, transform=as_pairs)
    optimizer = tn.optim.Adam(model.parameters(), lr=2e-3)
    tn.train.fit(model, loader, loss_of, optimizer, epochs=epochs, progress=True)
    return model.eval()


def add_noise(images, generator):
    noise = tn.randn(images.shape, generator=generator, device=images.device)
    return (images + NOISE * noise).clamp(0, 1)


@tn.no_grad()
def codes_of(model, images):
    return model.encode(images)[0]


@tn.no_grad()
def restore(model, images):
    return model(images)[0].sigmoid()


def draw_map(figure, axes, model, images, labels, title):
    x, y = codes_of(model, images).cpu().numpy().T
    dots = axes.scatter(x, y, c=labels.tolist(), cmap="tab10", s=4, vmin=-0.5, vmax=9.5)
    figure.colorbar(dots, ax=axes, ticks=range(10), label="digit")
    axes.set(title=f"{title}: codes", xlabel="first number", ylabel="second number")


def draw_rows(axes, rows, title):
    """Eight images of each set, a row each."""
    tiles = tn.stack([row[:8] for row in rows]).reshape(len(rows), 8, 28, 28).transpose(1, 2)
    axes.imshow(tiles.reshape(len(rows) * 28, 8 * 28).cpu().numpy(), cmap="gray_r")
    axes.set(title=title, xticks=[], yticks=[])


@tn.no_grad()
def draw_plane(axes, model, scale, title):
    """What the decoder makes of points on a grid, two deviations wide."""
    ticks = tn.linspace(-2, 2, 12, device=next(model.parameters()).device) * scale
    rows, columns = tn.meshgrid(ticks.flip(0), ticks, indexing="ij")
    made = model.decoder(tn.stack([columns.flatten(), rows.flatten()], 1)).sigmoid()
    tiles = made.reshape(12, 12, 28, 28).transpose(1, 2).reshape(12 * 28, 12 * 28)
    axes.imshow(tiles.cpu().numpy(), cmap="gray_r")
    axes.set(title=title, xticks=[], yticks=[])


if __name__ == "__main__":
    run_script(main)
