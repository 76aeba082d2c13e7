"""Tests of cliqa.config.option_kind."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.option_kind import Kind, kind_in_words, kind_of

CONFIG: dict[str, Any] = {
    "scenario": {
        "type": "QualityStream",
        "dataset_root": "data",
        "datasets": [{"type": "ScoreFile"}, {"type": "mine.Data"}],
        "generate": {"type": "DemoData"},
    },
    "model": {"type": "LightweightModel"},
    "cl_strategy": {
        "type": "LoRA",
        "optimizer": {"type": "SGD"},
        "plugins": [{"type": "Distillation"}],
    },
}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("str", Kind()),
        ("str | Path", Kind()),
        ("str | None", Kind(none=True)),
        ("str | Path | nn.Module | None", Kind(none=True)),
        ("Sequence[str]", Kind(name=False, lists=True)),
        ("str | Sequence[str]", Kind(lists=True)),
        ("str | Mapping[str, Any]", Kind(lists=True)),
        ("bool", None),
        ("bool | str", None),
        ("int | None", None),
        ("Policy", None),
        ("Sequence[int | str] | None", None),
        ("Mapping[str, Any] | None", None),
        ("nn.Module", None),
    ],
)
def test_annotations(annotation: str, kind: Kind | None) -> None:
    assert kind_in_words(annotation) == kind


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("work_dir", Kind(none=True)),
        ("load_from.path", Kind()),
        ("scenario.dataset_root", Kind()),
        ("scenario.order", Kind(name=False, lists=True, none=True)),
        ("scenario.datasets.0.root", Kind()),
        ("scenario.datasets.0.labels", Kind()),
        ("scenario.datasets.0.images", Kind(none=True)),  # of the class it inherits from
        ("scenario.datasets.0.higher_is_better", None),
        ("scenario.datasets.1.root", None),
        ("scenario.datasets.7.root", None),
        ("model.backbone", Kind()),
        ("model.pretrained", None),
        ("cl_strategy.targets", Kind(lists=True)),
        ("cl_strategy.plugins.0.teacher", Kind(none=True)),
        ("cl_strategy.optimizer.lr", None),
        ("seed", None),
    ],
)
def test_keys(key: str, kind: Kind | None) -> None:
    assert kind_of(CONFIG, key) == kind


@pytest.mark.parametrize("config", [{}, {"scenario": None}, {"cl_strategy": 3}, {"model": []}])
def test_broken_configs_leave_it_open(config: dict[str, Any]) -> None:
    assert kind_of(config, "scenario.datasets.0.root") is None
