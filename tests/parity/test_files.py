"""Weights in safetensors files, written by either library, give the same outputs in the other."""

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

import tinynet as tn  # noqa: E402
from benchmarks.language import LanguageModel  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*nested_tensor")


def perceptron(library):
    nn = library.nn
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))


def lenet(library):
    nn = library.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 10),
    )  # fmt: skip


def lstm(library):
    return library.nn.LSTM(8, 12, num_layers=2, bidirectional=True, proj_size=5)


def gru(library):
    return library.nn.GRU(8, 12, bidirectional=True)


def transformer(library):
    return library.nn.Transformer(16, 4, 2, 2, 32, dropout=0.0)


def language_model(library):
    return LanguageModel("transformer", context=16, width=16).make_model(library)


def rand(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


MODELS = {
    perceptron: [rand(4, 20)],
    lenet: [rand(3, 1, 28, 28)],
    lstm: [rand(6, 3, 8)],
    gru: [rand(6, 3, 8)],
    transformer: [rand(5, 2, 16), rand(4, 2, 16)],
    language_model: [torch.arange(32).reshape(2, 16)],
}


def first(output):
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_files_go_to_and_fro(device, tmp_path, make):
    torch.manual_seed(0)
    inputs, theirs = MODELS[make], make(torch)
    for _ in range(2 if make is lenet else 0):  # statistics of batch norm
        theirs(*inputs)
    theirs.eval()
    expected = first(theirs(*inputs)).detach()
    safetensors.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")

    ours = make(tn).to(device).eval()
    ours.load_state_dict(tn.load(tmp_path / "theirs.safetensors"))
    got = first(ours(*[converted(x).to(device) for x in inputs])).detach()
    assert not differences(expected, got.cpu(), (1e-5, 1e-5))

    tn.save(ours.state_dict(), tmp_path / "ours.safetensors")
    other = make(torch).eval()
    other.load_state_dict(safetensors.load_file(tmp_path / "ours.safetensors"))
    assert torch.equal(first(other(*inputs)), expected)
