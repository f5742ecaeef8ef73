"""`tinynet train`: from data to a folder with weights, curves and pictures."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import tinynet as tn
from tinynet import nn
from tinynet.cli.choices import choose, split_names
from tinynet.cli.modelfiles import CODE_KEY, build, parse_shape
from tinynet.cli.pictures import DPI, draw_grid, draw_scatter
from tinynet.cli.recipes import ImageRecipe, TableRecipe, to_metadata
from tinynet.cli.runs import Run
from tinynet.cli.settings import (
    AUGMENTATIONS,
    OPTIMIZERS,
    SCHEDULES,
    find_schedule,
    make_augmentation,
    make_optimizer,
)
from tinynet.cli.tasks import SETS, Reading, Task, load_task
from tinynet.errors import ArgumentError
from tinynet.models import IMAGE_MODELS, NAMES, find_model
from tinynet.train import History, Trainer
from tinynet.viz.figures import make_figure, save_figure

EXAMPLES = """\
  tinynet train mnist                                LeNet, 3 epochs, into runs/mnist-lenet
  tinynet train mnist --model mnist_cnn --schedule onecycle --augment shift --epochs 5
  tinynet train fashion_mnist --model resnet20 --optimizer sgd --lr 0.1 \\
      --schedule cosine --augment crop,flip --device opencl
  tinynet train photos/                              a subfolder for each class
  tinynet train iris.csv --target species --model 16-16
  tinynet train houses.csv --target price            a number: regression
  tinynet train mnist --model net.py:Net             a network of your own
