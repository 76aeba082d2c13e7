"""A finished run is pruned: what is reported, what all tools make of it, and stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.compress import prune as compress_prune
from cliqa.compress.prune import (
    PRUNING_LOCK,
    fine_tuning,
    merged,
    prune_run,
    step_ratio,
)
from cliqa.compress.pruning_record import FILE_NAME, pruning_table
from cliqa.config.load import load_config
from cliqa.datasets.image_listing import find_images
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.inference.evaluate import evaluate
from cliqa.inference.predict import Predictor
from cliqa.models.lora.adapters import lora_layers
from cliqa.models.pruned import pruning_of
from cliqa.utils.errors import ArtifactError, CheckpointError, CliqaError, ConfigError
from cliqa.utils.locks import folder_lock

pytest.importorskip("torch_pruning")

Config = dict[str, Any]
Run = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])


@pytest.fixture(scope="module")
def pruned(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of `tiny_run` at half of its channels, fine-tuned; only read it."""
    out = tmp_path_factory.mktemp("pruned") / "half"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cliqa.engine.train.draw_run", lambda _: [])
        prune_run(tiny_run, ratio=0.5, out=out, epochs=2, round_to=1, device="cpu")
    return out


def report_of(folder: Path) -> Config:
    content: Config = json.loads((folder / FILE_NAME).read_text())
    return content


def last(folder: Path) -> dict[str, Any]:
    return load_run(folder / "checkpoints" / "last.pth")


def test_the_report_compares_three_networks(pruned: Path, tiny_run: Path) -> None:
    report = report_of(pruned)
    before = json.loads((tiny_run / "results.json").read_text())
    after = json.loads((pruned / "results.json").read_text())
    for k, name in enumerate("abc"):
        values = report["datasets"][name]
        assert values["before"] == pytest.approx(before["matrix"]["srcc"][-1][k])
        assert values["finetuned"] == pytest.approx(after["matrix"]["srcc"][-1][k])
        assert values["pruned"] is not None
    model = model_of(last(pruned))
    parameters = [sum(p.numel() for p in m.parameters()) for m in (model_of(last(tiny_run)), model)]
    assert report["parameters"] == parameters
    assert parameters[1] < 0.3 * parameters[0]
    assert report["macs"][1] < 0.4 * report["macs"][0]
    assert report["widths"]["backbone.conv1"] == [4, 2]
    assert report["finished"] is True
    assert report["notes"] == []
    table = pruning_table(report)
    assert "SRCC on the test sets" in table
    assert f"{report['datasets']['a']['finetuned']:.3f}" in table


def test_the_fine_tuning_has_the_settings_of_the_run(pruned: Path, tiny_run: Path) -> None:
    own, new = load_config(tiny_run / "config.py"), load_config(pruned / "config.py")
    for key in ("optimizer", "loss", "scheduler", "train_mb_size", "eval_mb_size"):
        assert new["cl_strategy"][key] == own["cl_strategy"][key]
    assert new["cl_strategy"]["type"] == "JointTraining"
    assert new["cl_strategy"]["train_epochs"] == 2
    (plugin,) = new["cl_strategy"]["plugins"]
    assert plugin["type"] == "Distillation"
    assert Path(plugin["teacher"]) == (tiny_run / "checkpoints" / "last.pth").resolve()
    assert new["model"] == own["model"]


def test_all_entry_points_read_the_pruned_run(
    pruned: Path, tiny_data: Path, tmp_path: Path
) -> None:
    config = load_config(pruned / "config.py")
    again = evaluate(
        config, config_file=pruned / "config.py", checkpoint=pruned, out=tmp_path / "e.json",
        device="cpu",
    )  # fmt: skip
    stored = load_predictions(pruned, 0, "c")
    predictor = Predictor(pruned, torch.device("cpu"))
    said = {s.image.name: s.score for s in predictor.predict(find_images([tiny_data / "c"]))}
    report = report_of(pruned)["datasets"]
    for name in "abc":
        srcc = again["datasets"][name]["metrics"]["srcc"]
        assert srcc == pytest.approx(report[name]["finetuned"])
    found = [said[Path(image).name] for image in stored.image]
    assert found == pytest.approx(stored.prediction.tolist(), abs=1e-5)


def test_another_run_starts_from_the_pruned_network(
    pruned: Path, tiny_config: Config, run_config: Run
) -> None:
    tiny_config["load_from"] = str(pruned / "checkpoints" / "last.pth")
    tiny_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(tiny_config)
    model = model_of(last(folder))
    assert pruning_of(model) == pruning_of(model_of(last(pruned)))
    assert model.backbone.conv1.weight.shape[0] == 2  # type: ignore[union-attr, index]


