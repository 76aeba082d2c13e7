"""Batch normalisation over one value: what PyTorch refuses, in words that say what to change."""

from __future__ import annotations

from cliqa.utils.errors import ConfigError

_TORCH = "Expected more than 1 value per channel when training"


def is_one_value(error: Exception) -> bool:
    """Return whether an error is batch normalisation's over a single value."""
    return isinstance(error, ValueError) and str(error).startswith(_TORCH)


def one_value_error(what: str, samples: int, batch_size: int) -> ConfigError:
    """Return the error for a training batch of one sample whose maps are one pixel.

    Args:
        what: What is trained on: the names of data sets.
        samples: Samples of an epoch.
        batch_size: ``train_mb_size``.
    """
    why = "batch normalisation has one value a channel to learn from"
    if samples < 2:
        return ConfigError(
            f"{what}: one sample to train on, and {why}. Add samples to the training split."
        )
    if batch_size < 2:
        return ConfigError(
            f"cl_strategy.train_mb_size={batch_size}: with one sample a batch, {why}. Set "
            "cl_strategy.train_mb_size=2 or more (cl_strategy.accumulate makes no difference)."
        )
    return ConfigError(
        f"{what}: a batch of one sample, and {why}. Set another cl_strategy.train_mb_size than "
        f"{batch_size}; a plugin that draws batches of its own must draw two samples or more."
    )
