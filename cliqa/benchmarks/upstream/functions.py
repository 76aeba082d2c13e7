"""Functions that return one of Avalanche's benchmarks, as scenarios of a config."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import classic
from avalanche.benchmarks.datasets import default_dataset_location
from PIL import Image
from torchvision.transforms.v2 import functional as F

from cliqa.benchmarks.upstream.offline import no_downloads
from cliqa.benchmarks.upstream.stream import AvalancheStream
from cliqa.config.trust import TRUST, is_vouched, untrusted_source
from cliqa.registry import SCENARIOS, Component
from cliqa.utils.errors import TrustError
from cliqa.utils.paths import home_path
from cliqa.utils.seed import seed_everything

TRANSFORMS = ("train_transform", "eval_transform")
Inputs = torch.Tensor | Image.Image


class OfPixels:
    """A config's pipeline for what Avalanche's data sets give: tensors, or Pillow images.

    Args:
        pipeline: Image (C, H, W) -> (C, h, w), as `build_pipeline` makes it.
    """

    def __init__(self, pipeline: Callable[[Any], torch.Tensor]) -> None:
        self.pipeline = pipeline

    def __call__(self, image: Inputs) -> torch.Tensor:
        """Transform an image; a grey one keeps its single channel."""
        if isinstance(image, Image.Image):
            mode = "L" if image.mode in ("1", "L") else "RGB"
            image = F.pil_to_tensor(image.convert(mode))
        return self.pipeline(image)


@cache
def avalanche_scenario(function: Callable[..., Any]) -> Component:
    """Return the scenario of a function that returns one of Avalanche's benchmarks.

    It takes the function's own arguments, and ``download``: True lets it fetch data that are
    missing. What it draws without a seed of its own is the same in every process.

    Args:
        function: Such as ``avalanche.benchmarks.classic.SplitMNIST``, or one of the user's.
    """

    def make(*, download: bool = False, **arguments: Any) -> AvalancheStream:  # noqa: ANN401
        _check_trust(function)
        for key in TRANSFORMS:
            if arguments.get(key) is not None:
                arguments[key] = OfPixels(arguments[key])
        root = arguments.get("dataset_root")
        if root is not None:
            arguments["dataset_root"] = home_path(root)
        if takes_download:
            arguments["download"] = download
        with _downloads(function, root, download), _drawn_alike():
            benchmark = function(**arguments)
            return AvalancheStream(benchmark, f"{function.__module__}.{function.__name__}")

    signature = inspect.signature(function)
    own = list(signature.parameters.values())
    takes_download = "download" in signature.parameters
    if not takes_download:
        own.append(inspect.Parameter("download", inspect.Parameter.KEYWORD_ONLY, default=False))
        own.sort(key=lambda parameter: parameter.kind)
    scenario: Any = make
    scenario.__name__, scenario.__doc__ = function.__name__, function.__doc__
    scenario.__module__, scenario.__wrapped__ = function.__module__, function
    scenario.__signature__ = signature.replace(parameters=own)
    scenario.target_kind = AvalancheStream.target_kind
    made: Component = scenario
    return made


def as_scenario(component: Component) -> Component:
    """Return a scenario as the engine needs it: functions are taken to return a benchmark.

    Classes, and functions with a ``target_kind``, are scenarios of this package already.
    """
    if inspect.isfunction(component) and not hasattr(component, "target_kind"):
        return avalanche_scenario(component)
    return component


def _check_trust(function: Callable[..., Any]) -> None:
    """Refuse to read data that an untrusted file names alone.

    Raises:
        TrustError: Avalanche's readers unpickle, and may download.
    """
    source, name = untrusted_source(), function.__name__
    names = (
        name,
        f"avalanche.{name}",
        f"{function.__module__}.{name}",
        f"{classic.__name__}.{name}",
    )
    if source and not any(map(is_vouched, names)):
        raise TrustError(
            f"scenario '{name}' of {source}: Avalanche's readers unpickle data, which may run code "
            f"in them. {TRUST}"
        )


@contextlib.contextmanager
def _downloads(function: Callable[..., Any], root: object, download: bool) -> Iterator[None]:
    """Let a benchmark fetch data, or refuse it."""
    if download:
        yield
        return
    place = root or "the folder that Avalanche keeps data in, " + str(_default(function.__name__))
    folder = None if root is None else home_path(str(root))
    new = (
        [] if folder is None else [path for path in (folder, *folder.parents) if not path.exists()]
    )
    message = (
        f"scenario '{function.__name__}': its data are not in {place}, and Avalanche would "
        "download them. Set scenario.download=True to let it, or scenario.dataset_root to the "
        "folder that has them."
    )
    try:
        with no_downloads(message):
            yield
    finally:
        _remove_empty(new)


def _default(name: str) -> Path:
    """Return the folder in which Avalanche looks for a benchmark's data."""
    return Path(default_dataset_location(name.lower())).parent


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove new folders without any file: a data set makes them before it looks for its files."""
    for folder in [folder for folder in folders if folder.is_dir()]:
        if any(path.is_file() for path in folder.rglob("*")):
            return
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()


@contextlib.contextmanager
def _drawn_alike() -> Iterator[None]:
    """Seed the global generators for a benchmark, and give their states back."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_everything(0, "benchmark")
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _is_benchmark(name: str, value: object) -> bool:
    """Return whether an object of Avalanche's package is a function that makes a benchmark."""
    own = getattr(value, "__module__", "").startswith(classic.__name__)
    return inspect.isfunction(value) and own and name[0].isupper()


SCENARIOS.add_upstream(classic, _is_benchmark, "avalanche")
SCENARIOS.adapt = as_scenario
SCENARIOS.for_files = lambda found: _is_benchmark(found.__name__, found)  # see `_check_trust`
