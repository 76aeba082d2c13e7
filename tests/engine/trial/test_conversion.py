"""Tests of cliqa.engine.trial.conversion: mmpretrain's own configs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import mmpretrain
import pytest

from cliqa.config.load import load_config
from cliqa.engine.trial.conversion import convert_checked
from cliqa.utils.errors import ConfigError

FOLDER = Path(mmpretrain.__file__).parent / ".mim" / "configs"
ALL = sorted(p for p in FOLDER.rglob("*.py") if p.relative_to(FOLDER).parts[0] != "_base_")

SAMPLE = (
    "resnet/resnet18_8xb16_cifar10.py",
    "hrnet/hrnet-w18_4xb32_in1k.py",
    "swin_transformer/swin-tiny_16xb64_in1k.py",
    "efficientnet/efficientnet-b0_8xb32_in1k.py",
    "mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py",
    "resnet/resnet50_8xb32-mixup_in1k.py",
    "vision_transformer/vit-base-p16_32xb128-mae_in1k.py",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_converted_config_loads_and_was_built(name: str, tmp_path: Path) -> None:
    out = tmp_path / "mine.py"
    found = convert_checked(f"mmpretrain::{name}", out, 5)
    assert found.built.startswith("built ImageClassifier (")
    assert load_config(out)["scenario"]["n_experiences"] == 5
    assert all(f"\n* {reason}\n" in out.read_text() for reason in found.lost)


@pytest.mark.skipif(os.environ.get("CLIQA_FUZZ") != "long", reason="six minutes: CLIQA_FUZZ=long")
def test_all_of_mmpretrains_classifiers_are_converted(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    reasons = []
    for path in ALL:
        try:
            convert_checked(f"mmpretrain::{path.relative_to(FOLDER)}", tmp_path / "mine.py")
            (tmp_path / "mine.py").unlink()
            counts["converted"] += 1
        except ConfigError as error:
            reasons.append(str(error))
            counts["refused"] += 1
    assert [reason for reason in reasons if "\n" in reason] == []
    assert counts["converted"] >= 400
    assert sum(counts.values()) == len(ALL)


def test_outputs_are_checked_first(tmp_path: Path) -> None:
    (tmp_path / "there.py").write_text("seed = 1\n")
    for out, message in (("there.py", "exists. Give another name"), ("a.yaml", "Python file")):
        with pytest.raises(ConfigError, match=message):
            convert_checked("mmpretrain::no.py", tmp_path / out)
    with pytest.raises(ConfigError, match="--experiences 0: must be at least 1"):
        convert_checked("mmpretrain::no.py", tmp_path / "new.py", 0)
    assert (tmp_path / "there.py").read_text() == "seed = 1\n"


def test_values_of_the_wrong_kind_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py']\n"
        "auto_scale_lr = dict(base_batch_size='many')\n"
    )
    with pytest.raises(ConfigError, match="cannot be converted: a value is wrong .*many"):
        convert_checked(str(path), tmp_path / "y.py")


def test_a_model_that_cannot_be_built_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py']\n"
        "model = dict(backbone=dict(depth=19))\n"
    )
    with pytest.raises(ConfigError, match="cannot be converted: .*19") as caught:
        convert_checked(str(path), tmp_path / "y.py")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "y.py").exists()
