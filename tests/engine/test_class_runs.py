"""Runs over streams of classes, from config to results, checked against direct computations."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.classic.clear import CLEARMetric

from cliqa.config.load import dump_config, load_config
from cliqa.engine.build import build
from cliqa.engine.rehearsal import rehearse
from cliqa.engine.work_dir.checkpoints import model_of
from cliqa.evaluation.records.predictions import load_class_predictions
from cliqa.utils.errors import ConfigError

Config = dict[str, Any]
Run = Callable[..., Path]

PROTOCOLS: dict[str, Config] = {
    "streaming": {"evaluation_protocol": "streaming", "seed": None},
    "iid": {"evaluation_protocol": "iid", "seed": 0},
    "few-shot": {"evaluation_protocol": "iid", "seed": 0, "shot": 2},
}
CLEAR_MEASURES = ["in_domain", "next_domain", "accuracy", "backward_transfer", "forward_transfer"]


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [*((protocol, "images") for protocol in PROTOCOLS), ("streaming", "features")],
)
def test_clear_trains_under_every_protocol_and_measures_what_its_models_say(
    protocol: str,
    kind: str,
    clear_config: Config,
    run_config: Run,
    request: pytest.FixtureRequest,
) -> None:
    config = clear_config
    if kind == "features":
        config = request.getfixturevalue("features_config")
    config["scenario"] |= PROTOCOLS[protocol]
    folder = run_config(config)
    results = results_of(folder)
    assert results["status"] == "finished"
    assert results["datasets"] == ["bucket-1", "bucket-2", "bucket-3"]

    benchmark = build(config, torch.device("cpu")).benchmark
    per_bucket = {"streaming": 30, "iid": 21, "few-shot": 6}[protocol]
    sizes = [len(experience.dataset) for experience in benchmark.train_stream]
    assert sizes == [per_bucket] * 3
    matrix = results["matrix"]["accuracy"]
    for t, row in enumerate(matrix):
        state = torch.load(folder / "checkpoints" / f"exp_{t}.pth", weights_only=True)
        model = model_of(state)
        for k, name in enumerate(benchmark.names):
            if protocol == "streaming" and k <= t:
                assert row[k] is None
                continue
            test = benchmark.dataset(name, "test")
            with torch.no_grad():
                logits = model(torch.stack([test[i][0] for i in range(len(test))]))
            targets = torch.tensor([test[i][1] for i in range(len(test))])
            assert row[k] == pytest.approx((logits.argmax(1) == targets).double().mean().item())
            stored = load_class_predictions(folder, t, name)
            assert np.allclose(stored.logits, logits, atol=1e-5)
            assert stored.target.tolist() == targets.tolist()
            assert list(stored.image) == list(benchmark.sources[name, "test"].keys)
            assert list(stored.classes) == list(benchmark.class_names)


def test_clears_measures_are_avalanches(clear_config: Config, run_config: Run) -> None:
    results = results_of(run_config(clear_config))
    expected = CLEARMetric().get_metrics(np.array(results["matrix"]["accuracy"]))
    for name, value in expected.items():
        assert results["summary"][name] == pytest.approx(value, abs=1e-12)


def test_streaming_reports_what_lies_ahead_and_says_why_not_the_rest(
    clear_config: Config, run_config: Run
) -> None:
    clear_config["scenario"] |= PROTOCOLS["streaming"]
    results = results_of(run_config(clear_config))
    (_, ab, ac), (_, _, bc) = results["matrix"]["accuracy"]
    assert results["summary"]["next_domain"] == pytest.approx((ab + bc) / 2)
    assert results["summary"]["forward_transfer"] == pytest.approx((ab + ac + bc) / 3)
    assert "unseen" not in results["summary"]
    for name, value in results["summary"].items():
        if name not in ("next_domain", "forward_transfer"):
            assert value is None
            reason = next(w for w in results["warnings"] if w.startswith(f"{name}: "))
            assert "streaming tests later buckets alone" in reason


def test_few_shot_images_are_none_of_the_test_split(clear_config: Config) -> None:
    clear_config["scenario"] |= PROTOCOLS["few-shot"]
    benchmark = build(clear_config, torch.device("cpu")).benchmark
    for name in benchmark.names:
        train, test = (set(benchmark.sources[name, split].keys) for split in ("train", "test"))
        assert len(train) == 6
        assert not train & test


@pytest.mark.parametrize("strategy", ["JointTraining", "Naive"])
def test_streaming_with_nothing_left_to_test_is_refused(
    strategy: str, clear_config: Config
) -> None:
    clear_config["scenario"] |= PROTOCOLS["streaming"]
    clear_config["cl_strategy"]["type"] = strategy
    clear_config["cl_strategy"].pop("mem_size")
    if strategy == "Naive":
        clear_config["scenario"]["buckets"] = [2]
    with pytest.raises(ConfigError, match=r"this run leaves none\. Use evaluation_protocol='iid'"):
        rehearse(build(clear_config, torch.device("cpu")))


def test_joint_training_on_clear_has_one_row(clear_config: Config, run_config: Run) -> None:
    clear_config["cl_strategy"]["type"] = "JointTraining"
    clear_config["cl_strategy"].pop("mem_size")
    results = results_of(run_config(clear_config))
    assert len(results["matrix"]["accuracy"]) == 1
    assert results["summary"]["in_domain"] is None
    assert "in_domain: joint training sees all data at once" in results["warnings"]


def test_class_il_and_task_il_are_those_of_the_stored_logits(
    split_config: Config, run_config: Run
) -> None:
    folder = run_config(split_config)
    results = results_of(folder)
    assert results["datasets"] == ["0+1", "2+3", "4+5", "6+7", "8+9"]
    for t in range(5):
        for k, name in enumerate(results["datasets"]):
            stored = load_class_predictions(folder, t, name)
            own = [2 * k, 2 * k + 1]
            class_il = np.mean(stored.logits.argmax(1) == stored.target)
            task_il = np.mean(stored.logits[:, own].argmax(1) == stored.target - 2 * k)
            assert results["matrix"]["accuracy"][t][k] == pytest.approx(class_il)
            assert results["matrix"]["accuracy_task_il"][t][k] == pytest.approx(task_il)
    last = results["matrix"]["accuracy_task_il"][-1]
    assert results["summary"]["average_accuracy_task_il"] == pytest.approx(np.mean(last))
    best = np.max(results["matrix"]["accuracy_task_il"][:-1], axis=0)
    forgotten = np.mean(best[:4] - np.array(last)[:4])
    assert results["summary"]["forgetting_task_il"] == pytest.approx(forgotten)


@pytest.mark.parametrize("name", ["clear_config", "features_config", "split_config"])
def test_a_resumed_run_ends_with_the_same_bits(
    name: str, run_config: Run, request: pytest.FixtureRequest, assert_same: Callable[..., None]
) -> None:
    config = request.getfixturevalue(name)
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    places = sorted((whole / "checkpoints").glob("exp_*.pth"))
    assert len(places) >= 9
    for place in (places[4], places[-6]):  # inside an experience, and after one
        folder = run_config(copy.deepcopy(config), f"from-{place.stem}", resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        for key in ("strategy", "history"):
            assert_same(state[key], final[key])
        assert (folder / "matrix.csv").read_bytes() == (whole / "matrix.csv").read_bytes()


def test_the_same_seed_gives_the_same_numbers_whatever_came_before(
    split_config: Config, run_config: Run
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    first = results_of(run_config(split_config, "first"))
    torch.rand(17)
    again = results_of(run_config(split_config, "again"))
    other = results_of(run_config({**split_config, "seed": 1}, "other"))
    assert first["matrix"] == again["matrix"] != other["matrix"]


def test_an_older_config_of_clear_runs_as_it_is(
    clear_root: Path, run_config: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric and logger that such configs list, `dataset_type`, no `model.type`."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    path = tmp_path / "older.py"
    path.write_text(OLDER.replace("ROOT", str(clear_root)))
    config = load_config(path)
    assert config["scenario"]["type"] == "CLEAR"
    folder = run_config(config)
    results = results_of(folder)
    assert results["summary"]["next_domain"] is not None
    log = (folder / "metrics.log").read_text()
    for metric in (
        *("Top1_Acc_MB", "Top1_Acc_Epoch", "Top1_Acc_Exp", "Top1_Acc_Stream", "Loss_MB"),
        *("Time_Epoch", "RunningTime_Epoch", "CPUUsage_Exp", "ConfusionMatrix_Stream"),
        *("DiskUsage_MB", "DiskUsage_Epoch", "DiskUsage_Exp", "DiskUsage_Stream"),
    ):
        assert metric in log, metric
    assert (folder / "checkpoints" / "exp_0_epoch_2.pth").is_file()
    dump_config(config, tmp_path / "again.py")
    assert load_config(tmp_path / "again.py") == config


OLDER = """
img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
train_pipeline = [
    dict(type='Resize', size=24),
    dict(type='RandomCrop', size=24),
    dict(type='RandomHorizontalFlip', p=0.5),
    dict(type='ToTensor'),
    dict(type='Normalize', **img_norm_cfg)
]
test_pipeline = [
    dict(type='Resize', size=28),
    dict(type='CenterCrop', size=24),
    dict(type='ToTensor'),
    dict(type='Normalize', **img_norm_cfg)
]
scenario=dict(
    dataset_type='CLEAR',
    data_name='clear10',
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
    dataset_root='ROOT',
    evaluation_protocol= "streaming",
    seed = None)
