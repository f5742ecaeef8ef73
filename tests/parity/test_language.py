"""Language models over characters, a transformer and an LSTM: the same losses as PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tinynet.benchmarks.language import LanguageModel  # noqa: E402

STEPS = 50


def losses_of(library, sizes, device, dtype, is_recorded=False, steps=STEPS):
    """Losses of steps of Adam, on other batches each time."""
    model = sizes.make_model(library)
    with library.no_grad():
        sizes.fill(library, model.named_parameters())
    model = model.to(device).to(getattr(library, dtype))
    optimizer = library.optim.Adam(model.parameters(), lr=sizes.checked_rate)

    def step(tokens, targets):
        scores = model(tokens).flatten(0, 1)
        loss = library.nn.functional.cross_entropy(scores, targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = tn.jit(step) if is_recorded else step
    losses = []
    for seed in range(steps):
        tokens, targets = (library.from_numpy(x).to(device) for x in sizes.make_batch(seed))
        losses.append(step(tokens, targets).item())
    return losses


@pytest.mark.parametrize("name", ["transformer", "lstm"])
def test_losses_of_the_whole_model(name):
    """As large as the benchmark has it, on the device that is quickest."""
    sizes = LanguageModel(name)
    expected = losses_of(torch, sizes, "cpu", "float32", steps=25)  # half a second each
    got = losses_of(tn, sizes, "opencl", "float32", is_recorded=True, steps=25)
    assert got == pytest.approx(expected, rel=1e-3)
    assert got[-1] < 0.8 * got[0]


@pytest.mark.parametrize("is_recorded", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", ["transformer", "lstm"])
def test_losses_in_float64(device, name, is_recorded):
    sizes = LanguageModel(name, batch=4, context=24, width=16, depth=2, heads=2)
    expected = losses_of(torch, sizes, "cpu", "float64")
    got = losses_of(tn, sizes, device, "float64", is_recorded)
    assert got == pytest.approx(expected, rel=1e-8)
