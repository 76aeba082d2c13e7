"""A few images through transforms, model and loss, before the long work begins."""

from __future__ import annotations

from typing import Any

import torch

from cliqa.engine.parts import Parts
from cliqa.models.freezing import set_training
from cliqa.training.batching import RaggedImages, apply_model, collate_eval, collate_train
from cliqa.training.plugins.distillation import Distillation
from cliqa.utils.errors import CliqaError, ConfigError, ModelError
from cliqa.utils.machine import is_out_of_memory

IMAGES = 3
"""Images of each data set that are tried."""


def rehearse(parts: Parts) -> None:
    """Try every data set's transforms, the model and the loss once.

    Args:
        parts: What the config describes; no weight, statistic or generator is changed.

    Raises:
        DatasetError: An image cannot be read, or training images have different sizes.
        ModelError: The model cannot take the images, or does not give one score an image.
        ConfigError: The loss cannot be computed, or a distillation has no teacher.
        CheckpointError: The file of a distillation's teacher holds no model.
    """
    state = torch.get_rng_state()
    was_training = parts.model.training
    parts.model.eval()
    try:
        _check_tested(parts)
        _check_validated(parts)
        for plugin in parts.strategy.plugins:
            if isinstance(plugin, Distillation):
                plugin.open()
        for name in parts.benchmark.names:
            train = _first(parts.benchmark.dataset(name, "train"))
            images, targets = collate_train(train)[:2]
            scores = _try(parts, images, f"training {_inputs(parts)} of {name}")
            _try_loss(parts, scores, targets)
            images = collate_eval(_first(parts.benchmark.dataset(name, "test")))[0]
            _try(parts, images, f"test {_inputs(parts)} of {name}")
    finally:
        set_training(parts.model, was_training)
        torch.set_rng_state(state)


def _inputs(parts: Parts) -> str:
    """Return what the samples are, for a message."""
    return "feature vectors" if getattr(parts.benchmark, "has_features", False) else "images"


def _check_tested(parts: Parts) -> None:
    """Refuse a strategy that leaves nothing to test a model of this stream on.

    Raises:
        ConfigError: It trains on everything at once, or there is one experience alone.
    """
    learnt: set[int] = set()
    for step in parts.strategy.steps(parts.benchmark.train_stream):
        learnt.update(experience.current_experience for experience in step)
        if parts.benchmark.tested(learnt):
            return
    raise ConfigError(
        "scenario.evaluation_protocol='streaming': tests a model on buckets that it has not learnt "
        "yet, and this run leaves none. Use evaluation_protocol='iid' with seed=0."
    )


def _check_validated(parts: Parts) -> None:
    """Refuse to choose epochs by validation splits that are not there.

    Raises:
        ConfigError: A data set that is trained on has none.
    """
    options = parts.strategy.options
    if not parts.strategy.selection.active:
        return
    option = "keep_best" if options.keep_best else "patience"
    for step in parts.strategy.steps(parts.benchmark.train_stream):
        for experience in step:
            if parts.benchmark.validation(experience.current_experience) is None:
                raise ConfigError(
                    f"cl_strategy.{option}: {experience.name} has no validation split to choose "
                    "epochs by. Give it one (fractions=(0.8, 0.1, 0.1), val_labels='...' or "
                    f"val_fraction=0.1, with the data set), or drop {option}."
                )


def _first(dataset: Any) -> list[Any]:  # noqa: ANN401
    """Return a data set's first samples."""
    return [dataset[index] for index in range(min(IMAGES, len(dataset)))]


@torch.no_grad()
def _try(parts: Parts, images: torch.Tensor | RaggedImages, what: str) -> torch.Tensor:
    """Run the model over a batch, look at what comes out, and return it."""
    first = images[0]
    shape = tuple(first.shape)
    try:
        scores = apply_model(parts.model, images.to(parts.device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"model: cannot take the {what}, of shape {shape}: {_last_line(error)}. Check that "
            "model.neck and model.head.in_channels fit the backbone, and the transforms' sizes."
        ) from error
    if not isinstance(scores, torch.Tensor):
        raise ModelError(
            f"model: gives a {type(scores).__name__} for {what}, not a tensor. Has it no head?"
        )
    parts.targets.check_outputs(scores, len(images), what, parts.benchmark)
    return scores


def _try_loss(parts: Parts, scores: torch.Tensor, targets: torch.Tensor) -> None:
    """Compute the loss of a batch: some losses look at their arguments only then."""
    criterion = parts.strategy._criterion
    try:
        criterion(scores.float(), targets.to(scores.device))
    except CliqaError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(f"cl_strategy.loss: cannot be computed: {_last_line(error)}.") from error


def _last_line(error: Exception) -> str:
    """Return an error's message in one line."""
    return " ".join(str(error).split()) or type(error).__name__
