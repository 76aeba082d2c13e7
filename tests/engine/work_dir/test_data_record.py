"""The fingerprint of a run's data, and what happens to a run where the data have changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.commands.runs.train import main
from cliqa.compress.export import export_checkpoint
from cliqa.compress.prune import prune_run
from cliqa.config.load import dump_config
from cliqa.engine.streams import build_benchmark
from cliqa.engine.train import train
from cliqa.engine.work_dir.data_record import (
    DataRecord,
    Samples,
    read_record,
    record_of,
    record_samples,
)
from cliqa.engine.work_dir.same_run import check_same_data
from cliqa.inference.evaluate import evaluate, evaluate_checkpoints
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import CheckpointError

CPU = torch.device("cpu")


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a copy of the data of `tiny_run`, elsewhere."""
    return Path(shutil.copytree(tiny_data, tmp_path / "elsewhere"))


@pytest.fixture
def config(tiny_config: dict[str, Any], data: Path) -> dict[str, Any]:
    """Return the config of `tiny_run` over the copy."""
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["dataset_root"] = str(data)
    return tiny_config


def change_labels(folder: Path, count: int = 3) -> str:
    """Change the first scores of a data set to 0.99; return the image, then and now."""
    lines = (folder / "scores.csv").read_text().splitlines()
    name, then = lines[1].split(",")
    lines[1 : count + 1] = [f"{line.split(',')[0]},0.99" for line in lines[1 : count + 1]]
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    return f"{name}: {float(then):g} then, 0.99 now"


def record(config: dict[str, Any]) -> DataRecord:
    return record_of(build_benchmark(config["scenario"]))


def test_a_record_survives_a_checkpoint(config: dict[str, Any], tmp_path: Path) -> None:
    now = record(config)
    save_checkpoint(tmp_path / "a.pth", {"data": now.to_state()})
    found = read_record(load_checkpoint(tmp_path / "a.pth")["data"], "a.pth")
    assert found is not None
    assert found.digests() == now.digests()
    assert found.differences(now) == now.differences(found) == []
    images = {key: one["images"] for key, one in now.digests()["a"].items()}
    assert images == {"train": 24, "val": 4, "test": 12}
    plain = read_record(json.loads(json.dumps(now.digests())), "model.onnx")
    assert plain is not None
    assert plain.differences(now) == []


def test_ten_bytes_an_image_are_kept(config: dict[str, Any]) -> None:
    rows = record(config).to_state()["rows"]
    assert {name: one.numel() for name, one in rows.items()} == dict.fromkeys("abc", 400)


def test_a_record_is_of_the_data_and_not_of_their_folder(
    config: dict[str, Any], tiny_data: Path
) -> None:
    first = record(config)
    config["scenario"]["dataset_root"] = str(tiny_data)
    assert record(config).digests() == first.digests()


def test_what_a_record_tells_of_labels_images_and_splits(
    config: dict[str, Any], data: Path
) -> None:
    then = record(config)
    said = change_labels(data / "a")
    (data / "b" / "b07.png").unlink()
    Image.new("RGB", (16, 16)).save(data / "c" / "c05.png")
    config["scenario"]["datasets"][1]["missing"] = "skip"
    config["scenario"]["datasets"][2]["seed"] = 5
    a, b, c = then.differences(record(config))
    assert a == f"a: 3 of 40 labels differ (first: {said})"
    assert b == "b: 1 image is gone"
    assert c.startswith("c: 1 image has another size (first: c05.png); ")
    assert "images have another split (first: c" in c


