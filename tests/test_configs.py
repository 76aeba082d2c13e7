"""Every config that is shipped loads, names what exists, and opens with how to run it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cliqa.config.components import quick_check
from cliqa.config.load import load_config
from cliqa.engine.check import check_config
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.models.build import build_model
from cliqa.models.language.text_files import load_texts

FOLDER = Path(__file__).resolve().parents[1] / "config"
LEAVES = sorted(FOLDER.glob("*.py"))
LINES = 25

CLASSES = {"fmnist": 10, "cifar10": 10, "cifar100": 100, "clear100": 101, "clear": 11}


@pytest.mark.parametrize("path", LEAVES, ids=[path.stem for path in LEAVES])
def test_a_config_is_whole(path: Path) -> None:
    config = load_config(path)
    quick_check(config)
    check = check_pretraining if "pretrain" in config else check_config
    check({**config, "seed": 0})
    text = path.read_text(encoding="utf-8")
    opening = ast.get_docstring(ast.parse(text))
    assert opening is not None
    assert f"python train_config.py config/{path.name}" in opening
    assert len(text.splitlines()) <= LINES


@pytest.mark.parametrize("path", sorted(FOLDER.glob("clear*.py")), ids=lambda path: path.stem)
def test_heads_have_as_many_classes_as_the_data(path: Path) -> None:
    config = load_config(path)
    generate = config["scenario"].get("generate")
    expected = generate["classes"] if generate else CLASSES[path.stem.partition("_")[0]]
    if "texts" in config["model"]:  # as many candidates
        assert len(load_texts(config["model"]["texts"])) == expected
        return
    head = config["model"].get("head") or config["model"]
    assert head["num_classes"] == expected
    assert config["model"].get("num_classes", expected) == expected


@pytest.mark.parametrize(
    "name",
    ["fmnist_replay", "fmnist_fusion_replay", "cifar10_replay", "clear_demo", "demo_clip_replay"],
)
def test_small_models_are_built(name: str) -> None:
    build_model(load_config(FOLDER / f"{name}.py")["model"])


@pytest.mark.parametrize(
    ("pretraining", "name"),
    [("qualiclip_demo", "demo_pretrained"), ("qualiclip_photos", "photos_label_free")],
)
def test_a_pretraining_gives_all_weights_but_the_heads(pretraining: str, name: str) -> None:
    encoder, model = (load_config(FOLDER / f"{file}.py") for file in (pretraining, name))
    assert model["load_from"]["path"] == f"work_dirs/{pretraining}/checkpoints/encoder.pth"
    given, wanted = (
        {key: value.shape for key, value in build_model(config["model"]).state_dict().items()}
        for config in (encoder, model)
    )
    heads = ("head.",)
    assert {k: v for k, v in given.items() if not k.startswith(heads)} == {
        k: v for k, v in wanted.items() if not k.startswith(heads)
    }
    assert encoder["scenario"] == model["scenario"]  # the images and their normalisation


def test_bases_share_no_section() -> None:
    """One section a folder of bases, so that any data set goes with any model and schedule."""
    own = {
        "datasets": {"scenario", "metrics", "train_pipeline", "test_pipeline"},
        "models": {"model"},
        "schedules": {"cl_strategy"},
    }
    for folder, sections in own.items():
        for path in (FOLDER / "_base_" / folder).glob("*.py"):
            names = {
                target.id
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            assert names - {"_base_", "img_norm_cfg"} <= sections, path
