"""The network of the first chapter of Michael Nielsen's book, on tinynet's Tensor.

    python examples/nielsen.py

His `Network([784, 30, 10]).SGD(training_data, 30, 10, 3.0, test_data=test_data)`, with his names:
sigmoid neurons, quadratic cost, plain stochastic gradient descent. Backpropagation, which takes
most of his program, is one line here: `cost.backward()`. A mini-batch is one matrix, not a loop.

What to see: of 10,000 test images some 9,000 are right after the first epoch, and 9,500 after 30:
his score was 9,129 after one and 9,542 at its best. With some seeds (three of ten tried) an output
neuron starts saturated, as with any code for this network: the score then stays near 8,000 for the
first epochs. nielsen_improved.py has the remedies of his third chapter.

Nielsen, "Neural Networks and Deep Learning", 2015: <http://neuralnetworksanddeeplearning.com>.
"""

import itertools
import time

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn


class Network:
    """A feedforward network; `sizes` has the numbers of neurons in the layers, input first."""

    def __init__(self, sizes, device=None):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [tn.randn(y, device=device, requires_grad=True) for y in sizes[1:]]
        self.weights = [
            tn.randn(y, x, device=device, requires_grad=True) for x, y in itertools.pairwise(sizes)
        ]

    def feedforward(self, a):
        """The output of the network for the rows of `a`."""
        for b, w in zip(self.biases, self.weights):
            a = (a @ w.T + b).sigmoid()
        return a

    def SGD(self, training_data, epochs, mini_batch_size, eta, test_data=None):
        """Train on pairs (x, y), y a column of ten; with test data, print and return the scores."""
        loader = tn.data.DataLoader(training_data, mini_batch_size, shuffle=True)
        scores = []
        for j in range(epochs):
            start = time.perf_counter()
            for x, y in loader:
                self.update_mini_batch(x, y, eta)
            if test_data:
                scores.append(self.evaluate(test_data))
            score = f"{scores[-1]} / {len(test_data)}" if test_data else "complete"
            print(f"Epoch {j}: {score}, took {time.perf_counter() - start:.2f} seconds", flush=True)
        return scores

    @tn.jit
    def update_mini_batch(self, x, y, eta):
        """One step of gradient descent on the mean over the mini-batch; recorded, then replayed."""
        cost = (self.feedforward(x) - y).square().sum() / (2 * len(x))
        cost.backward()
        with tn.no_grad():
            for parameter in self.biases + self.weights:
                parameter.add_(parameter.grad, alpha=-eta)
                parameter.grad = None

    @tn.no_grad()
    def evaluate(self, test_data):
        """The number of test images whose class is the neuron with the highest output."""
        x, y = test_data[:]
        return (self.feedforward(x).argmax(dim=1) == y).sum().item()


def load_data(device=None):
    """His split: 50,000 images to train on (labels as vectors), 10,000 for test (as numbers)."""
    train, test = tn.data.mnist(flatten=True, device=device)
    n = len(train) * 5 // 6
    vectors = tn.eye(10, device=device)[train.labels[:n]]
    training_data = tn.data.TensorDataset(train.images[:n], vectors)
    return training_data, tn.data.TensorDataset(test.images, test.labels)


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(30, 1))
    training_data, test_data = load_data(options.device)
    net = Network([784, 30, 10], options.device)
    scores = net.SGD(training_data, options.epochs, 10, 3.0, test_data=test_data)
    figure, [[axes]] = make_figure()
    axes.plot(range(options.epochs), [score / len(test_data) for score in scores], marker="o")
    axes.set(xlabel="epoch", ylabel="share of test images classified rightly")
    save_figure(figure, options.out, "nielsen")


if __name__ == "__main__":
    run_script(main)
