"""Learning rates: every schedule drawn, and what too small, too large, decayed and warmed up do.

    python examples/learning_rates.py

One small network learns digits by SGD five times, from the same weights and the same batches;
only the rate differs. What to see: too small, and it has hardly begun when the time is up. Too
large, and the first steps throw the weights to where most units are dead, 0 for whatever image: the
loss stays about log(10) = 2.30, that of guessing, or does worse. With a rate in between it learns
fast but never settles, as each batch pulls elsewhere; to let the same rate decay makes the last
steps small, and the loss falls. Warm-up starts with small steps too, as the first gradients, those
of random weights, are the wildest; with most seeds (try some) fewer units die of them.

The schedules stand in a second picture, as they go from a rate of 1 in 100 steps.
"""

import math

from frame import COLORS, STROKES, make_figure, parse_options, save_figure

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
RUNS = {
    "too small": (0.001, None),
    "too large": (3.0, None),
    "constant": (0.4, None),
    "decayed": (0.4, lambda o, n_steps: schedules.CosineAnnealingLR(o, n_steps)),
    "warm-up, decayed": (0.4, lambda o, n_steps: warm_up_and_decay(o, n_steps)),
}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    draw_schedules(options.out)
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    n_steps = 400 if options.quick else 4000
    batches = tn.randint(0, len(train), (n_steps, 20), device=options.device)
    print("run                rate   training loss   test accuracy   dead units")
    curves = {}
    for name, (rate, make_schedule) in RUNS.items():
        tn.manual_seed(options.seed)
        model = make_model().to(options.device)
        curves[name] = fit(model, train, batches, rate, make_schedule)
        loss, _ = evaluate(model, train[: len(test)])
        _, accuracy = evaluate(model, test[:])
        dead = count_dead(model, test[:][0])
        print(f"{name:17s} {rate:5} {loss:15.3g} {accuracy:15.1%} {dead:12d} of 64")
    draw_runs(options.out, curves)


def warm_up_and_decay(optimizer, n_steps):
    """The first fifth from a hundredth of the rate up to it, then half a cosine down to 0."""
    n = n_steps // 5
    parts = [
        schedules.LinearLR(optimizer, 0.01, 1, total_iters=n),
        schedules.CosineAnnealingLR(optimizer, n_steps - n),
    ]
    return schedules.SequentialLR(optimizer, parts, milestones=[n])


def make_model():
    return nn.Sequential(
        nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    )


def fit(model, train, batches, rate, make_schedule):
    """A step for each row of `batches`; the losses on them."""
    optimizer = tn.optim.SGD(model.parameters(), lr=rate)
    schedule = make_schedule and make_schedule(optimizer, len(batches))

    @tn.jit
    def step(images, labels):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = []
    for batch in batches:
        losses.append(step(*train[batch]))
        if schedule:
            schedule.step()
    return tn.stack(losses).tolist()


@tn.no_grad()
def evaluate(model, samples):
    """Loss and accuracy."""
    images, labels = samples
    scores = model(images)
    loss = nn.functional.cross_entropy(scores, labels)
    return loss.item(), (scores.argmax(dim=1) == labels).float().mean().item()


@tn.no_grad()
def count_dead(model, images):
    """How many units of the hidden layers give 0 for every image, so have no gradient."""
    layers = [model[:2](images), model[:4](images)]
    return sum((units.amax(dim=0) == 0).sum().item() for units in layers)


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


def draw_runs(folder, curves):
    figure, [[axes, rates]] = make_figure(1, 2, width=5.5, height=4)
    for i, (name, losses) in enumerate(curves.items()):
        n = max(1, len(losses) // 40)  # average over so many steps, or the curves cover each other
        means = [sum(losses[t : t + n]) / n for t in range(0, len(losses) - n + 1, n)]
        axes.plot(range(n // 2, len(losses), n), means, label=name)
        rate, make_schedule = RUNS[name]
        optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=rate)
        schedule = make_schedule and make_schedule(optimizer, len(losses))
        values = schedule.rates(len(losses)) if schedule else [rate] * len(losses)
        rates.plot(values, color=COLORS[i], linestyle=STROKES[i], label=name)
    axes.axhline(math.log(10), color="0.6", linewidth=1, label="guessing")
    axes.set(xlabel="step", ylabel="loss on the batches", yscale="log", ylim=(None, 4))
    rates.set(xlabel="step", ylabel="learning rate", yscale="log", ylim=(5e-4, 5))
    axes.legend()
    for place in (axes, rates):
        place.grid(alpha=0.3)
    save_figure(figure, folder, "learning_rates")


if __name__ == "__main__":
    main()
