"""A trial of transforms, model and loss with a few images before training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.utils import AvalancheDataset
from torch import nn

from cliqa.benchmarks.experience import evaluated_names
from cliqa.engine.build import Parts
from cliqa.models.freezing import set_training
from cliqa.models.heads.distribution import scores_of
from cliqa.training.loop.batching import (
    RaggedImages,
    apply_model,
    collate_eval,
    collate_train,
    is_one_value,
    one_value_error,
    smallest_batch,
)
from cliqa.training.loop.stream_data import ratings_in
from cliqa.training.plugins.teachers.distillation import Distillation
from cliqa.utils.errors import CliqaError, ConfigError, ModelError, is_out_of_memory

IMAGES = 3
"""Images of each data set that are tried."""


def rehearse(parts: Parts) -> None:
    """Try every data set's transforms, the model and the loss once, as training will use them.

    A batch is as large as the smallest one of training, but for at most `IMAGES` samples: it goes
    forward and backward in training mode, and no step follows. No weight, statistic or generator
    is changed.

    Raises:
        DatasetError: An image cannot be read, or training images have different sizes.
        ModelError: The model cannot take the images, or does not give one score an image.
        ConfigError: A split is missing, the loss cannot be computed, or a distillation has no
            teacher.
        CheckpointError: The file of a distillation's teacher holds no model.
    """
    absent = absent_of(parts.benchmark)
    check_splits(parts.benchmark)
    with unchanged(parts.model, parts.strategy._criterion):
        _check_tested(parts)
        _check_validated(parts)
        for plugin in parts.strategy.plugins:
            if isinstance(plugin, Distillation):
                plugin.open()
        steps = parts.strategy.steps(parts.benchmark.train_stream)
        for index, step in enumerate(steps):
            if absent & {experience.name for experience in step}:
                continue
            samples = parts.strategy.samples_of(steps, index)
            samples = min([samples, *map(len, parts.strategy.chunks_of(step))])
            size = _smallest_batch(parts, samples, index)
            try:
                for experience in step:
                    _try_training(parts, experience.name, min(IMAGES, size))
            except ValueError as error:
                if not is_one_value(error):
                    raise
                names = "+".join(experience.name for experience in step)
                raise one_value_error(names, samples, parts.strategy.train_mb_size) from error
        parts.model.eval()
        for name in [name for name in evaluated_names(parts.benchmark) if name not in absent]:
            test = parts.benchmark.dataset(name, "test")
            images = collate_eval(_batch(test, min(IMAGES, len(test))))[0]
            with torch.no_grad():
                _try(parts, images, f"test {_inputs(parts)} of {name}")


def choose_precision(parts: Parts) -> None:
    """Let a measurement choose the precision, with ``amp="auto"``; before the first checkpoint.

    A run that goes on from a checkpoint then takes that one's choice.
    """
    names = [name for name in parts.benchmark.names if name not in absent_of(parts.benchmark)]
    if names and parts.strategy.precision.measures:
        with unchanged(parts.model):
            parts.strategy.choose_precision(parts.benchmark.dataset(names[0], "train")[0][0])


def absent_of(benchmark: CLScenario) -> set[str]:
    """Return the data sets of a stream that were learnt before and are not there any more."""
    return set(getattr(benchmark, "absent", ()))


def check_splits(benchmark: CLScenario) -> None:
    """Refuse a stream of which a data set cannot be trained on, or tested on."""
    for name in [name for name in benchmark.names if name not in absent_of(benchmark)]:
        train, test = (benchmark.sources[name, split] for split in ("train", "test"))
        if not len(train):
            raise ConfigError(
                f"scenario.datasets: {name} has no training split, and every data set of a stream "
                f"is trained on. To give it one, {train.split_advice}. Or leave it out, and "
                "measure the trained model on it: cliqa evaluate WORK_DIR --datasets ..."
            )
        if not len(test):
            raise ConfigError(
                f"scenario.datasets: {name} has no test split, and every data set of a stream is "
                f"tested on after every step. To give it one, {test.split_advice}."
            )


def _smallest_batch(parts: Parts, samples: int, index: int) -> int:
    """Return the size of the smallest training batch of step `index`, of so many samples."""
    size = smallest_batch(samples, parts.strategy.train_mb_size)
    remembers = any(hasattr(plugin, "mem_size") for plugin in parts.strategy.plugins)
    return max(size, 2) if index and remembers else size  # a memory's samples come behind


def _try_training(parts: Parts, name: str, count: int) -> None:
    """Run a training batch of a data set forward and backward."""
    learns = getattr(parts.strategy, "needs_optimizer", True)
    set_training(parts.model, learns)
    batch = collate_train(_batch(parts.benchmark.dataset(name, "train"), count))
    with torch.set_grad_enabled(learns):
        outputs = _try(parts, batch[0], f"training {_inputs(parts)} of {name}")
        with _as_error(ConfigError, "cl_strategy.loss: cannot be computed"):  # some check only here
            loss = parts.strategy.task_loss(
                outputs.float(), batch[1].to(outputs.device), ratings_in(batch)
            )
    if learns and loss.requires_grad:
        with _as_error(ModelError, "model, cl_strategy.loss: the gradient cannot be computed"):
            loss.backward()


def _inputs(parts: Parts) -> str:
    """Return the name of the samples for a message."""
    return "feature vectors" if getattr(parts.benchmark, "has_features", False) else "images"


def _check_tested(parts: Parts) -> None:
    """Refuse a strategy that leaves no data of this stream to test on."""
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
    """Refuse to choose epochs by validation splits that do not exist."""
    options = parts.strategy.options
    if not parts.strategy.selection.active:
        return
    option = "keep_best" if options.keep_best else "patience"
    for step in parts.strategy.steps(parts.benchmark.train_stream):
        for experience in [e for e in step if e.name not in absent_of(parts.benchmark)]:
            if parts.benchmark.validation(experience.current_experience) is None:
                raise ConfigError(
                    f"cl_strategy.{option}: {experience.name} has no validation split to choose "
                    "epochs by. Give it one (fractions=(0.8, 0.1, 0.1), val_labels='...' or "
                    f"val_fraction=0.1, with the data set), or drop {option}."
                )


def _batch(dataset: AvalancheDataset, count: int) -> list[Any]:
    """Return a batch of a data set; a short one repeats its samples."""
    return [dataset[index % len(dataset)] for index in range(count)]


def _try(parts: Parts, images: torch.Tensor | RaggedImages, what: str) -> torch.Tensor:
    """Run the model over a batch, check its outputs, and return them."""
    advice = (
        " Check that model.neck and model.head.in_channels fit the backbone, and the transforms' "
        "sizes."
    )
    refused = f"model: cannot take the {what}, of shape {tuple(images[0].shape)}"
    with _as_error(ModelError, refused, advice), parts.strategy.precision.autocast():
        scores = apply_model(parts.model, images.to(parts.device))
    if not isinstance(scores, torch.Tensor):
        raise ModelError(
            f"model: gives a {type(scores).__name__} for {what}, not a tensor. Has it no head?"
        )
    shown = scores_of(parts.model, scores)
    parts.targets.check_outputs(shown, len(images), what, parts.benchmark)
    return scores


@contextmanager
def _as_error(kind: type[CliqaError], message: str, advice: str = "") -> Iterator[None]:
    """Raise PyTorch's errors in the block as `kind`, with a message and the reason in one line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_one_value(error) or is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{message}: {reason}.{advice}") from error


@contextmanager
def unchanged(*networks: nn.Module) -> Iterator[None]:
    """Restore everything that forward and backward passes in training mode change.

    That is: statistics and other buffers, gradients, modes, and the state of Python's, NumPy's and
    PyTorch's global generators (CUDA's too). Weights are not kept: only an optimizer changes those.
    """
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    gradients = [(p, p.grad) for network in networks for p in network.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None  # one that is there would be added to
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in buffers:
                buffer.copy_(value)
                module._buffers[name] = buffer
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
