"""Text as numbers."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import Vocabulary, bag_of_words, make_windows, read_text, split_words
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DTypeError,
    PartError,
    ShapeError,
)


def test_words_of_any_language():
    assert split_words("Ça coûte 3,50 €, n\u2019est-ce pas?") == [
        "ça", "coûte", "3", ",", "50", "€", ",", "n\u2019est", "-", "ce", "pas", "?",
    ]  # fmt: skip
    assert split_words("Er sagte: Öl!", lower=False, punctuation=False) == ["Er", "sagte", "Öl"]
    assert split_words(" \n") == []
    assert split_words("_x _ a_b", punctuation=False) == ["_x", "a_b"]


def test_marks_and_joiners_belong_to_their_letters():
    for word in (
        "\u0939\u093f\u0928\u094d\u0926\u0940",  # Hindi
        "cafe\u0301",
        "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",  # Thai
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
        "e\u0301'a",
    ):
        assert split_words(f"{word}, x") == [word, ",", "x"]
        assert split_words(f"{word}, x", punctuation=False) == [word, "x"]


def test_a_text_there_and_back():
    text = read_text()
    assert text.startswith("Shall I compare thee")
    vocabulary = Vocabulary.of(text, unknown=None)
    assert vocabulary.tokens[0] == " "
    assert sorted(vocabulary) == sorted(set(text))
    numbers = vocabulary.encode(text)
    assert (numbers.dtype, numbers.shape) == (tn.int64, (len(text),))
    assert "".join(vocabulary.decode(numbers)) == text


def test_order_and_limits():
    tokens = "b a c b a b d".split()
    assert Vocabulary.of(tokens).tokens == ("<unknown>", "b", "a", "c", "d")
    assert Vocabulary.of(tokens, min_frequency=2).tokens == ("<unknown>", "b", "a")
    few = Vocabulary.of(tokens, max_size=3, unknown="b", padding="-")
    assert few.tokens == ("-", "b", "a")
    assert few.encode(["d", "a", "b"]).tolist() == [1, 2, 1]
    assert "a" in few
    assert "d" not in few
    assert len(few) == 3


def test_batches_are_filled_up(on_device):
    vocabulary = Vocabulary.of("abc", padding="-")
    numbers, lengths = vocabulary.encode_batch(["ab", "", "cab"], device=on_device)
    assert str(numbers.device) == str(lengths.device) == on_device
    assert numbers.tolist() == [[2, 3, 0], [0, 0, 0], [4, 2, 3]]
    assert lengths.tolist() == [2, 0, 3]
    assert vocabulary.encode_batch([])[0].shape == (0, 0)
    with pytest.raises(ArgumentError, match="there is no padding token"):
        Vocabulary.of("abc").encode_batch(["a"])


def test_files(tmp_path):
    path = tmp_path / "vocabulary.json"
    vocabulary = Vocabulary.of("naïve 中文\n", padding="-")
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert Vocabulary.load(path) != Vocabulary.of("naïve 中文\n")
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:-3],
        b"[]",
        b"[" * 100_000,
        b'{"tokens": [1], "unknown": null, "padding": null}',
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is no whole file of"):
            Vocabulary.load(path)
    with pytest.raises(DataError, match="No such file or directory, expected a file to read"):
        Vocabulary.load(tmp_path / "other.json")


def test_texts_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="is no text in utf-8"):
        read_text(tmp_path / "latin.txt")
    assert read_text(tmp_path / "latin.txt", "latin-1") == "café"
    with pytest.raises(DataError, match="Is a directory, expected a file to read"):
        read_text(tmp_path)
    (tmp_path / "windows.txt").write_bytes("\ufeffa\r\nb".encode())
    assert read_text(tmp_path / "windows.txt") == "a\nb"


@pytest.mark.parametrize("kind", ["count", "binary", "tfidf"])
def test_bag_of_words(kind, on_device):
    texts = [[0, 1, 1, 3], [1], [], [3, 3]]
    counts = np.array([np.bincount(text, minlength=5) for text in map(np.int64, texts)], "f4")
    share = (counts > 0).sum(0)
    expected = {
        "count": counts,
        "binary": counts > 0,
        "tfidf": counts * np.log(4 / np.maximum(share, 1)),
    }[kind]
    tensors = [tn.tensor(text, dtype=tn.int64) for text in texts]
    found = bag_of_words(tensors, 5, kind)
    assert found.dtype is tn.float32
    np.testing.assert_allclose(found.tolist(), expected, rtol=1e-6)


def test_a_token_in_all_texts_says_nothing():
    texts = [tn.tensor([0, 1]), tn.tensor([0])]
    assert bag_of_words(texts, 2, "tfidf").tolist() == [[0, pytest.approx(math.log(2))], [0, 0]]


@pytest.mark.parametrize("stride", [None, 1, 2, 7])
def test_windows(stride):
    tokens = tn.arange(20)
    windows = make_windows(tokens, 4, stride)
    starts = range(0, 16, stride or 4)
    assert len(windows) == len(starts)
    for start, (x, y) in zip(starts, windows, strict=True):
        assert x.tolist() == [*range(start, start + 4)]
        assert y.tolist() == [*range(start + 1, start + 5)]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Vocabulary(["a", "b", "a"], None), ArgumentError, "token 'a' comes twice"),
        (lambda: Vocabulary(["a"]), ArgumentError, "unknown '<unknown>' is not among the tokens"),
        (lambda: Vocabulary.of("ab", unknown=None).encode("abc"), PartError, "token 'c' is not am"),
        (lambda: Vocabulary.of("ab").decode([3]), PartError, "no token has number 3, there are 3"),
        (lambda: Vocabulary.of("ab").decode([-1]), PartError, "no token has number -1"),
        (lambda: Vocabulary.of("ab", min_frequency=0), ArgumentError, "min_frequency is 0"),
        (lambda: Vocabulary.of("ab", max_size=1, padding="-"), ArgumentError, "is not among"),
        (lambda: bag_of_words([tn.tensor([5])], 5), ArgumentError, "number 5, expected 0 to 4"),
        (lambda: bag_of_words([tn.tensor([3, -1])], 5), ArgumentError, "a token has number -1"),
        (lambda: bag_of_words([tn.tensor([1.0])], 5), DTypeError, "expected numbers of tokens"),
        (lambda: bag_of_words([], 5, "mean"), ArgumentError, "kind is 'mean'"),
        (lambda: make_windows(tn.arange(4), 4), ArgumentError, "expected .n,., more than 4"),
        (lambda: Vocabulary.of("ab").decode(tn.tensor([[1]])), ShapeError, "got shape .1, 1."),
        (lambda: Vocabulary.of("ab").decode(tn.tensor([1.0])), DTypeError, "got tinynet.fl"),
        (lambda: Vocabulary.of("ab").decode([1.0]), ArgumentTypeError, "a number must be an int"),
        (lambda: Vocabulary.of("ab").decode([[1]]), ArgumentTypeError, "a number must be an int"),
        (lambda: Vocabulary.of("ab").decode(1), ArgumentTypeError, "got 1, expected the numbers"),
        (lambda: bag_of_words([[1]], 5), ArgumentTypeError, "bag_of_words: a text "),
        (lambda: make_windows([1, 2, 3], 2), ArgumentTypeError, "make_windows: tokens "),
        (lambda: make_windows(tn.arange(4), 0), ArgumentError, "length is 0"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
