"""Kills training runs at random moments and sees that they go on as if nothing had happened.

    python -m tests.train.killing --device opencl --runs 50

Each run is killed (`kill -9`) `--kills` times, after a random part of the time that it takes, and
started again each time. In the end weights, optimiser, random numbers, history and everything else
must have the same bits as those of a run that nobody killed. Runs take turns between steps on
single batches and on three gathered ones; the checkpoint is written every second batch.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import tinynet as tn
from tinynet import nn, train
from tinynet.data import DataLoader, TensorDataset


def add_noise(batch, generator):
    """An augmentation: it draws random numbers for each batch."""
    x, y = batch
    return [x + 0.1 * tn.randn(*x.shape, generator=generator), y]


def make_trainer(device, checkpoint=None, accumulate=1, seed=0, **options):
    """A small run with all that keeps state: dropout, batch norm, Adam, schedules, callbacks."""
    tn.manual_seed(1)
    x = tn.randn(75, 8)
    y = (x[:, 0] > 0).to(tn.int64)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
    ).to(device)
    tn.manual_seed(seed)
    optimizer = tn.optim.Adam(model.parameters(), lr=0.01)
    shuffled = DataLoader(TensorDataset(x, y), 16, shuffle=True, transform=add_noise, prefetch=1)
    return train.Trainer(
        model, shuffled, nn.functional.cross_entropy, optimizer,
        validation=DataLoader(TensorDataset(x, y), 25), metrics=[train.Accuracy()],
        schedule=tn.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30), schedule_every="step",
        clip_norm=1.0, accumulate=accumulate, checkpoint=checkpoint,
        callbacks=[train.EarlyStopping(patience=3)], progress=False, **options,
    )  # fmt: skip


def run(device, checkpoint, accumulate, epochs, seed):
    """Train in a process of its own, which is returned; its end state goes beside `checkpoint`."""
    process = os.fork()
    if process:
        return process
    try:
        tn.use_deterministic_algorithms(True)
        trainer = make_trainer(device, checkpoint, accumulate, seed, checkpoint_every=2)
        trainer.fit(epochs)
        tn.save(trainer.state_dict(), end_of(checkpoint))
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def end_of(checkpoint):
    return checkpoint.with_suffix(".end")


def finish(process):
    """Wait for a process; raises if it failed."""
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"a run ended with status {status}")


def kill_at_random(process, seconds):
    """Whether a process was killed, which it may have been too quick for."""
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; default: random")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        kills = kill_all(options, moments, Path(folder))
    print(f"{options.device}: {kills} kills in {options.runs} runs, all ended with the same bits")


def kill_all(options, moments, folder):
    """Do what the options say; the number of kills."""
    kinds = [1, 3][: options.runs]
    expected, seconds = {}, {}
    for accumulate in kinds:
        path = folder / f"whole_{accumulate}"
        for _ in range(2 if options.runs > 1 else 1):  # the second one finds kernels compiled
            path.unlink(missing_ok=True)
            began = time.perf_counter()
            finish(run(options.device, path, accumulate, options.epochs, 0))
            seconds[accumulate] = time.perf_counter() - began
        expected[accumulate] = end_of(path).read_bytes()
    kills = 0
    for i in range(options.runs):
        accumulate = kinds[i % len(kinds)]
        path = folder / f"run_{i}"
        seed = 0  # of the first start only: later ones must not depend on it
        killed = 0
        while killed < options.kills:
            process = run(options.device, path, accumulate, options.epochs, seed)
            if kill_at_random(process, moments.uniform(0, seconds[accumulate])):
                killed += 1
                seed = 100 + i if path.exists() else 0
            else:  # it was too quick
                seconds[accumulate] *= 0.9
                path.unlink()
                killed, seed = 0, 0
        finish(run(options.device, path, accumulate, options.epochs, seed))
        if end_of(path).read_bytes() != expected[accumulate]:
            raise SystemExit(f"run {i} ended with other bits, accumulate={accumulate}")
        kills += killed
    return kills


if __name__ == "__main__":
    main()
