"""Pretraining as a user runs it: files, resuming, the encoder's use, mistakes."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.commands.runs.train import main
from cliqa.compress.export import export_checkpoint
from cliqa.config.load import dump_config
from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.engine.pretrain import run as module
from cliqa.engine.pretrain.images import ImageList
from cliqa.engine.pretrain.parts import held_out_accuracy
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.explain.ranking import rank_degradations
from cliqa.inference.predict import Predictor
from cliqa.models.build import build_model
from cliqa.models.weights.start import start_from
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.pretraining.projection import QualityProjection, feature_length
from cliqa.pretraining.text_anchors import antipodal_anchors
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import CheckpointError, MachineError
from cliqa.utils.locks import folder_lock

MODEL: dict[str, Any] = {
    "type": "QualityModel",
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 4,
        "stem_channels": 4,
        "norm_cfg": {"type": "BN"},
    },
    "head": {"type": "CosineScoreHead", "in_channels": 32, "embed_dims": 8},
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with ten pictures of soft shapes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(10):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def config(photos: Path) -> dict[str, Any]:
    return {
        "model": MODEL,
        "pretrain": {
            "data": {
                "root": str(photos),
                "crop_size": 32,
                "families": ["blur", "noise"],
                "num_levels": 3,
                "held_out": 3,
            },
            "anchors": {"anchors": "antipodal", "dim": 8},
            "projection": {"hidden": 8},
            "epochs": 3,
            "batch_size": 4,
        },
        "seed": 0,
    }


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    """Return a function that writes a config and runs the entry point with it."""

    def start(config: dict[str, Any], name: str = "run", *arguments: str) -> int:
        dump_config(config, tmp_path / "own.py")
        folder = ["--work-dir", str(tmp_path / name), "--device", "cpu"]
        return run_entry_point(lambda: main([str(tmp_path / "own.py"), *folder, *arguments]))

    return start


def test_a_run_writes_what_a_reader_needs(
    config: dict[str, Any], run: Callable[..., int], tmp_path: Path
) -> None:
    assert run(config) == 0
    folder = tmp_path / "run"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["total"] == pytest.approx(row["cons"] + row["pos"] + row["neg"], abs=1e-5)
        both = row["rank_accuracy_blur"] + row["rank_accuracy_noise"]
        assert row["rank_accuracy_overall"] == pytest.approx(both / 2)
    assert json.loads((folder / "run.json").read_text())["seed"] == 0
    for name in ("config.py", "train.log", "figures/pretraining.png", "checkpoints/encoder.pth"):
        assert (folder / name).stat().st_size > 0


def test_the_loggers_get_every_figure_of_every_epoch(
    config: dict[str, Any], run: Callable[..., int], tmp_path: Path
) -> None:
    config["loggers"] = [{"type": "CSVLogger"}, {"type": "TensorboardLogger"}]
    assert run(config) == 0
    folder = tmp_path / "run"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    with (folder / "metrics.csv").open(newline="") as file:
        logged = {
            (int(r["iteration"]), r["metric"]): float(r["value"]) for r in csv.DictReader(file)
        }
    expected = {
        (int(row["epoch"]), f"Pretraining/{name}"): value
        for row in rows
        for name, value in row.items()
        if name not in ("epoch", "kind")
    }
    assert logged == pytest.approx(expected)
    assert len(logged) >= 3 * 5
    assert next((folder / "tensorboard").glob("events.*")).stat().st_size > 500


def test_held_out_images_are_read_once(photos: Path) -> None:
    source, read = UnlabelledFolder(photos), []
    image = source.image
    source.image = lambda index: read.append(index) or image(index)  # type: ignore[method-assign,func-returns-value]
    held_out = ImageList([(source, k) for k in (1, 4, 7)])
    pairs = PairDataset(source, crop_size=32, families=["blur"], num_levels=3)
    validate = held_out_accuracy(held_out, pairs, torch.device("cpu"))
    model = build_model(MODEL)
    projection = QualityProjection(model, antipodal_anchors(8), feature_length(model, 32)).eval()
    first = validate(projection)
    assert read == [1, 4, 7]
    assert validate(projection) == first
    assert read == [1, 4, 7]


def test_a_deploy_section_is_refused(
    config: dict[str, Any], run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run({**config, "deploy": {}}) != 0
    assert "deploy: a pretraining has no scores to compare by" in capsys.readouterr().err


def test_a_wrong_logger_is_named_before_anything_is_written(
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run({**config, "loggers": [{"type": "CSVLoger"}]}) != 0
    assert "loggers[0]: unknown logger 'CSVLoger'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_stopped_run_ends_as_one_that_was_not(
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    assert_same: Callable[[Any, Any], None],
) -> None:
    assert run(config, "whole") == 0
    after = module._after_epoch

    def stop(files: Any, *rest: Any) -> None:
        after(files, *rest)
        if rest[-1]["epoch"] == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_after_epoch", stop)
        assert run(config, "torn") != 0
    assert not (tmp_path / "torn" / "checkpoints" / "encoder.pth").exists()
    assert run(config, "torn", "--resume") == 0
    for name in ("last.pth", "encoder.pth"):
        whole, torn = (
            torch.load(tmp_path / one / "checkpoints" / name, weights_only=True)
            for one in ("whole", "torn")
        )
        assert_same(torn, whole)
    texts = [(tmp_path / one / "metrics.jsonl").read_text() for one in ("whole", "torn")]
    assert texts[0] == texts[1]


def test_the_encoder_starts_a_model_and_scores_without_labels(
    config: dict[str, Any], run: Callable[..., int], tmp_path: Path, photos: Path
) -> None:
    assert run(config) == 0
    folder = tmp_path / "run"
    encoder = torch.load(folder / "checkpoints" / "encoder.pth", weights_only=True)["state_dict"]
    model = build_model({**MODEL, "head": {"type": "LinearScoreHead", "in_channels": 32}})
    start_from(model, {"path": str(folder / "checkpoints" / "encoder.pth"), "drop": ["head"]})
    started = {k: v for k, v in model.state_dict().items() if k.startswith("backbone.")}
    assert len(started) > 50
    for name, value in started.items():
        assert torch.equal(value, encoder[name])
    predictor = Predictor(folder, torch.device("cpu"))
    scores = [score.score for score in predictor.predict(sorted(photos.glob("*.png")))]
    assert len(scores) == 10
    assert all(score is not None and 0 < score < 1 for score in scores)
    assert len(set(scores)) > 1
    (ladder,) = rank_degradations(predictor, photos / "0.png", ["blur"], levels=2)
    assert ladder.scores[0] == pytest.approx(scores[0], abs=1e-6)
    with pytest.raises(CheckpointError, match=r"last\.pth: of a pretraining, which has learnt no"):
        load_run(folder / "checkpoints" / "last.pth")


def test_its_scores_can_be_exported(
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    photos: Path,
    quick_exports: None,
) -> None:
    pytest.importorskip("onnxruntime")
    config["pretrain"]["epochs"] = 1
    assert run(config) == 0
    file = export_checkpoint(tmp_path / "run").path
    paths = sorted(photos.glob("*.png"))
    found, wanted = (
        [score.score for score in Predictor(source, torch.device("cpu")).predict(paths)]
        for source in (file, tmp_path / "run")
    )
    assert found == pytest.approx(wanted, abs=1e-5)


def test_a_folder_in_use_is_left_alone(
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(config) == 0
    with folder_lock(tmp_path / "run"):
        assert run(config) != 0
    assert "another process is training in it" in capsys.readouterr().err
    assert not (tmp_path / "run.1").exists()
    assert run(config) == 0
    assert (tmp_path / "run.1" / "checkpoints" / "encoder.pth").exists()


def test_images_of_the_stream_are_taken_without_a_folder(
    config: dict[str, Any], tiny_config: dict[str, Any], run: Callable[..., int], tmp_path: Path
) -> None:
    del config["pretrain"]["data"]["root"]
    config["scenario"] = tiny_config["scenario"]
    config["pretrain"] |= {"epochs": 1}
    config["pretrain"]["data"] |= {"crop_size": 12, "families": ["noise"]}
    assert run(config) == 0
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pth", weights_only=True)
    assert (
        state["pretraining"]["images"] == 3 * 24 - 3
    )  # of the training images, three are held out


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"epoch": 3}, "pretrain: unknown key 'epoch'. Did you mean 'epochs'"),
    "data": ({"data": {"rot": "x"}}, "pretrain.data: unknown key 'rot'. Did you mean 'root'"),
    "part": ({"anchors": "clip"}, "pretrain.anchors: expected dict(...), got 'clip'"),
    "loss": ({"loss": {"type": "L1Loss"}}, "use 'QualiCLIPLoss' or 'SimplifiedQualiCLIPLoss'"),
    "nothing": ({"data": {}}, "pretrain.data: names no folder of images"),
    "folder": ({"data": {"root": "nowhere"}}, "nowhere: no such folder of images"),
    "held out": ({"data": {"held_out": 10}}, "of 10 images at least one must be left"),
    "family": ({"data": {"families": ["blurr"]}}, "Did you mean 'blur'"),
    "epochs": ({"epochs": 0}, "epochs must be above 0"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_and_leave_no_folder(
    case: str,
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change, message = MISTAKES[case]
    data = config["pretrain"]["data"]
    if case in ("held out", "family"):
        change = {"data": {**data, **change["data"]}}
    config["pretrain"] |= change
    assert run(config) != 0
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


def test_a_model_without_features_and_another_config_are_refused(
    config: dict[str, Any],
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    bare = {"type": "TorchvisionBackbone", "arch": "resnet18", "nodes": ["layer1"]}
    assert run({**config, "model": bare}) != 0
    assert "gives no features(images) to pretrain" in capsys.readouterr().err
    assert run(config) == 0
    config["pretrain"] |= {"lr_encoder": 0.1}
    assert run(config, "run", "--resume") != 0
    assert "these keys differ: pretrain.lr_encoder" in capsys.readouterr().err
    plain = tmp_path / "plain.pth"
    torch.save({"x": torch.zeros(1)}, plain)
    assert run(config, "other", "--resume", str(plain)) != 0
    assert "not a checkpoint of a pretraining" in capsys.readouterr().err


@pytest.mark.parametrize("write", range(3, 10))
def test_a_pretraining_killed_between_two_writes_ends_with_the_same_rows(
    config: dict[str, Any],
    run: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: int,
) -> None:
    class KilledError(BaseException):
        """Nothing in the package catches it."""

    config["pretrain"] |= {"epochs": 2, "batch_size": 7}
    monkeypatch.setattr(module, "_finish", lambda _, trainer: trainer.rows)
    replace = os.replace
    done: list[str] = []

    def killed(source: str, target: str) -> None:
        if len(done) == write:
            raise KilledError
        done.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, contextlib.suppress(KilledError):
        patch.setattr("cliqa.utils.io.os.replace", killed)
        assert run(config, "run", "--resume") == 0
    assert run(config, "run", "--resume") == 0
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    state = torch.load(tmp_path / "run/checkpoints/last.pth", weights_only=True)
    assert [{"kind": "pretraining", **row} for row in state["pretraining"]["rows"]] == rows


def test_a_pretraining_over_other_images_is_refused_or_recorded(
    config: dict[str, Any],
    run: Callable[..., int],
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config["pretrain"]["epochs"] = 1
    assert run(config) == 0
    before = json.loads((tmp_path / "run" / "run.json").read_text())["data"]["images"]
    assert {key: one["images"] for key, one in before.items()} == {"train": 7, "held_out": 3}
    Image.new("RGB", (48, 40)).save(photos / "4.png")
    Image.new("RGB", (48, 40)).save(photos / "new.png")
    assert run(config, "run", "--resume") == 2
    told = capsys.readouterr().err
    assert "trained on other data; changed since: images: " in told
    assert "1 image has another size (first: 4.png)" in told
    assert run(config, "run", "--resume", "--allow-changed-data") == 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "1 image is new (first: new.png)" in facts["changed_data"][0]
    assert facts["data"]["images"]["train"]["images"] == 8
    assert run(config, "run", "--resume") == 0  # what has changed is known for ever
    again = json.loads((tmp_path / "run" / "run.json").read_text())
    assert again["changed_data"] == facts["changed_data"]


def test_memory_that_does_not_suffice_says_what_to_lower(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Pretrainer, pairs: torch.Tensor) -> dict[str, float]:
        raise MemoryError

    monkeypatch.setattr(Pretrainer, "step", step)
    size, side = config["pretrain"]["batch_size"], config["pretrain"]["data"]["crop_size"]
    with pytest.raises(MachineError) as caught:
        module.pretrain(config, config_file="p.py", work_dir=tmp_path / "w", device="cpu")
    assert str(caught.value) == (
        f"out of memory while pretraining on batches of {size} images, two crops of {side} x "
        f"{side} of each at every level. Lower pretrain.batch_size ({size}), "
        f"pretrain.data.crop_size ({side}) or pretrain.data.num_levels, or set amp=True."
    )
