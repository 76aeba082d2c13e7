"""Experiences cut from one data set by distortion, generator or a column."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliqa.benchmarks.attribute_split import split_data_sets
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.quality.kadid10k import KADID10k
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.engine import train as engine_train
from cliqa.engine.train import train
from cliqa.inference.evaluate import evaluate
from cliqa.utils.errors import CheckpointError, ConfigError

FRACTIONS = (0.5, 0.1, 0.4)
TYPES = {1: "gaussian-blur", 3: "motion-blur", 11: "white-noise"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return KADID-10k's layout: 10 references, 3 distortions and 3 levels, in 16 px."""
    folder = tmp_path_factory.mktemp("kadid")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    rows = ["dist_img,ref_img,dmos,var"]
    for reference in range(1, 11):
        for kind in TYPES:
            for level in range(1, 4):
                name = f"I{reference:02d}_{kind:02d}_{level:02d}.png"
                pixels = random.normal(40 + 50 * level, 20, (16, 16, 3)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / name)
                rows.append(f"{name},I{reference:02d}.png,{4.5 - level - reference / 50},0.25")
    (folder / "dmos.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def data(root: Path) -> KADID10k:
    return KADID10k(root, fractions=FRACTIONS)


def references(part: QualityDataset, split: str) -> set[str]:
    return {path.name[:3] for path in part.subset(split).paths}  # type: ignore[arg-type]


def test_a_distortion_is_an_experience_and_references_stay_apart(data: KADID10k) -> None:
    parts = split_data_sets([data], "distortion")
    assert [part.name for part in parts] == list(TYPES.values())
    for kind, part in zip(TYPES, parts, strict=True):
        assert {path.name[4:6] for path in part.paths} == {f"{kind:02d}"}
        assert len(part) == 30
        for split in ("train", "val", "test"):
            assert references(part, split) == references(data, split)
    assert not references(parts[0], "train") & references(parts[2], "test")
    assert sorted(file for part in parts for file in part.files) == sorted(data.files)


def test_groups_join_values_and_leave_others_out(
    data: KADID10k, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        noise, blur = split_data_sets(
            [data], "distortion", {"noise": ["white noise"], "blur": ["motion blur"]}
        )
    assert (noise.name, len(noise), blur.name, len(blur)) == ("noise", 30, "blur", 30)
    assert "kadid: 30 of 90 images are in no experience, by their distortion" in caplog.text
    (both,) = split_data_sets(
        [data], "distortion", {"blur": ["motion blur", "gaussian blur"]}, min_images=24
    )
    assert len(both.subset("test")) == 24


def test_several_data_sets_prefix_the_value(data: KADID10k, root: Path) -> None:
    other = KADID10k(root, name="other", fractions=FRACTIONS)
    names = [part.name for part in split_data_sets([data, other], {"other": "category"})]
    assert names == ["kadid", "other-blur", "other-noise"]
    names = [part.name for part in split_data_sets([data, other], "level")]
    assert names == [f"{name}-{level}" for name in ("kadid", "other") for level in (1, 2, 3)]


def test_own_files_are_cut_by_any_column(tiny_data: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader((tiny_data / "a/scores.csv").open()))
    lines = ["image,score,camera"]
    lines += [
        f"{r['image']},{r['score']},{('phone A', 'B', '')[k % 3]}" for k, r in enumerate(rows)
    ]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    arguments: dict[str, Any] = {"images": str(tiny_data / "a"), "fractions": (0.6, 0, 0.4)}
    own = ScoreFile(tmp_path, "own.csv", (0, 1), True, **arguments)
    parts = split_data_sets([own], "camera", min_images=2)
    assert {part.name: len(part) for part in parts} == {"phone-A": 14, "B": 13}  # 13 have none


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"split_by": "distorsion"}, r"no such attribute\. Did you mean 'distortion'\? It has"),
        ({"split_by": "reference"}, r"I01 has .*\(and 7 more of 10 experiences\), and each needs"),
        ({"split_by": {"kadis": "level"}}, "no data set is called 'kadis'"),
        (
            {"groups": {"a": ["jpeg"]}},
            r"groups\.a: 'jpeg' is no distortion of kadid.*'white n",
        ),
        ({"groups": {"a": "jpeg"}}, r"groups\.a: expected a list of values, got 'jpeg'"),
        (
            {"groups": {"a": ["white noise"], "b": ["white noise"]}},
            "'white noise' is in a and in b",
        ),
        ({"split_by": None, "groups": {}}, r"are of the values of split_by"),
        ({"min_images": 0}, r"min_images: expected a number >= 1, got 0"),
        ({"min_images": 13}, r"gaussian-blur has 15 to train on and 12 to test on"),
    ],
)
def test_mistakes_say_what_there_is(data: KADID10k, options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        split_data_sets([data], **{"split_by": "distortion", **options})


def test_two_values_of_one_name_are_refused(tmp_path: Path, tiny_data: Path) -> None:
    rows = (tiny_data / "a/scores.csv").read_text().splitlines()[1:]
    lines = [f"{row},{('a b', 'a-b')[k % 2]}" for k, row in enumerate(rows)]
    (tmp_path / "own.csv").write_text("\n".join(["image,score,kind", *lines]) + "\n")
    own = ScoreFile(tmp_path, "own.csv", (0, 1), True, images=str(tiny_data / "a"))
    with pytest.raises(ConfigError, match=r"two of the values 'a b', 'a-b' would make the same"):
        split_data_sets([own], "kind")


def test_the_stream_takes_it_in_python(data: KADID10k) -> None:
    stream = QualityStream(
        [data],
        lambda image: image.float(),
        lambda image: image.float(),
        order=["white-noise", "motion-blur", "gaussian-blur"],
        split_by="distortion",
    )
    assert [e.name for e in stream.train_stream] == stream.names
    assert stream.names[0] == "white-noise"
    assert [len(e.dataset) for e in stream.test_stream] == [12, 12, 12]


@pytest.fixture
def config(tiny_config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return the config of a stream over two groups of distortions."""
    section = {"type": "KADID10k", "root": ".", "fractions": FRACTIONS}
    groups = {"blur": ["gaussian blur"], "noise": ["white noise"]}
    tiny_config["scenario"] |= {"dataset_root": str(root), "datasets": [section]}
    tiny_config["scenario"] |= {"split_by": "distortion", "groups": groups}
    tiny_config["cl_strategy"]["train_epochs"] = 1
    return {**tiny_config, "loggers": [], "metrics": [], "evaluation": {"bootstrap": 0}}


def test_a_run_resumes_grows_and_is_evaluated(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_train, "draw_run", lambda _: [])
    work: Callable[..., Any] = lambda folder, **options: train(  # noqa: E731
        config, config_file="t.py", work_dir=tmp_path / folder, device="cpu", **options
    )
    whole = work("whole")
    assert whole["datasets"] == ["blur", "noise"]
    work("parts", stop_after=1)
    assert work("parts", resume="auto")["matrix"] == whole["matrix"]
    found = evaluate(
        config, config_file="t.py", checkpoint=tmp_path / "whole", device="cpu", data_sets=["noise"]
    )
    last = whole["matrix"]["srcc"][-1][1]
    assert found["datasets"]["noise"]["metrics"]["srcc"] == pytest.approx(last, abs=1e-12)
    config["scenario"]["groups"] = {**config["scenario"]["groups"], "more": ["motion blur"]}
    with pytest.raises(CheckpointError, match=r"scenario\.groups\.more.*continue with --extend"):
        work("parts", resume="auto")
    grown = work("parts", extend=True)
    assert grown["matrix"] == work("all")["matrix"]
    record = json.loads((tmp_path / "all/run.json").read_text())["data"]
    assert {name: part["test"]["images"] for name, part in record.items()} == {
        "blur": 12,
        "noise": 12,
        "more": 12,
    }
