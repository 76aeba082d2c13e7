"""Loaders of training, evaluation and memory, and predictions without hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.scenarios import with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.data_attribute import DataAttribute
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.training.loop.batching import MixedLoader
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.transforms.pipeline import build_pipeline

Make = Callable[..., Any]


class Brightness(nn.Module):
    """Returns the mean of each image: what a batch holds can be read off its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.flatten(1).mean(1)


def test_training_sees_every_sample_once_in_a_new_order(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy()
    data = tiny_stream.dataset("a", "train")
    loader = strategy.loader(data, train=True)
    orders = [torch.cat([batch[1] for batch in loader]) for _ in range(2)]
    expected = np.sort(tiny_stream.sources["a", "train"].scores)
    for order in orders:
        assert np.array_equal(np.sort(order.numpy()), expected)
    assert not torch.equal(*orders)
    assert [len(batch[1]) for batch in loader] == [8, 8, 8, 8]


def test_evaluation_keeps_the_order(make_strategy: Make, tiny_stream: QualityStream) -> None:
    loader = make_strategy().loader(tiny_stream.dataset("a", "train").eval(), train=False)
    batches = list(loader)
    assert [len(batch[1]) for batch in batches] == [16, 16]
    scores = torch.cat([batch[1] for batch in batches]).numpy()
    assert np.array_equal(scores, tiny_stream.sources["a", "train"].scores)


def test_predictions_are_the_models_outputs_in_order(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy()
    strategy.model = Brightness()
    strategy.model.train()
    prediction, target = strategy.predict(tiny_stream.dataset("b", "test"))
    source = tiny_stream.sources["b", "test"]
    means = [float(source.image(k).float().mean() / 255) for k in range(len(source))]
    assert prediction == pytest.approx(means, abs=1e-5)
    assert np.array_equal(target, source.scores)
    assert strategy.model.training


def test_predicting_calls_no_hook(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy()
    strategy.plugins = [None]  # whoever calls a hook of it fails
    prediction, _ = strategy.predict(tiny_stream.dataset("a", "val"))
    assert prediction.shape == (4,)


def test_images_of_many_sizes_are_predicted_one_by_one(make_strategy: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = ["image,score"]
    for k, size in enumerate([(8, 9), (12, 7), (8, 9), (20, 20)]):
        pixels = random.integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,0.{k}")
    (tmp_path / "s.csv").write_text("\n".join(rows))
    data = ScoreFile(
        root=tmp_path,
        labels="s.csv",
        images=".",
        score_range=(0, 1),
        higher_is_better=True,
        fractions=(0.0, 0.0, 1.0),
    )
    tensor = build_pipeline([{"type": "ToTensor"}], "eval")
    stream = QualityStream([data], tensor, tensor)
    strategy = make_strategy()
    strategy.model = Brightness()
    prediction, _ = strategy.predict(stream.dataset(data.name, "test"))
    images = [float(stream.sources[data.name, "test"].image(k).float().mean()) for k in range(4)]
    assert prediction * 255 == pytest.approx(images, abs=1e-2)
    strategy.eval(stream.test_stream)
    collected, _ = strategy.evaluator.metrics[0].result()[data.name]
    assert np.array_equal(collected, prediction)


def test_a_memory_follows_every_new_batch(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy([Replay(6, batch_size_mem=4)], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    sizes: list[int] = []
    remembered: list[Tensor] = []
    after = strategy._after_training_iteration

    def watch(**kwargs: Any) -> None:
        assert isinstance(strategy.dataloader, MixedLoader)
        sizes.append(len(strategy.mb_y))
        remembered.append(strategy.mb_y[8:])
        after(**kwargs)

    strategy._after_training_iteration = watch
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert sizes == [12, 12, 12, 12]
    earlier = torch.tensor(tiny_stream.sources["a", "train"].scores)
    distinct = torch.cat(remembered).unique()
    assert len(distinct) == 6
    assert torch.isin(distinct, earlier).all()


@pytest.mark.parametrize(
    ("tasks", "loader"), [((0, 1), "TaskBalancedDataLoader"), ((0, 0), "ImageLoader")]
)
def test_experiences_of_several_tasks_keep_avalanches_loaders(
    tasks: tuple[int, int], loader: str, make_strategy: Make
) -> None:
    torch.manual_seed(0)

    def labelled(count: int) -> AvalancheDataset:
        data = TensorDataset(torch.rand(count, 3, 8, 8), torch.rand(count))
        labels = [tasks[k % 2] for k in range(count)]
        label = DataAttribute(labels, "targets_task_labels", use_in_getitem=True)
        return AvalancheDataset([data], data_attributes=[label])

    both = benchmark_from_datasets(train=[labelled(24)], test=[labelled(8)])
    benchmark = with_task_labels(both)
    loaders: list[str] = []
    losses: list[float] = []
    strategy = make_strategy(epochs=3)

    def watch(loss: float) -> None:
        losses.append(loss)
        loaders.append(type(strategy.dataloader).__name__)

    strategy.on_epoch = watch
    strategy.train_step(0, [benchmark.train_stream[0]])
    strategy.eval(benchmark.test_stream)
    assert loaders == [loader] * 3
    assert losses[-1] < losses[0]
    prediction, target = next(iter(strategy.evaluator.metrics[0].result().values()))
    assert prediction.shape == target.shape == (8,)


@pytest.mark.parametrize("amp", [False, True])
def test_the_output_of_another_batch_or_model_leaves_the_step_as_it_is(
    amp: bool, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(amp=amp)
    strategy.experience = tiny_stream.train_stream[0]
    images, scores = torch.rand(3, 3, 12, 12), torch.rand(3)
    strategy.mbatch, model = [images[:1], scores[:1]], strategy.model
    kept = strategy.mbatch
    other = Brightness()
    output = strategy.output_of([images, scores], other)
    assert output.dtype == torch.float32
    assert torch.allclose(output, images.flatten(1).mean(1))
    assert other.training
    assert strategy.output_of([images, scores]).shape == (3,)
    with pytest.raises(IndexError):
        strategy.output_of([])
    assert strategy.mbatch is kept
    assert strategy.model is model


def test_the_places_of_new_samples_are_known_in_every_hook(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([Replay(6, batch_size_mem=4)], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    scores = torch.tensor(tiny_stream.sources["b", "train"].scores).float()
    seen: list[int] = []
    step = strategy.optimizer_step

    def watch() -> None:
        places = strategy.new_places()
        assert torch.equal(strategy.mb_y[: len(places)].float(), scores[places])
        seen.extend(places)
        step()

    strategy.optimizer_step = watch
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert sorted(seen) == list(range(32))


@pytest.mark.parametrize("count", [0, 5, 400])
def test_training_samples_are_the_experiences_with_evaluation_transforms(
    count: int, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.adapted_dataset = tiny_stream.train_stream[0].dataset
    data = tiny_stream.dataset("a", "train").eval()
    found = zip(*strategy.training_samples(count), strict=True)
    images, scores = (torch.cat(parts) for parts in found)
    drawn = [i for i in range(len(data)) if float(data[i][1]) in scores.tolist()]
    assert len(scores) == len(drawn) == (5 if count == 5 else len(data))
    assert torch.equal(images, torch.stack([data[i][0] for i in drawn]))  # whole, not cropped
    torch.rand(3)
    again = torch.cat([targets for _, targets in strategy.training_samples(count)])
    assert torch.equal(again, scores)
    strategy.options = make_strategy(seed=2).options
    other = torch.cat([targets for _, targets in strategy.training_samples(count)])
    assert torch.equal(other, scores) is (count != 5)
