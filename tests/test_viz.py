"""Looking inside of networks: numbers by hand, by gradients and by PyTorch's unpooling; figures."""

import sys

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn, viz
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    MissingDependencyError,
    PartError,
    ShapeError,
)

F = nn.functional


def make_lenet():
    return nn.Sequential(
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        ),
        nn.Sequential(nn.Flatten(), nn.Linear(400, 10)),
    )


# feature maps
def test_feature_maps_of_a_module_and_of_its_name(device):
    model = make_lenet().to(device)
    x = tn.rand(3, 1, 28, 28, device=device)
    maps = viz.feature_maps(model, x, "0.2")
    assert maps.shape == (3, 6, 14, 14)
    assert str(maps.device) == device
    assert tn.allclose(maps, model[0][:3](x))
    assert tn.equal(viz.feature_maps(model, x, model[0][2]), maps)
    assert tn.equal(viz.feature_maps(model, x, model), model(x))


def test_feature_maps_leave_no_hooks_and_modes_behind():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Dropout(0.5))
    model[2].eval()
    maps = viz.feature_maps(model, tn.ones(1, 4), "1")
    assert tn.equal(maps, model[0](tn.ones(1, 4)))  # evaluation mode drops nothing
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert not model[1]._hooks.forward


def test_feature_maps_have_a_graph():
    model = make_lenet()
    x = tn.rand(1, 1, 28, 28, requires_grad=True)
    viz.feature_maps(model, x, "0.0")[0, 2].max().backward()
    assert x.grad.count_nonzero().item() == 25
    with tn.no_grad():
        assert not viz.feature_maps(model, x, "0.0").requires_grad


def test_feature_maps_refuse():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.MaxPool2d(2, return_indices=True), nn.Identity()

        def forward(self, x):
            return self.used(x)[0]

    x = tn.rand(1, 1, 4, 4)
    with pytest.raises(ArgumentError, match="feature_maps: the model did not run the layer 'unu"):
        viz.feature_maps(Pair(), x, "unused")
    with pytest.raises(ArgumentTypeError, match="the layer 'used' gave a tuple, expected one tens"):
        viz.feature_maps(Pair(), x, "used")
    with pytest.raises(
        ArgumentError, match=r"feature_maps: the layer ReLU\(\) is not in the model"
    ):
        viz.feature_maps(Pair(), x, nn.ReLU())
    with pytest.raises(ArgumentTypeError, match="layer is a int, expected a module or its dotted"):
        viz.feature_maps(Pair(), x, 1)
    with pytest.raises(PartError, match="Pair has no module 'other'"):
        viz.feature_maps(Pair(), x, "other")


def test_strongest(device):
    maps = tn.zeros(2, 3, 4, 5, device=device)
    maps[0, 2, 3, 1], maps[0, 1, 0, 4], maps[1, 0, 2, 2] = 9.0, 8.0, 7.0
    assert viz.strongest(maps) == [(2, 3, 1), (0, 2, 2)]
    assert viz.strongest(maps, 1) == [(1, 0, 4), (1, 0, 0)]
    assert viz.strongest(maps, -1)[0] == viz.Unit(channel=2, row=3, column=1)
    with pytest.raises(ArgumentError, match="strongest: channel is 3, expected one of 3"):
        viz.strongest(maps, 3)
    with pytest.raises(ShapeError, match=r"strongest: the maps are \(2, 10\), expected \(n, chan"):
        viz.strongest(tn.zeros(2, 10))


# reconstruction
class DeconvReLU(tn.autograd.Function):
    """ReLU, whose backward pass is the deconvnet's: it rectifies the gradient itself."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(min=0)


def differentiate(model, x, unit, n_layers):
    """The reconstruction by backpropagation, with the deconvnet's rule for ReLUs."""
    x = x.detach().clone().requires_grad_()
    y = x
    for module in model[:n_layers]:
        y = DeconvReLU.apply(y) if isinstance(module, nn.ReLU) else module(y)
    y = y[(0, *unit)]
    y.backward(y.detach())
    return x.grad


def make_deep():
    """Strides that leave a rest, gaps, groups, one-sided padding, batch norms."""
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, (3, 2), stride=2, padding=(0, 1), groups=2),
        nn.ReLU(),
        nn.Identity(),
        nn.Conv2d(6, 4, 2, padding="same", bias=False),
        nn.Dropout(),
        nn.ReLU(inplace=False),
        nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.Conv2d(4, 3, 2, dilation=2),
    )
    with tn.no_grad():
        model[1].running_mean.normal_()
        model[1].running_var.uniform_(0.5, 2)
        model[1].weight.normal_()
        model[1].bias.normal_()
    return model.eval()


