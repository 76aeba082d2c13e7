"""Scores for images of any kind from a run's checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from cliqa.engine.checkpoints import find_checkpoint, load_run, model_of
from cliqa.training.batching import apply_model, collate_eval
from cliqa.transforms.decode import read_image
from cliqa.transforms.pipeline import Pipeline, build_pipeline
from cliqa.utils.errors import CliqaError, DatasetError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Score:
    """One image's score.

    Args:
        image: The file.
        score: 0..1 in training's terms, higher = better; None where the image cannot be read.
        error: Why it cannot be read.
    """

    image: Path
    score: float | None
    error: str | None = None


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


class _Images(Dataset["tuple[torch.Tensor | None, str | None]"]):
    """Images through a run's evaluation transform: (image, None), or (None, what is wrong)."""

    def __init__(self, paths: Sequence[Path], transform: Pipeline) -> None:
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

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
    """

    def __init__(self, checkpoint: str | Path, device: torch.device) -> None:
        self.checkpoint = find_checkpoint(checkpoint)
        state = load_run(self.checkpoint)
        self.device = device
        self.names: list[str] = state["names"]
        self.model = model_of(state).to(device)
        transform = state["config"]["scenario"]["eval_transform"]
        self.transform = build_pipeline(transform, "scenario.eval_transform")

    @torch.no_grad()
    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores (B,) of one image (3, H, W) or of a batch of equal size, uint8."""
        batch = images[None] if images.dim() == 3 else images
        inputs = torch.stack([self.transform(image) for image in batch]).to(self.device)
        return apply_model(self.model, inputs).float().cpu()

    @torch.no_grad()
    def predict(
        self, paths: Sequence[Path], batch_size: int = 32, num_workers: int = 0
    ) -> Iterator[Score]:
        """Yield the score of every image, in order.

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
            scores = iter(self._scores(readable))
            for _, error in samples:
                yield Score(next(images), None if error else next(scores), error)

    def _scores(self, samples: list[tuple[torch.Tensor, float]]) -> list[float]:
        """Return the scores of readable images of any sizes."""
        if not samples:
            return []
        images = collate_eval(samples)[0].to(self.device)
        scores: list[float] = apply_model(self.model, images).float().cpu().tolist()
        return scores
