"""``tools/predict.py`` as a user calls it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.commands.models.predict import main
from cliqa.commands.runs.evaluate import main as evaluate
from cliqa.inference.predict import Predictor
from cliqa.utils.cli import run_entry_point
from tests.commands.calls import Call
from tests.forks import run_script

pytestmark = pytest.mark.integration

TOOL = Path(__file__).resolve().parents[3] / "tools" / "predict.py"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.slow
def test_from_any_folder_the_scores_are_the_models(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = (TOOL, os.path.relpath(tiny_run, tiny_data), "a", "b/b07.png")
    found = run_script(*words, cwd=tiny_data, anew=True)
    assert found.returncode == 0
    assert found.stderr == "a: 1 file is no image by its suffix and not read (.csv 1).\n"
    rows = rows_of(found.stdout)
    paths = [*sorted((tiny_data / "a").glob("*.png")), tiny_data / "b" / "b07.png"]
    assert [tiny_data / row["image"] for row in rows] == paths
    scores = [score.score for score in Predictor(tiny_run, torch.device("cpu")).predict(paths)]
    assert [float(row["score"]) for row in rows] == pytest.approx(scores, abs=2e-6)
    assert len({row["score"] for row in rows}) > 30


def test_another_scale_is_linear(predict: Call, tiny_data: Path) -> None:
    plain = rows_of(predict(tiny_data / "b")[1])
    status, text, _ = predict(tiny_data / "b", "--scale", 1, 5, "--batch-size", 7)
    assert status == 0
    expected = [1 + 4 * float(row["score"]) for row in plain]
    assert [float(row["score"]) for row in rows_of(text)] == pytest.approx(expected, abs=1e-4)


def test_the_scale_of_a_data_set_is_that_of_the_evaluation(
    predict: Call, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    state["config"]["scenario"]["datasets"][1] |= {
        "score_range": (0, 50),
        "higher_is_better": False,
    }
    torch.save(state, tmp_path / "lower.pth")
    predict(tiny_data / "b", "--dataset", "a", "--out", tmp_path / "a.csv")
    given = [str(tmp_path / "lower.pth"), str(tiny_data / "b"), "--dataset", "b"]
    assert run_entry_point(lambda: main([*given, "--out", str(tmp_path / "b.csv")])) == 0
    plain, lower = (
        [float(row["score"]) for row in rows_of((tmp_path / f"{name}.csv").read_text())]
        for name in "ab"
    )
    assert lower == pytest.approx([50 * (1 - score) for score in plain], abs=1e-4)
    evaluated = ["--datasets", "b", "--split", "all", "--out", str(tmp_path / "e.json")]
    assert run_entry_point(lambda: evaluate([given[0], *evaluated])) == 0
    found = json.loads((tmp_path / "e.json").read_text())["datasets"]["b"]["predictions"]
    assert lower == pytest.approx([row["raw_prediction"] for row in found], abs=1e-4)


def test_crops_are_those_of_the_evaluation(
    predict: Call, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = rows_of(predict(f"{tiny_data}/b/b*.png")[1])
    crops = ["--crops", "random:4", "--crop-size", "12", "--seed", "3"]
    status, text, _ = predict(f"{tiny_data}/b/b*.png", *crops)
    assert status == 0
    evaluated = ["--datasets", "b", "--split", "all", "--out", str(tmp_path / "e.json")]
    assert run_entry_point(lambda: evaluate([str(tiny_run), *crops, *evaluated])) == 0
    found = json.loads((tmp_path / "e.json").read_text())["datasets"]["b"]["predictions"]
    scores = {Path(row["image"]).name: float(row["score"]) for row in rows_of(text)}
    expected = {row["image"]: row["prediction"] for row in found}
    assert scores == pytest.approx(expected, abs=2e-6)
    assert [float(row["score"]) for row in plain] != pytest.approx(list(scores.values()), abs=1e-4)


def test_a_quoted_pattern(predict: Call, tiny_data: Path) -> None:
    status, text, _ = predict(f"{tiny_data}/**/*0[12].*", tiny_data / "a" / "a01.png")
    assert status == 0
    names = [Path(row["image"]).name for row in rows_of(text)]
    assert names == [f"{name}{k:02d}.png" for name in "abc" for k in (1, 2)]


def test_a_file_for_csv_and_for_json(predict: Call, tiny_data: Path, tmp_path: Path) -> None:
    for suffix in ("csv", "json"):
        status, text, told = predict(tiny_data / "c", "--out", tmp_path / f"s.{suffix}")
        count = len(list((tiny_data / "c").glob("*.png")))
        written = f"written: {tmp_path / f's.{suffix}'} ({count} of {count} images)\n"
        assert (status, text, told) == (0, "", written)
    rows = rows_of((tmp_path / "s.csv").read_text())
    listed = json.loads((tmp_path / "s.json").read_text())
    assert [entry["image"] for entry in listed] == [row["image"] for row in rows]
    scores = [float(row["score"]) for row in rows]
    assert [entry["score"] for entry in listed] == pytest.approx(scores, abs=1e-6)
    assert all(set(entry) == {"image", "score"} for entry in listed)


def test_an_unreadable_image_is_named_and_the_rest_scored(
    predict: Call, tiny_data: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes((tiny_data / "a" / "a00.png").read_bytes()[:60])
    status, text, told = predict(tiny_data / "a" / "a01.png", bad, tiny_data / "a" / "a02.png")
    assert status == 1
    scores = [row["score"] for row in rows_of(text)]
    assert scores[1] == ""
    assert float(scores[0]) != float(scores[2])
    assert told.count("\n") == 1
    assert told.startswith("not scored: ")
    assert "bad.png" in told
    predict(bad, "--out", tmp_path / "out.json")
    (entry,) = json.loads((tmp_path / "out.json").read_text())
    assert entry["score"] is None
    assert "bad.png" in entry["error"]


def test_folders_in_folders(predict: Call, tiny_data: Path) -> None:
    status, text, told = predict(tiny_data)
    assert (status, text) == (2, "")
    assert "no image in this folder. Use --recursive" in told
    status, text, _ = predict(tiny_data, "--recursive")
    assert status == 0
    assert len(rows_of(text)) == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "5", "1"], "error: --scale 5 1: LOW must be below HIGH, both finite."),
        (["--out", "scores.txt"], "error: --out scores.txt: the name must end in .csv or .json."),
        (["--batch-size", "0"], "error: --batch-size 0: must be at least 1."),
        (
            ["--scale", "1", "5", "--dataset", "a"],
            "error: --scale and --dataset: both give the scale. Choose one.",
        ),
        (
            ["--dataset", "d"],
            "error: --dataset d: the model's config has a, b, c. Or use --scale LOW HIGH.",
        ),
        (["none/*.png"], "error: none/*.png: no image matches this pattern."),
        (
            ["--crops", "nine"],
            "error: --crops nine: write grid:ROWSxCOLUMNS, random:COUNT or whole.",
        ),
        (["missing.png"], "error: missing.png: no such file or folder."),
    ],
)
def test_mistakes_are_told_in_a_line(
    predict: Call, tiny_data: Path, arguments: list[str], message: str
) -> None:
    status, text, told = predict(tiny_data / "a", *arguments)
    assert (status, text, told) == (2, "", f"{message}\n")


def test_a_folder_without_a_checkpoint_is_named(
    tmp_path: Path, tiny_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_entry_point(lambda: main([str(tmp_path), str(tiny_data / "a")])) == 2
    assert "work_dir without a checkpoint" in capfd.readouterr().err


def test_images_are_classified_and_have_no_scale(
    clear_config: dict[str, Any],
    run_config: Callable[..., Path],
    clear_root: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = str(run_config(clear_config))
    images = str(next((clear_root / "labeled_images" / "1").iterdir()))
    assert run_entry_point(lambda: main([folder, images, "--device", "cpu"])) == 0
    table = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert len(table) == 10
    assert {row["class"] for row in table} <= set(
        (clear_root / "class_names.txt").read_text().split("\n")
    )
    for option in (["--scale", "0", "10"], ["--dataset", "clear"]):
        assert run_entry_point(partial(main, [folder, images, *option])) == 2
        assert f"{option[0]}: this model gives classes" in capfd.readouterr().err


def test_bfloat16_is_compared_with_float32(predict: Call, tiny_data: Path, tmp_path: Path) -> None:
    plain = rows_of(predict(tiny_data / "b")[1])
    status, text, told = predict(tiny_data / "b", "--precision", "bfloat16")
    assert status == 0
    assert "bfloat16 against float32 on the first 40 images: SRCC 0.99" in told or "SRCC 1." in told
    expected = [float(row["score"]) for row in plain]
    found = [float(row["score"]) for row in rows_of(text)]
    assert found == pytest.approx(expected, abs=2e-2)
    assert found != expected
