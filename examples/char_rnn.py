"""A recurrent network learns to spell: the next character of Shakespeare's sonnets.

    python examples/char_rnn.py --device opencl
    python examples/char_rnn.py --device opencl --text my_book.txt --steps 5000

An LSTM reads a text character by character and says what comes next (Karpathy 2015, "The
unreasonable effectiveness of recurrent neural networks"). Its loss is in nats for each character.
What to see: it falls below what one gets by counting characters, then pairs of characters; the
text that it writes has words, lines and rhymes' rhythm. Ten sonnets are few: after some hundred
steps it knows them by heart, as the loss on the last of them, held out, shows.
"""

import itertools
import math
from collections import Counter

from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

LENGTH, BATCH = 64, 32
LEAST = 2 * (LENGTH + 1)  # characters: a stretch to train on, another held out


class CharacterLSTM(nn.Module):
    """Scores (batch, time, characters) of the character after each of (batch, time)."""

    def __init__(self, n_characters, width=128):
        super().__init__()
        self.embedding = nn.Embedding(n_characters, 32)
        self.lstm = nn.LSTM(32, width, batch_first=True)
        self.head = nn.Linear(width, n_characters)

    def forward(self, characters):
        """All of a batch at once."""
        return self.head(self.lstm(self.embedding(characters))[0])


def main(arguments=None):
    options = parse_options(__doc__, arguments, steps=(600, 60), text="")
    steps = options.steps
    text = tn.data.read_text(options.text) if options.text else tn.data.read_text()
    if len(text) < LEAST:
        raise tn.errors.DataError(
            f"--text: {options.text} is too short: {len(text)} characters, expected {LEAST} or more"
        )
    vocabulary = tn.data.Vocabulary.of(text, unknown=None)
    numbers = vocabulary.encode(text, device=options.device)
    held_out = max(LENGTH + 1, len(numbers) // 10)
    train, other = numbers[:-held_out], numbers[-held_out:]
    model = CharacterLSTM(len(vocabulary)).to(options.device)
    losses, tests = learn(model, train, other, steps)

    singles, pairs = count_entropies(text)
    print(f"{len(text):,} characters, {len(vocabulary)} different ones: log {len(vocabulary)} = "
          f"{math.log(len(vocabulary)):.2f} nats")  # fmt: skip
    print(f"by counting characters {singles:.2f}, pairs {pairs:.2f}")
    print(f"the network: {losses[0]:.2f} at first, {losses[-1]:.2f} after {steps} steps; held out "
          f"{min(tests.values()):.2f} at best, {tests[steps]:.2f} at the end")  # fmt: skip
    beginning = "The " if set("The ") <= set(text) else text[0]
    print("it writes:\n" + write(model, vocabulary, beginning, 30 if options.quick else 300))
    draw(options.out, losses, tests, singles, pairs, "char_rnn")


def learn(model, train, other, steps, rate=3e-3):
    """The loss of each step, and every few steps that on the text held out."""
    optimizer = tn.optim.Adam(model.parameters(), lr=rate)
    places = tn.arange(LENGTH, device=train.device)

    @tn.jit
    def step(inputs, targets):
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    losses, tests = [], {}
    for number in range(1, steps + 1):
        starts = tn.randint(len(train) - LENGTH, (BATCH, 1), device=train.device) + places
        losses.append(step(train[starts], train[starts + 1]))
        if number % max(1, steps // 10) == 0 or number == steps:
            with tn.no_grad():
                tests[number] = loss_of(model, other[None, :-1], other[None, 1:]).item()
    return tn.stack(losses).tolist(), tests


def loss_of(model, inputs, targets):
    return nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


@tn.no_grad()
def write(model, vocabulary, beginning, length, temperature=0.8, context=LENGTH):
    """Continue a text: each character is drawn from what the model expects."""
    device = next(model.parameters()).device
    numbers = vocabulary.encode(beginning, device=device)
    for _ in range(length):
        scores = model(numbers[None, -context:])[0, -1] / temperature
        drawn = tn.multinomial(nn.functional.softmax(scores, dim=0), 1)
        numbers = tn.cat([numbers, drawn])
    return "".join(vocabulary.decode(numbers))


def count_entropies(text):
    """Nats for each character: from their frequencies, and from those of what follows each."""
    singles, pairs = Counter(text), Counter(itertools.pairwise(text))
    firsts = Counter(text[:-1])
    n = len(text)
    by_singles = -sum(k / n * math.log(k / n) for k in singles.values())
    by_pairs = -sum(k / (n - 1) * math.log(k / firsts[pair[0]]) for pair, k in pairs.items())
    return by_singles, by_pairs


def draw(folder, losses, tests, singles, pairs, name):
    figure, axes = make_figure(width=7, height=4)
    axes[0, 0].plot(range(1, len(losses) + 1), losses, linewidth=0.8, label="training")
    axes[0, 0].plot(list(tests), list(tests.values()), marker="o", label="held out")
    axes[0, 0].axhline(singles, color="gray", linestyle=":", label="counting characters")
    axes[0, 0].axhline(pairs, color="gray", linestyle="--", label="counting pairs")
    axes[0, 0].set(xlabel="step", ylabel="nats for each character", ylim=(0, None))
    axes[0, 0].legend()
    save_figure(figure, folder, name)


if __name__ == "__main__":
    run_script(main)
