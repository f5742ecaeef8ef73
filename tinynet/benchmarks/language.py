"""Language models over characters: a transformer and an LSTM, in the names of PyTorch's API.

The text is the one that tinynet ships. Weights are NumPy arrays, so that both libraries start from
the same numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

TEXT = Path(__file__).resolve().parent.parent / "data" / "sample" / "sonnets.txt"


@dataclass(frozen=True)
class LanguageModel:
    """A model that predicts the next character, trained with Adam; the sizes of its parts.

    `name`: "transformer" (pre-norm, GELU, learned positions) or "lstm" (its states 2 * `width`).
    """

    name: str
    batch: int = 16
    context: int = 128
    width: int = 128
    depth: int = 4
    heads: int = 4
    checked_rate: float = 1e-3
    is_nielsen: bool = False

    @property
    def timed_rate(self) -> float:
        """A rate that changes next to nothing."""
        return self.checked_rate / 1000

    def make_model(self, library: Any) -> Any:
        """The module, whose weights are the library's own."""
        vocabulary = len(_read_text()[0])
        if self.name == "lstm":
            return _make_lstm(library, self, vocabulary)
        return _make_transformer(library, self, vocabulary)

    def fill(self, library: Any, parameters: Iterable[tuple[str, Any]]) -> None:
        """Give named parameters their first values."""
        random = np.random.default_rng(0)
        for name, parameter in parameters:
            shape = tuple(parameter.shape)
            if len(shape) > 1:
                values = random.standard_normal(shape) / np.sqrt(prod(shape[1:]))
            else:
                values = np.full(shape, float("norm" in name and "weight" in name))
            parameter.copy_(library.from_numpy(values.astype(np.float32)))

    def make_batch(self, seed: int = 1) -> tuple[Array, Array]:
        """Characters (batch, context) as int64 numbers, and those that follow them."""
        _, text = _read_text()
        starts = np.random.default_rng(seed).integers(0, len(text) - self.context - 1, self.batch)
        places = starts[:, None] + np.arange(self.context)
        return text[places], text[places + 1]


def _read_text() -> tuple[list[int], Array]:
    """The characters that occur, and the text as numbers of these."""
    codes = np.frombuffer(TEXT.read_bytes(), np.uint8)
    characters, text = np.unique(codes, return_inverse=True)
    return characters.tolist(), text.astype(np.int64)


def _make_transformer(library: Any, sizes: LanguageModel, vocabulary: int) -> Any:
    nn, width = library.nn, sizes.width

    class Transformer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(sizes.context, width)
            layer = nn.TransformerEncoderLayer(
                width, sizes.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True,
                norm_first=True,
            )  # fmt: skip
            norm = nn.LayerNorm(width)
            self.blocks = nn.TransformerEncoder(
                layer, sizes.depth, norm, enable_nested_tensor=False
            )
            self.head = nn.Linear(width, vocabulary)

        def forward(self, tokens: Any) -> Any:
            length = tokens.shape[1]
            places = library.arange(length, device=tokens.device)
            x = self.embedding(tokens) + self.positions(places)
            mask = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
            return self.head(self.blocks(x, mask=mask, is_causal=True))

    return Transformer()


def _make_lstm(library: Any, sizes: LanguageModel, vocabulary: int) -> Any:
    nn, width = library.nn, sizes.width

    class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.lstm = nn.LSTM(width, 2 * width, num_layers=2, batch_first=True)
            self.head = nn.Linear(2 * width, vocabulary)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.lstm(self.embedding(tokens))[0])

    return Recurrent()
