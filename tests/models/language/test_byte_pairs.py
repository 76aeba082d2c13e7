from __future__ import annotations

import sys

import pytest
import torch

from cliqa.models.language.byte_pairs import BASE, END, PAD, build_tokenizer, learn_merges
from cliqa.utils.errors import ConfigError, ModelError

TEXTS = ["a photo of a cat.", "a photo of a dog.", "a café in Zürich, 3 € — 猫"]


def plain_merges(texts: list[str], most: int) -> list[tuple[bytes, bytes]]:
    """Return the pairs that byte-pair encoding joins, by plain loops over words of bytes."""
    words = [[bytes([b]) for b in f" {word}".encode()] for t in texts for word in t.split()]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < most:
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in words:
            for pair in zip(word, word[1:], strict=False):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(counts.values())
        if [*counts.values()].count(best) > 1:
            break  # which of several comes first is the library's own choice
        pair = max(counts, key=lambda p: counts[p])
        merges.append(pair)
        words = [_joined(word, pair) for word in words]
    return merges


def _joined(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    out: list[bytes] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def test_merges_are_the_most_frequent_pairs() -> None:
    texts = ["ab ab ab ab ab cab cab dcab"]
    expected = plain_merges(texts, 10)
    tokenizer = build_tokenizer(learn_merges(texts, 300))
    names = [tokenizer.id_to_token(BASE + k) for k in range(len(expected))]
    assert len(expected) == 4
    assert names == [(a + b).decode().replace(" ", "\u0120") for a, b in expected]


def test_the_vocabulary_depends_on_the_texts_alone() -> None:
    first = learn_merges(TEXTS, 320)
    assert first.shape == (320 - BASE, 2)
    assert torch.equal(first, learn_merges([*reversed(TEXTS), TEXTS[0]], 320))
    assert not torch.equal(first, learn_merges(["something else"], 320))
    used = int((first[:, 0] >= 0).sum())
    assert (first[used:] == -1).all()
    assert all(max(pair) < BASE + row for row, pair in enumerate(first[:used].tolist()))


@pytest.mark.parametrize("vocab_size", [BASE, 280, 2000])
def test_any_text_can_be_read(vocab_size: int) -> None:
    from tokenizers import decoders  # noqa: PLC0415

    tokenizer = build_tokenizer(learn_merges(TEXTS, vocab_size))
    tokenizer.decoder = decoders.ByteLevel()
    for text in (*TEXTS, "Ünknown wörds \t\n 🙂"):
        ids = tokenizer.encode(text).ids
        assert ids[-1] == END
        assert max(ids) < vocab_size
        assert tokenizer.decode(ids[:-1]) == f" {text}"


def test_texts_of_a_batch_are_padded() -> None:
    tokenizer = build_tokenizer(learn_merges(TEXTS, 300))
    short, long = tokenizer.encode_batch(["a", TEXTS[0]])
    assert len(short.ids) == len(long.ids)
    assert short.ids[-1] == PAD


def test_a_vocabulary_needs_all_bytes() -> None:
    with pytest.raises(ConfigError, match="vocab_size must be at least 258 .*, got 257"):
        learn_merges(TEXTS, 257)


def test_a_missing_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match=r"needs the package tokenizers .*pip install tok"):
        learn_merges(["a"], 300)