@pytest.mark.parametrize("kind", ["LoRA", "PackNet"])
def test_adapters_and_packing_work_on_a_pruned_network(
    kind: str, pruned: Path, tiny_config: Config, run_config: Run
) -> None:
    tiny_config["load_from"] = str(pruned / "checkpoints" / "last.pth")
    tiny_config["cl_strategy"].pop("mem_size")
    options = {"rank": 1} if kind == "LoRA" else {}
    tiny_config["cl_strategy"] |= {"type": kind, "train_epochs": 2, **options}
    folder = run_config(tiny_config)
    again = evaluate(tiny_config, config_file="config/x.py", checkpoint=folder, device="cpu")
    results = json.loads((folder / "results.json").read_text())
    for k, name in enumerate("abc"):
        assert again["datasets"][name]["metrics"]["srcc"] == results["matrix"]["srcc"][-1][k]


def test_adapters_are_merged_before(tiny_config: Config, run_config: Run, tmp_path: Path) -> None:
    tiny_config["cl_strategy"].pop("mem_size")
    tiny_config["cl_strategy"] |= {"type": "LoRA", "rank": 2, "train_epochs": 1}
    folder = run_config(tiny_config)
    state = last(folder)
    plain, adapted = merged(state), model_of(state)
    images = torch.rand(2, 3, 16, 16)
    assert lora_layers(adapted)
    assert not lora_layers(plain)
    torch.testing.assert_close(plain(images), adapted(images))
    report = prune_run(folder, ratio=0.5, out=tmp_path / "out", epochs=0, round_to=1, device="cpu")
    assert report["parameters"][0] == sum(p.numel() for p in plain.parameters())


@pytest.mark.slow
def test_steps_divide_the_way_and_are_kept(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    how: Any = {"ratio": 0.5, "out": out, "epochs": 1, "steps": 2, "round_to": 1, "device": "cpu"}
    own, calls = compress_prune.train, []

    def stopped(*args: Any, **options: Any) -> Any:
        calls.append(Path(options["work_dir"]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return own(*args, **options)

    monkeypatch.setattr(compress_prune, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        prune_run(tiny_run, **how)
    first = (out / "steps" / "step_1" / "metrics.jsonl").read_text()
    assert report_of(out)["finished"] is False
    report = prune_run(tiny_run, **how)
    assert calls == [out / "steps" / "step_1", out, out / "steps" / "step_1", out]
    assert (out / "steps" / "step_1" / "metrics.jsonl").read_text() == first
    assert report["widths"]["backbone.layer4.0.conv1"] == [32, 16]
    assert [round(step["ratio"], 3) for step in report["steps"]] == [0.25, 0.333]
    assert len(pruning_of(model_of(last(out)))) == 2
    whole = prune_run(tiny_run, **{**how, "out": tmp_path / "whole"})
    assert whole["datasets"] == report["datasets"]


def test_without_fine_tuning_the_report_says_so(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prune_run(tiny_run, ratio=0.5, out=out, epochs=0, round_to=1, device="cpu")
    assert "not fine-tuned (epochs=0)" in report["notes"][0]
    assert "not fine-tuned (epochs=0)" in pruning_table(report)
    results = json.loads((out / "results.json").read_text())
    assert any("not fine-tuned" in warning for warning in results["warnings"])
    assert results["status"] == "finished"
    for values in report["datasets"].values():
        assert values["pruned"] == values["finetuned"]
    assert pruning_of(model_of(last(out)))
    again = prune_run(tiny_run, ratio=0.5, out=out, epochs=0, round_to=1, device="cpu")
    assert again == report
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_stream_of_classes_is_pruned_too(
    split_config: Config, run_config: Run, tmp_path: Path
) -> None:
    folder = run_config(split_config)
    report = prune_run(
        folder, ratio=0.5, out=tmp_path / "out", epochs=1, round_to=1, distil=True, device="cpu"
    )
    assert report["measure"] == "accuracy"
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    final = [values["finetuned"] for values in report["datasets"].values()]
    assert final == pytest.approx(results["matrix"]["accuracy"][-1])


def test_the_teacher_may_be_left_out(tiny_run: Path) -> None:
    config = load_config(tiny_run / "config.py")
    assert "plugins" not in fine_tuning(config, 3, None)["cl_strategy"]
    assert "mem_size" not in fine_tuning(config, 3, None)["cl_strategy"]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_shares_of_steps_add_up(steps: int) -> None:
    left = 1.0
    for number in range(1, steps + 1):
        left *= 1 - step_ratio(0.6, number, steps)
    assert left == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"ratio": 50}, "ratio must lie between 0 and 1, got 50"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"epochs": -1}, "epochs must be an integer >= 0, got -1"),
        ({"ignore": ["nothing"]}, "pruning: ignore: 'nothing' names no part"),
    ],
)
def test_values_are_checked(options: Config, text: str, tiny_run: Path, tmp_path: Path) -> None:
    how: Any = {"ratio": 0.5, "epochs": 1, "out": tmp_path / "out", "device": "cpu", **options}
    with pytest.raises(CliqaError, match=text):
        prune_run(tiny_run, **how)
    assert not (tmp_path / "out").exists()


