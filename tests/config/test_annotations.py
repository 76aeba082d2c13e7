"""Tests of cliqa.config.annotations."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypeVar, Union

import pytest
import torch
from torch import nn

from cliqa.config.annotations import (
    UNKNOWN,
    ThreeNumbers,
    TwoNumbers,
    as_flag,
    config_type,
    in_words,
    resolve,
)


class Colour(enum.Enum):
    """An enumeration of names."""

    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (int, "an integer"),
        (float, "a finite number"),
        (str, "a string"),
        (Path, "a path"),
        (str | Path | None, "a path or None"),
        (Optional[int], "an integer or None"),  # noqa: UP045
        (Union[None, int, str], "an integer, a string or None"),  # noqa: UP007
        (bool | str, "true or false or a string"),
        (float | torch.Tensor, "a finite number"),
        (Literal["error", "skip"], "'error' or 'skip'"),
        (Literal["a", 3] | None, "'a' or 3 or None"),
        (Colour, "'red' or 'blue'"),
        (Sequence[int], "a list of integers"),
        (list[Sequence[str]], "a list of lists of strings"),
        (Sequence[int | str] | None, "a list of integers or strings or None"),
        (list, "a list"),
        (tuple[float, float], "a list of two finite numbers"),
        (tuple[int, ...], "a list of integers"),
        (tuple[int, str], "a list of an integer, a string"),
        (TwoNumbers, "a list of two finite numbers"),
        (ThreeNumbers | None, "a list of three finite numbers or None"),
        (Annotated[int, "a note"], "an integer"),
        (Mapping[str, Any], "dict(...)"),
        (Sequence[Mapping[str, Any]], "a list of dict(...)"),
    ],
)
def test_words(annotation: Any, words: str) -> None:
    assert in_words(annotation) == words


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        nn.Module,
        Callable[[int], int],
        TypeVar("T"),
        str | nn.Module | None,
        type[int],
        object,
        UNKNOWN,
        3,
        [],
    ],
)
def test_what_a_config_cannot_hold_leaves_everything_open(annotation: Any) -> None:
    assert config_type(annotation) is UNKNOWN


def test_strings_are_resolved_where_they_were_written() -> None:
    assert resolve("Sequence[int] | None", {"Sequence": Sequence}) == (Sequence[int] | None)
    assert resolve("Colour", {"Colour": Colour}) is Colour
    assert resolve(int, {}) is int


@pytest.mark.parametrize("text", ["Sequence[int]", "int |", "1 / 0", "print(", "nn.Module"])
def test_what_cannot_be_resolved_is_unknown(text: str) -> None:
    assert resolve(text, {}) is UNKNOWN


@pytest.mark.parametrize("word", ["true", "True", "YES", " yes ", "1", 1])
def test_words_for_true(word: Any) -> None:
    assert as_flag(word) is True


@pytest.mark.parametrize("word", ["false", "FALSE", "No", "0", 0])
def test_words_for_false(word: Any) -> None:
    assert as_flag(word) is False


@pytest.mark.parametrize("value", ["maybe", "", "on", 2, -1, 1.0, 0.0, None, [], True, False])
def test_anything_else_stays_as_it_is(value: Any) -> None:
    assert as_flag(value) is value
