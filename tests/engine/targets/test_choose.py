"""Each kind of stream has its targets."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cliqa.benchmarks.clear import CLEAR
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.split_classes import SplitFolder
from cliqa.engine.targets.choose import targets_of
from cliqa.engine.targets.classes import ClassTargets
from cliqa.engine.targets.scores import ScoreTargets


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (QualityStream, ScoreTargets),
        (CLEAR, ClassTargets),
        (SplitFolder, ClassTargets),
        (SimpleNamespace(target_kind="classes"), ClassTargets),
        (SimpleNamespace(), ScoreTargets),  # a stream of a user's own, older than the attribute
    ],
)
def test_a_stream_or_its_class_tells(stream: object, kind: type) -> None:
    assert type(targets_of(stream)) is kind


def test_keys_of_the_history() -> None:
    assert ScoreTargets().validation_key == "val_srcc"
    assert ClassTargets().validation_key == "val_accuracy"
