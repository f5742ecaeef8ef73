"""Learning rates: every schedule drawn, and what too small, too large, decayed and warmed up do.

    python examples/learning_rates.py

One small network learns digits by SGD five times, from the same weights and the same batches;
only the rate differs. What to see: too small, and it has hardly begun when the time is up. Too
large, and the first steps throw the weights to where most units are dead, 0 for whatever image: the
loss stays about log(10) = 2.30, that of guessing, or does worse. With a rate in between it learns
fast but never settles, as each batch pulls elsewhere, and units go on dying; to let the same rate
decay makes the last steps small, and the loss falls. Warm-up starts with small steps too, as the
first gradients, those of random weights, are the wildest; with most seeds (try some) fewer units
die of them.

The schedules stand in a second picture, as they go from a rate of 1 in 100 steps.
"""

import math

from frame import average, make_figure, parse_options, run_script, save_figure
from mnist import make_model, make_step, measure_accuracy

import tinynet as tn
from tinynet import nn
from tinynet.optim import lr_scheduler as schedules

SCHEDULES = {
    "ConstantLR": lambda o: schedules.ConstantLR(o, factor=1 / 3, total_iters=30),
    "StepLR": lambda o: schedules.StepLR(o, step_size=30, gamma=0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [50, 80], gamma=0.3),
    "LinearLR": lambda o: schedules.LinearLR(o, 0.1, 1, total_iters=60),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, gamma=0.96),
    "InverseTimeLR": lambda o: schedules.InverseTimeLR(o, gamma=0.1),
    "InverseSqrtLR": lambda o: schedules.InverseSqrtLR(o, warmup_steps=20),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, total_iters=80, power=2),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, T_max=100),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 15, T_mult=2),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.1, 1, step_size_up=15, mode="triangular2"),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, max_lr=1, total_steps=100),
    "LambdaLR": lambda o: schedules.LambdaLR(o, lambda t: 0.6 + 0.4 * math.cos(t / 5)),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda t: 1 - t / 1000),
    "SWALR": lambda o: schedules.SWALR(o, swa_lr=0.2, anneal_epochs=50),
    "SequentialLR": lambda o: warm_up_and_decay(o, 100),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler(
        [schedules.LinearLR(o, 0.1, 1, total_iters=20), schedules.ExponentialLR(o, gamma=0.97)]
    ),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, factor=0.5, patience=8),
}
RUNS = {  # a rate, and what makes a schedule of an optimiser and a number of steps
    "too small": (0.001, lambda o, n: schedules.LambdaLR(o, lambda t: 1)),
    "too large": (3.0, lambda o, n: schedules.LambdaLR(o, lambda t: 1)),
    "constant": (0.4, lambda o, n: schedules.LambdaLR(o, lambda t: 1)),
    "decayed": (0.4, schedules.CosineAnnealingLR),
    "warm-up, decayed": (0.4, lambda o, n: warm_up_and_decay(o, n)),
}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    draw_schedules(options.out)
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    n_steps = 400 if options.quick else 4000
    batches = tn.randint(0, len(train), (n_steps, 20), device=options.device)
    figure, [axes] = make_figure(1, 2, width=5.5, height=4)
    print("run                rate   training loss   test accuracy   dead units")
    for name, (rate, make_schedule) in RUNS.items():
        tn.manual_seed(options.seed)
        model = make_model("784-32-32-10").to(options.device)
        losses, rates = fit(model, train, batches, rate, make_schedule)
        axes[0].plot(*average(losses), label=name)
        axes[1].plot(rates, label=name)
        images, labels = train[: len(test)]
        loss = nn.functional.cross_entropy(model(images), labels).item()
        print(f"{name:17s} {rate:5} {loss:15.3g} {measure_accuracy(model, test):15.1%} "
              f"{count_dead(model, test.images):12d} of 64")  # fmt: skip
    axes[0].axhline(math.log(10), color="0.6", linewidth=1, label="guessing")
    axes[0].set(xlabel="step", ylabel="loss on the batches", yscale="log", ylim=(None, 4))
    axes[1].set(xlabel="step", ylabel="learning rate", yscale="log", ylim=(5e-4, 5))
    axes[0].legend()
    save_figure(figure, options.out, "learning_rates")


def warm_up_and_decay(optimizer, n_steps):
    """The first fifth from a hundredth of the rate up to it, then half a cosine down to 0."""
    n = n_steps // 5
    rise = schedules.LinearLR(optimizer, 0.01, 1, total_iters=n)
    fall = schedules.CosineAnnealingLR(optimizer, n_steps - n)
    return schedules.SequentialLR(optimizer, [rise, fall], milestones=[n])


def fit(model, train, batches, rate, make_schedule):
    """A step for each row of `batches`; the losses on them, and the rates."""
    optimizer = tn.optim.SGD(model.parameters(), lr=rate)
    schedule = make_schedule(optimizer, len(batches))
    rates = schedule.rates(len(batches))
    step = make_step(model, optimizer)
    losses = []
    for batch in batches:
        losses.append(step(*train[batch]))
        schedule.step()
    return tn.stack(losses).tolist(), rates


@tn.no_grad()
def count_dead(model, images):
    """How many units of the hidden layers give 0 for every image, so have no gradient."""
    return sum((model[:n](images).amax(dim=0) == 0).sum().item() for n in (2, 4))


def follow(make_schedule, n_steps=100):
    """The rates that it gives; one that looks at the loss sees it fall until step 30, then not."""
    optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=1.0)
    schedule = make_schedule(optimizer)
    if not isinstance(schedule, schedules.ReduceLROnPlateau):
        return schedule.rates(n_steps)
    rates = []
    for t in range(n_steps):
        rates.append(schedule.get_last_lr()[0])
        schedule.step(max(1.0, 2 - t / 30))
    return rates


def draw_schedules(folder):
    figure, axes = make_figure(3, 6, width=2.8, height=2.0, sharex=True, sharey=True)
    for place, (name, make_schedule) in zip(axes.flat, SCHEDULES.items()):
        place.plot(follow(make_schedule))
        place.set_title(name, fontsize="medium")
        place.grid(alpha=0.3)
    figure.supxlabel("step")
    figure.supylabel("learning rate")
    save_figure(figure, folder, "learning_rates_schedules")


if __name__ == "__main__":
    run_script(main)