"""
SHOWN = 30  # images in the grid of predictions
BATCH = 1000  # samples at a time where nothing is learnt
FREE = ("device", "epochs")  # settings that a run that goes on may change


@dataclass(frozen=True)
class Settings:
    """What was asked for, as run.json has it."""

    dataset: str
    model: str
    optimizer: str
    lr: float | None
    momentum: float | None
    weight_decay: float | None
    schedule: str
    augment: str
    epochs: int
    batch_size: int
    seed: int
    device: str
    reading: Reading
    clip_norm: float | None
    patience: int | None


def command(
    dataset: Annotated[str, typer.Argument(metavar="DATASET",
        help=f"{', '.join(SETS)}; a folder of images by class; or a CSV file.")],
    model: Annotated[str, typer.Option("--model", "-m",
        help=f"{', '.join(NAMES)}, hidden sizes (512-256), or your own class (net.py:Net). "
             "Default: lenet for images, mlp for tables.")] = "",
    epochs: Annotated[int, typer.Option("--epochs", "-e", min=0)] = 3,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1)] = 128,
    optimizer: Annotated[str, typer.Option("--optimizer", "-o",
        help=f"{', '.join(OPTIMIZERS)}, in any case.")] = "adam",
    lr: Annotated[float | None, typer.Option("--lr", min=0.0,
        help="Learning rate; by default one that suits the optimizer.")] = None,
    momentum: Annotated[float | None, typer.Option(min=0.0)] = None,
    weight_decay: Annotated[float | None, typer.Option(min=0.0)] = None,
    schedule: Annotated[str, typer.Option(help=f"{', '.join(SCHEDULES)}.")] = "none",
    augment: Annotated[str, typer.Option(
        help=f"Some of {', '.join(AUGMENTATIONS)}, with commas.")] = "",
    clip_norm: Annotated[float | None, typer.Option(help="Bound of the gradients' norm.")] = None,
    patience: Annotated[int | None, typer.Option(min=1,
        help="Stop after so many epochs without a better validation loss; keep the best.")] = None,
    device: Annotated[str, typer.Option("--device", "-d",
        help="See `tinynet devices`; default: TINYNET_DEVICE, else cpu.")] = "",
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 0,
    target: Annotated[str, typer.Option(help="A table's column to tell from the others.")] = "",
    kind: Annotated[str, typer.Option(help="Of the target: classes, numbers, auto.")] = "auto",
    size: Annotated[str, typer.Option(help="Of a folder's images: 32, or 32,48.")] = "",
    validation: Annotated[float, typer.Option(
        help="The part that is held out, where there is no test set.")] = 0.2,
    limit: Annotated[int | None, typer.Option(min=1, help="Samples to train on.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder; default: runs/DATASET-MODEL.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run in that folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:  # fmt: skip
    """Train a network; leave its weights, its history and pictures in a folder.

    The folder gets model.safetensors (all that `tinynet predict` needs), history.csv and .png,
    predictions.png, and run.json with the settings. Interrupted or killed, the same command goes
    on from the last epoch's checkpoint; more --epochs continue a finished run.
    """
    reading = Reading(target, kind, parse_shape(size, "--size") if size else (), validation, limit)
    settings = Settings(
        dataset, model, optimizer, lr, momentum, weight_decay, schedule, augment, epochs,
        batch_size, seed, device or tn.settings.DEVICE.get(), reading, clip_norm, patience,
    )  # fmt: skip
    return train(settings, out, fresh, quiet)


def train(settings: Settings, out: Path | None, is_fresh: bool, is_quiet: bool) -> int:
    """What the command does; its exit status."""
    start = time.perf_counter()
    make_figure("train", 1, 1)  # rather now than after the training
    tn.zeros(1, device=settings.device)
    plan = find_schedule(settings.schedule)
    check_settings(settings)
    tn.manual_seed(settings.seed)
    task = load_task(settings.dataset, settings.reading, settings.device)
    name = settings.model or _default_model(task)
    module = build(name, task.recipe.shape, task.outputs).to(settings.device)
    trainer_parts = make_parts(settings, task, module, is_quiet)
    run = Run(out or Path("runs", f"{task.name}-{name.rpartition(':')[2]}"))
    free = [x for x in FREE if not (plan.is_bound and x == "epochs")]
    run.begin(asdict(settings), free, is_fresh)
    print(
        f"{len(task.train):,} samples to train on, {len(task.test):,} to test on; {name} with "
        f"{nn.count_parameters(module):,} parameters on {settings.device}"
    )
    if isinstance(task.recipe, TableRecipe) and task.recipe.categorical:
        print(f"Columns of words: {', '.join(task.recipe.categorical)}")
    trainer = Trainer(module, checkpoint=run.checkpoint, **trainer_parts)
    history = trainer.fit(settings.epochs)
    if trainer.interrupts.came and trainer.epoch < settings.epochs:
        print(
            f"Stopped in epoch {trainer.epoch + 1}; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130
    if trainer.stop_reason is not None:
        print(trainer.stop_reason)
    leave(run, settings, task, module, history, time.perf_counter() - start)
    return 0


def check_settings(settings: Settings) -> None:
    """Raise for names and bounds that are none: rather now than after the data were read."""
    choose("--optimizer", settings.optimizer, OPTIMIZERS)
    for name in split_names(settings.augment):
        choose("--augment", name, AUGMENTATIONS)
    if settings.model and ":" not in settings.model:
        find_model(settings.model)
    if settings.clip_norm is not None and not settings.clip_norm > 0:  # NaN is not, either
        raise ArgumentError(f"--clip-norm: {settings.clip_norm}, expected a number above 0")


def make_parts(settings: Settings, task: Task, module: nn.Module, is_quiet: bool) -> dict[str, Any]:
    """Everything that a `Trainer` takes beside the model and the checkpoint."""
    plan = find_schedule(settings.schedule)
    ground = tn.data.DataLoader(task.train, min(len(task.train), BATCH))
    lowest = float(next(iter(ground))[0].min().item())
    change = make_augmentation(settings.augment, lowest, task.recipe.shape)
    loader = tn.data.DataLoader(task.train, settings.batch_size, shuffle=True, transform=change)
    optimizer = make_optimizer(
        settings.optimizer, module, settings.lr, settings.momentum, settings.weight_decay
    )
    rate = optimizer.param_groups[0]["lr"]
    metrics: list[Any] = [tn.train.Accuracy()]
    if task.classes is None:
        metrics = [tn.train.RSquared()]
    callbacks = []
    if settings.patience is not None:
        callbacks.append(tn.train.EarlyStopping(patience=settings.patience))
    return {
        "loader": loader,
        "loss": nn.functional.mse_loss if task.classes is None else nn.functional.cross_entropy,
        "optimizer": optimizer,
        "validation": tn.data.DataLoader(task.test, BATCH),
        "metrics": metrics,
        "schedule": plan.make(optimizer, rate, settings.epochs, len(loader)),
        "schedule_every": plan.every,
        "clip_norm": settings.clip_norm,
        "callbacks": callbacks,
        "progress": not is_quiet,
    }


def leave(
    run: Run, settings: Settings, task: Task, module: nn.Module, history: History, seconds: float
) -> None:
    """Write what the run leaves, and say where it is."""
    metadata = {"trained_on": task.name, "version": tn.__version__, **to_metadata(task.recipe)}
    if ":" in settings.model:
        metadata[CODE_KEY] = settings.model
    tn.save_model(module, run.weights, metadata)
    results: dict[str, Any] = {"seconds": round(seconds, 3), "epochs": len(history)}
    if len(history):
        history.to_csv(run.history)
        save_figure("picture", history.plot(), run.curves, DPI)
        results |= history.rows[-1]
    has_picture = draw_predictions(run, task, module)
    run.write(asdict(settings), results)
    for name, value in results.items():
        if name.startswith("validation_"):
            print(f"{name.replace('_', ' ')} {value:.4g}")
    print(f"Weights: {run.weights}")
    if len(history):
        print(f"History: {run.history}, {run.curves}")
    if has_picture:
        print(f"Picture: {run.predictions}")
    code = f" --code {settings.model}" if ":" in settings.model else ""
    print(f"Next: tinynet predict {run.folder} FILE...{code}")


def draw_predictions(run: Run, task: Task, module: nn.Module) -> bool:
    """A picture of what the model makes of the first test samples; False where there is none."""
    inputs, targets = task.test[: SHOWN if isinstance(task.recipe, ImageRecipe) else BATCH]
    outputs = tn.train.predict(module, inputs, jit=False)
    recipe = task.recipe
    if isinstance(recipe, ImageRecipe):
        labels, found = targets.tolist(), outputs.argmax(dim=1).tolist()
        means, stds = (np.array(x, np.float32)[:, None, None] for x in (recipe.mean, recipe.std))
        images = np.clip(inputs.cpu().numpy() * stds + means, 0, 1)
        titles = [
            recipe.classes[j] if j == i else f"{recipe.classes[j]}, is {recipe.classes[i]}"
            for i, j in zip(labels, found)
        ]
        right = [i == j for i, j in zip(labels, found)]
        draw_grid(run.predictions, list(images), titles, right)
        return True
    if recipe.classes is None:
        true, told = (
            x.cpu().numpy() * recipe.target_std + recipe.target_mean for x in (targets, outputs)
        )
        draw_scatter(run.predictions, true, told, recipe.target)
        return True
    return False


def _default_model(task: Task) -> str:
    shape = task.recipe.shape
    if len(shape) == 3 and min(shape[1:]) >= IMAGE_MODELS["lenet"]:
        return "lenet"
    return "mlp"