@pytest.mark.parametrize("n_layers", range(1, 13))
def test_reconstruct_is_backpropagation_but_for_relus(device, n_layers):
    model = make_deep().to(device)
    x = tn.randn(1, 2, 33, 30, device=device)
    maps = viz.feature_maps(model, x, str(n_layers - 1))
    [strongest] = viz.strongest(maps)
    expected = differentiate(model, x, strongest, n_layers)
    pixels = viz.reconstruct(model, x, str(n_layers - 1))
    assert pixels.shape == x.shape
    assert str(pixels.device) == device
    assert pixels.abs().max().item() > 0
    assert tn.allclose(pixels, expected, atol=1e-4)
    [chosen] = viz.strongest(maps, 1)
    pixels = viz.reconstruct(model, x, model[n_layers - 1], channel=1, position=(1, 2))
    assert tn.allclose(pixels, differentiate(model, x, (1, 1, 2), n_layers), atol=1e-4)
    pixels = viz.reconstruct(model[:n_layers], x, model[n_layers - 1], channel=1)
    assert tn.allclose(pixels, differentiate(model, x, chosen, n_layers), atol=1e-4)


def test_reconstruct_by_hand():
    """One step down by 1, one to the right by 2: the pixel that the maximum came from."""
    model = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.MaxPool2d(2))
    with tn.no_grad():
        model[0].weight.copy_(tn.tensor([[[[1.0, -2.0], [3.0, 0.5]]]]))
        model[0].bias.fill_(-10.0)
    x = tn.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 7.0
    # the convolution gives 21 - 10 at (1, 2) and less than 0 elsewhere; the pool puts it at (0, 1)
    assert viz.strongest(viz.feature_maps(model, x, "2")) == [(0, 0, 1)]
    pixels = tn.zeros(1, 1, 5, 5)
    pixels[0, 0, 1:3, 2:4] = 11 * model[0].weight[0, 0].detach()
    assert viz.reconstruct(model, x, "2").tolist() == pixels.tolist()


def test_reconstruct_unpools_as_max_unpool2d():
    model = nn.Sequential(nn.MaxPool2d(2))
    x = tn.rand(3, 2, 7, 6)
    maps, switches = F.max_pool2d(x, 2, return_indices=True)
    pixels = viz.reconstruct(model, x, "0", channel=1, position=(2, 0))
    kept = tn.zeros_like(maps)
    kept[:, 1, 2, 0] = maps[:, 1, 2, 0]
    assert tn.equal(pixels, F.max_unpool2d(kept, switches, 2, output_size=x.shape))


