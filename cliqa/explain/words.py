"""What the words of the most likely texts attend to in an image: the maps and their figure.

Legend: P candidates, L words of the longest prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from cliqa.explain.crop_places import crop_boxes, paste
from cliqa.inference.predict import Predictor
from cliqa.models.language.fusion_model import FusionModel
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ArtifactError, ModelError
from cliqa.visualization.style import PAGE, new_figure, shortened, styled


@torch.no_grad()
def explain_words(
    predictor: Predictor, path: Path, most: int = 3
) -> tuple[np.ndarray, list[WordLooks]]:
    """Return an image and the attention maps of the words of its most likely candidates.

    Of several prompts of a candidate the one that fits the image best is taken.

    Returns:
        The image, uint8 (H, W, 3), and the candidates, the most likely first.

    Raises:
        DatasetError: The image cannot be read.
        ModelError: The model's words attend to nothing.
    """
    model = predictor.model
    if not isinstance(model, FusionModel):
        raise ModelError(
            f"--mode words: a {type(model).__name__} has no words that attend to an image. Use "
            "--mode attention, or train a FusionModel (cliqa::fmnist_fusion_replay.py)."
        )
    image = read_image(path)
    height, width = image.shape[-2:]
    boxes = crop_boxes(predictor.transform, height, width)
    inputs = predictor.transform(image).to(predictor.device)
    inputs = inputs if inputs.ndim == 4 else inputs[None]  # (crops, C, h, w)
    fits = model.head(model.regions(inputs), *model.words()).mean(0)  # (N,)
    texts = model.candidates()
    shares = model.logits(inputs).mean(0).softmax(0)
    chosen = [int(k) for k in shares.topk(min(most, len(texts))).indices]
    prompts = [max(texts.ids_of(k), key=lambda i: float(fits[i])) for k in chosen]
    maps, weights = model.attention(inputs, prompts), model.word_weights(prompts)
    maps = maps * maps.shape[-2:].numel()  # 1 is an even look
    words = model.text_encoder.tokens([texts.flat[i] for i in prompts])
    found = []
    for row, k in enumerate(chosen):
        count = len(words[row])
        over = [paste(maps[:, row, w].cpu(), boxes, height, width) for w in range(count)]
        found.append(
            WordLooks(
                name=texts.names[k],
                share=float(shares[k]),
                words=tuple(words[row]),
                weights=weights[row, :count].cpu().numpy(),
                maps=np.stack(over),
            )
        )
    return image.permute(1, 2, 0).numpy(), found


MOST_WORDS = 12
"""Most words of a prompt that are shown: those that count most, in their order."""


@dataclass(frozen=True)
class WordLooks:
    """The attention of the words of one candidate's prompt to one image.

    Attributes:
        name: The candidate.
        share: Its predicted probability, 0..1.
        words: The L words.
        weights: (L,), how much each counts; they sum to 1.
        maps: (L, H, W), how each word's look is shared among the image's pixels; 1 is an even look,
            NaN where the model does not look at all.
    """

    name: str
    share: float
    words: tuple[str, ...]
    weights: np.ndarray
    maps: np.ndarray


@styled
def draw_words(image: np.ndarray, title: str, found: Sequence[WordLooks]) -> Figure:
    """Draw the most likely candidates of one image, a row each: where every word looks.

    Raises:
        ArtifactError: There is none.
    """
    if not found:
        raise ArtifactError("there is no candidate to draw the words of.")
    shown = [_heaviest(each.weights) for each in found]
    columns = 1 + max(len(places) for places in shown)
    side = PAGE / columns * min(image.shape[0] / image.shape[1], 1.5)
    figure = new_figure(PAGE, len(found) * (side + 0.42) + 0.55)
    panels = figure.subplots(len(found), columns, squeeze=False)
    top = max(float(np.nanmax(each.maps)) for each in found)
    drawn = None
    for row, each, places in zip(panels, found, shown, strict=True):
        for axes in row:
            axes.set_axis_off()
        row[0].imshow(image)
        row[0].set_title(f"{shortened(each.name, 12)}\n{each.share:.2f}", fontsize=6)
        for axes, place in zip(row[1:], places, strict=False):
            axes.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            drawn = axes.imshow(
                each.maps[place], cmap="viridis", vmin=0, vmax=top, alpha=0.65, interpolation="none"
            )
            word = shortened(each.words[place], 9)
            axes.set_title(f"{word}\n{each.weights[place]:.2f}", fontsize=6)
    figure.suptitle(shortened(title, 60), fontsize=8)
    if drawn is not None:
        bar = figure.colorbar(
            drawn, ax=list(panels.flat), location="bottom", shrink=0.5, aspect=30, pad=0.02
        )
        bar.outline.set_visible(False)
        ticks = [0.0, 1.0, top] if top > 1.2 else [0.0, top]
        bar.set_ticks(ticks, labels=[f"{tick:.1f}" for tick in ticks])
        bar.set_label("colour: a word's look (1: even); number: its weight", fontsize=7)
    return figure


def _heaviest(weights: np.ndarray) -> list[int]:
    """Return the places of the words that count most, in the order of the text."""
    return sorted(np.argsort(-weights, kind="stable")[:MOST_WORDS].tolist())
