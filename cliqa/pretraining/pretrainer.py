"""The training loop of pretraining: plain PyTorch, without experiences or streams.

Legend: B images, 2 crops of each, L levels, C h w.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from cliqa.losses.qualiclip import QualiCLIPLoss
from cliqa.models.arguments import check_least, check_positive, check_share
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.projection import QualityProjection
from cliqa.training.loop.precision import AUTO, Precision
from cliqa.utils.device import check_workers
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError, first_line
from cliqa.utils.progress import Phase
from cliqa.utils.seed import generator, seed_everything

Row = dict[str, float]
"""The results of one epoch: ``epoch``, the mean of each part of the loss, validation metrics."""


class Pretrainer:
    """Train an encoder and its projection to rank the degradations of images.

    AdamW with separate rates for encoder and projection, both with cosine decay. A run that is
    resumed from `state_dict` after an epoch has bit-identical results.

    Args:
        model: The model to train.
        data: The pairs of crops.
        loss: Called with the cosines (B, 2, L) with the good and the bad anchor, returns a scalar
            and its parts; None for `QualiCLIPLoss`.
        epochs: Passes over the images.
        batch_size: B. The encoder sees 2 L times as many images at once.
        lr_encoder: The encoder's first rate; 0 does not train it.
        lr_projection: The projection's first rate.
        final_share: The final rates as a fraction of the first ones, 0..1.
        weight_decay: Of AdamW.
        clip_norm: Maximum norm of a step's gradient; None for no limit.
        amp: Use mixed precision; see `Precision`.
        num_workers: Worker processes that read and degrade images; 0 for none.
        device: Where the model runs.
        seed: Seed of the order of the images and of the model's random numbers.
        validate: Called with the model in evaluation mode after every epoch; returns metrics such
            as `ladder_accuracy`'s.
        after_epoch: Called in order with this object and the epoch's row: to save, to stop.

    Attributes:
        rows: One row per finished epoch.

    Raises:
        ConfigError: A number is out of range, or `amp` is ``"auto"``.
    """

    def __init__(
        self,
        model: QualityProjection,
        data: PairDataset,
        loss: nn.Module | None = None,
        *,
        epochs: int = 10,
        batch_size: int = 8,
        lr_encoder: float = 5e-5,
        lr_projection: float = 5e-4,
        final_share: float = 2e-3,
        weight_decay: float = 1e-4,
        clip_norm: float | None = 1.0,
        amp: bool = False,
        num_workers: int = 0,
        device: str | torch.device = "cpu",
        seed: int = 0,
        validate: Callable[[QualityProjection], dict[str, float]] | None = None,
        after_epoch: Sequence[Callable[[Pretrainer, Row], None]] = (),
    ) -> None:
        check_positive(
            "pretraining", epochs=epochs, batch_size=batch_size, lr_projection=lr_projection
        )
        check_least("pretraining", 0, lr_encoder=lr_encoder, weight_decay=weight_decay)
        check_share("pretraining", final_share=final_share)
        if clip_norm is not None:
            check_positive("pretraining", clip_norm=clip_norm)
        check_workers(num_workers, "num_workers")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.data = data
        self.loss = QualiCLIPLoss() if loss is None else loss
        self.epochs, self.batch_size, self.num_workers = epochs, batch_size, num_workers
        self.final_share, self.clip_norm, self.seed = final_share, clip_norm, seed
        self.validate, self.after_epoch = validate, tuple(after_epoch)
        self.rates = (lr_encoder, lr_projection)
        groups = (model.encoder.parameters(), model.projection.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(params), "lr": lr}
                for params, lr in zip(groups, self.rates, strict=True)
            ],
            weight_decay=weight_decay,
        )
        if amp == AUTO:
            raise ConfigError(
                "amp='auto': is measured for the steps of a stream, and a pretraining has others. "
                "Set amp='bfloat16' or amp=False."
            )
        self.precision = Precision(self.device, amp)
        self.rows: list[Row] = []

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.rows) >= self.epochs

    def run(self) -> list[Row]:
        """Train until the last epoch and return all rows."""
        while not self.finished:
            row = self.run_epoch()
            for hook in self.after_epoch:
                hook(self, row)
        return self.rows

    def run_epoch(self) -> Row:
        """Train one epoch, validate, and return its row.

        Raises:
            ModelError: The loss is not finite.
        """
        epoch = len(self.rows)
        seed_everything(self.seed, "pretraining", epoch)
        self.data.set_epoch(epoch)
        self.model.train()
        row: Row = {"epoch": float(epoch), **self._train(epoch, self._loader(epoch))}
        if self.validate is not None:
            self.model.eval()
            row.update(self.validate(self.model))
        self.rows.append(row)
        return row

    def _train(self, epoch: int, loader: DataLoader[Tensor]) -> Row:
        """Train on every batch of an epoch and return the parts' means over the images."""
        sums: dict[str, float] = {}
        seen = 0
        title = f"epoch {epoch + 1}/{self.epochs}"
        with Phase(title, len(loader)) as phase:
            for number, pairs in enumerate(loader):
                self._set_rates((epoch + number / len(loader)) / self.epochs)
                for name, value in self.step(pairs).items():
                    sums[name] = sums.get(name, 0.0) + value * len(pairs)
                seen += len(pairs)
                means = {name: value / seen for name, value in sums.items()}
                phase.note = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                phase.update()
        return means

    def step(self, pairs: Tensor) -> dict[str, float]:
        """Take one step on a batch uint8 (B, 2, L, C, h, w) and return the loss's parts.

        Raises:
            ModelError: The loss is not finite.
        """
        shape = pairs.shape[:3]
        levels = pairs.to(self.device, non_blocking=True).flatten(0, 2)  # (B*2*L, C, h, w)
        images = self.data.normalised(levels)
        with self.precision.autocast():
            cosines = self.model(images).view(*shape, 2)
        total, parts = self.loss(cosines[..., 0], cosines[..., 1])
        if not total.isfinite():
            raise ModelError(
                f"pretraining: the loss is {total.item()} in epoch {len(self.rows) + 1}. Lower "
                "lr_encoder or lr_projection, or set amp=False."
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.backward(total, self.optimizer)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.precision.step(self.optimizer)
        return {name: part.item() for name, part in parts.items()}

    def _set_rates(self, progress: float) -> None:
        """Set both rates for a progress of the run, 0..1, along half a cosine."""
        share = (1 + math.cos(math.pi * progress)) / 2
        factor = self.final_share + (1 - self.final_share) * share
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def _loader(self, epoch: int) -> DataLoader[Tensor]:
        """Return an epoch's batches; their order depends on the seed and the epoch alone."""
        order = RandomSampler(self.data, generator=generator(self.seed, "order", epoch))
        return DataLoader(
            self.data,
            self.batch_size,
            sampler=order,
            num_workers=self.num_workers,
            pin_memory=self.device.type == "cuda",
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state that the next epoch depends on, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "rows": [dict(row) for row in self.rows],
            "seed": self.seed,
            "images": len(self.data),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state.

        Raises:
            CheckpointError: It belongs to another model, seed or set of images.
        """
        missing = sorted({*self.state_dict()} - {*state})
        if missing:
            raise CheckpointError(f"not a state of pretraining: '{missing[0]}' is missing.")
        for name, own in (("seed", self.seed), ("images", len(self.data))):
            if state[name] != own:
                raise CheckpointError(
                    f"the state has {name}={state[name]}, this run has {name}={own}. Use the "
                    "options that the run started with, or start a new run."
                )
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"the state belongs to another model ({first_line(error)}). Use the model "
                "that the run started with, or start a new run."
            ) from error
        self.precision.load_state_dict(state["precision"])
        self.rows = [dict(row) for row in state["rows"]]
