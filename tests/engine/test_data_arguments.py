"""Data sets on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.score_file import ScoreFile
from cliqa.engine.data_arguments import is_new_data_set, parse_data_set
from cliqa.utils.errors import ConfigError, DatasetError


@pytest.mark.parametrize(
    ("text", "new"),
    [("koniq", False), ("KADID10k=/data/kadid10k", True), ("dict(type='EVA', root='x')", True)],
)
def test_names_and_descriptions(text: str, new: bool) -> None:
    assert is_new_data_set(text) is new


def test_a_dict_is_read_as_in_a_config(tiny_data: Path) -> None:
    data = parse_data_set(
        f"dict(type='ScoreFile', root='{tiny_data / 'a'}', labels='scores.csv', images='.', "
        "score_range=(0, 2), higher_is_better=False, name='other')"
    )
    assert isinstance(data, ScoreFile)
    assert (data.name, len(data), data.score_range) == ("other", 40, (0, 2))
    assert data.scores == pytest.approx(1 - data.raw_scores / 2)


def test_type_and_root(tmp_path: Path) -> None:
    root = tmp_path / "a=b"  # only the first sign separates
    with pytest.raises(DatasetError, match=str(root)):
        parse_data_set(f"KonIQ10k={root}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=x", r"--datasets =x: write TYPE=ROOT"),
        ("EVA=", r"--datasets EVA=: write TYPE=ROOT"),
        ("Eva10k=x", r"--datasets: unknown data set 'Eva10k'"),
        ("KonIQ=x", r"Did you mean 'KonIQ10k'\?"),
        ("ScoreFile=x", r"--datasets 'ScoreFile': missing argument"),
        ("dict(type='EVA', rot='x')", r"unexpected argument 'rot'\. Did you mean 'root'\?"),
        ("dict(root='x')", r"--datasets: no 'type'"),
        ("dict(type='EVA'", r"--datasets dict\(type='EVA'"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_data_set(text)