def test_reconstruct_where_windows_share_a_maximum():
    """Two numbers that come from one pixel add up; PyTorch's unpooling would keep one of them."""
    model = nn.Sequential(nn.MaxPool2d(2, stride=1), nn.Conv2d(1, 1, (1, 2), bias=False))
    with tn.no_grad():
        model[1].weight.copy_(tn.tensor([[[[2.0, 3.0]]]]))
    x = tn.tensor([[[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]])
    assert viz.reconstruct(model, x, "1").tolist() == [[[[0, 25, 0], [0, 0, 0]]]]


def test_reconstruct_takes_each_image_by_itself():
    model = make_lenet()[0]
    x = tn.rand(4, 1, 28, 28)
    pixels = viz.reconstruct(model, x, "5")
    assert not pixels.requires_grad
    for i in range(4):
        assert tn.allclose(viz.reconstruct(model, x[i : i + 1], "5")[0], pixels[i], atol=1e-6)
    assert viz.reconstruct(model, x[:0], "5").shape == (0, 1, 28, 28)


def test_reconstruct_of_a_model_in_training():
    model = make_deep()
    x = tn.randn(2, 2, 33, 30)
    expected = viz.reconstruct(model, x, "11")
    mean = model[1].running_mean.clone()
    assert tn.equal(viz.reconstruct(model.train(), x, "11"), expected)
    assert tn.equal(model[1].running_mean, mean)
    assert all(module.training for module in model.modules())


def test_reconstruct_stays_in_the_receptive_field():
    model = make_lenet()
    x = tn.rand(1, 1, 28, 28)
    for layer in ("0.0", "0.2", "0.3", "0.5"):
        [unit] = viz.strongest(viz.feature_maps(model, x, layer))
        pixels = viz.reconstruct(model, x, layer)
        field = viz.receptive_field(model, layer).slices(unit)
        pixels[(..., *field)] = 0.0
        assert pixels.count_nonzero().item() == 0


def test_reconstruct_refuses():
    model, x = make_lenet(), tn.rand(1, 1, 28, 28)
    with pytest.raises(ArgumentTypeError) as error:
        viz.reconstruct(model, x, "1.1")
    assert str(error.value) == (
        "reconstruct: cannot go back through Flatten(start_dim=1, end_dim=-1), expected Conv2d, "
        "ReLU, MaxPool2d, BatchNorm2d, Dropout, Identity"
    )
    with pytest.raises(
        ShapeError, match=r"reconstruct: x is \(1, 28, 28\), expected \(n, channels"
    ):
        viz.reconstruct(model, x[0], "0.0")
    with pytest.raises(ArgumentError, match=r"position is \(0, 0\), expected a channel with it"):
        viz.reconstruct(model, x, "0.0", position=(0, 0))
    with pytest.raises(ArgumentError, match=r"is \(0, 28\), expected one in maps of \(28, 28\)"):
        viz.reconstruct(model, x, "0.0", channel=0, position=(0, 28))
    norm = nn.BatchNorm2d(1, track_running_stats=False)
    with pytest.raises(ArgumentError, match=r"BatchNorm2d.* has no running statistics to scale by"):
        viz.reconstruct(nn.Sequential(norm), x, "0")
    with pytest.raises(ArgumentError, match="reconstruct: channel is 6, expected one of 6"):
        viz.reconstruct(model, x, "0.0", channel=6, position=(0, 0))


def test_models_that_are_not_sequential_are_refused():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = make_lenet()[0]

        def forward(self, x):
            return self.features(x)

    class Backwards(nn.Sequential):
        def forward(self, x):
            for module in reversed(list(self)):
                x = module(x)
            return x

    model, x = Branches(), tn.rand(1, 1, 28, 28)
    with pytest.raises(ArgumentTypeError) as error:
        viz.reconstruct(model, x, "features.2")
    assert str(error.value) == (
        "reconstruct: the order in which Branches runs its layers is unknown, expected Sequential; "
        "pass one that is part of the model"
    )
    with pytest.raises(ArgumentTypeError, match="order in which Backwards runs its layers is unk"):
        viz.receptive_field(Backwards(nn.ReLU()), "0")
    assert viz.reconstruct(model.features, x, model.features[2]).shape == x.shape


def test_other_padding_is_refused():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"))
    with pytest.raises(ArgumentError, match=r"receptive_field: .* pads with 'circular', expected"):
        viz.receptive_field(model, "0")
    with pytest.raises(ArgumentError, match=r"reconstruct: .* pads with 'circular', expected padd"):
        viz.reconstruct(model, tn.rand(1, 1, 4, 4), "0")


# receptive fields
def bound(pixels):
    """The smallest slices that hold all of a matrix that is not zero."""
    return tuple(slice(min(places), max(places) + 1) for places in np.nonzero(pixels.numpy()))


def differentiate_units(model, x):
    """For the first, a middle and the last unit: it, and the pixels with a gradient, as slices.

    Every pixel counts in one of many images: pools let the few bright ones through.
    """
    with tn.no_grad():
        for name, values in [*model.named_parameters(), *model.named_buffers()]:
            values.fill_(0 if "bias" in name or "mean" in name else 1)
    x = x.pow(30).requires_grad_()
    maps = model(x)
    height, width = maps.shape[2:]
    for unit in {(0, 0), (height // 2, width // 2), (height - 1, width - 1)}:
        [grad] = tn.autograd.grad(maps[(slice(None), 0, *unit)].sum(), x, retain_graph=True)
        yield unit, bound(grad.abs().sum((0, 1)))


@pytest.mark.parametrize("n_layers", range(1, 13))
def test_receptive_field_is_where_gradients_are(n_layers):
    model = make_deep()[:n_layers]
    field = viz.receptive_field(model, model)
    for unit, (rows, columns) in differentiate_units(model, tn.rand(128, 2, 31, 30)):
        assert (rows.start, columns.start) == tuple(x.start for x in field.slices(unit))
        assert rows.stop == min(field.slices(unit)[0].stop, 31)
        assert columns.stop == min(field.slices(unit)[1].stop, 30)


@pytest.mark.parametrize("n_layers", [4, 8, 12])
def test_receptive_field_past_a_rest(n_layers):
    """Strides leave a row over, and a later layer pads there: at the end a unit sees less."""
    model = make_deep()[:n_layers]
    field = viz.receptive_field(model, model)
    for unit, (rows, columns) in differentiate_units(model, tn.rand(128, 2, 33, 33)):
        assert (rows.start, columns.start) == tuple(x.start for x in field.slices(unit))
        assert rows.stop <= field.slices(unit)[0].stop
        assert columns.stop <= field.slices(unit)[1].stop


def test_receptive_field_of_lenet():
    model = make_lenet()
    field = viz.receptive_field(model, "0.5")
    assert field == viz.ReceptiveField(size=(16, 16), stride=(4, 4), start=(-2, -2))
    assert field == viz.receptive_field(model[0], model[0][5])
    assert field.slices(viz.Unit(channel=7, row=0, column=4)) == (slice(0, 14), slice(14, 30))
    assert viz.receptive_field(model, "0.0").size == (5, 5)
    assert viz.receptive_field(model, "0.1") == viz.receptive_field(model, "0.0")


def test_receptive_field_that_is_all_padding_is_empty():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, padding=2))
    assert viz.receptive_field(model, "0").slices((0, 3)) == (slice(0, 0), slice(1, 2))


def test_receptive_field_of_unknown_layers():
    with pytest.raises(ArgumentTypeError) as error:
        viz.receptive_field(make_lenet(), "1.1")
    assert str(error.value) == (
        "receptive_field: what a unit of Flatten(start_dim=1, end_dim=-1) sees is unknown, "
        "expected a convolution, a pool of fixed size or a layer that works unit by unit"
    )


# occlusion
@pytest.mark.parametrize(("size", "stride"), [(2, 1), (3, 2), ((1, 4), (2, 3))])
def test_occlusion_is_one_place_after_the_other(device, size, stride):
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 6 * 7, 5)).to(device)
    x = tn.rand(2, 6, 7, device=device)
    scores = viz.occlusion(model, x, 3, size, stride, fill=0.5, batch_size=4)
    (height, width), (down, right) = np.broadcast_to(size, 2), np.broadcast_to(stride, 2)
    assert scores.shape == ((6 - height) // down + 1, (7 - width) // right + 1)
    assert str(scores.device) == device
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            hidden = x.clone()
            hidden[:, i * down : i * down + height, j * right : j * right + width] = 0.5
            assert scores[i, j].item() == pytest.approx(model(hidden[None])[0, 3].item(), abs=1e-6)
    assert not scores.requires_grad
    assert scores.dtype is tn.float32


def test_occlusion_evaluates():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 2))
    x = tn.rand(1, 4, 4)
    scores = viz.occlusion(model, x, 0, 2)
    assert tn.equal(scores, viz.occlusion(model.eval(), x, 0, 2))


