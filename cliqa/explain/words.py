"""Where the words of the most likely candidates look in an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cliqa.explain.crop_places import crop_boxes, paste
from cliqa.explain.words_figure import WordLooks
from cliqa.inference.predict import Predictor
from cliqa.models.language.fusion_model import FusionModel
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ModelError


@torch.no_grad()
def explain_words(
    predictor: Predictor, path: Path, most: int = 3
) -> tuple[np.ndarray, list[WordLooks]]:
    """Return an image and what the words of its most likely candidates look at.

    Of several prompts of a candidate the one that fits the image best is taken.

    Args:
        predictor: A `FusionModel` with its preprocessing.
        path: The image.
        most: So many candidates.

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
            "--mode attention, or train a FusionModel (config/fmnist_fusion_replay.py)."
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
