"""Data sets on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.inference.evaluation_request import (
    Scale,
    is_new_data_set,
    only_scale,
    parse_data_set,
    scale_of,
    scales_of,
)
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
    published = tmp_path / "meta_info_LIVEMDDataset.csv"
    published.write_text("ref_name,dist_name,dmos\nr.png,a/a00.png,25\nr.png,a/a01.png,75\n")
    data = parse_data_set(f"{published}={tiny_data}")
    assert data.scores == pytest.approx([0.75, 0.25])  # pyiqa's table of LIVE-MD, a DMOS of 0..100
    published = tmp_path / "koniq10k_test.txt"
    published.write_text("a/a00.png\t2\t0.5\ra/a01.png\t4\t0.5\r")
    assert parse_data_set(f"{published}={tiny_data}").scores == pytest.approx([0.25, 0.75])
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


def scenario(*datasets: dict[str, object]) -> dict[str, object]:
    return {"dataset_root": "nowhere", "datasets": list(datasets)}


def test_ranges_are_the_declared_or_the_official_ones() -> None:
    found = scales_of(
        scenario(
            {"type": "AVA", "root": "ava"},
            {"type": "KonIQ10k", "root": "k"},
            {"type": "KonIQ10k", "root": "k", "score": "distribution", "name": "ratings"},
            {"type": "LIVE", "root": "live", "score_range": (0, 110)},
            {
                "type": "ScoreFile",
                "root": "x",
                "labels": "m/mine.csv",
                "score_range": (0, 5),
                "higher_is_better": False,
            },
        )
    )
    assert found == {
        "ava": Scale(1, 10),
        "koniq": Scale(0, 100),
        "ratings": Scale(1, 5),
        "live": Scale(0, 110, higher_is_better=False),
        "mine": Scale(0, 5, higher_is_better=False),
    }


def test_a_preset_and_a_stream_of_classes() -> None:
    assert list(scales_of({"datasets": "koniq-spaq-kadid-agiqa"})) == [
        "koniq",
        "spaq",
        "kadid",
        "agiqa",
    ]
    assert scales_of({"type": "CLEAR"}) == {}


def test_scores_outside_are_clipped_and_a_dmos_is_turned_round() -> None:
    dmos = Scale(10, 30, higher_is_better=False)
    assert [dmos.place(score) for score in (-0.5, 0, 0.25, 1.5)] == [30, 30, 25, 10]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"--dataset eva: the model's config has ava\. Or use"):
        scale_of(scenario({"type": "AVA", "root": "ava"}), "eva")
    with pytest.raises(ConfigError, match="has no data sets of scores"):
        scale_of({}, "eva")


def test_the_scale_of_the_only_data_set() -> None:
    own = {
        **{"type": "ScoreFile", "root": "x", "labels": "my.csv"},
        **{"score_range": (0, 100), "higher_is_better": False},
    }
    assert only_scale({"datasets": [own]}) == Scale(0, 100, higher_is_better=False)
    assert only_scale({"datasets": [own, {"type": "EVA", "root": "eva"}]}) is None
    assert only_scale({"type": "CLEAR"}) is None
    assert only_scale({"datasets": [{"type": "of somebody's own", "root": "x"}]}) is None
