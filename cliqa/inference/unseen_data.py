"""Labelled images that a model has not been trained on, and their embeddings.

Legend: N images, K candidates, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.datasets.image_listing import find_images, list_folders
from cliqa.datasets.labels.scale import Scale
from cliqa.inference.evaluation_request import is_new_data_set, parse_data_set
from cliqa.inference.predict import Predictor
from cliqa.losses.contrastive import level_shares
from cliqa.models.language.candidate_texts import CandidateTexts, texts_of_names
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_files import load_texts
from cliqa.utils.errors import ConfigError, DatasetError, ModelError
from cliqa.utils.paths import home_path

LEVELS = "quality_levels"
"""The texts of scores, where a model has none of its own."""


@dataclass(frozen=True)
class Unseen:
    """Labelled images.

    Attributes:
        paths: The N images.
        targets: (N,) classes, int64, or scores in 0..1, float32.
        texts: The K candidates: the classes in the order of their labels, or levels of quality.
    """

    paths: list[Path]
    targets: Tensor
    texts: CandidateTexts

    @property
    def has_scores(self) -> bool:
        """Whether the targets are scores."""
        return self.targets.is_floating_point()

    @property
    def shares(self) -> Tensor:
        """How far each image belongs to each candidate, (N, K)."""
        if self.texts.values is not None:
            return level_shares(self.targets, self.texts.values)
        return F.one_hot(self.targets, len(self.texts)).float()


def image_text_model(predictor: Predictor) -> ImageTextModel:
    """Return the model of a predictor.

    Raises:
        ModelError: It knows no texts.
    """
    model = predictor.model
    if not isinstance(model, ImageTextModel):
        raise ModelError(
            f"{predictor.checkpoint}: a {type(model).__name__} compares images with no texts. "
            "Train an 'ImageTextModel'."
        )
    return model


def read_unseen(
    data: str, model: ImageTextModel, texts: str | None = None, scale: Scale | None = None
) -> Unseen:
    """Read labelled images and the texts of the candidates.

    Args:
        data: A folder with a folder of images for each class; or a data set of scores,
            ``TYPE=ROOT`` or ``FILE=IMAGE_ROOT``.
        model: The model that is tested.
        texts: A name or a file of texts; see `load_texts`. None: of classes their names, and of
            scores the model's own levels, or those of ``quality_levels``.
        scale: Of a file of scores.

    Raises:
        ConfigError: The texts do not fit the data.
        DatasetError: There are no such images.
    """
    if is_new_data_set(data):
        return _scores(data, model, texts, scale)
    return _classes(home_path(data), texts)


def _scores(data: str, model: ImageTextModel, texts: str | None, scale: Scale | None) -> Unseen:
    """Return scored images."""
    own = model.texts if model.texts is not None and model.texts.values is not None else None
    candidates = load_texts(texts) if texts else own or load_texts(LEVELS)
    if candidates.values is None:
        raise ConfigError(
            f"--texts {texts}: names classes, but {data} has scores. Give a file with 'levels', or "
            f"'{LEVELS}'."
        )
    found = parse_data_set(data, scale).subset("test")
    if not len(found):
        raise DatasetError(f"{data}: has no test images.")
    return Unseen(list(found.paths), torch.from_numpy(found.scores).float(), candidates)


def _classes(folder: Path, texts: str | None) -> Unseen:
    """Return the images of a folder's folders."""
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: no such folder. Give one with a folder of images for each class, or a data "
            "set of scores as TYPE=ROOT."
        )
    names = list_folders(folder)
    if len(names) < 2:
        raise DatasetError(
            f"{folder}: has {len(names)} folders, and needs one of images for each class, two at "
            "least."
        )
    images = {name: find_images([folder / name], recursive=True) for name in names}
    candidates = _named(names, load_texts(texts) if texts else None, folder)
    paths = [path for name in candidates.names for path in images[name]]
    counts = [len(images[name]) for name in candidates.names]
    targets = torch.arange(len(names)).repeat_interleave(torch.tensor(counts))
    return Unseen(paths, targets, candidates)


def _named(names: Sequence[str], texts: CandidateTexts | None, folder: Path) -> CandidateTexts:
    """Return the texts of classes of these names.

    Raises:
        ConfigError: The texts are of other classes, or of levels.
    """
    if texts is None:
        return texts_of_names(names, str(folder))
    if texts.values is not None:
        raise ConfigError(
            f"--texts {texts.source}: names 'levels', but {folder} has classes. Give a file with "
            "'classes'."
        )
    called = tuple(name.replace("/", "_") for name in texts.names)  # no folder has a / in its name
    if sorted(called) != sorted(names):
        raise ConfigError(
            f"--texts {texts.source}: not the classes of {folder}.\n"
            f"  texts:   {', '.join(called)}\n  folders: {', '.join(names)}\n"
            "Name the folders as the classes in the file (_ for a /), and no others."
        )
    return replace(texts, names=called)


@torch.no_grad()
def embed_paths(predictor: Predictor, model: ImageTextModel, paths: Sequence[Path]) -> Tensor:
    """Return unit vectors (N, D) of image files as the model sees them, on the CPU.

    Raises:
        DatasetError: An image cannot be read.
    """
    found = predictor.outputs(paths, model.embed_image)
    return F.normalize(found, dim=1)  # a mean of crops is shorter
