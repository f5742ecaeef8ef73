"""Three ways to keep what was learnt, and what each is good for.

    python examples/checkpointing.py

1. The parameters alone, `tn.save(model.state_dict())`: small, read by PyTorch too; to use them one
   needs the program that makes the model.
2. The whole model, `tn.save_model`: its architecture as well.
3. Everything that training depends on, `fit(..., checkpoint=path)`: the optimiser's moments, the
   schedule, the random numbers, the place in the epoch.

What to see: training is interrupted in the middle of an epoch and goes on from each. From the full
checkpoint it ends with the same bits as the run that nobody interrupted (its points lie on those).
From the parameters alone Adam starts without its moments and the epoch anew: another run.
"""

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

EPOCHS = 4


class Watch(tn.train.Callback):
    """Notes the loss so far every few steps, and interrupts the run after `last` steps."""

    def __init__(self, every, last=None):
        self.every, self.last = every, last
        self.steps, self.losses = [], []

    def on_step_end(self, trainer):
        """Read the loss."""
        if trainer.step % self.every == 0:
            self.steps.append(trainer.step)
            self.losses.append(trainer.read_logs()["loss"])
        if trainer.step == self.last:
            trainer.interrupts.came = True  # as Ctrl-C does: the step ends, all is saved


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    n = 2000 if options.quick else 20000
    train, _ = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    train = tn.data.TensorDataset(*train[:n])
    folder = options.out / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    n_batches = -(-len(train) // 100)
    middle = n_batches * 3 // 2

    def run(label, last=None, model=None, checkpoint=None, epochs=EPOCHS):
        watch = Watch(max(1, n_batches // 10), last)
        model = fit(train, options, epochs, watch, model, checkpoint)
        curves[label] = watch.steps, watch.losses
        return model

    curves = {}
    whole = run("never interrupted")
    model = run("until then", middle, checkpoint=folder / "run.safetensors")
    tn.save(model.state_dict(), folder / "parameters.safetensors")
    tn.save_model(model, folder / "model.safetensors")

    resumed = run("from the full checkpoint", checkpoint=folder / "run.safetensors")
    left = EPOCHS - middle // n_batches
    parameters = make_model().to(options.device)
    parameters.load_state_dict(tn.load(folder / "parameters.safetensors"))
    run("from the parameters", model=parameters, epochs=left)
    again = tn.load_model(folder / "model.safetensors", device=options.device)

    for path in sorted(folder.iterdir()):
        print(f"{path.name:24s} {path.stat().st_size / 1000:8.1f} kB")
    print(f"interrupted after step {middle}, in epoch {middle // n_batches + 1} of {EPOCHS}")
    print(f"full checkpoint: same bits as never interrupted: {is_same(whole, resumed)}")
    print(f"parameters alone: same bits: {is_same(whole, parameters)}")
    print(f"whole model: loaded as {type(again).__name__} of {len(again)} layers, same bits as "
          f"when saved: {is_same(model, again)}")  # fmt: skip
    draw(options.out, curves, middle)


def fit(train, options, epochs, watch, model, checkpoint):
    """Train with everything that a checkpoint has to remember; the model."""
    tn.manual_seed(options.seed)
    model = model or make_model().to(options.device)
    optimizer = tn.optim.Adam(model.parameters(), lr=1e-3)
    schedule = tn.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    loader = tn.data.DataLoader(train, 100, shuffle=True)
    tn.train.fit(
        model, loader, nn.functional.cross_entropy, optimizer, epochs=epochs, schedule=schedule,
        callbacks=[watch], checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    return model


def make_model():
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def is_same(model, other):
    return all(tn.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def draw(folder, curves, middle):
    figure, axes = make_figure(width=7, height=4)
    for label, (steps, losses) in curves.items():
        offset = middle if label == "from the parameters" else 0
        width = 5 if label == "never interrupted" else 1.5  # others lie on it
        axes[0, 0].plot(
            [step + offset for step in steps], losses, marker=".", linewidth=width, label=label
        )
    axes[0, 0].axvline(middle, color="gray", linewidth=0.8)
    axes[0, 0].set(xlabel="step", ylabel="mean loss of the epoch so far", yscale="log")
    axes[0, 0].legend()
    save_figure(figure, folder, "checkpointing")


if __name__ == "__main__":
    run_script(main)
