"""Batches that are the same with any number of worker processes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.training.loop.batching import MixedLoader, RaggedImages, batch_places
from cliqa.training.loop.loaders.image_loader import finished, make_loader, sample_seed
from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.staged import Finish, Unfinished
from cliqa.utils.errors import ConfigError

CROP: list[dict[str, Any]] = [{"type": "RandomCrop", "size": 12}, {"type": "RandomHorizontalFlip"}]
NORMAL: list[dict[str, Any]] = [
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
]


class Draws(Dataset[tuple[Tensor, int]]):
    """Samples that draw from every global generator."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        drawn = [float(torch.rand(())), random.random(), float(np.random.rand())]
        return torch.tensor(drawn), index


def epochs(loader: Any, count: int = 2) -> list[Tensor]:
    torch.manual_seed(5)
    return [torch.cat([batch[0] for batch in loader]) for _ in range(count)]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("keep_workers", [True, False])
def test_samples_are_the_same_with_any_number_of_workers(train: bool, keep_workers: bool) -> None:
    options: dict[str, Any] = {"train": train, "keep_workers": keep_workers}
    alone = epochs(make_loader(Draws(), 4, **options))
    shared = epochs(make_loader(Draws(), 4, num_workers=2, **options))
    assert torch.equal(alone[0], shared[0])
    assert torch.equal(alone[1], shared[1])
    assert not torch.equal(alone[0], alone[1])
    assert len(set(alone[0].flatten().tolist())) == 33


def test_the_size_of_the_batches_does_not_change_the_samples() -> None:
    assert torch.equal(*(epochs(make_loader(Draws(), size, train=False), 1)[0] for size in (2, 5)))


def test_the_process_draws_as_if_nothing_had_been_loaded() -> None:
    loader = make_loader(Draws(), 4, train=True)
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    batches = iter(loader)
    next(batches)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    next(batches)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_seeds_are_spread() -> None:
    seeds = [sample_seed(7, place) for place in range(1000)]
    assert len(set(seeds)) == 1000
    assert 0.45 < np.mean([seed & 1 for seed in seeds]) < 0.55
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds[1:] != [sample_seed(8, place) for place in range(999)]


def stream_of(tiny_data: Any, steps: list[dict[str, Any]], cache: Any) -> QualityStream:
    data = ScoreFile(
        root=tiny_data / "a",
        labels="scores.csv",
        name="a",
        score_range=(0, 1),
        higher_is_better=True,
        images=".",
    )
    pipeline = build_pipeline(steps, "train")
    return QualityStream([data], pipeline, build_pipeline(NORMAL, "eval"), cache=cache)


STEPS = [
    [*CROP, *NORMAL],
    [{"type": "Resize", "size": 14}, *CROP, *NORMAL],
    [{"type": "Resize", "size": 14}, *CROP],
    [{"type": "Resize", "size": 14}, *CROP, {"type": "ToTensor"}, {"type": "RandomErasing"}],
    [{"type": "CenterCrop", "size": 12}, *NORMAL],
]


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: "+".join(s["type"] for s in steps))
def test_batches_are_the_samples_to_the_bit_whatever_is_kept(
    tiny_data: Any, steps: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CLIQA_CACHE", str(tmp_path))
    found = {}
    for cache in (False, "ram", "disk"):
        data = stream_of(tiny_data, steps, cache).train_stream[0].dataset
        found[cache] = epochs(make_loader(data, 8, train=True))
    for cache in ("ram", "disk"):
        assert all(torch.equal(a, b) for a, b in zip(found[False], found[cache], strict=True))


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: "+".join(s["type"] for s in steps))
def test_a_batch_holds_what_the_pipeline_makes_of_each_image(
    tiny_data: Any, steps: list[dict[str, Any]]
) -> None:
    stream = stream_of(tiny_data, steps, "ram")
    loader = make_loader(stream.train_stream[0].dataset, 8, train=True)
    loader._epoch.draw()
    places = next(iter(loader._epoch))
    images = finished(loader._batches.collate_fn(loader._batches.dataset.__getitems__(places))[0])  # type: ignore[attr-defined]
    source = stream.sources["a", "train"]
    for image, (seed, index) in zip(images, places, strict=True):
        torch.manual_seed(seed)
        assert torch.equal(image, stream.train_transform(source.image(index)))


def test_images_of_many_sizes_are_finished_one_by_one() -> None:
    finish = Finish()
    pixels = RaggedImages(torch.full((3, size, 4), 255, dtype=torch.uint8) for size in (2, 3))
    images = finished(Unfinished(pixels, finish))  # type: ignore[arg-type]
    assert isinstance(images, RaggedImages)
    assert [image.shape[1] for image in images] == [2, 3]
    assert all(image.eq(1).all() for image in images)


