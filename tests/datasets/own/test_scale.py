from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.own.scale import guess_direction, guess_range
from cliqa.utils.errors import DatasetError


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.02, 0.97), (0, 1)),
        ((1.2, 4.8), (1, 5)),
        ((0.4, 4.6), (0, 5)),
        ((0.5, 9.1), (0, 10)),
        ((3.9, 88.4), (0, 100)),
        ((12, 70), (0, 100)),
    ],
)
def test_plain_scales(ends: tuple[float, float], expected: tuple[float, float]) -> None:
    assert guess_range(np.array(ends), "my.csv", 0)[0] == expected


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        # 1..10 and 0..10 are both in use
        ((1.5, 9.0), r'scenario\.datasets\.2\.score_range="\(1,10\)" \(or .*="\(0,10\)"\)'),
        ((-2.6, 111.8), r'no usual scale fits.*="\(-10,120\)"'),
        ((48.0, 52.5), r'no usual scale fits.*="\(48,53\)" \(or .*="\(0,100\)"\)'),
        ((3.0, 3.0), r'="\(2,4\)"'),
        ((1234567.5, 1234569.5), r'lie in 1234567\.5\.\.1234569\.5: .*="\(1234567,1234570\)"'),
        ((1e20, 1e20), r'="\(9\.99999999e\+19,1\.000000001e\+20\)"'),
    ],
)
def test_open_scales_are_asked_for(ends: tuple[float, float], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        guess_range(np.array(ends), "my.csv", 2)


def test_a_file_without_any_number() -> None:
    with pytest.raises(DatasetError, match=r"my\.csv: no score is a finite number"):
        guess_range(np.array([]), "my.csv", 0)


def table(name: str, levels: int = 0) -> ScoreTable:
    """Return scores under a column's name; of rising levels of distortion `levels` = -1 or 1."""
    images = [f"i{picture:02}_{level}.png" for picture in range(12) for level in range(1, 6)]
    raw = np.array([3.0 + levels * level / 5 for _ in range(12) for level in range(1, 6)])
    raw += 0 if levels else np.random.default_rng(0).normal(size=60)
    rows = tuple(range(2, 62))
    return ScoreTable(tuple(images), raw, rows, Path("my.csv"), score_name=name)


@pytest.mark.parametrize(
    ("name", "levels", "higher"),
    [
        ("MOS", 0, True),
        ("dmos", 0, False),
        ("quality_score", 0, True),
        ("y", -1, True),
        ("y", 1, False),
    ],
)
def test_plain_directions(name: str, levels: int, higher: bool) -> None:
    assert guess_direction(table(name, levels), 0)[0] is higher


def test_a_name_that_the_images_contradict() -> None:
    with pytest.raises(DatasetError, match="By its name higher is better, but images of a higher"):
        guess_direction(table("score", 1), 0)


def test_an_open_direction_is_asked_for() -> None:
    message = (
        r"my\.csv: is a higher 'y' better\? Add --cfg-options "
        r"scenario\.datasets\.3\.higher_is_better=True \(or .*higher_is_better=False\)\."
    )
    with pytest.raises(DatasetError, match=message):
        guess_direction(table("y"), 3)


def test_rated_references_tell_the_direction() -> None:
    groups = [f"r{k}.png" for k in range(8) for _ in range(4)]
    images = [f"r{k}.png" if j == 0 else f"d{k}{j}.png" for k in range(8) for j in range(4)]
    raw = np.array([0.0 if j == 0 else 10.0 + j for _ in range(8) for j in range(4)])
    own = ScoreTable(
        tuple(images), raw, tuple(range(32)), Path("my.csv"), groups=tuple(groups), score_name="y"
    )
    assert guess_direction(own, 0) == (
        False,
        "as distorted versions have higher scores than their reference images",
    )
