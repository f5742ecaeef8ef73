"""Text as numbers: characters or words, a vocabulary, bags of words, windows to learn from.

>>> words = split_words("The cat sat. The cat ran!")
>>> words
['the', 'cat', 'sat', '.', 'the', 'cat', 'ran', '!']
>>> vocabulary = Vocabulary.of(words)
>>> vocabulary.encode(["the", "dog", "ran"])  # most frequent first; no dog was seen
tensor([1, 0, 5])
>>> vocabulary.decode(vocabulary.encode(words))[:3]
['the', 'cat', 'sat']
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tinynet.data.dataset import TensorDataset
from tinynet.data.sampler import check_count
from tinynet.dtype import float32, int64
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DTypeError,
    PartError,
    ShapeError,
)
from tinynet.files import decoding, replacing, to_read, to_write
from tinynet.ops.creation import tensor, zeros
from tinynet.ops.joining import stack
from tinynet.ops.operands import require_tensor
from tinynet.shape import as_integer
from tinynet.tensor import Tensor

UNKNOWN = "<unknown>"
SONNETS = Path(__file__).parent / "sample" / "sonnets.txt"
JOINERS = "\u200c\u200d"  # in words of Persian, Hindi and others, without a width


def read_text(path: str | os.PathLike[str] = SONNETS, encoding: str = "utf-8") -> str:
    """The text of a file, by default ten sonnets of Shakespeare's; lines end with a line feed."""
    with to_read("read_text", path) as name, decoding("read_text", name, encoding):
        text = Path(name).read_text(encoding)
    return text.removeprefix("\ufeff")


def split_words(text: str, *, lower: bool = True, punctuation: bool = True) -> list[str]:
    """Words and, one by one, punctuation marks; words are letters and digits of any language.

    An apostrophe between letters belongs to its word, and so do accents and vowel signs that are
    characters of their own (combining marks), underscores, and joiners.

    >>> split_words("Don't stop -- it's 9 o'clock.", punctuation=False)
    ["don't", 'stop', "it's", '9', "o'clock"]
    """
    text = text.lower() if lower else text
    marks = re.escape("".join(x for x in set(text) if unicodedata.category(x)[0] == "M") + JOINERS)
    word = rf"\w[\w{marks}]*"
    found = re.findall(rf"{word}(?:['\u2019]{word})*|[^\w\s][{marks}]*", text)
    return found if punctuation else [word for word in found if any(map(str.isalnum, word))]


