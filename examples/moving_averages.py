"""Exponentially weighted averages of temperatures, with and without bias correction.

    python examples/moving_averages.py

Momentum, RMSProp, Adam and batch norm all keep the same running average: of each new value x they
mix a little into what they have, v = beta v + (1 - beta) x. The value of k steps ago then weighs
(1 - beta) beta**k, so that about 1 / (1 - beta) of the last ones count. What to see: a larger beta
leaves less of the noise, but comes later, and rounds off the extremes. And since v starts at 0, the
first averages are far too low: their weights sum up to 1 - beta**t only. To divide by that is
Adam's bias correction (Kingma and Ba 2015, section 3); once beta**t is small it changes nothing.

The temperatures are made up: a wave a year long from a 1st of July on, and noise from day to day.
"""

import math

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn

BETAS = (0.5, 0.9, 0.98)
MEAN, SWING, NOISE = 12.0, 10.0, 3.0  # of the temperatures, in °C; NOISE is a standard deviation


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    n_days = 365 if options.quick else 3 * 365
    season = MEAN + SWING * tn.cos(tn.arange(n_days) * (2 * math.pi / 365)).to(options.device)
    temperatures = season + NOISE * tn.randn(n_days, device=options.device)
    print(
        "      days that                        coldest day of year    off in those days, in °C\n"
        "beta      count   noise left, in °C   days late   too warm    as it is   corrected"
    )
    plain, corrected = {}, {}
    for beta in BETAS:
        plain[beta] = average(temperatures, beta)
        corrected[beta] = correct_bias(plain[beta], beta)
        smooth = correct_bias(average(season, beta), beta)  # what it makes of the wave alone
        noise = (corrected[beta] - smooth)[n_days // 4 :].std().item()
        coldest = smooth[:365].argmin().item()
        too_warm = smooth[coldest].item() - (MEAN - SWING)
        n = round(1 / (1 - beta))
        starts = [(v - temperatures)[:n].mean().item() for v in (plain[beta], corrected[beta])]
        print(
            f"{beta:4} {n:10d} {noise:19.2f} {coldest - 182:11d} {too_warm:10.1f}"
            f" {starts[0]:11.1f} {starts[1]:11.1f}"
        )
    draw(options.out, temperatures, plain, corrected)


def average(series, beta):
    """v[t] = beta v[t-1] + (1 - beta) series[t], from 0 on."""
    v, averages = tn.zeros((), device=series.device), []
    for x in series:
        v = beta * v + (1 - beta) * x
        averages.append(v)
    return tn.stack(averages)


def correct_bias(averages, beta):
    """Divide by the sum of the weights so far."""
    steps = tn.arange(1, len(averages) + 1, device=averages.device)
    return averages / (1 - beta**steps)


def draw(folder, temperatures, plain, corrected):
    figure, [[whole, start, weights]] = make_figure(1, 3, width=4.6)
    last = BETAS[-1]
    for axes, n_days in ((whole, 365), (start, 100)):
        axes.plot(temperatures[:n_days].tolist(), ".", color="0.7", label="temperature of the day")
        axes.set(xlabel="day", ylabel="temperature in °C")
    for beta in BETAS:
        whole.plot(corrected[beta][:365].tolist(), label=f"average, beta = {beta}")
        weights.plot([(1 - beta) * beta**k for k in range(60)], label=f"beta = {beta}")
    start.plot(corrected[last][:100].tolist(), label=f"beta = {last}, corrected")
    start.plot(plain[last][:100].tolist(), label=f"beta = {last}, as it is")
    whole.set(title="the first year, bias corrected", ylim=(-13, 48))
    start.set(title="the first days", ylim=(-5, 48))
    weights.set(title="what a day counts", xlabel="days ago", ylabel="weight", yscale="log")
    weights.set_ylim(1e-4, 1)
    for axes in (whole, start, weights):
        axes.legend(loc="upper right", fontsize="small")
        axes.grid(alpha=0.3)
    save_figure(figure, folder, "moving_averages")


if __name__ == "__main__":
    run_script(main)