def test_occlusion_fills_with_a_color_and_batches():
    class Watch(nn.Module):
        sizes = ()

        def forward(self, x):
            self.sizes += (len(x),)
            return x.mean((2, 3))

    model = Watch()
    fill = tn.tensor([4.0, 8.0])[:, None, None]
    scores = viz.occlusion(model, tn.zeros(2, 4, 4), 1, 2, fill=fill, batch_size=4)
    assert scores.tolist() == [[2.0] * 3] * 3
    assert model.sizes == (4, 4, 1)


def test_occlusion_refuses():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
    x = tn.rand(1, 4, 4)
    with pytest.raises(ShapeError, match=r"x is \(1, 1, 4, 4\), expected one image \(channels"):
        viz.occlusion(model, x[None], 0, 2)
    with pytest.raises(ShapeError, match=r"the patch \(5, 5\) is larger than the image \(4, 4\)"):
        viz.occlusion(model, x, 0, 5)
    with pytest.raises(ShapeError, match=r"gave \(9, 5\), expected \(n, classes\) with class 5"):
        viz.occlusion(model, x, 5, 2)
    with pytest.raises(ArgumentError, match="occlusion: size must be at least 1, got 0"):
        viz.occlusion(model, x, 0, 0)
    with pytest.raises(ArgumentError, match="batch_size is 0, expected at least 1"):
        viz.occlusion(model, x, 0, 2, batch_size=0)


# images
def test_stretch():
    images = tn.tensor([[[0.0, -4.0], [2.0, 1.0]], [[3.0, 3.0], [3.0, 3.0]]])
    assert viz.stretch(images)[0].ravel() == pytest.approx([2 / 3, 0, 1, 5 / 6])
    assert viz.stretch(images)[1].tolist() == [[0, 0], [0, 0]]
    assert viz.stretch(images, is_signed=True)[0].tolist() == [[0.5, 0], [0.75, 0.625]]
    assert viz.stretch(tn.zeros(1, 2, 2), is_signed=True).tolist() == [[[0.5, 0.5], [0.5, 0.5]]]
    assert viz.stretch(np.arange(4).reshape(1, 2, 2)).dtype == np.float32
    with pytest.raises(ShapeError, match=r"images are \(3,\), expected \(n, height, width\)"):
        viz.stretch(tn.zeros(3))


