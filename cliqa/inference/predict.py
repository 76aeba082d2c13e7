"""Predict the scores or classes of images with a run, a checkpoint or an exported file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from cliqa.config.trust import built_from
from cliqa.datasets.labels.scale import Scale
from cliqa.inference.evaluation_request import only_scale
from cliqa.inference.execution.agreement import WatchedModel
from cliqa.inference.execution.failure import failure_told
from cliqa.inference.execution.late_steps import LateSteps
from cliqa.inference.execution.precision import FLOAT32, Execution
from cliqa.inference.exported_model import check_protocol
from cliqa.inference.image_model import ImageModel, open_model
from cliqa.inference.scores import Score
from cliqa.training.loop.batching import apply_model
from cliqa.transforms.decode import image_of, read_image, to_grey
from cliqa.transforms.protocol import EvaluationProtocol, build_views
from cliqa.utils.errors import CliqaError, DatasetError, MachineError, ModelError
from cliqa.utils.memory import InPieces
from cliqa.utils.progress import track
from cliqa.utils.threads.ahead import ahead, default_threads

Transform = Callable[[torch.Tensor], torch.Tensor]

Sample = tuple[Path, "torch.Tensor | None", "str | None"]
"""A file with its preprocessed image, or with the error."""

BATCH = 32
"""Images or crops a batch."""


class _Grey:
    """A transform that gets RGB images as grey ones (1, H, W), like those of a grey data set."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return self.transform(to_grey(image))


class _Images(Dataset["tuple[torch.Tensor | None, str | None]"]):
    """Images before the late steps: (image, None), or (None, the error)."""

    def __init__(self, paths: Sequence[Path], views: LateSteps) -> None:
        self.paths = paths
        self.views = views

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor | None, str | None]:
        try:
            return self.read(self.paths[index]), None
        except CliqaError as error:
            return None, str(error)

    def read(self, path: Path) -> torch.Tensor:
        """Return an image as `LateSteps` does."""
        return _shown(self.views, path, lambda: read_image(path))


