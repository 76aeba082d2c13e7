"""What can be asked for is what the folder of configs and the registries hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.app.queue.choices import (
    argument_texts,
    component_of,
    fields_of,
    methods,
    streams_of,
)
from cliqa.training import Replay
from cliqa.utils.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[3] / "config"


def test_streams_and_their_models_are_read_from_the_configs() -> None:
    found = streams_of(CONFIGS)
    first = [name for name in found if name.startswith("generated_")]
    assert list(found)[: len(first)] == first
    assert first[0] == "generated_eva_ava_koniq"  # the demo's, which the first commands train
    assert "on the server already" in found["koniq"].text
    assert "on the server already" not in found[first[0]].text
    assert set(first) == {"generated_clear", "generated_eva_ava_koniq", "generated_fashion"}
    demo = found["generated_eva_ava_koniq"]
    assert demo.models["resnet18_tiny_cosine"] == CONFIGS / "demo_naive.py"
    assert demo.texts["resnet18_tiny_cosine"].startswith("A ResNet-18 of width 16")
    assert "EVA -> AVA -> KonIQ" in demo.text
    assert set(found["generated_fashion"].models) == {
        "small_conv_net",
        "small_fusion",
        "small_vit",
    }
    for stream in found.values():
        assert stream.models
        assert stream.models.keys() == stream.texts.keys()


def test_a_folder_may_hold_what_is_no_config(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "_base_" / "datasets").mkdir(parents=True)
    (tmp_path / "broken.py").write_text("_base_ = [")
    (tmp_path / "alone.py").write_text("seed = 0\n")
    assert streams_of(tmp_path) == {}
    assert "left out: " in caplog.text
    assert streams_of(None) == {}


def test_methods_are_ours_and_can_be_asked_for_without_files() -> None:
    found = methods()
    assert {"Naive", "Replay", "EWC", "LoRA", "StreamingRidge", "JointTraining"} <= set(found)
    assert not {"QAT", "ChannelPruning", "GenerativeReplay"} & set(found)  # switches; Avalanche's
    assert "FeatureReplay" not in found  # its layer has no default
    assert component_of("Replay") is Replay
    assert component_of("GEM") is None
    assert component_of("os.system") is None


def test_fields_have_defaults_and_texts() -> None:
    fields = {field.name: field for field in fields_of("Replay")}
    assert list(fields) == ["mem_size", "policy", "batch_size_mem", "seed", "selection"]
    assert fields["mem_size"].default == 200
    assert fields["seed"].default is None
    assert all(field.text for field in fields.values())
    assert {field.name for field in fields_of("Naive")} == set()  # Avalanche's alone
    with pytest.raises(ConfigError, match="Nothing: no such method"):
        fields_of("Nothing")


def test_files_networks_and_nested_values_have_no_field() -> None:
    assert "teacher" not in {field.name for field in fields_of("Distillation")}
    assert {"strength", "temperature"} <= {field.name for field in fields_of("Distillation")}
    assert "layers" not in {field.name for field in fields_of("EWC")}  # a mapping
    fields = {field.name: field for field in fields_of("EWC")}
    assert {"strength", "mode"} <= set(fields)
    assert not fields["normalize"].flag  # a word, or False
    assert {field.name for field in fields_of("LoRA") if field.flag} == {"rs"}


class Documented:
    """A class.

    Args:
        first: What it is,
            over two lines.
        second: Another: with a colon.

    Raises:
        ValueError: never
    """


class Below(Documented):
    """One below it.

    Args:
        second: Said anew.
    """


def test_texts_of_arguments() -> None:
    assert argument_texts(Below) == {"first": "What it is, over two lines.", "second": "Said anew."}
    assert argument_texts(len) == {}
