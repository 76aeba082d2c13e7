"""Patches: each has its image's score, an epoch reads an image once, plugins find their samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.patches import Patches
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets import base
from cliqa.engine.check import check_config
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.supervised.joint import JointTraining
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


@pytest.fixture
def patch_stream(tiny_stream: QualityStream) -> QualityStream:
    """Return the stream a -> b with three patches an image of a pool that holds half of them."""
    data = [tiny_stream.sources[name, "train"].subset("train") for name in "ab"]
    whole = [d.select(range(len(d))) for d in data]
    for each in whole:
        each.splits = tuple("test" if k % 4 == 0 else "train" for k in range(len(each)))
    pipelines = tiny_stream.train_transform, tiny_stream.eval_transform
    return QualityStream(whole, *pipelines, patches_per_image=3, patch_pool=16)


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the files that are read."""
    read: list[str] = []
    original = base.read_image

    def counted(path: Any, **options: Any) -> torch.Tensor:
        read.append(str(path))
        return original(path, **options)

    monkeypatch.setattr(base, "read_image", counted)
    return read


class Seen(ContinualPlugin):
    """Keeps what the batches hold."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[torch.Tensor] = []
        self.places: list[list[int]] = []

    def before_backward(self, strategy: Any, **_: Any) -> None:
        self.scores.append(strategy.mb_y.clone())
        self.places.append(strategy.new_places())

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def test_an_epoch_reads_every_image_once_and_shows_it_three_times(
    make_strategy: Make, patch_stream: QualityStream, count_reads: list[str]
) -> None:
    seen = Seen()
    strategy = make_strategy([seen], epochs=1)
    strategy.train_step(0, [patch_stream.train_stream[0]])
    source = patch_stream.sources["a", "train"]
    assert sorted(count_reads) == sorted(source.files)
    shown = torch.cat(seen.scores)
    assert len(shown) == 3 * len(source)
    assert torch.equal(shown.sort().values, torch.tensor(source.scores).repeat(3).sort().values)


def test_every_patch_has_its_images_score_and_place(
    make_strategy: Make, patch_stream: QualityStream
) -> None:
    seen = Seen()
    make_strategy([seen], epochs=2).train_step(0, [patch_stream.train_stream[0]])
    scores = torch.tensor(patch_stream.sources["a", "train"].scores)
    for found, places in zip(seen.scores, seen.places, strict=True):
        assert torch.equal(found, scores[places])


def test_evaluation_transforms_of_training_images_see_the_whole_image(
    patch_stream: QualityStream,
) -> None:
    data = patch_stream.train_stream[0].dataset
    image, score = data.eval()[3]
    source = patch_stream.sources["a", "train"]
    assert torch.equal(image, patch_stream.eval_transform(source.image(3)))
    assert score == source.scores[3]
    assert data.train()[3][0].shape == (3, 12, 12)


def test_memories_refer_to_images(make_strategy: Make, patch_stream: QualityStream) -> None:
    replay, der = Replay(6), DER(6)
    strategy = make_strategy([replay, der, EWC(1.0, n_samples=5)], epochs=1)
    for index, experience in enumerate(patch_stream.train_stream):
        strategy.train_step(index, [experience])
    images = len(patch_stream.sources["a", "train"])
    assert int(replay.state_dict()["index"].max()) < images
    assert der.state_dict()["seen"] == 2 * 3 * images
    assert int(der.state_dict()["index"].max()) < images


def test_joint_training_draws_patches_of_all_data_sets(
    make_strategy: Make, patch_stream: QualityStream
) -> None:
    seen = Seen()
    strategy = make_strategy([seen], cls=JointTraining, epochs=1)
    strategy.train_step(0, list(patch_stream.train_stream))
    images = sum(len(patch_stream.sources[name, "train"]) for name in "ab")
    assert sum(map(len, seen.scores)) == 3 * images


def test_workers_give_every_image_as_often(
    make_strategy: Make, patch_stream: QualityStream
) -> None:
    seen = Seen()
    make_strategy([seen], epochs=1, num_workers=2).train_step(0, [patch_stream.train_stream[0]])
    source = patch_stream.sources["a", "train"]
    expected = torch.tensor(source.scores).repeat(3).sort().values
    assert torch.equal(torch.cat(seen.scores).sort().values, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_image": 0}, r"scenario\.patches_per_image: expected an integer >= 1, got 0"),
        ({"per_image": True}, r"patches_per_image: expected an integer >= 1, got True"),
        ({"pool": 1.5}, r"scenario\.patch_pool: expected an integer >= 1, got 1\.5"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Patches(**arguments)


def test_a_config_is_checked_before_data_are_read(tiny_config: dict[str, Any]) -> None:
    tiny_config["scenario"].update(dataset_root="no/such", patches_per_image=5, patch_pool=16)
    check_config(tiny_config)
    tiny_config["scenario"]["patch_pool"] = 15
    with pytest.raises(ConfigError, match=r"patch_pool=15: too few for batches of 8.*more: 16\."):
        check_config(tiny_config)
    tiny_config["scenario"].update(patch_pool=16, train_transform=[{"type": "ToTensor"}])
    with pytest.raises(ConfigError, match=r"patches_per_image=5: .* all be the same.*RandomCrop"):
        check_config(tiny_config)
