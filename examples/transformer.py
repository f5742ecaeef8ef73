"""A small transformer learns the same as `char_rnn.py`, and shows where it looks.

    python examples/transformer.py --device opencl

Instead of carrying a state from character to character, each position looks at all before it and
takes what it needs (Vaswani et al. 2017): queries of one against keys of the others, masked so that
none looks ahead. What to see: in training the loss falls below that of counting pairs, as the
LSTM's does; so little text is soon known by heart, and held-out characters stay above it. The
attention maps (rows look at columns) have a dark half, the future, and some heads look at the
character just before, others at spaces or at the beginning of words.
"""

import math

from char_rnn import LENGTH, count_entropies, draw, learn, write
from frame import make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn


class Attention(nn.Module):
    """Multi-head attention to the past; `seen` has the weights of the last call if `is_watched`."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.is_watched = False

    def forward(self, x):
        """From (batch, time, width) to the same."""
        n, time, width = x.shape
        parts = self.queries_keys_values(x).reshape(n, time, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, time, width / heads)
        if self.is_watched:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            future = tn.ones(time, time, device=x.device).triu(1).bool()
            self.seen = nn.functional.softmax(scores.masked_fill(future, -math.inf), dim=-1)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, time, width))


class Block(nn.Module):
    """Attention, then a network for each position; both add to what came in."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        """From (batch, time, width) to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.network(self.norm2(x))


class Transformer(nn.Module):
    """Scores (batch, time, characters) of the character after each of (batch, time)."""

    def __init__(self, n_characters, context, width=64, depth=2, heads=4):
        super().__init__()
        self.context = context
        self.characters = nn.Embedding(n_characters, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, n_characters)

    def forward(self, characters):
        """The last `context` characters at most; all of a batch at once."""
        places = tn.arange(characters.shape[1], device=characters.device)
        x = self.characters(characters) + self.positions(places)
        return self.head(self.norm(self.blocks(x)))


def main(arguments=None):
    options = parse_options(__doc__, arguments, steps=(1000, 60))
    steps = options.steps
    text = tn.data.read_text()
    vocabulary = tn.data.Vocabulary.of(text, unknown=None)
    numbers = vocabulary.encode(text, device=options.device)
    train, other = numbers[: -LENGTH * 8], numbers[-LENGTH * 8 :]
    model = Transformer(len(vocabulary), context=LENGTH).to(options.device)
    losses, tests = learn(model, train, other[: LENGTH + 1], steps)

    singles, pairs = count_entropies(text)
    print(f"by counting characters {singles:.2f}, pairs {pairs:.2f} nats")
    print(f"the network: {losses[0]:.2f} at first, {losses[-1]:.2f} after {steps} steps; held out "
          f"{min(tests.values()):.2f} at best")  # fmt: skip
    print("it writes:\n" + write(model, vocabulary, "The ", 30 if options.quick else 300))
    draw(options.out, losses, tests, singles, pairs, "transformer")
    draw_attention(options.out, model, vocabulary, "Shall I compare thee to a summer's day?")


@tn.no_grad()
def draw_attention(folder, model, vocabulary, line):
    """Where each character of a line looks, for every head of every block."""
    device = next(model.parameters()).device
    for block in model.blocks:
        block.attention.is_watched = True
    model(vocabulary.encode(line, device=device)[None])
    figure, axes = make_figure(len(model.blocks), model.blocks[0].attention.heads, 3.4, 3.6)
    for i, block in enumerate(model.blocks):
        for j, weights in enumerate(block.attention.seen[0].cpu().numpy()):
            axes[i, j].imshow(weights**0.5, cmap="viridis", vmin=0, vmax=1)
            axes[i, j].set_title(f"block {i + 1}, head {j + 1}")
            axes[i, j].set_xticks(range(len(line)), line, fontsize=6)
            axes[i, j].set_yticks(range(len(line)), line, fontsize=6)
    save_figure(figure, folder, "transformer_attention")


if __name__ == "__main__":
    run_script(main)
