"""Models that PyTorch exports, as ours."""

import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import nn  # noqa: E402

import tinynet as tn  # noqa: E402
from tinynet.onnx import load  # noqa: E402

MODELS = {
    "mlp": (nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3)), (4, 6)),
    "cnn": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, stride=2, groups=2), nn.GELU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(8, 4), nn.Softmax(1),
        ),
        (2, 3, 12, 12),
    ),
    "lstm": (nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True), (2, 4, 5)),
    "gru": (nn.GRU(5, 6, batch_first=True), (2, 4, 5)),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2),
        (2, 6, 16),
    ),
}  # fmt: skip


def exported(module, x):
    """What PyTorch writes, with its first size free."""
    file = io.BytesIO()
    torch.onnx.export(
        module, (x,), file, dynamo=False, opset_version=17, input_names=["x"],
        dynamic_axes={"x": {0: "batch"}},
    )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def flat(item):
    return [y for part in item for y in flat(part)] if isinstance(item, (tuple, list)) else [item]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, about its older exporter
@pytest.mark.parametrize("name", MODELS)
def test_models_that_pytorch_exports(name):
    module, shape = MODELS[name]
    torch.manual_seed(0)
    for p in module.parameters():
        nn.init.uniform_(p, -0.3, 0.3)
    module.eval()
    graph = load(exported(module, torch.randn(shape)))
    for batch in (shape[0], 5):
        x = torch.randn(batch, *shape[1:])
        with torch.no_grad():
            expected = flat(module(x))
        for y, z in zip(flat(graph(tn.tensor(x.numpy()))), expected, strict=True):
            np.testing.assert_allclose(y.numpy(force=True), z.numpy(), rtol=1e-5, atol=1e-5)
    loss = flat(graph(tn.tensor(x.numpy())))[0].square().sum()
    loss.backward()
    assert all(p.grad is not None for p in graph.parameters())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("mode", "corners"),
    [
        ("nearest", None), ("bilinear", False), ("bilinear", True), ("bicubic", False),
        ("bicubic", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("factor", [0.5, 0.7, 1.3, 2.3])
def test_resizing_that_pytorch_exports(factor, mode, corners):
    module = nn.Upsample(scale_factor=factor, mode=mode, align_corners=corners)
    x = torch.randn(2, 3, 10, 7)
    y = load(exported(module, x))(tn.tensor(x.numpy()))
    np.testing.assert_allclose(y.numpy(), module(x).numpy(), rtol=1e-4, atol=1e-4)
