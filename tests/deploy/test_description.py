"""What an exported file says about itself, tried as an attacker would."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.trust import trusting
from cliqa.deploy.description import check_description, hide_places, hides_places, scenario_of
from cliqa.deploy.onnx.file import parse_metadata
from cliqa.utils.errors import ArtifactError, ConfigError, TrustError

ABOUT: dict[str, Any] = {
    "format": 1,
    "names": ["a"],
    "classes": [],
    "channels": 3,
    "size": None,
    "precision": "fp32",
    "eval_transform": [
        {"type": "Resize", "size": 16},
        {"type": "torchvision.ToDtype", "dtype": "x"},
    ],
    "scenario": {"type": "QualityStream", "datasets": [{"type": "MySet"}]},
    "seed": 0,
}


def test_a_real_one_passes_and_its_data_are_looked_at_when_they_are_asked_for() -> None:
    assert check_description(ABOUT, "m.onnx") == ABOUT
    with pytest.raises(
        TrustError, match=r"scenario\.datasets\[0\]\.type 'MySet' of m\.onnx is not a component"
    ):
        scenario_of(ABOUT, "m.onnx")
    own = {"scenario": {"type": "QualityStream", "datasets": [{"type": "KonIQ10k", "root": "/x"}]}}
    assert scenario_of(own, "m.onnx") == own["scenario"]
    with trusting():
        assert scenario_of(ABOUT, "m.onnx") == ABOUT["scenario"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"type": "subprocess.Popen", "args": ["true"]}], r"would import subprocess\."),
        ([{"type": "torchvision.transforms.v2.Lambda"}], r"would import torchvision\.transforms"),
        ([{"type": "Lambda", "lambd": "print"}], r"'Lambda' of m\.onnx is not a component"),
        ([{"type": "QualityModel"}], r"'QualityModel' of m\.onnx is not a component"),
        ([{"type": "Reisze", "size": 3}], r"Did you mean 'Resize'\?"),
        (
            [{"type": "Compose", "transforms": [{"type": "os.system"}]}],
            r"transforms\[0\]\.type 'os\.",
        ),
        ([{"type": None}], r"eval_transform\[0\]\.type of m\.onnx: expected a name, got None"),
    ],
)
def test_hostile_steps_are_refused(steps: Any, message: str) -> None:
    modules = set(sys.modules)
    with pytest.raises(TrustError, match=message):
        check_description({**ABOUT, "eval_transform": steps}, "m.onnx")
    assert {"antigravity", "canary"}.isdisjoint(set(sys.modules) - modules)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("names", "abc", "names must be a list of names"),
        ("classes", [3], "classes must be a list of names"),
        ("channels", "3", "channels must be 1 or 3"),
        ("channels", [], "channels must be 1 or 3"),
        ("size", [16], r"size must be \[height, width\] or null"),
        ("size", [0, 4], r"size must be \[height, width\] or null"),
        ("precision", ["fp32"], "precision must be a name"),
        ("eval_transform", {"type": "Resize"}, "eval_transform must be a list of steps"),
        ("scenario", [], "scenario must be a section"),
        ("experiences_learnt", "2", "experiences_learnt must be an integer"),
    ],
)
def test_parts_of_another_kind_are_told(key: str, value: Any, message: str) -> None:
    with pytest.raises(
        ArtifactError, match=rf"m\.onnx: its description is damaged: {message}\. Exp"
    ):
        check_description({**ABOUT, key: value}, "m.onnx")


def test_a_deep_or_wide_description_is_refused() -> None:
    deep = json.dumps(ABOUT)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(ArtifactError, match="its description cannot be read"):
        parse_metadata({"cliqa": deep}, "m.onnx")
    deep = json.dumps(ABOUT)[:-1] + ', "x": ' + "[" * 500 + "]" * 500 + "}"
    with pytest.raises(TrustError, match="its description is nested too deeply"):
        parse_metadata({"cliqa": deep}, "m.onnx")
    with pytest.raises(TrustError, match="its description is a list, not a dict"):
        check_description([], "m.onnx")  # type: ignore[arg-type]  # as a file may hold


def test_a_trusted_files_modules_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steps_of_a_file.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    about = {**ABOUT, "custom_imports": {"imports": ["steps_of_a_file"]}}
    check_description(about, "m.onnx")
    assert "steps_of_a_file" not in sys.modules
    with trusting():
        check_description(about, "m.onnx")
    assert sys.modules.pop("steps_of_a_file", None)
    about["custom_imports"] = {"imports": ["no_such_module"]}
    with trusting(), pytest.raises(ConfigError, match=r"m\.onnx: custom_imports: .*PYTHONPATH"):
        check_description(about, "m.onnx")


def test_no_folder_of_this_machine_is_described() -> None:
    section = {
        "dataset_root": "/home/someone/data",
        "datasets": [{"root": "eva", "labels": "C:\\Users\\someone\\scores.csv"}],
        "more": ("../someone/x", "~/y", "images/a", 3, None),
    }
    hidden = hide_places(section)
    assert hides_places(hidden)
    assert not hides_places(section)
    assert hidden["dataset_root"] == "(not in the file)/data"
    assert hidden["datasets"] == [{"root": "eva", "labels": "(not in the file)/scores.csv"}]
    assert hidden["more"][2:] == ["images/a", 3, None]
    assert "someone" not in str(hidden)


def test_steps_that_are_known_need_no_registry() -> None:
    plain = [
        {"type": "GridCrop", "size": 16, "small": "error"},
        {"type": "Normalize", "mean": [0.5]},
    ]
    assert check_description({"eval_transform": plain}, "f")["eval_transform"] == plain
    for odd in ({"type": "Resize", "size": "hf-hub:me/x"}, {"type": "os.system"}):
        with pytest.raises(TrustError):
            check_description({"eval_transform": [*plain, odd]}, "f")


@pytest.mark.parametrize(
    "about",
    [
        {"scale": {"low": 1, "high": 0, "higher_is_better": True}},
        {"scale": {"low": 0, "high": 1}},
        {"scale": 5},
        {"input": 3},
        {"input": "pixels", "classes": [], "scale": None},
        {
            "input": "pixels",
            "classes": ["a"],
            "scale": {"low": 0, "high": 1, "higher_is_better": 1},
        },
    ],
)
def test_a_damaged_scale_is_refused(about: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="its description is damaged"):
        check_description(about, "f")
