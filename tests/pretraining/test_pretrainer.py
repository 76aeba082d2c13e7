from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.losses.qualiclip import SimplifiedQualiCLIPLoss
from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.pretrainer import Pretrainer, Row
from cliqa.pretraining.projection import QualityProjection
from cliqa.pretraining.rank_accuracy import ladder_accuracy
from cliqa.pretraining.text_anchors import antipodal_anchors
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError


class Pictures:
    """Painted images: soft waves with edges, so that blur and noise are seen."""

    def __init__(self, count: int, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        waves = nn.functional.interpolate(
            torch.rand(count, 3, 10, 10, generator=random), size=48, mode="nearest"
        )
        self.pictures = (40 + 170 * waves).byte()

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Tensor:
        return self.pictures[index]


@pytest.fixture
def make() -> Callable[..., Pretrainer]:
    """Return a function that builds a pretrainer of a fresh, always equal small model."""

    def build(count: int = 6, channels: tuple[int, ...] = (8, 16), **options: Any) -> Pretrainer:
        torch.manual_seed(0)
        encoder = nn.Sequential(SmallConvNet(3, channels, norm="BN"), _First(), nn.Dropout(0.1))
        model = QualityProjection(encoder, antipodal_anchors(8), channels[-1], hidden=16)
        data = PairDataset(Pictures(count), crop_size=32, families=["blur", "noise"])
        usual: dict[str, Any] = {"epochs": 4, "batch_size": 4, "lr_encoder": 3e-3}
        return Pretrainer(model, data, **{**usual, "lr_projection": 3e-3, **options})

    return build


class _First(nn.Module):
    """The mean of the only map of a backbone."""

    def forward(self, maps: tuple[Tensor]) -> Tensor:
        """Return vectors (B, F)."""
        return maps[0].mean(dim=(2, 3))


def accuracy(trainer: Pretrainer, images: list[Tensor]) -> float:
    """Return the rank accuracy of a pretrainer's model on its own families."""
    data = trainer.data
    trainer.model.eval()
    return ladder_accuracy(
        trainer.model.score, images, data.degradations, lambda x: (x - data.mean) / data.std
    )["overall"]


def test_held_out_images_are_ranked_after_a_few_epochs(make: Callable[..., Pretrainer]) -> None:
    trainer = make(count=16, channels=(16, 32, 32), epochs=20)
    held_out = list(Pictures(8, seed=1).pictures)
    rows = trainer.run()
    assert rows[-1]["total"] < rows[0]["total"]
    assert accuracy(trainer, held_out) > 0.9


@pytest.mark.slow
def test_held_out_photographs_are_ranked(
    make: Callable[..., Pretrainer], shared_data: Path
) -> None:
    photos = [read_image(file) for file in sorted((shared_data / "photos").glob("*.jpg"))[:40]]
    pictures = Pictures(0)
    pictures.pictures = photos[:30]  # type: ignore[assignment]
    trainer = make(channels=(16, 32, 32), epochs=40)
    trainer.data.images = pictures
    trainer.run()
    assert accuracy(trainer, [photo[:, 80:176, 80:176] for photo in photos[30:]]) > 0.75


@pytest.mark.parametrize("amp", [False, True])
def test_a_resumed_run_is_bit_identical(
    amp: bool, make: Callable[..., Pretrainer], assert_same: Callable[[Any, Any], None]
) -> None:
    whole = make(amp=amp)
    whole.run()
    halted = make(amp=amp)
    halted.run_epoch()
    halted.run_epoch()
    buffer = io.BytesIO()
    torch.save(halted.state_dict(), buffer)
    buffer.seek(0)
    resumed = make(amp=amp)
    torch.rand(5)  # whatever else was drawn
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    resumed.run()
    assert_same(resumed.state_dict(), whole.state_dict())


def test_the_workers_change_nothing(
    make: Callable[..., Pretrainer], assert_same: Callable[[Any, Any], None]
) -> None:
    alone, helped = make(epochs=1), make(epochs=1, num_workers=2)
    alone.run()
    helped.run()
    assert_same(alone.state_dict(), helped.state_dict())


def test_both_rates_fall_along_a_cosine(make: Callable[..., Pretrainer]) -> None:
    seen: list[list[float]] = []
    trainer = make(count=8, epochs=2, lr_encoder=1e-3, lr_projection=1e-2, final_share=0.1)
    step = trainer.optimizer.step

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append([group["lr"] for group in trainer.optimizer.param_groups])
        return step(*args, **kwargs)

    trainer.optimizer.step = watched  # type: ignore[method-assign]
    trainer.run()
    factors = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    assert [rates[0] for rates in seen] == pytest.approx([1e-3 * f for f in factors])
    assert [rates[1] for rates in seen] == pytest.approx([1e-2 * f for f in factors])


def test_a_rate_of_zero_leaves_the_encoder(make: Callable[..., Pretrainer]) -> None:
    trainer = make(epochs=1, lr_encoder=0)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.run()
    moved = [
        not torch.equal(*pair) for pair in zip(before, trainer.model.parameters(), strict=True)
    ]
    kept = len(list(trainer.model.encoder.parameters()))
    assert moved == [False] * kept + [True] * (len(before) - kept)


def test_gradients_are_clipped(make: Callable[..., Pretrainer]) -> None:
    trainer = make(clip_norm=1e-3)
    trainer.step(torch.stack([trainer.data[0], trainer.data[1]]))
    grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
    assert torch.cat([grad.flatten() for grad in grads]).norm().item() <= 1.001e-3


def test_every_epoch_is_validated_and_its_hooks_called(make: Callable[..., Pretrainer]) -> None:
    called: list[tuple[int, Row]] = []

    def validate(model: QualityProjection) -> dict[str, float]:
        assert not model.training
        return {"overall": 0.5 + len(called) / 10}

    def hook(trainer: Pretrainer, row: Row) -> None:
        called.append((len(trainer.rows), row))

    rows = make(
        epochs=2,
        loss=SimplifiedQualiCLIPLoss(anchor_cosine=-1),
        validate=validate,
        after_epoch=[hook],
    ).run()
    assert called == [(1, rows[0]), (2, rows[1])]
    assert [row["overall"] for row in rows] == [0.5, 0.6]
    assert {*rows[0]} == {"epoch", "total", "cons", "pos", "neg", "overall"}


def test_a_loss_that_is_not_finite_stops_the_run(make: Callable[..., Pretrainer]) -> None:
    trainer = make()
    with torch.no_grad():
        trainer.model.projection[2].bias.fill_(math.nan)  # type: ignore[index]
    with pytest.raises(ModelError, match="the loss is nan in epoch 1. Lower lr_encoder"):
        trainer.run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"seed": 5},
            "the state has seed=5, this run has seed=0. Use the options that the run started",
        ),
        ({"images": 99}, "the state has images=99, this run has images=6"),
        ({"model": {}}, "the state belongs to another model"),
        ({"rows": None}, "not a state of pretraining: 'rows' is missing"),
    ],
)
def test_other_states_are_refused(
    change: dict[str, Any], message: str, make: Callable[..., Pretrainer]
) -> None:
    state = {**make().state_dict(), **change}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        make().load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "pretraining: epochs must be above 0, got 0"),
        ({"batch_size": 0}, "batch_size must be above 0, got 0"),
        ({"lr_projection": 0.0}, "lr_projection must be above 0, got 0"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, got -1"),
        ({"lr_encoder": -1.0}, "lr_encoder must be >= 0, got -1"),
        ({"final_share": 2.0}, r"final_share must lie in 0\.\.1, got 2"),
        ({"amp": "auto"}, r"amp='auto': is measured for the steps of a stream.*amp='bfloat16'"),
    ],
)
def test_wrong_numbers_are_refused(
    options: dict[str, Any], message: str, make: Callable[..., Pretrainer]
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**options)