model=dict(
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=3,
        in_channels=32,
        init_cfg=dict(type='Normal', layer='Linear', std=0.01)))
loggers=[
    dict(type='TextLogger'),
    dict(type='InteractiveLogger'),
    dict(type='WandBLogger', project_name='avalanche', run_name='clear_resnet')
]
metrics=[
    dict(type='accuracy_metrics',minibatch=True, epoch=True, experience=True, stream=True),
    dict(type='loss_metrics',minibatch=True, epoch=True, experience=True, stream=True),
    dict(type='timing_metrics',epoch=True,epoch_running=True),
    dict(type='cpu_usage_metrics',experience=True),
    dict(type='forgetting_metrics',experience=True, stream=True),
    dict(type='confusion_matrix_metrics', num_classes=3, save_image=True, stream=True),
    dict(type='disk_usage_metrics',minibatch=True, epoch=True, experience=True, stream=True)
]
batch_size = 16
cl_strategy=dict(
    type='Naive',
    train_mb_size=batch_size,
    eval_mb_size=batch_size,
    train_epochs=2,
    optimizer = dict(type='SGD', lr=0.01 * batch_size / 64, weight_decay=1e-5),
    scheduler=dict(type='StepLR', step_size=30, gamma=0.1),
    loss = dict(type='CrossEntropyLoss', loss_weight=1.0))
work_dir = 'work_dirs/older'
checkpoint_config = dict(interval=2)
"""
