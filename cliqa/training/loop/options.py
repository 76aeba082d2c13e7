"""The options of a training run beside Avalanche's own arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cliqa.config.arguments import checked_arguments
from cliqa.training.loop.precision import check_amp
from cliqa.utils.device import check_workers
from cliqa.utils.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of a run, set in ``cl_strategy`` beside the strategy's own arguments.

    Args:
        seed: The run's seed; an epoch's random numbers depend on it and on the epoch alone.
        num_workers: Worker processes that load images; 0 loads in the training process.
        amp: Train and evaluate in mixed precision: True (float16 on CUDA, bfloat16 on a CPU),
            ``"bfloat16"`` or ``"float16"``; ``"auto"``: what is fastest here, float32 included,
            measured before the training.
        accumulate: Batches per optimizer step (gradient accumulation): ``train_mb_size=8`` and
            ``accumulate=4`` step as ``train_mb_size=32`` does, in a quarter of the memory. Batch
            normalisation, and losses that compare samples, still see a batch at a time.
        clip_grad_norm: Largest norm of the gradient of a step, None for no limit.
        validate_every: Validate on the current data set every this many epochs; 0: never.
        keep_best: End every experience with the weights of the epoch that is best on its validation
            split; see `BestEpoch`.
        patience: End an experience after this many validations without an improvement; None:
            never.
        min_delta: Minimum increase of the measure that counts as an improvement, >= 0.
        compile: Compile the training passes with ``torch.compile``; the first pass takes a minute
            or two, and a C++ compiler (on a GPU: Triton).
        sync_batch_norm: In a run of several processes batch normalisation computes over the whole
            batch, as in one process; False: each process over its share, which is faster.
        reset_optimizer: Start every experience with fresh optimizer statistics. Avalanche's
            default, and ours, is to keep them.
    """

    seed: int = 0
    num_workers: int = 0
    amp: bool | str = False
    accumulate: int = 1
    clip_grad_norm: float | None = None
    validate_every: int = 1
    keep_best: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    reset_optimizer: bool = False
    compile: bool = False
    sync_batch_norm: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_amp(self.amp)
        check_workers(self.num_workers, "num_workers")
        for name, least in (("validate_every", 0), ("accumulate", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"cl_strategy.{name}: expected an integer >= {least}, got {value!r}."
                )
        clip, patience = self.clip_grad_norm, self.patience
        best = "True or False: whether to keep the epoch with the best validation measure"
        for name, fits, expected in (
            ("compile", isinstance(self.compile, bool), "True or False"),
            ("sync_batch_norm", isinstance(self.sync_batch_norm, bool), "True or False"),
            ("clip_grad_norm", clip is None or clip > 0, "a number > 0 or None"),
            ("keep_best", isinstance(self.keep_best, bool), best),
            (
                "patience",
                patience is None or (isinstance(patience, int) and patience >= 1),
                "an integer >= 1 or None",
            ),
            (
                "min_delta",
                isinstance(self.min_delta, (int, float)) and self.min_delta >= 0,
                "a number >= 0",
            ),
        ):
            if not fits:
                raise ConfigError(
                    f"cl_strategy.{name}: expected {expected}, got {getattr(self, name)!r}."
                )
        if self.validate_every == 0 and (self.keep_best or patience is not None):
            option = "keep_best" if self.keep_best else "patience"
            raise ConfigError(
                f"cl_strategy.{option}: nothing is validated with validate_every=0. Set "
                "cl_strategy.validate_every=1."
            )


def training_options(given: Mapping[str, Any]) -> TrainingOptions:
    """Return the options that a config gives.

    Args:
        given: Options by name.

    Raises:
        ConfigError: One is of the wrong kind, or out of range.
    """
    return TrainingOptions(**checked_arguments(TrainingOptions, given, "cl_strategy."))
