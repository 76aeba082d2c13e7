"""What to lower where memory does not suffice for training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.utils.errors import MachineError, in_brackets, is_out_of_memory
from cliqa.utils.memory import shape_of


@contextlib.contextmanager
def memory_advice(advice: Callable[[], str]) -> Iterator[None]:
    """Say what was in play, and what to lower, where memory does not suffice in the block.

    Args:
        advice: Gives the message's end, e.g. ``of_training``'s.

    Raises:
        MachineError: It does not suffice.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MachineError(f"out of memory{in_brackets(error)} {advice()}") from error


def of_training(strategy: Any, amp: object) -> str:  # noqa: ANN401
    """Return what a strategy was doing, and what to lower.

    Args:
        strategy: The strategy; its last batch tells the sizes.
        amp: The config's key.
    """
    evaluates = not strategy.is_training
    name, size = (
        ("eval_mb_size", strategy.eval_mb_size)
        if evaluates
        else ("train_mb_size", strategy.train_mb_size)
    )
    transform = "eval_transform" if evaluates else "train_transform"
    sizes = f" or the sizes in scenario.{transform}"
    shown = f"{size} samples"
    batch = getattr(strategy, "mbatch", None)
    if batch is not None and len(batch[0]):
        images = batch[0]
        shown = f"{len(images)} samples of {shape_of(images[0])}"
        sizes = sizes if images[0].dim() > 1 else ""
    what = "evaluating" if evaluates else "training on"
    return f"while {what} {shown}. Lower cl_strategy.{name} ({size}){sizes}{_or_amp(amp)}."


def of_pretraining(trainer: Pretrainer) -> str:
    """Return what a pretraining was doing, and what to lower."""
    size, side = trainer.batch_size, trainer.data.crop_size
    return (
        f"while pretraining on batches of {size} images, two crops of {side} x {side} of each at "
        f"every level. Lower pretrain.batch_size ({size}), pretrain.data.crop_size ({side}) or "
        f"pretrain.data.num_levels{_or_amp(trainer.precision.amp)}."
    )


def _or_amp(amp: object) -> str:
    """Return the advice to use mixed precision, unless that is used."""
    return "" if amp else ", or set amp=True"
