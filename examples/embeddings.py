"""Words as numbers: bags of words, and vectors that say which words are alike.

    python examples/embeddings.py

The text is three books of the King James Bible (text/README.md). What to see:

* a bag of words keeps which occur and forgets their order; for four verses of five that is enough
  to tell which book they are from, and the weights say which words tell;
* skip-gram with negative sampling (Mikolov et al. 2013): the vector v of a word should tell the
  words around it. A pair from the text, the other word with vector u, has the loss
  -log s(u.v) - k E log s(-u'.v), where s is the sigmoid, and u' a word drawn at random, with the
  chance frequency ** 0.75. So words that keep the same company come to have similar vectors: the
  neighbours of a number are numbers, those of a tribe are tribes, though nobody said what these are
  (the table; by chance it would be below 2%). Words for relatives do worse: in this text "father"
  keeps company with Isaac and Jethro rather than with "mother";
* principal components, the plane in which the vectors differ most, keep these groups apart.
"""

import gzip
from collections import Counter
from pathlib import Path

from frame import COLORS, make_figure, parse_options, run_script, save_figure

import tinynet as tn
from tinynet import nn

TEXT = Path(__file__).parent / "text" / "books_of_moses.txt.gz"
WINDOW, NEGATIVES, SHARED, RARE = 2, 5, 128, 10
GROUPS = {
    "numbers": "two three four five six seven eight nine ten twenty thirty forty fifty hundred",
    "tribes": "reuben simeon levi judah zebulun issachar dan gad asher naphtali benjamin ephraim",
    "animals": "ram rams lamb lambs bullock bullocks kid goats sheep oxen asses camels cattle",
    "materials": "gold silver brass linen blue purple scarlet wood stone stones",
    "relatives": "father mother brother sister son daughter wife husband sons daughters children",
}


def main(arguments=None):
    options = parse_options(__doc__, arguments, epochs=(6, 4))
    books = read_books()
    verses = [tn.data.split_words(v, punctuation=False) for book in books.values() for v in book]
    counts = Counter(word for verse in verses for word in verse)
    kept = (word for word, n in counts.most_common() if n >= RARE)
    vocabulary = tn.data.Vocabulary(kept, unknown=None)
    numbers = [[vocabulary.numbers[w] for w in verse if w in vocabulary] for verse in verses]
    print(f"{counts.total():,} words, {len(vocabulary)} of them {RARE} times or more")

    labels = [i for i, book in enumerate(books.values()) for _ in book]
    tell_books(numbers, tn.tensor(labels, device=options.device), vocabulary, list(books))
    frequencies = tn.tensor([float(counts[w]) for w in vocabulary], device=options.device)
    pairs = find_pairs(numbers, frequencies)
    vectors = learn(pairs, frequencies, options.epochs)
    near = find_neighbours(vectors)
    for word in ("seven", "judah", "bullock", "north", "gold"):
        print(f"near {word}: {', '.join(vocabulary.decode(near[vocabulary.numbers[word]]))}")
    for name, group in GROUPS.items():
        members = vocabulary.encode(group.split()).tolist()
        shares = [len(set(near[word]) & set(members)) / 5 for word in members]
        print(f"{name:12s} {sum(shares) / len(shares):4.0%} of the 5 nearest are of the group, "
              f"{(len(members) - 1) / (len(vocabulary) - 1):.1%} by chance")  # fmt: skip
    draw(options.out, vectors, vocabulary)


def read_books():
    """The verses of each book."""
    books = {}
    for line in gzip.decompress(TEXT.read_bytes()).decode().splitlines():
        if line.startswith("# "):
            book = books.setdefault(line.split()[1], [])
        else:
            book.append(line)
    return books


