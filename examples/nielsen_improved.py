"""What the third chapter of Michael Nielsen's book adds to nielsen.py, in his names.

    python examples/nielsen_improved.py

What to see, with his numbers, of other random weights, behind ours:

* a neuron with w = b = 2 that gets 1 and is to give 0 is saturated. The quadratic cost's gradient
  has a factor sigma'(z), next to nothing, so for 150 epochs it hardly learns. The cross-entropy,
  -(y ln a + (1 - y) ln(1 - a)), has the gradient a - y: the more wrong, the faster it learns;
* L2 regularization, (1 - eta * lmbda / n) w in each step, on 1,000 images, which a network
  otherwise learns by heart: all of these right, but one in six others wrong;
* weights from N(0, 1 / n_in) saturate no hidden neuron: most is learnt in the first epoch.

Nielsen, "Neural Networks and Deep Learning", 2015, <http://neuralnetworksanddeeplearning.com>.
"""

import nielsen
from frame import make_figure, parse_options, run_script, save_figure
from nielsen import load_data

import tinynet as tn
from tinynet import nn


def QuadraticCost(z, y):
    return (z.sigmoid() - y).square().sum() / (2 * len(y))


def CrossEntropyCost(z, y):
    """Of z, for in float32 a = sigma(z) can be 1, and ln(1 - a) is then no number."""
    return nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)


class Network(nielsen.Network):
    """As his network2.py: that of nielsen.py with a cost, smaller weights, and `lmbda`."""

    def __init__(self, sizes, cost=CrossEntropyCost, device=None):
        super().__init__(sizes, device)  # weights and biases from N(0, 1), "large"
        self.cost = cost

    @tn.no_grad()
    def default_weight_initializer(self):
        for w in self.weights:
            w.div_(w.shape[1] ** 0.5)

    def SGD(self, training_data, epochs, mini_batch_size, eta, lmbda, evaluation_data):
        """Train; the share of the evaluation data's images that it finds after each epoch."""
        loader = tn.data.DataLoader(training_data, mini_batch_size, shuffle=True)
        accuracies = []
        for _ in range(epochs):
            for x, y in loader:
                self.update_mini_batch(x, y, eta, 1 - eta * lmbda / len(training_data))
            accuracies.append(self.evaluate(evaluation_data) / len(evaluation_data))
        return accuracies

    @tn.jit
    def update_mini_batch(self, x, y, eta, decay):
        a = x
        for b, w in zip(self.biases[:-1], self.weights[:-1]):
            a = (a @ w.T + b).sigmoid()
        self.cost(a @ self.weights[-1].T + self.biases[-1], y).backward()
        with tn.no_grad():
            for w in self.weights:
                w.mul_(decay)
            for parameter in self.biases + self.weights:
                parameter.add_(parameter.grad, alpha=-eta)
                parameter.grad = None


def main(arguments=None):
    options = parse_options(__doc__, arguments)
    figure, [axes] = make_figure(1, 3, width=4.4, height=3.6)
    learn_slowly(options, axes[0])
    training_data, test_data = load_data(options.device)
    overfit(options, axes[1], tn.data.TensorDataset(*training_data[:1000]), test_data)
    begin(options, axes[2], training_data, test_data)
    for place in axes:
        place.set_xlabel("epoch")
        place.legend(loc="lower right" if place is axes[1] else "best", fontsize="small")
    save_figure(figure, options.out, "nielsen_improved")


def learn_slowly(options, axes):
    x, y = tn.ones(1, 1, device=options.device), tn.zeros(1, 1, device=options.device)
    for cost, his in ((QuadraticCost, " (his: 0.20)"), (CrossEntropyCost, "")):
        net = Network([1, 1], cost, options.device)
        with tn.no_grad():
            net.weights[0].fill_(2)
            net.biases[0].fill_(2)
        outputs = [net.feedforward(x).detach()]
        for _ in range(300):
            net.update_mini_batch(x, y, 0.15, 1.0)
            outputs.append(net.feedforward(x).detach())
        outputs = tn.cat(outputs).flatten().tolist()
        print(f"one neuron, {cost.__name__}: output {outputs[0]:.2f} at first, {outputs[150]:.2f} "
              f"after 150 epochs, {outputs[300]:.2f} after 300{his}")  # fmt: skip
        axes.plot(outputs, label=cost.__name__)
    axes.set(title="a saturated neuron, target 0", ylabel="output", ylim=(0, 1))


def overfit(options, axes, few, test_data):
    epochs = 15 if options.quick else 400
    for lmbda, his in ((0.0, "82.27"), (0.1 * 400 / epochs, "87.1")):
        tn.manual_seed(options.seed)
        net = Network([784, 30, 10], device=options.device)
        accuracies = net.SGD(few, epochs, 10, 0.5, lmbda, test_data)
        print(f"1,000 images, lmbda {lmbda:.3g}: {accuracies[-1]:.2%} right after {epochs} epochs "
              f"(his: {his} % after 400)")  # fmt: skip
        axes.plot(range(1, epochs + 1), accuracies, label=f"lmbda {lmbda:.3g}")
    axes.set(title="1,000 training images", ylabel="test accuracy")


def begin(options, axes, training_data, test_data):
    epochs = 2 if options.quick else 30
    lmbda = 5.0 * len(training_data) / 50_000
    for name, his in (("large", "under 87"), ("default", "almost 93")):
        tn.manual_seed(options.seed)
        net = Network([784, 30, 10], device=options.device)
        if name == "default":
            net.default_weight_initializer()
        accuracies = net.SGD(training_data, epochs, 10, 0.1, lmbda, test_data)
        print(f"{name} weights: {accuracies[0]:.2%} right after one epoch (his: {his} %), "
              f"{accuracies[-1]:.2%} after {epochs} (his: over 96 % after 30)")  # fmt: skip
        axes.plot(range(1, epochs + 1), accuracies, label=f"{name} weights")
    axes.set(title=f"{len(training_data):,} training images", ylabel="test accuracy")


if __name__ == "__main__":
    run_script(main)