def test_folders_of_something_else_are_left_alone(pruned: Path, tiny_run: Path) -> None:
    how: Any = {"epochs": 2, "round_to": 1, "device": "cpu"}
    with pytest.raises(ArtifactError, match=r"holds a pruning with other settings \(ratio\)"):
        prune_run(tiny_run, ratio=0.3, out=pruned, **how)
    with pytest.raises(ArtifactError, match=r"other settings \(source_sha256\)"):  # further trained
        prune_run(tiny_run / "checkpoints" / "exp_1.pth", ratio=0.5, out=pruned, **how)
    with pytest.raises(ArtifactError, match="holds the run that is to be pruned"):
        prune_run(tiny_run, ratio=0.5, out=tiny_run, **how)


def test_another_run_s_folder_is_left_alone(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"holds a run that is no pruning\. Choose another"):
        prune_run(tiny_run, ratio=0.5, out=tmp_path, epochs=1, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_two_prunings_cannot_share_a_folder(tiny_run: Path, tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path, PRUNING_LOCK),
        pytest.raises(ArtifactError, match=r"another pruning is running in it\. Wait.*--out"),
    ):
        prune_run(tiny_run, ratio=0.5, out=tmp_path, epochs=1, round_to=1, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == [PRUNING_LOCK]


def test_runs_that_cannot_be_pruned_are_told(
    features_config: Config, tiny_config: Config, run_config: Run, tmp_path: Path
) -> None:
    how: Any = {"ratio": 0.5, "out": tmp_path / "out", "epochs": 1, "device": "cpu"}
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        prune_run(tmp_path / "none.pth", **how)
    folder = run_config(features_config, "features")
    with pytest.raises(CheckpointError, match="trained on the features 'toy'"):
        prune_run(folder, **how)
    tiny_config["cl_strategy"].pop("mem_size")
    tiny_config["cl_strategy"] |= {"type": "PackNet"}
    folder = run_config(tiny_config, "packnet")
    tiny_config["cl_strategy"] |= {"type": "MultiHead", "train_epochs": 1}
    heads = run_config(tiny_config, "heads")
    with pytest.raises(CheckpointError, match="MultiHead keeps weights for each experience"):
        prune_run(heads, **how)
    with pytest.raises(CheckpointError, match="PackNet keeps weights for each experience.*before"):
        prune_run(folder, **how)
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_is_not_there_is_told_before_training(
    tiny_config: Config, run_config: Run, tmp_path: Path
) -> None:
    plugin = {"type": "Distillation", "teacher": str(tmp_path / "gone.pth")}
    tiny_config["cl_strategy"]["plugins"] = [plugin]
    with pytest.raises(CheckpointError, match="gone.pth: no such checkpoint"):
        run_config(tiny_config)
    assert not (tmp_path / "run").exists()
    tiny_config["cl_strategy"]["plugins"] = [{"type": "Distillation"}]
    with pytest.raises(ConfigError, match="there is no teacher"):
        run_config(tiny_config)


@pytest.mark.slow
def test_a_run_that_prunes_on_its_way_is_resumed_and_read(
    tiny_config: Config, run_config: Run, tmp_path: Path
) -> None:
    tiny_config["checkpoint_config"] = {"interval": 1}
    pruning = {"type": "ChannelPruning", "ratio": 0.5, "round_to": 1, "after": [1]}
    tiny_config["cl_strategy"]["plugins"] = [pruning]
    whole = run_config(tiny_config, "whole")
    inside = whole / "checkpoints" / "exp_1_epoch_1.pth"
    assert "pruning" in load_run(inside)["strategy"]
    resumed = run_config(tiny_config, "resumed", resume=str(inside))
    results = [json.loads((f / "results.json").read_text()) for f in (whole, resumed)]
    assert results[0]["matrix"] == results[1]["matrix"]
    model = model_of(last(resumed))
    assert len(pruning_of(model)) == 1
    again = evaluate(tiny_config, config_file="config/x.py", checkpoint=resumed, device="cpu")
    srcc = again["datasets"]["a"]["metrics"]["srcc"]
    assert srcc == results[0]["matrix"]["srcc"][-1][0]