def tell_books(numbers, labels, vocabulary, names):
    """Softmax regression on bags of words; four verses of five to learn from."""
    verses = [tn.tensor(verse, dtype=tn.int64) for verse in numbers]
    bags = tn.data.bag_of_words(verses, len(vocabulary), "binary", device=labels.device)
    order = tn.randperm(len(bags), device=labels.device)
    train, test = order[: len(bags) * 4 // 5], order[len(bags) * 4 // 5 :]
    model = nn.Linear(len(vocabulary), len(names)).to(labels.device)
    optimizer = tn.optim.Adam(model.parameters(), lr=0.02, weight_decay=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(bags[train]), labels[train]).backward()
        optimizer.step()
    right = (model(bags[test]).argmax(dim=1) == labels[test]).float().mean().item()
    most = (tn.bincount(labels[test]).max() / len(test)).item()
    print(f"bags of words: {right:.1%} of new verses told; always the commonest book {most:.1%}")
    for name, weights in zip(names, model.weight):
        print(f"for {name}: {', '.join(vocabulary.decode(weights.topk(6).indices))}")


def find_pairs(numbers, frequencies, threshold=1e-3):
    """Numbers (n, 2) of words and words near them; of frequent ones some are left out at random."""
    keep = (threshold * frequencies.sum() / frequencies).sqrt().tolist()
    chances = iter(tn.rand(sum(map(len, numbers))).tolist())
    pairs = []
    for verse in numbers:
        left = [word for word in verse if next(chances) < keep[word]]
        for i, word in enumerate(left):
            around = left[max(0, i - WINDOW) : i] + left[i + 1 : i + 1 + WINDOW]
            pairs += [(word, other) for other in around]
    return tn.tensor(pairs, device=frequencies.device)


def learn(pairs, frequencies, epochs, size=48, batch_size=1024):
    """Vectors (words, size)."""
    words, others = (nn.Embedding(len(frequencies), size).to(pairs.device) for _ in range(2))
    nn.init.uniform_(words.weight, -0.5 / size, 0.5 / size)
    nn.init.zeros_(others.weight)
    optimizer = tn.optim.Adam([words.weight, others.weight], lr=5e-3)
    log_chance = nn.functional.logsigmoid

    @tn.jit
    def step(batch, drawn):
        v, u = words(batch[:, 0]), others(batch[:, 1])
        against = log_chance(-(v @ others(drawn).T)).mean()  # all share those that were drawn
        loss = -log_chance((u * v).sum(1)).mean() - NEGATIVES * against
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(epochs):
        for rows in tn.randperm(len(pairs), device=pairs.device).split(batch_size)[:-1]:
            step(pairs[rows], tn.multinomial(frequencies**0.75, SHARED, replacement=True))
    return words.weight.detach()


def find_neighbours(vectors, n=5):
    """Of each word the n whose vectors have the smallest angles with its own."""
    unit = nn.functional.normalize(vectors, dim=1)
    likeness = unit @ unit.T - 2 * tn.eye(len(unit), device=unit.device)  # nobody is his neighbour
    return likeness.topk(n, dim=1).indices.tolist()


def draw(folder, vectors, vocabulary):
    """The groups in the plane of their first two principal components; names where room is."""
    chosen = {name: vocabulary.encode(group.split()) for name, group in GROUPS.items()}
    unit = nn.functional.normalize(vectors.cpu(), dim=1)
    centered = unit[tn.cat(list(chosen.values()))]
    mean = centered.mean(0)
    plane = tn.linalg.svd(centered - mean, full_matrices=False)[2][:2]
    figure, axes = make_figure(width=9, height=6.5)
    named = []
    for (name, numbers), color, marker in zip(chosen.items(), COLORS, "osD^v"):
        x, y = ((unit[numbers] - mean) @ plane.T).numpy().T
        axes[0, 0].plot(x, y, marker, color=color, label=name)
        for x0, y0, word in zip(x, y, vocabulary.decode(numbers)):
            if all(abs(x0 - x1) > 0.09 or abs(y0 - y1) > 0.025 for x1, y1 in named):
                axes[0, 0].annotate(word, (x0 + 0.01, y0 + 0.01), fontsize="x-small")
                named.append((x0, y0))
    axes[0, 0].set(xlabel="first principal component", ylabel="second principal component")
    axes[0, 0].margins(0.1)
    axes[0, 0].legend(title="word vectors of")
    save_figure(figure, folder, "embeddings")


if __name__ == "__main__":
    run_script(main)