def test_the_order_of_the_images_counts(config: dict[str, Any], data: Path) -> None:
    then = record(config)
    lines = (data / "a" / "scores.csv").read_text().splitlines()
    (data / "a" / "scores.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    assert then.differences(record(config)) == ["a: the order of its images"]


def test_how_many_images_train_counts(config: dict[str, Any]) -> None:
    then = record(config)
    config["scenario"]["max_train"] = 20
    assert then.differences(record(config))[0] == "a: 4 images are gone"


def test_a_digest_alone_tells_that_something_changed(config: dict[str, Any], data: Path) -> None:
    then = read_record(record(config).digests(), "x")
    change_labels(data / "a")
    assert then is not None
    assert then.differences(record(config)) == ["a: its labels, its images or its splits"]


def other_class(file: Path, classes: int) -> tuple[int, int]:
    """Give the first image of a list of CLEAR another class; return it, then and now."""
    first, *rest = file.read_text().splitlines()
    path, _, label = first.rpartition(" ")
    now = (int(label) + 1) % classes
    file.write_text("\n".join([f"{path} {now}", *rest]) + "\n")
    return int(label), now


def test_a_record_of_clears_images(
    clear_config: dict[str, Any], clear_root: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(clear_root, tmp_path / "clear"))
    clear_config["scenario"] |= {"evaluation_protocol": "streaming", "seed": None}
    then = record(clear_config)
    clear_config["scenario"]["dataset_root"] = str(root)
    assert then.differences(record(clear_config)) == []
    lists = sorted((root / "training_folder" / "filelists").glob("*/all.txt"))
    label, now = other_class(lists[1], classes=3)
    (said,) = then.differences(record(clear_config))
    assert said.startswith("bucket-")
    assert ": 2 of 60 labels differ (first: " in said  # it is trained on, and tested on
    assert said.endswith(f": {then.classes[label]} then, {then.classes[now]} now)")


def test_a_record_of_features(
    features_config: dict[str, Any], clear_root: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(clear_root, tmp_path / "clear"))
    then = record(features_config)
    features_config["scenario"]["dataset_root"] = str(root)
    assert then.differences(record(features_config)) == []
    path = sorted((root / "training_folder" / "features" / "toy").glob("*/all.pth"))[1]
    values, targets = torch.load(path, weights_only=True)
    values[4] += 1
    torch.save((values, targets), path)
    (said,) = then.differences(record(features_config))
    assert ": 1 image has another size (first: " in said


def test_a_record_of_images_in_memory(split_config: dict[str, Any]) -> None:
    then = record(split_config)
    assert list(then.sets) == ["0+1", "2+3", "4+5", "6+7", "8+9"]
    assert then.sets["0+1"]["test"].images > 0
    assert then.differences(record(split_config)) == []
    rows = then.sets["0+1"]["train"].rows
    assert rows is not None
    rows = rows.copy()
    rows["size"][2] += 1
    changed = replace(then.sets["0+1"]["train"], digest="another", rows=rows)
    other = replace(then, sets={"0+1": {"train": changed}})
    (said,) = other.differences(then)
    assert said.startswith("0+1: 1 image has another size (first: train/")


def test_classes_of_other_names_are_told() -> None:
    samples = Samples(["x.png"], np.array([1]), np.array([7]))
    then, now = (
        DataRecord({"a": {"train": record_samples(samples, names)}}, names)
        for names in (("cat", "dog"), ("dog", "cat"))
    )
    assert then.differences(now) == ["a: the classes were cat, dog"]


def test_data_of_ones_own_kind_have_an_empty_record() -> None:
    empty = record_of(object())
    assert empty.digests() == {}
    assert empty.facts() == {"data": {}}
    assert read_record(empty.to_state(), "x") is not None


@pytest.mark.parametrize(
    "state",
    [
        {"sets": {}, "rows": {}, "classes": 3},
        {"sets": 3, "rows": {}},
        {"sets": {"a": {"train": {"images": 5, "digest": "x"}}}, "rows": {"a": torch.zeros(3)}},
        {"a": {"train": 3}},
        {
            "sets": {"a": {"train": {"images": 2, "digest": ""}}},
            "rows": {"a": torch.zeros(10).byte()},
        },
    ],
)
def test_a_record_that_cannot_be_read_is_told(state: Any) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pth: its record of the run's data cannot"):
        read_record(state, "a.pth")


def test_a_checkpoint_without_a_record_resumes_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = DataRecord({})
    assert check_same_data("old.pth", None, now) is now
    assert "old.pth: holds no record of its data: they may have changed since" in caplog.text


def test_an_error_tells_of_the_first_data_sets() -> None:
    samples = Samples(["x.png"], np.array([1.0]), np.array([7]))
    other = samples._replace(labels=np.array([2.0]))
    then, now = (
        DataRecord({f"s{k}": {"train": record_samples(one)} for k in range(6)})
        for one in (samples, other)
    )
    with pytest.raises(CheckpointError) as caught:
        check_same_data("a.pth", then.to_state(), now)
    text = str(caught.value)
    assert "s3: 1 of 1 labels differ (first: x.png: 1 then, 2 now) (and 2 data sets more)" in text
    assert "s4" not in text


def resume(config: dict[str, Any], tmp_path: Path, *arguments: str) -> int:
    """Go on after the first experience by the command line."""
    dump_config(config, tmp_path / "own.py")
    options = ["--work-dir", str(tmp_path / "run"), "--device", "cpu", *arguments]
    start = ["--resume", str(tmp_path / "run" / "checkpoints" / "exp_0.pth")]
    return run_entry_point(lambda: main([str(tmp_path / "own.py"), *options, *start]))


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_a_resume_over_the_same_data_in_another_folder_ends_in_the_same_bits(
    config: dict[str, Any], run: Path, tiny_run: Path, tmp_path: Path
) -> None:
    assert resume(config, tmp_path) == 0
    for name in ("matrix.csv", "metrics.jsonl"):
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes()
    results = json.loads((run / "results.json").read_text())
    assert results["data"] == json.loads((tiny_run / "results.json").read_text())["data"]
    assert results["data"] == json.loads((run / "run.json").read_text())["data"]
    assert "changed_data" not in json.loads((run / "run.json").read_text())


def test_a_resume_over_other_labels_is_refused_or_recorded(
    config: dict[str, Any],
    run: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = f"b: 3 of 40 labels differ (first: {change_labels(data / 'b')})"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert resume(config, tmp_path) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {run}/checkpoints/exp_0.pth: trained on other data; changed since: {said}. "
        "Restore the data, or continue with --allow-changed-data, which the results will mention."
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before

    note = f"the data are not those that the run began with (--allow-changed-data): {said}"
    assert resume(config, tmp_path, "--allow-changed-data") == 0
    assert json.loads((run / "run.json").read_text())["changed_data"] == [note]
    assert note in json.loads((run / "results.json").read_text())["warnings"]
    assert note in (run / "train.log").read_text()

    # what has changed is known for ever, and is no change any more
    train(config, config_file="x.py", work_dir=run, device="cpu", resume="auto")
    assert json.loads((run / "run.json").read_text())["changed_data"] == [note]
    assert note in json.loads((run / "results.json").read_text())["warnings"]


def test_an_evaluation_on_other_labels_is_refused_or_recorded(
    config: dict[str, Any], run: Path, data: Path, tmp_path: Path
) -> None:
    own: dict[str, Any] = {"config_file": "x.py", "checkpoint": run, "device": "cpu"}
    before = evaluate(config, **own)
    assert before["warnings"] == []
    assert list(before["data"]["a"]) == ["test"]
    change_labels(data / "a", 40)
    with pytest.raises(CheckpointError, match=r"a: 12 of 12 labels differ .*--allow-changed-data"):
        evaluate(config, **own)
    with pytest.raises(CheckpointError, match="a: 40 of 40 labels differ"):
        evaluate(config, split="all", **own)
    assert evaluate(config, data_sets=["b"], **own)["warnings"] == []
    assert evaluate(config, split="all", data_sets=["c"], **own)["warnings"] == []
    outside = f"dict(type='ScoreFile', root='{data / 'a'}', labels='scores.csv', images='.', "
    outside += "name='a', score_range=(0, 1), higher_is_better=True)"
    assert evaluate(config, data_sets=[outside], **own)["warnings"] == []  # another data set
    found = evaluate(config, allow_changed_data=True, **own)
    assert found["datasets"]["a"]["metrics"]["n"] == 12
    (note,) = found["warnings"]
    assert note.startswith("the data are not those that the run began with (--allow-changed-data)")
    assert json.loads((run / "eval_results.json").read_text())["warnings"] == [note]


@pytest.fixture
def moved_run(run: Path, data: Path) -> Path:
    """Return a copy of `tiny_run` whose config names the copy of the data."""
    last = run / "checkpoints" / "last.pth"
    state = load_checkpoint(last)
    state["config"]["scenario"]["dataset_root"] = str(data)
    save_checkpoint(last, state)
    return run


def test_evaluations_without_a_config_look_at_the_data_too(moved_run: Path, data: Path) -> None:
    change_labels(data / "a", 40)
    with pytest.raises(Exception, match=r"last\.pth: trained on other data; changed since: a: 12"):
        evaluate_checkpoints([moved_run], EvalRequest(), CPU)
    allowed = EvalRequest(allow_changed_data=True)
    results, _ = evaluate_checkpoints([moved_run], allowed, CPU)
    assert len(results["run"]["warnings"]) == 1


def test_a_pruning_over_other_labels_is_refused_or_recorded(
    moved_run: Path, data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch_pruning")
    change_labels(data / "a")
    options: dict[str, Any] = {"ratio": 0.3, "epochs": 0, "round_to": 1, "device": "cpu"}
    with pytest.raises(CheckpointError, match="trained on other data; changed since: a: 3 of 40"):
        prune_run(moved_run, out=tmp_path / "small", **options)
    assert not (tmp_path / "small").exists()
    report = prune_run(moved_run, out=tmp_path / "small", allow_changed_data=True, **options)
    assert "(--allow-changed-data): a: 3 of 40 labels differ" in report["notes"][0]


def test_an_exported_file_knows_the_data_of_its_run(
    config: dict[str, Any], data: Path, run: Path, quick_exports: None
) -> None:
    pytest.importorskip("onnxruntime")
    file = export_checkpoint(run, size=(16, 16)).path
    own: dict[str, Any] = {"config_file": "x.py", "exported": file, "device": "cpu"}
    assert evaluate(config, **own)["warnings"] == []
    change_labels(data / "c", 40)
    with pytest.raises(CheckpointError, match=r"model\.onnx: .*c: its labels, its images or its "):
        evaluate(config, **own)
    assert len(evaluate(config, allow_changed_data=True, **own)["warnings"]) == 1
