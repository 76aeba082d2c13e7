"""A byte-level BPE vocabulary that is one tensor (Sennrich et al., 2016; Radford et al., 2019).

Ids: 0 pads, 1 ends a text, 2..257 are the bytes, and each merge of two earlier ids makes the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from cliqa.utils.errors import ConfigError, ModelError

PAD, END = 0, 1
SPECIAL = ("<pad>", "<end>")
BASE = len(SPECIAL) + 256
"""Ids that every vocabulary has."""


def learn_merges(texts: Iterable[str], vocab_size: int) -> Tensor:
    """Learn a vocabulary from texts; the same texts always give the same one.

    Args:
        texts: The texts to learn from.
        vocab_size: V, the maximum number of ids; at least 258.

    Returns:
        (V - 258, 2) int64: the ids that each merge joins, -1 where the texts have no more pairs.

    Raises:
        ConfigError: `vocab_size` is too small for the bytes.
        ModelError: The package ``tokenizers`` is missing.
    """
    if vocab_size < BASE:
        raise ConfigError(
            f"TextTransformer: vocab_size must be at least {BASE} (two signs and 256 bytes), got "
            f"{vocab_size}."
        )
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = _by_bytes()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    strings = {token: id_ for id_, token in enumerate(_names(torch.empty(0, 2).long()))}
    rows = torch.full((vocab_size - BASE, 2), -1)
    for row, pair in enumerate(json.loads(tokenizer.to_str())["model"]["merges"]):
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        rows[row] = torch.tensor([strings[left], strings[right]])
        strings[left + right] = BASE + row
    return rows


def build_tokenizer(merges: Tensor) -> Any:  # noqa: ANN401
    """Return the tokenizer (of the ``tokenizers`` library) of a vocabulary.

    Args:
        merges: As `learn_merges` gives them.
    """
    library = _library()
    names = _names(merges)
    pairs = [(names[a], names[b]) for a, b in merges.tolist() if a >= 0]
    vocabulary = {token: id_ for id_, token in enumerate(names)}
    tokenizer = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.pre_tokenizer = _by_bytes()
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single=f"$A {SPECIAL[END]}", special_tokens=[(SPECIAL[END], END)]
    )
    tokenizer.enable_padding(pad_id=PAD, pad_token=SPECIAL[PAD])
    return tokenizer


def _library() -> ModuleType:
    """Return the package ``tokenizers``."""
    try:
        import tokenizers  # noqa: PLC0415  only text models need it
    except ImportError as error:
        raise ModelError(
            f"TextTransformer needs the package tokenizers ({error}). Install it with: pip install "
            "tokenizers"
        ) from error
    return tokenizers


def _names(merges: Tensor) -> list[str]:
    """Return the token of each id."""
    names = [*SPECIAL, *_alphabet()]
    for left, right in merges.tolist():
        if left >= 0:
            names.append(names[left] + names[right])
    return names


def _by_bytes() -> object:
    """Return the pre-tokenizer that splits a text into words of bytes."""
    return _library().pre_tokenizers.ByteLevel(add_prefix_space=True)


def _alphabet() -> list[str]:
    """Return the character of each of the 256 bytes, in a fixed order."""
    return sorted(_library().pre_tokenizers.ByteLevel.alphabet())
