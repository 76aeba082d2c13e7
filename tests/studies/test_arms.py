"""Variants of configs, and studies of two stages."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.config.load import dump_config, load_config
from cliqa.engine.pretrain.run import pretrain
from cliqa.studies.arms import Variant, variants_of
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import plan_study
from cliqa.studies.study import plan_label_study, run_study
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.errors import CheckpointError, ConfigError

CONFIGS = Path(__file__).parents[2] / "config"
PLAIN, TUNED = CONFIGS / "demo.py", CONFIGS / "demo_pretrained.py"
STAGE = CONFIGS / "qualiclip_demo.py"
ALONE = Bracket(look=False)


@pytest.fixture
def config(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    dump_config(tiny_config, tmp_path / "tiny.py")
    return tmp_path / "tiny.py"


def test_variants_take_the_place_of_a_config(config: Path, tmp_path: Path) -> None:
    variants = variants_of([["whole"], ["short", "cl_strategy.train_epochs=1", "seed=4"]])
    plan = plan_study([config], [0, 1], tmp_path, bracket=ALONE, variants=variants)
    assert plan.names == ("tiny_whole", "tiny_short")
    assert [str(run) for run in plan.runs[:2]] == ["tiny_whole, seed 0", "tiny_short, seed 0"]
    epochs = load_config(config)["cl_strategy"]["train_epochs"]
    assert [run.config["cl_strategy"]["train_epochs"] for run in plan.runs] == [epochs, 1] * 2
    assert plan.runs[3].folder == tmp_path / "tiny_short" / "seed_1"
    assert not plan.first


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([["a/b", "seed=1"]], "--arm a/b: begin with a name"),
        ([["seed=1"]], "--arm seed=1: begin with a name"),
        ([["a"], ["a"]], "--arm a: is given twice"),
        ([["a", "b"]], "--arm a: 'b' is no KEY=VALUE"),
    ],
)
def test_mistakes_in_variants_are_told(given: list[list[str]], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        variants_of(given)


def test_a_variant_with_an_unknown_key_is_refused_in_the_plan(config: Path, tmp_path: Path) -> None:
    variant = Variant("a", ("cl_strategy.train_epoch=1",))
    with pytest.raises(ConfigError, match="train_epoch"):
        plan_study([config], [0], tmp_path, bracket=ALONE, variants=[variant])


def test_both_stages_are_run_for_every_seed_and_variant(tmp_path: Path) -> None:
    variants = variants_of([["all"], ["blur", "pretrain.data.families=['blur']"]])
    plan = plan_study(
        [PLAIN, TUNED],
        [0, 1],
        tmp_path,
        bracket=ALONE,
        options=["scenario.max_train=50", "cl_strategy.train_epochs=2", "pretrain.epochs=1"],
        variants=variants,
        pretraining=STAGE,
    )
    assert plan.names == ("demo", "demo_pretrained_all", "demo_pretrained_blur")
    first = [run.folder.relative_to(tmp_path).as_posix() for run in plan.first]
    assert first == [
        *("qualiclip_demo/seed_0", "qualiclip_demo_blur/seed_0"),
        *("qualiclip_demo/seed_1", "qualiclip_demo_blur/seed_1"),
    ]
    for run in plan.first:
        assert run.config["pretrain"]["epochs"] == 1
        assert run.config["scenario"]["max_train"] == 50  # of both stages
        assert run.config["seed"] == run.replicate.seed
    whole, blur = plan.runs[4:]
    assert blur.before is plan.first[3]
    assert blur.config["load_from"]["path"] == plan.first[3].encoder.as_posix()
    assert blur.config["load_from"]["drop"] == ["head"]  # the config's own
    assert blur.config["cl_strategy"] == whole.config["cl_strategy"]
    assert plan.runs[3].before is None  # the random start
    assert plan.first[3].config["pretrain"]["data"]["families"] == ["blur"]


def test_variants_that_leave_the_pretraining_alone_share_it(tmp_path: Path) -> None:
    variants = variants_of([["slow", "cl_strategy.optimizer.lr=1e-5"], ["fast"]])
    more: dict[str, Any] = {"variants": variants, "pretraining": STAGE, "bracket": ALONE}
    plan = plan_study([TUNED], [0], tmp_path, **more)
    assert len(plan.first) == 1
    assert plan.runs[0].before is plan.runs[1].before


def test_numbers_of_images_share_the_pretraining(tmp_path: Path) -> None:
    plans = plan_label_study(PLAIN, TUNED, [50, 20], [0], tmp_path, pretraining=STAGE)
    (first,), (same,) = (plan.first for plan in plans.values())
    assert first.folder == same.folder == tmp_path / "pretraining" / "qualiclip_demo" / "seed_0"
    assert "max_train" not in first.config["scenario"]


def test_a_finished_pretraining_is_kept(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    del tiny_config["scenario"]["datasets"][1:]
    shared = {key: tiny_config[key] for key in ("scenario", "model", "seed")}
    data = {"crop_size": 12, "families": ["blur"], "num_levels": 2, "held_out": 4}
    parts = {"anchors": {"anchors": "antipodal", "dim": 8}, "projection": {"hidden": 8}}
    section = {"data": data, **parts, "epochs": 1, "batch_size": 4}
    dump_config({**shared, "pretrain": section}, tmp_path / "stage.py")
    dump_config({**tiny_config, "load_from": "nowhere.pth"}, tmp_path / "tuned.py")
    more: dict[str, Any] = {"bracket": ALONE, "pretraining": tmp_path / "stage.py"}
    plan = plan_study([tmp_path / "tuned.py"], [3], tmp_path / "out", **more)
    (first,) = plan.first
    assert not first.is_finished()
    pretrain(dict(first.config), config_file=first.file, work_dir=first.folder, device="cpu")
    assert first.is_finished()
    assert plan.runs[0].config["load_from"] == first.encoder.as_posix()
    more["options"] = ["pretrain.epochs=2"]
    (other,) = plan_study([tmp_path / "tuned.py"], [3], tmp_path / "out", **more).first
    with pytest.raises(ConfigError, match=r"holds a run of another config.*pretrain\.epochs"):
        other.is_finished()


def test_a_pretraining_that_is_none_or_not_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--pretraining .*demo\.py: has no section pretrain"):
        plan_study([TUNED], [0], tmp_path, bracket=ALONE, pretraining=PLAIN)
    with pytest.raises(ConfigError, match="no config starts from its encoder.*load_from"):
        plan_study([PLAIN], [0], tmp_path, bracket=ALONE, pretraining=STAGE)
    options = ["pretrain.epochs=0.5"]
    with pytest.raises(ConfigError, match=r"qualiclip_demo\.py: .*pretrain.*epoch"):
        plan_study([TUNED], [0], tmp_path, bracket=ALONE, pretraining=STAGE, options=options)


def test_the_encoder_is_looked_for_before_anything_is_trained(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("raise SystemExit('started')")
    options = [f"load_from.path={tmp_path / 'encoder.pth'}"]
    file = tmp_path / "demo_pretrained.py"
    shutil.copy(TUNED, file)
    for base in ("demo.py", "_base_"):
        (tmp_path / base).symlink_to(CONFIGS / base)
    plan = plan_study([file], [0], tmp_path / "out", bracket=ALONE, options=options)
    with pytest.raises(CheckpointError, match=r"encoder\.pth is missing\. Train it first.*--pretr"):
        run_study(plan, [script])
    assert not (tmp_path / "out").exists()
    (tmp_path / "encoder.pth").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"encoder\.pth"):
        run_study(plan, [script])
    save_checkpoint(tmp_path / "encoder.pth", {"state_dict": {"w": torch.zeros(1)}})
    (failure,) = run_study(plan, [script])
    assert failure.reason == "started"


def test_runs_whose_pretraining_failed_are_not_started(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys; sys.exit(f'error: {sys.argv[1]} fails')")
    plan = plan_study([PLAIN, TUNED], [0], tmp_path / "out", bracket=ALONE, pretraining=STAGE)
    failures = run_study(plan, [script])
    assert [failure.run.name for failure in failures] == ["qualiclip_demo", "demo"]