def test_images_with_other_last_steps_are_finished_before_they_are_joined(tiny_data: Any) -> None:
    bright: list[dict[str, Any]] = [{"type": "CenterCrop", "size": 12}, *NORMAL]
    plain: list[dict[str, Any]] = [{"type": "CenterCrop", "size": 12}, {"type": "ToTensor"}]
    parts = [
        stream_of(tiny_data, steps, False).train_stream[0].dataset for steps in (bright, plain)
    ]
    joined = parts[0].subset([0]).concat(parts[1].subset([0]))
    images, *_ = next(iter(make_loader(joined, 2, train=False)))
    assert torch.equal(images, torch.stack([parts[0][0][0], parts[1][0][0]]))


@pytest.mark.parametrize(("count", "batches"), [(16, [8, 8]), (17, [8, 8]), (18, [8, 8, 2])])
def test_a_last_batch_of_one_is_dropped_in_training_only(count: int, batches: list[int]) -> None:
    data = TensorDataset(torch.arange(count), torch.arange(count))
    assert [len(b[0]) for b in make_loader(data, 8, train=True)] == batches
    assert sum(len(b[0]) for b in make_loader(data, 8, train=False)) == count


def test_a_data_set_of_one_is_still_trained_on() -> None:
    data = TensorDataset(torch.arange(1), torch.arange(1))
    assert len(list(make_loader(data, 8, train=True))) == 1


def test_order_depends_on_the_global_seed_alone() -> None:
    data = TensorDataset(torch.arange(50), torch.arange(50))
    loader = make_loader(data, 10, train=True)

    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return torch.cat([batch[0] for batch in loader]).tolist()

    assert order(1) == order(1) != order(2)
    assert sorted(order(3)) == list(range(50))


def test_a_small_memory_is_gone_through_again_and_again() -> None:
    data = TensorDataset(torch.arange(5), torch.arange(5))
    loader = make_loader(data, 4, train=True, samples=20)
    seen = torch.cat([batch[0] for batch in loader])
    assert sorted(seen[:5].tolist()) == list(range(5))
    assert seen.bincount().tolist() == [4] * 5


def test_mixed_batches_put_the_memory_last() -> None:
    new = TensorDataset(torch.zeros(10), torch.zeros(10))
    old = TensorDataset(torch.ones(3), torch.ones(3))
    mixed = MixedLoader(make_loader(new, 4, train=True), make_loader(old, 2, train=True, samples=6))
    assert len(mixed) == 3
    assert [batch[0].tolist() for batch in mixed] == [
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_places_of_a_batch_are_known_while_it_is_used(workers: int) -> None:
    data = TensorDataset(torch.arange(21), torch.arange(21))
    loader = make_loader(data, 4, train=True, num_workers=workers)
    for _ in range(2):
        batches = list(enumerate(loader))
        assert len(batches) == 5
        for number, batch in batches:
            assert batch_places(loader, number) == batch[0].tolist()


def test_an_order_that_is_known_is_the_same_order() -> None:
    data = TensorDataset(torch.arange(9), torch.arange(9))
    plain = DataLoader(data, batch_size=4, sampler=RandomSampler(data, num_samples=20))
    orders, states = [], []
    for loader in (make_loader(data, 4, train=True, samples=20), plain):
        torch.manual_seed(3)
        orders.append([batch[0].tolist() for batch in loader])
        states.append(torch.get_rng_state())
    assert orders[0] == orders[1]
    assert torch.equal(*states)


def test_of_a_mixed_batch_the_new_samples_are_known() -> None:
    new = TensorDataset(torch.arange(10), torch.zeros(10))
    old = TensorDataset(torch.arange(100, 103), torch.ones(3))
    mixed = make_loader(new, 4, train=True)
    for _ in range(2):
        memory = make_loader(old, 2, train=True, samples=6)
        mixed = MixedLoader(mixed, memory)  # type: ignore[assignment]
    for number, batch in enumerate(mixed):
        places = batch_places(mixed, number)
        assert places == batch[0][: len(places)].tolist()
        assert batch[0][len(places) :].min() >= 100


@pytest.mark.parametrize("train", [False, None])
def test_the_order_of_another_loader_is_unknown(train: bool | None) -> None:
    data = TensorDataset(torch.arange(9), torch.arange(9))
    loader = DataLoader(data) if train is None else make_loader(data, 4, train=train)
    with pytest.raises(ConfigError, match=r"training loader is a \w+ of.* package's 'Replay'"):
        batch_places(loader, 0)
