"""Scores or classes for images of any kind from a run's checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2.functional import rgb_to_grayscale

from cliqa.engine.checkpoints import find_checkpoint, load_run, model_of
from cliqa.training.batching import apply_model, collate_eval
from cliqa.transforms.decode import read_image
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import CheckpointError, CliqaError, DatasetError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Transform = Callable[[torch.Tensor], torch.Tensor]
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Score:
    """One image's score.

    Args:
        image: The file.
        score: 0..1 in training's terms, higher = better; of a classifier the probability of the
            class. None where the image cannot be read.
        error: Why it cannot be read.
        label: The class, of a classifier.
    """

    image: Path
    score: float | None
    error: str | None = None
    label: str | None = None


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """Return the images that files and folders name, sorted within each folder.

    Args:
        paths: Files, taken whatever their suffix, and folders.
        recursive: Look into folders' folders too.

    Raises:
        DatasetError: A path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            entries = path.rglob("*") if recursive else path.iterdir()
            inside = sorted(e for e in entries if e.suffix.lower() in SUFFIXES and e.is_file())
            if not inside:
                hint = "" if recursive else " Use --recursive to look into its folders."
                raise DatasetError(f"{path}: no image in this folder.{hint}")
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        else:
            raise DatasetError(f"{path}: no such file or folder.")
    return list(dict.fromkeys(found))


class _Grey:
    """A transform that sees an RGB image as (1, H, W), like those of a grey data set."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return self.transform(rgb_to_grayscale(image))


class _Images(Dataset["tuple[torch.Tensor | None, str | None]"]):
    """Images through a run's evaluation transform: (image, None), or (None, what is wrong)."""

    def __init__(self, paths: Sequence[Path], transform: Transform) -> None:
        self.paths = paths
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor | None, str | None]:
        try:
            return self.transform(read_image(self.paths[index])), None
        except CliqaError as error:
            return None, str(error)


class Predictor:
    """A trained model with the preprocessing it was trained with.

    Args:
        checkpoint: A checkpoint or a work_dir.
        device: Where to compute.

    Attributes:
        classes: The classes that it tells apart; empty where it gives scores.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged, or its model takes no images.
    """

    def __init__(self, checkpoint: str | Path, device: torch.device) -> None:
        self.checkpoint = find_checkpoint(checkpoint)
        state = load_run(self.checkpoint)
        self.device = device
        self.names: list[str] = state["names"]
        self.classes: list[str] = state.get("classes") or []
        features = state["config"]["scenario"].get("feature_type")
        if features is not None:
            raise CheckpointError(
                f"{self.checkpoint}: its model was trained on the features '{features}' and takes "
                "no images. Train on images (scenario.feature_type=None) to predict them."
            )
        self.model = model_of(state).to(device)
        transform = state["config"]["scenario"]["eval_transform"]
        quality = not self.classes
        self.transform: Transform = build_pipeline(
            transform, "scenario.eval_transform", quality=quality
        )
        if state.get("channels") == 1:
            self.transform = _Grey(self.transform)

    @torch.no_grad()
    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs of one image (3, H, W) or of a batch of equal size, uint8.

        They are scores (B,), or logits (B, K) of a classifier.
        """
        batch = images[None] if images.dim() == 3 else images
        inputs = torch.stack([self.transform(image) for image in batch]).to(self.device)
        return apply_model(self.model, inputs).float().cpu()

    @torch.no_grad()
    def predict(
        self, paths: Sequence[Path], batch_size: int = 32, num_workers: int = 0
    ) -> Iterator[Score]:
        """Yield the score of every image, or its class with the probability, in order.

        Args:
            paths: Image files.
            batch_size: Images a batch.
            num_workers: Processes that read images.
        """
        loader: DataLoader[Any] = DataLoader(
            _Images(paths, self.transform),
            batch_size,
            num_workers=num_workers,
            collate_fn=list,
        )
        images = iter(paths)
        for samples in loader:
            readable = [(image, 0.0) for image, _ in samples if image is not None]
            said = iter(self._outputs(readable))
            for _, error in samples:
                score, label = (None, None) if error else next(said)
                yield Score(next(images), score, error, label)

    def _outputs(self, samples: list[tuple[torch.Tensor, float]]) -> list[tuple[float, str | None]]:
        """Return (score, None), or (probability, class), of readable images of any sizes."""
        if not samples:
            return []
        images = collate_eval(samples)[0].to(self.device)
        outputs = apply_model(self.model, images).float().cpu()
        if not self.classes:
            return [(score, None) for score in outputs.tolist()]
        sure, said = outputs[:, : len(self.classes)].softmax(1).max(1)
        return [(p, self.classes[k]) for p, k in zip(sure.tolist(), said.tolist(), strict=True)]
