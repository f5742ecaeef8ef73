"""The network of the first chapter of Michael Nielsen's book, on tinynet's Tensor.

    python examples/nielsen.py

His `Network([784, 30, 10]).SGD(training_data, 30, 10, 3.0, test_data=test_data)`, with his names:
sigmoid neurons, quadratic cost, plain stochastic gradient descent. Backpropagation, which takes
most of his program, is one line here: `cost.backward()`. A mini-batch is one matrix, not a loop.

With some seeds (three of ten tried) an output neuron starts saturated, as with any code for this
network: the score then stays near 8,000 for the first epochs.

Nielsen, "Neural Networks and Deep Learning", 2015: <http://neuralnetworksanddeeplearning.com>.
"""

import argparse
import itertools
import time

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
        """Train on pairs (x, y), y a column of ten; with test data, print the score by epoch."""
        loader = tn.data.DataLoader(training_data, mini_batch_size, shuffle=True)
        for j in range(epochs):
            start = time.perf_counter()
            for x, y in loader:
                self.update_mini_batch(x, y, eta)
            score = f"{self.evaluate(test_data)} / {len(test_data)}" if test_data else "complete"
            print(f"Epoch {j}: {score}, took {time.perf_counter() - start:.2f} seconds", flush=True)

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one epoch")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--device", default=None)
    options = parser.parse_args(arguments)
    tn.manual_seed(options.seed)
    training_data, test_data = load_data(options.device)
    net = Network([784, 30, 10], options.device)
    net.SGD(training_data, 1 if options.quick else options.epochs, 10, 3.0, test_data=test_data)


if __name__ == "__main__":
    main()
