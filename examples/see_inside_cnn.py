"""Train LeNet for an epoch, then look inside: what its layers see in digits.

    python examples/see_inside_cnn.py

What to see: filters of the first layer are edges and strokes; deeper maps are smaller and say where
a stroke of some kind is; a channel is excited by the same piece in several digits; to hide a bend
or an end of a stroke takes most from a digit's probability. In --out it leaves four pictures, after
Zeiler & Fergus 2014, arXiv:1311.2901:

* inside_filters.png: the weights of both convolutions;
* inside_maps.png: what each layer makes of one digit;
* inside_reconstructions.png: for some channels of the last pool the nine digits that excite them
  most, and below these what in them does, brought back to pixels by a deconvnet;
* inside_occlusion.png: the probability of a digit while a gray patch hides a part of it.
"""

import lenet
from frame import parse_options, run_script
from mnist import fit, make_step, shorten

import tinynet as tn
from tinynet import nn, viz

LAYERS = ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2")
N_CHANNELS = 4
N_BEST = 9  # images for each channel
PATCH = 7  # pixels


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=1, batch_size=(128, 20), lr=1e-3)
    train, test = shorten(options, *tn.data.mnist(normalize=True, device=options.device))
    model = lenet.make_model().to(options.device)
    optimizer = tn.optim.Adam(model.parameters(), lr=options.lr)
    loader = tn.data.DataLoader(train, options.batch_size, shuffle=True)
    fit(model, loader, test, make_step(model, optimizer), options.epochs)

    for layer in LAYERS:
        field = viz.receptive_field(model, layer)
        print(f"{layer}: a unit sees {field.size} pixels, its neighbour those {field.stride} on")
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "filters": draw_filters(model),
        "maps": draw_maps(model, test.images[:1]),
        "reconstructions": draw_reconstructions(model, test.images[:1000], "pool2"),
        "occlusion": draw_occlusion(model, test.images[0], test.labels[0].item()),
    }
    for name, figure in pictures.items():
        path = options.out / f"inside_{name}.png"
        figure.savefig(path, dpi=120)
        print(f"Picture: {path.resolve()}")


def draw_filters(model):
    return viz.draw_images(
        {
            "conv1": viz.filters(model.conv1),
            "conv2: a row for each filter": viz.filters(model.conv2),
        }
    )


def draw_maps(model, image):
    """The input and, layer by layer, all feature maps."""
    images = {"input": viz.tile(viz.stretch(image))}
    for layer in LAYERS:
        [maps] = viz.feature_maps(model, image, layer)
        images[f"{layer}: {tuple(maps.shape)}"] = viz.tile(viz.stretch(maps))
    return viz.draw_images(images, columns=4)


def draw_reconstructions(model, images, layer):
    """For the most active channels their N_BEST images, and below what in these excites them."""
    with tn.no_grad():
        peaks = viz.feature_maps(model, images, layer).amax((2, 3))
    originals, reconstructions = {}, {}
    for channel in peaks.mean(0).topk(N_CHANNELS).indices.tolist():
        best = images[peaks[:, channel].topk(N_BEST).indices]
        pixels = viz.reconstruct(model, best, layer, channel)
        originals[f"channel {channel}: its strongest images"] = viz.tile(viz.stretch(best))
        reconstructions[f"channel {channel}: reconstructed"] = viz.tile(
            viz.stretch(pixels, is_signed=True)
        )
    return viz.draw_images({**originals, **reconstructions}, columns=N_CHANNELS)


def draw_occlusion(model, image, label):
    classifier = nn.Sequential(model, nn.Softmax(dim=1))
    scores = viz.occlusion(classifier, image, label, PATCH)
    return viz.draw_occlusion(image, scores, PATCH)


if __name__ == "__main__":
    run_script(main)
