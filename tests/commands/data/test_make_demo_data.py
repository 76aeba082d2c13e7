"""The generator's command line."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from cliqa.commands.data.make_demo_data import CONFIG, main, options, parse_args
from cliqa.config.load import load_config
from cliqa.engine.streams import build_data_sets
from cliqa.utils.cli import run_entry_point

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--train", "9", "--val", "3", "--test", "4", "--size", "32"]


def test_the_command_shown_reads_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my demo"
    assert run_entry_point(lambda: main(["--out", str(out), *SMALL])) == 0
    shown = capsys.readouterr().out
    _, _, command = shown.partition("Train with\n")
    words = shlex.split(command.replace("\\\n", " "))  # as a shell joins lines
    assert words[:3] == ["cliqa", "train", CONFIG]
    config = load_config(CONFIG, words[words.index("--cfg-options") + 1 :])
    for data in build_data_sets(config["scenario"]):
        assert Counter(data.splits) == {"train": 9, "val": 3, "test": 4}
        assert data.image(0).shape == (3, 32, 32)
    assert config["scenario"]["train_transform"][0]["size"] == 28
    assert config["scenario"]["eval_transform"][0]["size"] == 31


def test_the_defaults_are_those_of_the_demos_config() -> None:
    assert options(parse_args([])) == ["scenario.generate=None", "scenario.dataset_root=data/demo"]
    scenario = load_config(CONFIG, [])["scenario"]
    assert scenario["dataset_root"] == "data/demo"
    assert scenario["datasets"][0]["fractions"] == pytest.approx((500 / 750, 50 / 750, 200 / 750))
    assert scenario["datasets"][1]["val_fraction"] == pytest.approx(50 / 550)


def test_photographs_are_degraded(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(9):
        Image.linear_gradient("L").rotate(40 * k).convert("RGB").save(folder / f"{k}.png")
    out = tmp_path / "demo"
    assert run_entry_point(lambda: main(["--out", str(out), "--photos", str(folder), *SMALL])) == 0
    assert "3.png" in (out / "degradations.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "0"], "train must be a whole number >= 1"),
        (["--photos", "no/such/folder"], "photos: no folder"),
        (["--photos", "."], "photos: no image in"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "demo"
    assert run_entry_point(lambda: main(["--out", str(out), *arguments])) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()


def test_a_folder_that_cannot_be_made_and_one_in_use_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert run_entry_point(lambda: main(["--out", str(tmp_path / "file" / "demo"), *SMALL])) == 2
    error = capsys.readouterr().err
    assert f"--out {tmp_path / 'file' / 'demo'}: " in error
    assert "is a file" in error
    assert run_entry_point(lambda: main(["--out", str(tmp_path), *SMALL])) == 2
    assert "is not empty and was not written by this generator" in capsys.readouterr().err
