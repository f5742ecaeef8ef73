"""What the examples have in common: their options, how they end, and how their figures look.

Every one takes --device, --seed, --quick (less of everything, for a first look) and --out, the
folder that its picture goes to. Colours are those of Okabe and Ito (2008), which the colour-blind
tell apart; lines differ in their strokes too, for prints without colours.
"""

import argparse
import math
import os
import signal
import sys
from pathlib import Path

import tinynet as tn

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
STROKES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1))]


def run_script(main):
    """Run a script's `main`; errors and Ctrl-C are a line on stderr, and an exit status."""
    name = Path(sys.argv[0]).name
    signal.signal(signal.SIGINT, interrupt)
    try:
        main()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)  # 128 + SIGINT, as shells have it
    except (tn.errors.TinynetError, OSError, MemoryError) as error:
        sys.exit(f"{name}: {' '.join(str(error).split())}")


def interrupt(number, frame):
    """What Ctrl-C does by default; `fit`, which replaces only the default itself, lets it be."""
    raise KeyboardInterrupt


def parse_options(doc, arguments=None, **more):
    """The options; `more` are others by name, with their defaults, False for a flag.

    A pair is the default without --quick and the one with it. Whole numbers are at least 1, others
    above 0. Seeds the random numbers.
    """
    defaults = {name: x if isinstance(x, tuple) else (x, x) for name, x in more.items()}
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default=str(tn.zeros(()).device), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--out", type=parse_folder, default="runs", help="folder; default: runs")
    for name, (usual, quick) in defaults.items():
        option = "--" + name.replace("_", "-")
        if usual is False:  # bool("False") is True, so no type reads it
            parser.add_argument(option, action="store_true")
            continue
        kind = {int: parse_count, float: parse_positive, str: str}[type(usual)]
        text = f"default: {usual}" + (f", with --quick {quick}" if quick != usual else "")
        parser.add_argument(option, type=kind, help=text)
    options = parser.parse_args(arguments)
    for name, pair in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, pair[options.quick])
    tn.zeros((), device=options.device)  # which raises now if there is no such device
    tn.manual_seed(options.seed)
    return options


def parse_count(text):
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 on")
    return int(text)


def parse_positive(text):
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number above 0")
    return number


def parse_folder(text):
    """A folder that can be written into, or made."""
    path = Path(text)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"{str(there)!r} is no folder that can be written into")
    return path


def make_figure(rows=1, columns=1, width=4.5, height=3.5, **keywords):
    """A figure and its axes, an array (rows, columns); `width` and `height` of each, in inches."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.rcsetup import cycler

    with pyplot.rc_context({"axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=STROKES)}):
        return pyplot.subplots(
            rows, columns, figsize=(width * columns, height * rows), layout="constrained",
            squeeze=False, **keywords,
        )  # fmt: skip


def average(values, n_points=40):
    """Places and means of about so many stretches of a list, whose curve would be a band."""
    n = max(1, len(values) // n_points)
    starts = range(0, len(values) - n + 1, n)
    return [i + (n - 1) / 2 for i in starts], [sum(values[i : i + n]) / n for i in starts]


def save_figure(figure, folder, name):
    """Write `name`.png, and say where it is."""
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    print(f"Picture: {path.resolve()}")


def save_film(figure, lines, folder, name, seconds=8):
    """Write a film in which lines grow: `name`.mp4 where ffmpeg is, else an animated GIF.

    `lines`: pairs of one of the figure's lines and all its points, an array (n, 2).
    """
    from matplotlib import animation

    is_movie = animation.writers.is_available("ffmpeg")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{'mp4' if is_movie else 'gif'}"
    n_points = max(len(points) for _, points in lines)

    def show(n):
        for line, points in lines:
            line.set_data(*points[:n].T)

    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # arranged once: to do so in each frame takes longest
    frames = range(1, n_points + 1, max(1, n_points // (5 * seconds)))
    film = animation.FuncAnimation(figure, show, [*frames, n_points])
    film.save(path, "ffmpeg" if is_movie else "pillow", fps=5, dpi=60)
    print(f"Film: {path.resolve()}")
