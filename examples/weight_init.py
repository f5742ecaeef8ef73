"""How to begin: weights of 0, too small, too large, by Xavier's rule and by He's.

    python examples/weight_init.py

The spread (standard deviation) of a layer's values is that of the layer before, times
sqrt(fan_in) * s for weights of deviation s, times what the activation leaves. Eight layers multiply
that eight times. What to see, with tanh and with ReLU:

* 0: all units of a layer are the same and stay so, for they get the same gradients; behind the
  first layer, none at all. The network learns how frequent the digits are, and nothing else;
* too small (s = 0.01): each layer's values are a tenth of the last one's, and so are gradients on
  the way back. Too large (s = 1): tanh is saturated, every unit at -1 or 1, its gradient gone;
  ReLU's values grow tenfold by layer, and so does the loss;
* Xavier: s^2 = 2 / (fan_in + fan_out) keeps the spread where the activation is about the identity,
  as tanh is around 0 (Glorot & Bengio 2010). ReLU halves the mean square each time;
* He: s^2 = 2 / fan_in makes up for just that (He et al. 2015).
"""

from frame import average, make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

N_LAYERS, WIDTH = 8, 100
STARTS = {
    "zeros": nn.init.zeros_,
    "too small": lambda weight: nn.init.normal_(weight, std=0.01),
    "too large": lambda weight: nn.init.normal_(weight, std=1.0),
    "Xavier": nn.init.xavier_normal_,
    "He": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
ACTIVATIONS = {"tanh": nn.Tanh, "ReLU": nn.ReLU}


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    train, test = tn.data.mnist(flatten=True, normalize=True, device=options.device)
    n_steps = 100 if options.quick else 1000
    batches = tn.randint(0, len(train), (n_steps, 100), device=options.device)
    figure, axes = make_figure(2, 2, width=5.2, height=3.5)
    for column, (activation, make_activation) in zip(axes.T, ACTIVATIONS.items()):
        for name, start in STARTS.items():
            tn.manual_seed(options.seed)
            model = make_model(make_activation, start).to(options.device)
            spreads = measure_spreads(model, test.images[:1000])
            losses = fit(model, train, batches)
            rows = len(model[2].weight.detach().round(decimals=6).unique(dim=0))
            last = sum(losses[-20:]) / 20
            print(f"{activation}, {name:10s} spread in layer 1 {spreads[0]:.2g}, in layer 8 "
                  f"{spreads[-1]:.2g}; loss {losses[0]:.3g} at first, {last:.3g} at last; "
                  f"{rows} of {WIDTH} units differ")  # fmt: skip
            column[0].plot(range(1, N_LAYERS + 1), spreads, label=name)
            column[1].plot(*average(losses), label=name)
        column[0].set_yscale("symlog", linthresh=1e-9)  # which has a place for 0
        column[0].set(title=activation, xlabel="layer")
        column[1].set(xlabel="step", yscale="log")
    axes[0, 0].set_ylabel("spread of the layer's values")
    axes[1, 0].set_ylabel("loss on the batches")
    axes[0, 0].legend(fontsize="small")
    save_figure(figure, options.out, "weight_init")


def make_model(make_activation, start):
    """Eight hidden layers whose weights `start` fills, with biases of 0, and the scores' layer."""
    model = nn.Sequential()
    for n_inputs in [784] + [WIDTH] * (N_LAYERS - 1):
        model.extend([nn.Linear(n_inputs, WIDTH), make_activation()])
    model.append(nn.Linear(WIDTH, 10))
    for layer in model[::2]:
        start(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


@tn.no_grad()
def measure_spreads(model, x):
    """The standard deviations of the activations of each hidden layer."""
    spreads = []
    for module in model[:-1]:
        x = module(x)
        if not isinstance(module, nn.Linear):
            spreads.append(x.std().item())
    return spreads


def fit(model, train, batches):
    """The losses on the batches, a step for each."""
    optimizer = tn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    @tn.jit
    def step(images, labels):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # or what is too large is soon nan
        optimizer.step()
        return loss.detach()

    return tn.stack([step(*train[batch]) for batch in batches]).tolist()


if __name__ == "__main__":
    run_script(main)
