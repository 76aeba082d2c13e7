"""Pretraining inside a stream: what it sees, what it changes, that it resumes, what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import AvalancheDataset, TransformGroups
from PIL import Image
from torch.utils.data import TensorDataset

from cliqa.benchmarks.experience import NamedExperience
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.pretraining.plugins.label_free import LabelFreePretraining, images_of
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]

SMALL: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "crop_size": 12,
    "families": ["blur", "noise"],
    "num_levels": 2,
    "lr_encoder": 1e-3,
    "dim": 4,
    "hidden": 0,
}


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy whose model gives features."""

    def build(plugins: list[Any], **options: Any) -> Any:
        strategy = make_strategy(plugins, **options)
        body = strategy.model.body
        strategy.model.features = lambda images: body(images)
        return strategy

    return build


def test_every_experience_is_seen_before_its_scores(make: Make, tiny_stream: QualityStream) -> None:
    plugin = LabelFreePretraining(**SMALL)
    seen = []
    strategy = make([plugin], epochs=1)
    begin = plugin.pretrainer
    plugin.pretrainer = lambda *given: seen.append(given[1]) or begin(*given)  # type: ignore[method-assign,func-returns-value]
    for index, experience in enumerate(tiny_stream.train_stream):
        strategy.train_step(index, [experience])
        assert seen[-1] is tiny_stream.sources[experience.name, "train"]
    assert [row["experience"] for row in plugin.rows] == [0, 1, 2]
    assert len(seen) == 3


def test_it_trains_the_body_and_leaves_the_head(make: Make, tiny_stream: QualityStream) -> None:
    plugin = LabelFreePretraining(**SMALL)
    model = make([plugin]).model
    before = copy.deepcopy(model.state_dict())
    plugin.pretrainer(model, images_of(tiny_stream.train_stream[0]), 0).run()
    after = model.state_dict()
    assert not torch.equal(after["body.0.weight"], before["body.0.weight"])
    assert torch.equal(after["head.weight"], before["head.weight"])


def test_the_projection_is_carried_on(make: Make, tiny_stream: QualityStream) -> None:
    plugin = LabelFreePretraining(**SMALL)
    strategy = make([plugin], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    carried = plugin.state_dict()["projection"]
    images = images_of(tiny_stream.train_stream[1])
    found = plugin.pretrainer(strategy.model, images, 1).model.projection.state_dict()
    assert found.keys() == carried.keys()
    for name, value in found.items():
        assert torch.equal(value, carried[name])


def test_a_stopped_run_ends_as_one_that_was_not(
    make: Make, short_stream: QualityStream, assert_resumable: Callable[..., None]
) -> None:
    def build() -> Any:
        return make([LabelFreePretraining(**SMALL), Replay(mem_size=6)])

    assert_resumable(build, short_stream, every=2)


def test_inside_an_experience_it_is_not_done_again(make: Make, tiny_stream: QualityStream) -> None:
    whole, states = make([LabelFreePretraining(**SMALL)]), []
    whole.on_epoch = lambda _: states.append(copy.deepcopy(whole.state_dict()))
    whole.train_step(0, [tiny_stream.train_stream[0]])
    plugin = LabelFreePretraining(**SMALL)
    plugin.pretrainer = None  # type: ignore[method-assign,assignment]
    resumed = make([plugin])
    resumed.load_state_dict(states[0])
    resumed.train_step(0, [tiny_stream.train_stream[0]])
    assert len(plugin.rows) == 1


def test_a_method_with_weights_of_its_own_is_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="PackNet keeps weights of earlier experiences"):
        make([LabelFreePretraining(**SMALL), PackNet()])


def test_a_model_without_features_is_refused(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([LabelFreePretraining(**SMALL)])
    with pytest.raises(ConfigError, match=r"'TinyModel' has no features\(images\)"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])


def test_what_is_no_data_set_of_images_is_refused() -> None:
    data = AvalancheDataset([TensorDataset(torch.rand(4, 3, 8, 8), torch.rand(4))])
    with pytest.raises(ConfigError, match="needs one data set of images"):
        images_of(NamedExperience("features", data, 0))
    with pytest.raises(ConfigError, match="before their transforms, .* gives torch.float32"):
        images_of(benchmark_from_datasets(train=[data]).train_stream[0])


def test_images_of_avalanches_own_streams_are_seen_before_their_transforms() -> None:
    photos = [Image.new("L", (9, 7), grey) for grey in (10, 200)]
    groups = TransformGroups({"train": lambda _: 1 / 0, "eval": lambda _: 1 / 0})
    data = AvalancheDataset([list(zip(photos, [0.1, 0.9], strict=True))], transform_groups=groups)
    images = images_of(benchmark_from_datasets(train=[data]).train_stream[0])
    assert len(images) == 2
    assert images.image(1).shape == (3, 7, 9)
    assert images.image(1).unique().tolist() == [200]


@pytest.mark.parametrize("name", ["epochs", "batch_size", "dim"])
def test_a_number_out_of_range_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be an integer >= 1, got 0"):
        LabelFreePretraining(**{**SMALL, name: 0})


def test_an_unknown_degradation_is_refused() -> None:
    with pytest.raises(ConfigError, match="blurr"):
        LabelFreePretraining(families=["blurr"])