class Vocabulary:
    """Tokens (characters or words) and their numbers.

    `tokens[i]` is the token of number i. Where `unknown` is among the tokens, its number stands for
    all that are not; else these raise. `padding` fills up shorter sequences in a batch.
    """

    def __init__(
        self, tokens: Iterable[str], unknown: str | None = UNKNOWN, padding: str | None = None
    ) -> None:
        self.tokens = tuple(tokens)
        self.numbers = {token: i for i, token in enumerate(self.tokens)}
        if len(self.numbers) != len(self.tokens):
            twice = next(token for token, n in Counter(self.tokens).items() if n > 1)
            raise ArgumentError(f"Vocabulary: token {twice!r} comes twice, expected it once")
        for name, token in (("unknown", unknown), ("padding", padding)):
            if token is not None and token not in self.numbers:
                raise ArgumentError(f"Vocabulary: {name} {token!r} is not among the tokens")
        self.unknown, self.padding = unknown, padding

    @classmethod
    def of(
        cls,
        tokens: Iterable[str],
        *,
        min_frequency: int = 1,
        max_size: int | None = None,
        unknown: str | None = UNKNOWN,
        padding: str | None = None,
    ) -> "Vocabulary":
        """The vocabulary of a text's tokens, the most frequent first, then in the text's order.

        `padding`, if given, and `unknown` come before them. Tokens that come up less than
        `min_frequency` times are left out, and so are the rarest where there would be more than
        `max_size`, the special ones counted.

        >>> Vocabulary.of("banana", unknown=None).tokens
        ('a', 'n', 'b')
        """
        check_count("Vocabulary.of", "min_frequency", min_frequency)
        check_count("Vocabulary.of", "max_size", max_size, optional=True)
        special = [token for token in (padding, unknown) if token is not None]
        counts = Counter(tokens)
        common = [
            token
            for token, n in counts.most_common()
            if n >= min_frequency and token not in special
        ]
        return cls([*special, *common][:max_size], unknown, padding)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._as_dict() == other._as_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, unknown={self.unknown!r}, padding={self.padding!r})"

    def encode(self, tokens: Iterable[str], device: str | None = None) -> Tensor:
        """The tokens' numbers, int64 of shape (n,). Of a string, those of its characters."""
        return tensor(self._encode(tokens), dtype=int64, device=device)

    def _encode(self, tokens: Iterable[str]) -> list[int]:
        default = None if self.unknown is None else self.numbers[self.unknown]
        numbers = []
        for token in tokens:
            number = self.numbers.get(token, default)
            if number is None:
                raise PartError(
                    f"Vocabulary: token {token!r} is not among {len(self)}, and there is no unknown"
                )
            numbers.append(number)
        return numbers

    def encode_batch(
        self, texts: Sequence[Iterable[str]], device: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Numbers of several texts (n, longest), filled up with padding, and their lengths (n,)."""
        if self.padding is None:
            raise ArgumentError("Vocabulary.encode_batch: there is no padding token, expected one")
        rows = [self._encode(text) for text in texts]
        longest = max([len(row) for row in rows], default=0)
        filling = self.numbers[self.padding]
        full = [row + [filling] * (longest - len(row)) for row in rows]
        numbers = tensor(full, dtype=int64, device=device).reshape(len(rows), longest)
        return numbers, tensor([len(row) for row in rows], dtype=int64, device=device)

    def decode(self, numbers: Tensor | Iterable[int]) -> list[str]:
        """The tokens of numbers, (n,); `"".join(...)` makes a text of characters."""
        found: Any = numbers
        if isinstance(numbers, Tensor):
            if numbers.dtype.rank != 1:
                raise DTypeError(f"Vocabulary.decode: got {numbers.dtype}, expected integers")
            if numbers.ndim != 1:
                raise ShapeError(f"Vocabulary.decode: got shape {numbers.shape}, expected (n,)")
            found = numbers.tolist()
        if not isinstance(found, Iterable):
            raise ArgumentTypeError(
                f"Vocabulary.decode: got {numbers!r:.60}, expected the numbers of tokens"
            )
        return [self._token(number) for number in found]

    def _token(self, given: int) -> str:
        number = as_integer("Vocabulary.decode", "a number", given)
        if not 0 <= number < len(self):
            raise PartError(f"Vocabulary: no token has number {number}, there are {len(self)}")
        return self.tokens[number]

    def _as_dict(self) -> dict[str, object]:
        return {"tokens": list(self.tokens), "unknown": self.unknown, "padding": self.padding}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all."""
        with to_write("Vocabulary.save", path), replacing(path) as partial:
            partial.write_text(json.dumps(self._as_dict(), ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """What `save` wrote. Raises `DataError` for other files."""
        text = read_text(path)
        try:
            found = json.loads(text)
            tokens, unknown, padding = (found[name] for name in ("tokens", "unknown", "padding"))
            if not all(isinstance(token, str) for token in tokens):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(
                f"Vocabulary.load: {os.fspath(path)}: is no whole file of Vocabulary.save's"
            ) from None
        return cls(tokens, unknown, padding)


def bag_of_words(
    texts: Sequence[Tensor], size: int, kind: str = "count", device: str | None = None
) -> Tensor:
    """How often each token comes up in each text, whatever its place: float32 (n, size).

    `texts` are tensors of token numbers below `size`. `kind` is "count"; "binary", 1 for those that
    come up; or "tfidf": the count times log(n / number of texts with the token), 0 where none has
    it (Spärck Jones 1972).

    >>> vocabulary = Vocabulary.of("abc", unknown=None)
    >>> bag_of_words([vocabulary.encode("aab"), vocabulary.encode("b")], size=3).tolist()
    [[2.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    check_count("bag_of_words", "size", size)
    if kind not in ("count", "binary", "tfidf"):
        raise ArgumentError(f"bag_of_words: kind is {kind!r}, expected count, binary or tfidf")
    if not len(texts):
        return zeros(0, size, device=device)
    rows = []
    for text in texts:
        require_tensor("bag_of_words", text, "a text")
        if text.dtype.rank != 1:
            raise DTypeError(f"bag_of_words: a text has {text.dtype}, expected numbers of tokens")
        for number in (text.min().item(), text.max().item()) if text.numel() else ():
            if not 0 <= number < size:
                raise ArgumentError(
                    f"bag_of_words: a token has number {number}, expected 0 to {size - 1}"
                )
        rows.append(text.flatten().bincount(minlength=size))
    counts = stack(rows).to(float32).to(device)
    if kind == "count":
        return counts
    present = (counts > 0).to(float32)
    if kind == "binary":
        return present
    return counts * (len(texts) / present.sum(0).clamp(min=1)).log()


def make_windows(tokens: Tensor, length: int, stride: int | None = None) -> TensorDataset:
    """Pieces of a text for a language model: `dataset[i]` is (inputs, targets), `length` each.

    `tokens` (n,) are numbers; the targets are the tokens that follow the inputs'. A window begins
    every `stride` tokens (by default `length`: none overlap); what is left at the end is not used.
    Both are views of `tokens`.

    >>> import tinynet as tn
    >>> [pair.tolist() for pair in make_windows(tn.arange(8), 3)[:]]
    [[[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]]]
    """
    require_tensor("make_windows", tokens, "tokens")
    check_count("make_windows", "length", length)
    check_count("make_windows", "stride", stride, optional=True)
    if tokens.ndim != 1 or len(tokens) <= length:
        raise ArgumentError(
            f"make_windows: tokens of shape {tokens.shape}, expected (n,), more than {length}"
        )
    step = stride or length
    windows = tokens.unfold(0, length + 1, step)
    return TensorDataset(windows[:, :-1], windows[:, 1:])
