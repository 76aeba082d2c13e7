"""The common look: files, settings and names."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

from cliqa.visualization.style import (
    COLORS,
    color,
    marker,
    new_figure,
    panels_across,
    save_figure,
    shortened,
    styled,
    wrapped,
)


def test_png_has_the_asked_size(tmp_path: Path) -> None:
    path = save_figure(new_figure(3, 2), tmp_path / "new" / "a.png", dpi=50)
    with Image.open(path) as image:
        assert image.size == (150, 100)
        assert image.format == "PNG"


def test_equal_figures_have_equal_bytes(tmp_path: Path) -> None:
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for suffix, start in starts.items():
        files = [tmp_path / f"{k}.{suffix}" for k in range(2)]
        for file in files:
            figure = new_figure(3, 2)
            figure.add_subplot().plot([0, 1], [1, 0], "o")
            save_figure(figure, file)
        assert files[0].read_bytes() == files[1].read_bytes()
        assert files[0].read_bytes().startswith(start)


def test_a_figure_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = save_figure(new_figure(1, 1), tmp_path / "a.png")
    before = path.read_bytes()
    figure = new_figure(1, 1)
    figure.add_artist(Artist()).draw = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
@pytest.mark.parametrize(
    "name", [b"caf\xe9".decode("utf-8", "surrogateescape"), "cost $x^$ and $", "$a$"]
)
def test_names_of_files_are_shown_as_they_are(tmp_path: Path, suffix: str, name: str) -> None:
    figure = new_figure(3, 2)
    axes = figure.add_subplot(title=name)
    axes.plot([1, 2], [1, 1000], label=name)
    axes.legend()
    axes.set_xticks([1, 2], [name, "b"])
    axes.set_yscale("log")
    path = save_figure(figure, tmp_path / f"a.{suffix}")
    if suffix == "svg":
        shown = name.encode("utf-8", "backslashreplace").decode()
        text = path.read_text(encoding="utf-8")
        assert text.count(f">{shown}<") == 3
        assert "mathdefault{10^{2}}" in text  # the numbers of a logarithmic axis stay formulas
        assert save_figure(figure, tmp_path / "b.svg").read_text(encoding="utf-8").count(shown) == 3


def test_refuses_another_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: the suffix must be one of png, pdf, svg"):
        save_figure(new_figure(1, 1), tmp_path / "a.jpg")


def test_style_ends_with_the_drawing() -> None:
    before = dict(mpl.rcParams)

    @styled
    def draw(size: float) -> Figure:
        """Say it."""
        assert mpl.rcParams["font.size"] == 8
        return new_figure(size, size)

    assert draw(2).get_size_inches().tolist() == [2, 2]
    assert draw.__doc__ == "Say it."
    assert dict(mpl.rcParams) == before


def test_colours_and_markers_tell_64_apart() -> None:
    assert len(set(COLORS)) == 8
    assert len({(color(k), marker(k)) for k in range(64)}) == 64


def test_no_pyplot_and_so_no_display() -> None:
    sources = Path(__file__).parents[2].joinpath("cliqa", "visualization").glob("*.py")
    assert not [path.name for path in sources if "import matplotlib.pyplot" in path.read_text()]


def test_names_are_cut_in_the_middle() -> None:
    assert shortened("eva") == "eva"
    assert len(shortened("x" * 100, 20)) <= 20
    ends = {shortened(f"bucket of the year {y}", 14) for y in range(2004, 2014)}
    assert len(ends) == 10


def test_names_are_wrapped_into_two_lines() -> None:
    assert wrapped("koniq", 10) == "koniq"
    assert wrapped("after LIVE Challenge", 14) == "after LIVE\nChallenge"
    assert wrapped("", 14) == ""
    assert len(wrapped("one two three four five six seven", 10).split("\n")) == 2
    assert max(map(len, wrapped("one two three four five six", 10).split("\n"))) <= 10


def test_panels_fill_rows_evenly() -> None:
    assert [panels_across(n) for n in range(1, 13)] == [1, 2, 3, 2, 3, 3, 4, 4, 5, 5, 5, 5]
