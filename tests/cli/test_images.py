"""Pictures become what a model learnt from, whatever their size, colours and polarity."""

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tinynet.cli.images import fit, prepare, read_pixels
from tinynet.cli.recipes import ImageRecipe
from tinynet.data.idx import parse_idx, read_file, unpack
from tinynet.data.images import SAMPLE
from tinynet.errors import DataError

DIGIT = ImageRecipe(tuple("0123456789"), (1, 28, 28), (0.0,), (1.0,), background=0, is_centred=True)
PHOTO = ImageRecipe(
    ("a", "b"), (3, 8, 8), (0.0,) * 3, (1.0,) * 3, background=None, is_centred=False
)


@pytest.fixture(scope="module")
def mnist():
    """The first test digits, (20, 28, 28) in [0, 1]."""
    path = SAMPLE / "t10k-images-idx3-ubyte.gz"
    return parse_idx(unpack(read_file(path, "mnist"), path, "mnist"), path)[:20] / np.float32(255)


def likeness(a, b):
    """The correlation of two images."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_digits_of_mnist_stay_what_they_are(mnist):
    found = [likeness(prepare(digit[None], DIGIT, "auto", "x"), digit) for digit in mnist]
    assert sum(x > 0.99 for x in found) >= len(found) - 1  # of one the mass lies between pixels
    assert min(found) > 0.5


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("place", [(0, 0), (60, 20)])
def test_drawn_digits_become_mnist_s(mnist, tmp_path, is_inverted, place):
    """Three times the size, anywhere, on paper that is not quite white: the same digit."""
    found = []
    for digit in mnist:
        big = Image.fromarray((digit * 255).astype("u1")).resize((84, 84))
        page = Image.new("L", (150, 200), 0)
        page.paste(big, place)
        pixels = np.asarray(page, np.float32)
        values = 235 - 0.8 * pixels if is_inverted else 20 + 0.8 * pixels
        Image.fromarray(values.astype("u1")).convert("RGB").save(tmp_path / "page.png")
        seen = prepare(read_pixels("predict", tmp_path / "page.png", 1), DIGIT, "auto", "x")
        assert seen.shape == (1, 28, 28)
        found.append(likeness(seen, digit))
        rows, columns = (seen[0].sum(axis) for axis in (1, 0))
        for marginal in (rows, columns):
            assert abs(marginal @ np.arange(28) / marginal.sum() - 14) < 0.6
    assert np.median(found) > 0.95
    assert min(found) > 0.6


def test_invert_can_be_decided(mnist):
    digit = mnist[:1]
    kept = prepare(digit, DIGIT, "no", "x")
    assert np.array_equal(kept, prepare(digit, DIGIT, "auto", "x"))
    assert np.allclose(kept, prepare(1 - digit, DIGIT, "yes", "x"), atol=1e-5)
    with pytest.raises(DataError, match="nothing is drawn"):
        prepare(1 - digit, DIGIT, "no", "x")


def test_empty_pictures_are_refused():
    with pytest.raises(DataError, match=r"predict: page\.png: nothing is drawn in it"):
        prepare(np.full((1, 40, 30), 0.7, np.float32), DIGIT, "auto", "page.png")


def test_whole_pictures_keep_their_shape():
    """A wide one gets its border's level above and below."""
    wide = np.zeros((3, 10, 20), np.float32)
    wide[0] = 0.25
    wide[:, 2:8, 4:16] = 0.75
    seen = fit(wide, (8, 8))
    assert seen.shape == (3, 8, 8)
    assert np.allclose(seen[0, :2], 0.25)
    assert np.allclose(seen[1, 6:], 0)
    assert np.allclose(seen[:, 3:5, 3:5], 0.75, atol=0.05)
    assert np.array_equal(prepare(wide, PHOTO, "auto", "x"), seen)  # a photograph: not inverted
    assert np.allclose(prepare(wide, PHOTO, "yes", "x"), 1 - seen, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16", "CMYK"])
def test_modes_of_files(tmp_path, mode):
    """A white half and a black one, in every kind of file."""
    gray = np.zeros((6, 8), np.uint8)
    gray[:, 4:] = 255
    image = Image.fromarray(gray)
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    else:
        image = image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path)
    for channels in (1, 3):
        pixels = read_pixels("predict", path, channels)
        assert pixels.shape == (channels, 6, 8)
        assert pixels.dtype == np.float32
        assert np.allclose(pixels, gray / 255, atol=0.01)


def test_transparent_is_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "x.png")
    assert (read_pixels("predict", tmp_path / "x.png", 1) == 1).all()


def test_cameras_turn_pictures(tmp_path):
    image = Image.new("L", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_pixels("predict", tmp_path / "x.jpg", 1).shape == (1, 8, 4)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_what_is_no_picture(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png: is not an image: expected a picture, PNG or"):
        read_pixels("predict", tmp_path / "x.png", 1)


def test_half_a_picture(tmp_path):
    path = tmp_path / "x.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match="is not an image"):
        read_pixels("predict", path, 1)


def test_normalized_takes_each_channel():
    from tinynet.cli.images import normalized

    images = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    found = normalized(images, (0.0, 1.0, 2.0), (1.0, 2.0, 4.0))
    expected = tn.data.augmentation.normalize(
        tn.from_numpy(images), [0.0, 1.0, 2.0], [1.0, 2.0, 4.0]
    )
    assert np.allclose(found, expected.numpy())
