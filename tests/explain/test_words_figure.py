"""Where words look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cliqa.explain.words_figure import MOST_WORDS, WordLooks, draw_words
from cliqa.utils.errors import ArtifactError

IMAGE = np.full((4, 6, 3), 100, np.uint8)


def looks(name: str, count: int, peak: float = 1.0) -> WordLooks:
    """A prompt of words that count more and more."""
    weights = np.arange(1, count + 1) / (count * (count + 1) / 2)
    maps = np.linspace(0, peak, 24 * count).reshape(count, 4, 6)
    return WordLooks(name, 0.75, tuple(f"w{k}" for k in range(count)), weights, maps)


def test_a_row_shows_a_candidate_with_its_words_and_their_weights() -> None:
    figure = draw_words(IMAGE, "boot.png", [looks("boot", 3), looks("bag", 2)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        *("boot\n0.75", "w0\n0.17", "w1\n0.33", "w2\n0.50"),
        *("bag\n0.75", "w0\n0.33", "w1\n0.67"),
    ]
    assert figure.get_suptitle() == "boot.png"


def test_the_words_that_count_most_are_shown_in_the_order_of_the_text() -> None:
    figure = draw_words(IMAGE, "x", [looks("boot", MOST_WORDS + 2)])
    words = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_title()][1:]
    assert words == [f"w{k}" for k in range(2, MOST_WORDS + 2)]


def test_colours_mean_the_same_in_every_row() -> None:
    figure = draw_words(IMAGE, "x", [looks("a", 2, 1.0), looks("b", 2, 3.0)])
    norms: list[Any] = [axes.images[1].norm for axes in figure.axes if len(axes.images) == 2]
    assert [norm.vmax for norm in norms] == [3.0] * 4


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ArtifactError, match="there is no candidate to draw the words of"):
        draw_words(IMAGE, "x", [])
