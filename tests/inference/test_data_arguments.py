"""Data sets on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.inference.data_arguments import Scale, is_new_data_set, parse_data_set
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


def test_a_score_file_and_its_image_root(tmp_path: Path, tiny_data: Path) -> None:
    labels = tmp_path / "koniq_test.json"
    rows = [{"image": f"a/a{k:02d}.png", "score": str(10 + k)} for k in range(5)]
    labels.write_text(json.dumps(rows))
    data = parse_data_set(f"{labels}={tiny_data}", Scale(0, 20, higher_is_better=False))
    assert (data.name, len(data), len(data.subset("test"))) == ("koniq_test", 5, 5)
    assert data.scores == pytest.approx([1 - (10 + k) / 20 for k in range(5)])
    assert data.paths[3] == tiny_data / "a" / "a03.png"
    with pytest.raises(ConfigError, match=r"not known\. Add --score-range LOW HIGH"):
        parse_data_set(f"{labels}={tiny_data}")
    with pytest.raises(DatasetError, match=r"gone\.csv"):
        parse_data_set(f"{tmp_path / 'gone.csv'}={tiny_data}", Scale(0, 1))


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