def _shown(views: LateSteps, path: Path, read: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Return an image as `LateSteps` does; an error names the file."""
    try:
        return views(read(), path.name)
    except CliqaError as error:
        if str(path) in str(error):
            raise
        raise DatasetError(f"{path}: {error}") from error


def _batches(
    images: _Images, size: int, num_workers: int | None
) -> Iterator[list[tuple[torch.Tensor | None, str | None]]]:
    """Yield batches of images, which threads or processes read ahead."""
    if num_workers is not None:
        loader: DataLoader[Any] = DataLoader(images, size, num_workers=num_workers, collate_fn=list)
        yield from loader
        return
    threads = default_threads(len(images))
    samples = ahead(images.__getitem__, range(len(images)), threads)
    while batch := list(islice(samples, size)):
        yield batch


class Predictor:
    """A trained model with the preprocessing it was trained with.

    Args:
        source: A checkpoint, a work_dir, or a model itself.
        device: Where to compute.
        protocol: Changes of the preprocessing; by default none.
        execution: How the model is computed; by default in float32.

    Attributes:
        image_model: The model.
        checkpoint: The file that it is from.
        device: Where it computes.
        names: The experiences that it has been trained on.
        classes: Its classes; empty if it predicts scores.
        protocol: The changes, with the size of the crops.
        views: The whole preprocessing of an image: `transform`, then the crops of the protocol.
        transform: Preprocessing of the whole image.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged, or its model takes no images.
        ConfigError: The protocol does not fit.
    """

    def __init__(
        self,
        source: str | Path | ImageModel,
        device: torch.device,
        protocol: EvaluationProtocol | None = None,
        execution: Execution = FLOAT32,
    ) -> None:
        if isinstance(source, (str, Path)):
            source = open_model(source, device, execution)
        self.image_model = source
        self.checkpoint, self.device = self.image_model.path, device
        self.names, self.classes = self.image_model.names, self.image_model.classes
        protocol = protocol or EvaluationProtocol()
        check_protocol(self.image_model, protocol)
        scenario = self.image_model.scenario if protocol.changes_crops else {}
        with built_from(self.checkpoint):
            self.views = build_views(
                self.image_model.eval_transform,
                protocol,
                "scenario.eval_transform",
                quality=not self.classes,
                train_steps=scenario.get("train_transform"),
            )
        self.protocol = self.views.protocol
        if self.image_model.channels == 1:
            self.views.pipeline = _Grey(self.views.pipeline)
        self.transform: Transform = self.views.pipeline
        self._late = LateSteps(self.views)

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The config's section of the data that the model was trained on."""
        return self.image_model.scenario

    @property
    def scale(self) -> Scale | None:
        """The scale that scores are shown on unless another is asked for; None for 0..1.

        It is that of a self-contained file, or of the only data set of the run.
        """
        own: Scale | None = getattr(self.image_model, "scale", None)
        return own or (None if self.classes else only_scale(self.scenario))

    @property
    def model(self) -> nn.Module:
        """The network of a checkpoint, e.g. for its features and attention maps.

        Raises:
            ModelError: The model is from another kind of file.
        """
        module: nn.Module | None = getattr(self.image_model, "module", None)
        if module is None:
            raise ModelError(
                f"{self.checkpoint}: holds no PyTorch network to look into. Give the checkpoint "
                "or the work_dir that it was exported from."
            )
        return module

    def score(self, images: torch.Tensor, key: str = "") -> torch.Tensor:
        """Return scores (B,) or logits (B, K) of an image (3, H, W), or of a batch, uint8.

        Args:
            images: The image or the batch.
            key: The seed of random crops, instead of a file's name.
        """
        batch = images[None] if images.dim() == 3 else images
        shown = torch.stack([self.views(image, key) for image in batch])
        return apply_model(self.image_model, shown)

    def predict(
        self,
        paths: Sequence[str | Path],
        batch_size: int | None = None,
        num_workers: int | None = None,
    ) -> Iterator[Score]:
        """Yield the score of every image, or its class with the probability, in order.

        Args:
            paths: Image files; `find_images` lists those of folders and patterns.
            batch_size: Images a batch; None for 32, in which crops count as images.
            num_workers: Processes that read images; None for threads instead, one for each CPU.

        Raises:
            MachineError: Memory does not suffice for the first image; a later one has an error.
        """
        files = [Path(path) for path in paths]
        model = WatchedModel(self.image_model, len(self.classes) or None)
        images = iter(files)
        loaded = _batches(_Images(files, self._late), self.batch_of(batch_size), num_workers)
        for samples in loaded:
            batch = [(next(images), image, error) for image, error in samples]
            try:
                yield from self._scores(model, batch)
            except MachineError:
                if not model.fits:
                    raise
                for sample in batch:  # the one that is too large must not take others with it
                    yield self._alone(model, sample)
        model.tell()

    def prepare(self, data: bytes, path: Path) -> Sample:
        """Return the image in a file's content as the model takes it, or the error.

        Args:
            data: The content.
            path: What the error calls it; nothing is opened.
        """
        try:
            return path, _shown(self._late, path, lambda: image_of(data, path)), None
        except CliqaError as error:
            return path, None, str(error)

    def scores(self, batch: Sequence[Sample]) -> list[Score]:
        """Return the scores of a batch of images that were prepared, in order.

        Raises:
            MachineError: Memory runs out with one image.
            ModelError: The model does not take images of this size.
        """
        model = WatchedModel(self.image_model, len(self.classes) or None)
        return self._scores(model, batch)

    def batch_of(self, batch_size: int | None = None) -> int:
        """Return how many images a batch has; by default 32, in which crops count as images."""
        return batch_size or max(1, BATCH // self.protocol.count)

    def outputs(
        self, paths: Sequence[Path], network: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Return the outputs (N, ...) of another network for image files, on the CPU.

        Args:
            paths: Image files; they are preprocessed as for the model.
            network: Images (B, C, H, W) -> (B, ...), on the model's device.

        Raises:
            DatasetError: An image cannot be read.
        """
        model = InPieces(lambda images: network(images.to(self.device)).cpu())
        images, size = _Images(paths, self._late), self.batch_of()
        threads = default_threads(len(paths))
        shown = ahead(images.read, paths, threads)
        found = []
        for _ in track(range(0, len(paths), size), "predict"):
            batch = self._late.finish(self._late.batch(list(islice(shown, size))))
            found.append(apply_model(model, batch))
        return torch.cat(found)

    def _alone(self, model: WatchedModel, sample: Sample) -> Score:
        """Return the score of one image, or its error."""
        try:
            return self._scores(model, [sample])[0]
        except MachineError as error:
            return Score(sample[0], None, f"{sample[0]}: {error}")

    def _scores(self, model: WatchedModel, batch: Sequence[Sample]) -> list[Score]:
        """Return the scores of a batch of images, in order."""
        readable = [image for _, image, _ in batch if image is not None]
        predicted = iter(self._outputs(model, readable))
        found = []
        for path, _, error in batch:
            score, label = (None, None) if error else next(predicted)
            found.append(Score(path, score, error, label))
        return found

    def _outputs(
        self, model: WatchedModel, images: Sequence[torch.Tensor]
    ) -> list[tuple[float, str | None]]:
        """Return (score, None), or (probability, class), of readable images of any sizes."""
        if not images:
            return []
        with failure_told(self.checkpoint.name, images):
            outputs = model(self._late.finish(self._late.batch(images)))
        if not self.classes:
            return [(score, None) for score in outputs.tolist()]
        best = outputs[:, : len(self.classes)].softmax(1).max(1)
        chosen = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [(probability, self.classes[k]) for probability, k in chosen]