def test_tile():
    images = tn.arange(1, 4).reshape(3, 1, 1, 1).expand(3, 1, 2, 1)
    assert viz.tile(images, fill=9).tolist() == [
        [1, 9, 2], [1, 9, 2], [9, 9, 9], [3, 9, 9], [3, 9, 9],
    ]  # fmt: skip
    assert viz.tile(images[:, 0], columns=3, gap=0).tolist() == [[1, 2, 3], [1, 2, 3]]
    assert viz.tile(tn.zeros(5, 3, 4, 6), gap=2).shape == (2 * 4 + 2, 3 * 6 + 4, 3)
    color = viz.tile(tn.arange(6).reshape(2, 3, 1, 1), gap=0)
    assert color.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    with pytest.raises(
        ShapeError, match=r"images are \(1, 2, 4, 4\), expected \(n, height, width\)"
    ):
        viz.tile(tn.zeros(1, 2, 4, 4))
    with pytest.raises(ArgumentError, match="columns is 0 and gap is 1, expected at least 1 and 0"):
        viz.tile(images, columns=0)


def test_filters():
    layer = nn.Conv2d(1, 4, 3)
    image = viz.filters(layer)
    assert image.shape == (7, 7)
    last = layer.weight[3, 0].detach()
    expected = 0.5 + 0.5 * last / last.abs().max()
    assert np.allclose(image[4:, 4:], expected.numpy())
    assert (image[3] == 1).all()
    assert viz.filters(nn.Conv2d(3, 4, 5)).shape == (11, 11, 3)
    of_many = viz.filters(nn.Conv2d(6, 16, 5))  # a row for each filter
    assert of_many.shape == (16 * 6 - 1, 6 * 6 - 1)
    with pytest.raises(ArgumentTypeError, match=r"filters: layer is ReLU\(\), expected a Conv2d"):
        viz.filters(nn.ReLU())


# figures
@pytest.fixture
def path(tmp_path):
    pytest.importorskip("matplotlib")
    return tmp_path / "figure.png"


def test_draw_images(path):
    images = {name: np.eye(4) for name in "abc"}
    figure = viz.draw_images(images, columns=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["a", "b", "c", ""]
    assert np.array_equal(figure.axes[2].images[0].get_array(), np.eye(4))
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match="0 images in 0 columns, expected at least one of each"):
        viz.draw_images({})


def test_save_grid(path):
    viz.save_grid(path, tn.rand(5, 3, 4, 4), columns=5, title="five")
    assert path.stat().st_size > 1000
    viz.save_grid(path.with_suffix(".svg"), tn.randn(5, 4, 4), is_signed=True)
    assert "<svg" in path.with_suffix(".svg").read_text()


def test_draw_occlusion_puts_scores_in_the_middle_of_their_patches(path):
    figure = viz.draw_occlusion(tn.rand(1, 6, 8), tn.rand(2, 3), size=(4, 2), stride=(2, 3))
    plain, covered = figure.axes[:2]
    assert plain.images[0].get_array().shape == (6, 8)
    heat = covered.images[1]
    left, right, bottom, top = heat.get_extent()
    # the first patch covers rows 0 to 3 and columns 0 and 1: its middle is row 1.5, column 0.5
    assert (top + 1, left + 1.5) == (1.5, 0.5)
    assert (bottom - top, right - left) == (2 * 2, 3 * 3)
    figure.savefig(path)
    assert path.stat().st_size > 1000
    with pytest.raises(
        ShapeError, match=r"image is \(6, 8\) and the scores are \(2, 3\), expected"
    ):
        viz.draw_occlusion(tn.rand(6, 8), tn.rand(2, 3), 2)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw, op in (
        (lambda: viz.draw_images({"": np.eye(2)}), "draw_images"),
        (lambda: viz.draw_occlusion(np.zeros((1, 2, 2)), tn.zeros(1, 1), 1), "draw_occlusion"),
    ):
        with pytest.raises(MissingDependencyError) as error:
            draw()
        assert str(error.value) == (
            f"{op}: matplotlib is not installed, expected it: pip install 'tinynet[viz]'"
        )
