"""One pass over a data set for any number of models: each image is read and decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from tqdm import tqdm

from cliqa.training.loop.batching import RaggedImages, collate_eval
from cliqa.transforms.protocol import Views
from cliqa.utils.errors import DatasetError
from cliqa.utils.memory import InPieces

Batch = tuple[list["Tensor | RaggedImages"], Tensor]


class SharedViews(Dataset[tuple[list[Tensor], Any]]):
    """A data set's samples as several models see them: ([view, ...], target).

    Args:
        source: Samples (image, target); its `keys` name the samples.
        views: What is made of every image; it is decoded once for all of them.
    """

    def __init__(self, source: Any, views: Sequence[Views]) -> None:  # noqa: ANN401
        self.source = source
        self.views = list(views)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[list[Tensor], Any]:
        image, target = self.source[index]
        key = Path(self.source.keys[index]).name
        try:
            return [view(image, key) for view in self.views], target
        except DatasetError as error:
            raise DatasetError(f"{self.source.keys[index]}: {error}") from error


def collate_views(samples: Sequence[tuple[list[Tensor], Any]]) -> Batch:
    """Return a batch (B, ...) or `RaggedImages` for each view, and the targets (B,)."""
    views = zip(*(shown for shown, _ in samples), strict=True)
    images = [collate_eval([(image,) for image in view])[0] for view in views]
    return images, default_collate([target for _, target in samples])


class AnySitting(Protocol):
    """What `run_pass` asks of a model under evaluation; see `Sitting`."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def start(self, experience: Any) -> None:  # noqa: ANN401
        """Turn to a data set."""

    def outputs(self, images: Tensor | RaggedImages, targets: Tensor, task: int | None) -> Tensor:
        """Return what the model says about a batch, on the CPU."""

    def end(self) -> None:
        """Put the model back as it was."""


class Sitting:
    """A strategy that is evaluated batch by batch, as its own loop would, without its metrics.

    Plugins take part: some put another view of the model in for each data set, or average over
    several of them.

    Args:
        strategy: The strategy with its trained model.
    """

    def __init__(self, strategy: Any) -> None:  # noqa: ANN401
        self.strategy = strategy
        strategy.is_training = False
        strategy.model.eval()
        self._call("before_eval")

    @property
    def device(self) -> torch.device:
        """Where the strategy computes."""
        return torch.device(self.strategy.device)

    def start(self, experience: Any) -> None:  # noqa: ANN401
        """Turn to a data set."""
        self.strategy.experience = experience
        self.strategy.model = self.strategy.model_adaptation()
        self.strategy.model.eval()
        self._call("before_eval_exp")

    def outputs(self, images: Tensor | RaggedImages, targets: Tensor, task: int | None) -> Tensor:
        """Return what the strategy says about a batch, on the CPU.

        Args:
            images: (B, C, H, W), crops (B, N, C, H, W), or images of many sizes.
            targets: (B,).
            task: The samples' task label; None where the stream has none.

        Returns:
            float32 (B,) or (B, K).
        """
        strategy, device = self.strategy, self.strategy.device
        labels = [] if task is None else [torch.full((len(targets),), task, device=device)]
        strategy.mbatch = [images.to(device), targets.to(device), *labels]
        self._call("before_eval_iteration")
        self._call("before_eval_forward")
        strategy.mb_output = strategy.forward()
        self._call("after_eval_forward")
        found: Tensor = strategy.mb_output.detach().float().cpu()
        return found

    def end(self) -> None:
        """Put the strategy back as it was."""
        self._call("after_eval")

    def _call(self, hook: str) -> None:
        """Run a hook of every plugin but the metrics."""
        for plugin in self.strategy.plugins:
            if plugin is not self.strategy.evaluator and hasattr(plugin, hook):
                getattr(plugin, hook)(self.strategy)


@torch.no_grad()
def run_pass(
    sittings: Sequence[tuple[AnySitting, int]],
    source: Any,  # noqa: ANN401
    views: Sequence[Views],
    *,
    batch_size: int,
    num_workers: int = 0,
    task: int | None = None,
    title: str = "evaluate",
) -> tuple[list[np.ndarray], np.ndarray]:
    """Show a data set to several models.

    Args:
        sittings: Models that have turned to this data set, each with the number of its view.
        source: Samples (image, target).
        views: Different ways to show an image.
        batch_size: Images a batch.
        num_workers: Processes that read images.
        task: The samples' task label.
        title: For the progress bar.

    Returns:
        The outputs of each model, (N,) or (N, K), and the targets (N,).

    Raises:
        DatasetError: An image cannot be read or shown.
        MachineError: Memory does not suffice for one image.
    """
    device = sittings[0][0].device
    loader: DataLoader[Any] = DataLoader(
        SharedViews(source, views),
        batch_size,
        num_workers=num_workers,
        collate_fn=collate_views,
        pin_memory=device.type == "cuda",
    )
    asked = [(InPieces(sitting.outputs), view) for sitting, view in sittings]
    outputs: list[list[Tensor]] = [[] for _ in sittings]
    targets: list[Tensor] = []
    for images, target in tqdm(loader, desc=title, leave=False, disable=None):
        for found, (say, view) in zip(outputs, asked, strict=True):
            found.append(say(images[view], target, task))
        targets.append(target)
    return [torch.cat(found).numpy() for found in outputs], torch.cat(targets).numpy()
