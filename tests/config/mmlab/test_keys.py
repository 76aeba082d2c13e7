"""Tests of cliqa.config.mmlab.keys: mmengine's keys are refused with ours for the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.config.load import load_config
from cliqa.config.mmlab.keys import KEYS, translate
from cliqa.config.sections import SECTIONS
from cliqa.utils.errors import ConfigError

DEMO = Path(__file__).resolve().parents[3] / "config" / "demo_naive.py"

ADVICE = {
    "env_cfg=dict(cudnn_benchmark=True)": "Set cudnn_benchmark=True.",
    "env_cfg=dict(mp_cfg=dict(mp_start_method='fork'))": "num_workers says how many processes",
    "env_cfg=dict(dist_cfg=dict(backend='nccl'))": "one process on one device",
    "early_stopping=dict(patience=3, min_delta=0.1)": "Set cl_strategy.patience=3, cl_str",
    "early_stopping=4": "Set cl_strategy.patience=4.",
    "default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=5, max_keep_ckpts=2))": (
        "Set checkpoint_config.interval=5, checkpoint_config.keep=2."
    ),
    "default_hooks=dict(checkpoint=dict(save_best='auto'), timer=dict(type='IterTimerHook'))": (
        "Set cl_strategy.keep_best=True."
    ),
    "default_hooks=dict(logger=dict(interval=100))": "TextLogger",
    "custom_hooks=[dict(type='EMAHook', momentum=1e-3)]": (
        "Set cl_strategy.plugins=[dict(type='EMA', decay=0.999)]."
    ),
    "custom_hooks=[dict(type='EarlyStoppingHook', patience=2)]": "Set cl_strategy.patience=2.",
    "custom_hooks=[dict(type='PreciseBNHook')]": "PreciseBNHook: hooks are plugins here, cl_str",
    "train_dataloader=dict(batch_size=32, num_workers=2)": (
        "Set cl_strategy.train_mb_size=32, num_workers=2."
    ),
    "train_dataloader=dict(dataset=dict(type='ImageNet'))": "belongs into scenario (datasets",
    "val_dataloader=dict(batch_size=64)": "Set cl_strategy.eval_mb_size=64.",
    "optim_wrapper=dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1))": (
        "Set cl_strategy.optimizer=dict(type='SGD', lr=0.1), amp=True."
    ),
    "param_scheduler=dict(type='MultiStepLR', milestones=[3], gamma=0.1)": (
        "Set cl_strategy.scheduler=dict(type='MultiStepLR', milestones=[3], gamma=0.1)."
    ),
    "train_cfg=dict(by_epoch=True, max_epochs=7)": "Set cl_strategy.train_epochs=7.",
    "max_epochs=7": "Set cl_strategy.train_epochs=7.",
    "val_evaluator=dict(type='Accuracy')": "instead of Accuracy write metrics=",
    "randomness=dict(seed=3, deterministic=True)": "Set seed=3, deterministic=True.",
    "resume=True": "--resume",
    "launcher='pytorch'": "one process on one device",
    "log_level='INFO'": "loggers=",
    "default_scope='mmpretrain'": "It has no effect here: leave it out.",
    "data_preprocessor=dict(mean=[127.5], std=[51.0])": "Normalize', mean=[0.5], std=[0.2])",
    "tta_model=dict(type='X')": "GridCrop",
    "fp16=dict(loss_scale=512.0)": "Set amp='float16'.",
    "experiment_name='a'": "Set work_dir='work_dirs/a'.",
    "patience=3": "move it to cl_strategy.patience",
}


@pytest.mark.parametrize(("line", "advice"), ADVICE.items())
def test_a_key_is_refused_with_ours_in_a_file_and_as_an_option(
    tmp_path: Path, line: str, advice: str
) -> None:
    (tmp_path / "x.py").write_text(f"_base_ = [{str(DEMO)!r}]\n{line}\n")
    with pytest.raises(ConfigError) as of_file:
        load_config(tmp_path / "x.py")
    with pytest.raises(ConfigError) as of_option:
        load_config(DEMO, [line])
    key = line.partition("=")[0]
    assert str(of_file.value).startswith(f"{tmp_path}/x.py, line 2: {key}: ")
    assert str(of_option.value).startswith(f"--cfg-options {key}: ")
    for error in (of_file, of_option):
        assert advice.lower() in str(error.value).lower()


def test_a_nested_option_has_the_same_advice() -> None:
    with pytest.raises(ConfigError, match="env_cfg.cudnn_benchmark: .*Set cudnn_benchmark=True"):
        load_config(DEMO, ["env_cfg.cudnn_benchmark=True"])


def test_all_of_mmpretrains_runtime_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        f"_base_ = [{str(DEMO)!r}, 'mmpretrain::_base_/default_runtime.py']\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "x.py")
    assert "both set load_from" not in str(caught.value)
    refused = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert refused == ["default_scope", "default_hooks", "env_cfg", "visualizer", "log_level"] + [
        "resume",
        "randomness",
    ]


def test_no_key_is_a_section_of_ours() -> None:
    assert not KEYS.keys() & SECTIONS.keys()
    assert translate("scenario", {}) is None


BROKEN = {"mean": ["a"], "std": 3, "type": "EMAHook", "momentum": "x", "checkpoint": 3}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, {}, [], 3, "x", [1], {"a": {"b": 1}}, True, BROKEN])
def test_every_value_has_an_answer(key: str, value: object) -> None:
    found = translate(key, value)
    assert found is not None
    assert str(found).endswith(".")
