"""What ``test_config.py`` measures, on the config's data sets and on others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.config.load import load_config
from cliqa.evaluation.records.eval_results import evaluation_report
from cliqa.inference.evaluate import evaluate, evaluate_checkpoints, evaluation_table, labels_of
from cliqa.inference.evaluation_model import CheckpointEvaluation, open_evaluation
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.transforms.protocol import parse_protocol
from cliqa.utils.errors import CheckpointError, ConfigError, DatasetError

Config = dict[str, Any]


@pytest.fixture
def config(tiny_run: Path) -> Config:
    return load_config(tiny_run / "config.py")


def run(config: Config, tiny_run: Path, tmp_path: Path, **options: Any) -> dict[str, Any]:
    """Evaluate the shared run without writing into it."""
    given = {"checkpoint": tiny_run, "out": tmp_path / "out.json", "device": "cpu", **options}
    return evaluate(config, config_file="config/tiny.py", **given)


def other(tiny_data: Path, name: str = "b") -> str:
    """Describe a data set of the stream as a foreign one with another scale."""
    return (
        f"dict(type='ScoreFile', root='{tiny_data / name}', labels='scores.csv', images='.', "
        f"score_range=(0, 2), higher_is_better=True, name='other', fractions=(0.0, 0.0, 1.0))"
    )


def test_the_file_holds_what_is_returned(config: Config, tiny_run: Path, tmp_path: Path) -> None:
    results = run(config, tiny_run, tmp_path)
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(results))
    assert results["model_type"] == "QualityModel"
    assert results["experiences_learnt"] == 3
    assert results["checkpoint"] == str(tiny_run / "checkpoints" / "last.pth")
    assert results["protocol"]["split"] == "test"
    assert results["protocol"]["eval_transform"] == config["scenario"]["eval_transform"]
    assert list(results["datasets"]) == ["a", "b", "c"]
    for data in results["datasets"].values():
        rows = data["predictions"]
        assert data["metrics"]["num_samples"] == len(rows) == 12
        prediction = [row["prediction"] for row in rows]
        target = [row["target"] for row in rows]
        expected = stats.spearmanr(prediction, target).statistic
        assert data["metrics"]["srcc"] == pytest.approx(expected, abs=1e-12)
        clipped = np.clip(prediction, 0, 1)
        assert [row["raw_prediction"] for row in rows] == pytest.approx(clipped)


def test_by_default_it_lies_beside_the_run(config: Config, tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run" / "checkpoints" / "exp_0.pth"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((tiny_run / "checkpoints" / "exp_0.pth").read_bytes())
    results = run(config, tiny_run, tmp_path, checkpoint=copy, out=None, data_sets=["a"])
    written = json.loads((tmp_path / "run" / "eval_results.json").read_text())
    assert written["experiences_learnt"] == results["experiences_learnt"] == 1


def test_the_work_dir_stands_for_the_checkpoint(
    config: Config, tiny_run: Path, tmp_path: Path
) -> None:
    options = {"checkpoint": None, "work_dir": str(tiny_run), "data_sets": ["c"]}
    results = run(config, tiny_run, tmp_path, **options)
    assert results["checkpoint"] == str(tiny_run / "checkpoints" / "last.pth")


@pytest.mark.parametrize(
    ("split", "images"), [("train", 24), ("val", 4), ("test", 12), ("all", 40)]
)
def test_splits(config: Config, tiny_run: Path, tmp_path: Path, split: str, images: int) -> None:
    results = run(config, tiny_run, tmp_path, data_sets=["b"], split=split)
    rows = results["datasets"]["b"]["predictions"]
    assert len({row["image"] for row in rows}) == len(rows) == images


def test_chosen_data_sets_keep_the_order_asked_for(
    config: Config, tiny_run: Path, tmp_path: Path
) -> None:
    config["scenario"]["order"] = ["b", "c", "a"]  # of no matter to an evaluation
    found = run(config, tiny_run, tmp_path, data_sets=["c", "a", "c"])["datasets"]
    assert list(found) == ["c", "a"]


def test_another_data_set_has_its_own_scale_and_is_compared_with_the_training_data(
    config: Config,
    tiny_run: Path,
    tiny_data: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = run(config, tiny_run, tmp_path, data_sets=["a", other(tiny_data)])["datasets"]
    assert list(found) == ["a", "other"]
    for row in found["other"]["predictions"]:
        assert row["raw_target"] == pytest.approx(2 * row["target"], abs=1e-6)
        assert row["raw_prediction"] == pytest.approx(2 * np.clip(row["prediction"], 0, 1))
    assert "24 of the 40 images of other are in the training data" in caplog.text


def test_the_configs_own_data_need_not_be_there_for_another_data_set(
    config: Config, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    config["scenario"]["dataset_root"] = "nowhere"
    results = run(config, tiny_run, tmp_path, data_sets=[other(tiny_data)])
    assert results["datasets"]["other"]["metrics"]["n"] == 40


def test_data_that_were_gone_in_training_are_not_there_here_either(
    config: Config, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "data"
    shutil.copytree(tiny_data, moved, ignore=shutil.ignore_patterns("b"))
    config["scenario"]["dataset_root"] = str(moved)
    with pytest.raises(DatasetError, match="^b: no folder"):  # it was there
        run(config, tiny_run, tmp_path)
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    state["absent"], state["config"]["scenario"]["dataset_root"] = ["b"], str(moved)
    grown = tmp_path / "grown.pth"
    torch.save(state, grown)
    whole = run(load_config(tiny_run / "config.py"), tiny_run, tmp_path)["datasets"]
    found = run(config, tiny_run, tmp_path, checkpoint=grown)
    assert found["datasets"] == {name: whole[name] for name in "ac"}
    assert list(found["absent"]) == ["b"]
    assert found["absent"]["b"].startswith("b: no folder")
    *_, row, _, note = evaluation_table(found).splitlines()
    assert row.split() == ["b", *["n/a"] * 7]
    assert "b: not there any more: b: no folder" in note
    request = EvalRequest()
    results, _ = evaluate_checkpoints([grown], request, torch.device("cpu"), tmp_path / "own.json")
    (own,) = results.values()
    assert own["absent"] == found["absent"]
    report = evaluation_report(results, [])
    assert "b: not there any more: b: no folder" in report
    assert [line.split()[2:] for line in report.splitlines() if line.startswith("b  ")] == [
        ["n/a"] * 7
    ]
    with pytest.raises(DatasetError, match="^b: no folder"):
        run(config, tiny_run, tmp_path, checkpoint=grown, data_sets=["b"])
    shutil.copytree(tiny_data / "b", moved / "b")
    back = run(config, tiny_run, tmp_path, checkpoint=grown)
    assert back["datasets"] == whole
    assert "absent" not in back


def test_data_that_are_not_asked_for_may_be_gone(
    config: Config, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    whole = run(config, tiny_run, tmp_path, data_sets=["c"])["datasets"]
    shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("a", "b"))
    config["scenario"]["dataset_root"] = str(tmp_path / "data")
    found = run(config, tiny_run, tmp_path, data_sets=["c"])
    assert found["datasets"] == whole
    assert "absent" not in found
    for names in (["a"], ["all"], ["b", "c"]):
        with pytest.raises(DatasetError, match="^[ab]: no folder"):
            run(config, tiny_run, tmp_path, data_sets=names)


def test_predictions_that_are_no_numbers_are_null(
    config: Config, tiny_run: Path, tmp_path: Path
) -> None:
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    for key in state["strategy"]["model"]:
        if key.startswith("head") and key.endswith("bias"):
            state["strategy"]["model"][key].fill_(float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    options = {"checkpoint": tmp_path / "nan.pth", "data_sets": ["a"]}
    data = run(config, tiny_run, tmp_path, **options)["datasets"]["a"]
    assert data["metrics"]["srcc"] is None
    assert "not finite" in data["metrics"]["warnings"][0]
    assert {row["prediction"] for row in data["predictions"]} == {None}
    assert {row["raw_prediction"] for row in data["predictions"]} == {None}
    assert "n/a" in evaluation_table({"experiences_learnt": 1, "datasets": {"a": data}})


def test_mistakes_are_named(
    config: Config, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--datasets d: the config has a, b, c\..*TYPE=ROOT"):
        run(config, tiny_run, tmp_path, data_sets=["d"])
    with pytest.raises(ConfigError, match=r"--split val: other has no such split\. Use --split"):
        run(config, tiny_run, tmp_path, data_sets=[other(tiny_data)], split="val")
    with pytest.raises(CheckpointError, match="work_dir without a checkpoint"):
        run(config, tiny_run, tmp_path, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match=r"two data sets are called 'a'.*name='\.\.\.'"):
        run(config, tiny_run, tmp_path, data_sets=["a", other(tiny_data).replace("other", "a")])
    config["model"]["head"]["in_channels"] = 64
    with pytest.raises(CheckpointError, match=r"these keys differ: model\.head\.in_channels"):
        run(config, tiny_run, tmp_path)
    assert not (tmp_path / "out.json").exists()


def test_the_table_has_a_line_a_data_set() -> None:
    metrics = {"srcc": 0.5, "plcc": None, "plcc_fit": 0.25, "krcc": 0.125, "rmse": 0.2, "n": 7}
    results = {
        "experiences_learnt": 2,
        "datasets": {
            "a": {"metrics": {**metrics, "interval": {"srcc": (0.25, 0.75)}}},
            "b": {"metrics": {**metrics, "interval": {}}},
        },
    }
    rest = ["n/a", "0.250", "0.125", "0.200"]
    lines = evaluation_table(results).splitlines()
    assert lines[0] == "After 2 experience(s)"
    assert lines[-2].split() == ["a", "7", "0.500", "0.250..0.750", *rest]
    assert lines[-1].split() == ["b", "7", "0.500", "n/a", *rest]


CPU = torch.device("cpu")


def test_labels_are_short_and_differ() -> None:
    def label(*names: str) -> list[str]:
        return labels_of([Path(name) for name in names])

    assert label("w/a/checkpoints/last.pth", "w/b/checkpoints/exp_1.pth") == ["a", "b-exp_1"]
    assert label("w/best.pth") == ["best"]
    found = label("v/a/checkpoints/last.pth", "w/a/checkpoints/last.pth", "w/x.pth")
    assert found == ["v-a", "w-a", "w-x"]


def test_one_file_for_one_checkpoint_and_each_checkpoint_once(
    tiny_run: Path, tmp_path: Path
) -> None:
    first = tiny_run / "checkpoints" / "exp_0.pth"
    with pytest.raises(ConfigError, match=r"there are 2 checkpoints, and one file holds one"):
        evaluate_checkpoints([first, tiny_run], EvalRequest(), CPU, tmp_path / "x.json")
    with pytest.raises(CheckpointError, match=r"last\.pth: given twice"):
        evaluate_checkpoints([tiny_run, tiny_run / "checkpoints" / "last.pth"], EvalRequest(), CPU)


def test_weights_files_need_not_be_there_any_more(tiny_run: Path, tmp_path: Path) -> None:
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    state["config"]["load_from"] = "gone.pth"
    torch.save(state, tmp_path / "moved.pth")
    model = open_evaluation(tmp_path / "moved.pth", EvalRequest(data_sets=["a"]), CPU)
    assert isinstance(model, CheckpointEvaluation)
    weights = model.strategy.model.state_dict()
    assert all(torch.equal(weights[key], state["strategy"]["model"][key]) for key in weights)


def test_features_are_not_cropped(
    features_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_config(features_config)
    results, comparisons = evaluate_checkpoints([folder], EvalRequest(), CPU, tmp_path / "e")
    assert results["run"]["protocol"]["preprocessing"] == []
    assert comparisons == []
    request = EvalRequest(protocol=parse_protocol("grid:2x2"))
    with pytest.raises(ConfigError, match="need images, but this model takes features"):
        evaluate_checkpoints([folder], request, CPU, tmp_path / "e")
