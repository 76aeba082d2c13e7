"""Replay with a text prompt of each sample's class or quality level.

Legend: B samples, K candidates, N prompts of all candidates, T different prompts of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from cliqa.losses.contrastive import contrastive_loss, level_shares
from cliqa.models.arguments import check_choice, check_least, check_share
from cliqa.models.heads.image_text import ImageTextHead
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import MixedLoader, batch_places
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

ON = ("all", "memory")


@PLUGINS.register_module()
class TextReplay(Replay):
    """Replay, and beta times a contrastive loss between the batch's images and their texts.

    The memory keeps for each sample its class or score and one prompt: of its class, or of the
    level nearest to its score, drawn when the sample is stored. A new sample's prompt is drawn
    again every epoch. The loss (`contrastive_loss`) compares every image of the batch with
    every prompt of the batch; all prompts of an image's own class are its positives, and of levels
    those on both sides of its score, by their shares (`level_shares`). The image's embedding is
    that of the training step: there is no second forward pass.

    Prompts are used in this loss alone. The model's outputs compare an image with all candidates,
    as in evaluation.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        beta: Factor of the contrastive loss, >= 0; with 0 it equals `Replay`.
        on: ``"all"`` samples of a batch, or those of the ``"memory"`` alone.
        text_weight: Weight, 0..1, of the texts' side of the loss; the rest is the images'.
        policy: Which samples are stored; see `Replay`.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the memory and of the prompts; None for the run's.
        selection: Which samples are stored first; see `Replay`.

    Raises:
        ConfigError: A value is out of range, the model has no texts, or another plugin also adds
            a memory to the batches.
    """

    columns = saved = (*Replay.columns, "_target", "_prompt")
    distributed = "every process holds the same memory; embeddings are exchanged"

    def __init__(
        self,
        mem_size: int = 200,
        beta: float = 0.5,
        on: str = "all",
        text_weight: float = 0.5,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
        selection: str = "random",
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)
        check_least("TextReplay", 0, beta=beta)
        check_share("TextReplay", text_weight=text_weight)
        check_choice("TextReplay", ON, on=on)
        self.beta = beta
        self.on = on
        self.text_weight = text_weight
        self._target = torch.zeros(0, dtype=torch.float64)  # (M,) a sample's class or score
        self._prompt = torch.zeros(0, dtype=torch.long)  # (M,) its prompt's id
        self._draws = torch.zeros(0, dtype=torch.float64)  # (N,) 0..1, of the epoch's new samples
        self._memory: MixedLoader | None = None  # the source of this memory's batches
        self._images: list[Tensor] = []  # embeddings of the forward pass
        self._hook: RemovableHandle | None = None

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model without texts."""
        if not isinstance(model, ImageTextModel):
            raise ConfigError(
                f"TextReplay: a {type(model).__name__} has no texts. Use model.type="
                "'ImageTextModel' or 'FusionModel', or the plugin 'Replay'."
            )
        super().prepare(model)

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse a second memory, as its samples could not be told apart in a batch."""
        others = [type(p).__name__ for p in plugins if isinstance(p, Replay) and p is not self]
        if others:
            raise ConfigError(
                f"TextReplay: {others[0]} adds a second memory to the batches. Keep one of them."
            )

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **kwargs: object) -> None:
        """Add the memory to the new batches."""
        own = strategy.dataloader
        super().before_training_exp(strategy, **kwargs)
        mixed = strategy.dataloader
        self._memory = mixed if isinstance(mixed, MixedLoader) and mixed is not own else None

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Draw the new samples' prompts for this epoch."""
        place = strategy.step_index, strategy.epochs_done
        self._draws = self._uniform(strategy, len(strategy.adapted_dataset), "epoch", *place)

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Record the images' embeddings."""
        if self.beta > 0:
            self._images = []
            self._hook = _model(strategy).head.register_forward_hook(self._listen)

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Stop recording, so that later copies of the model do not record."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the contrastive loss."""
        if not self.beta > 0:
            return
        targets = strategy.mb_y
        new = strategy.new_places()
        texts = _model(strategy).candidates()
        drawn = drawn_prompts(texts, targets[: len(new)].cpu(), self._draws[new])
        prompts = torch.cat([drawn, self._remembered(strategy)])
        start = len(new) if self.on == "memory" else 0
        if start < len(targets):
            own = _of_samples(torch.cat(self._images), len(strategy.mb_x))
            images = strategy.whole(own)
            part = self.alignment(
                _model(strategy), images[start:], targets[start:], prompts[start:]
            )
            strategy.loss = strategy.loss + self.beta * part

    def after_training_exp(self, strategy: Strategy, **kwargs: object) -> None:
        """Offer the experience's samples and prompts to the memory."""
        data = strategy.experience.dataset
        targets = torch.as_tensor([float(target) for target in data.targets], dtype=torch.float64)
        experience = strategy.experience.current_experience
        draws = self._uniform(strategy, len(data), "memory", experience)
        self._target = torch.cat([self._target, targets])
        prompts = drawn_prompts(_model(strategy).candidates(), targets, draws)
        self._prompt = torch.cat([self._prompt, prompts])
        super().after_training_exp(strategy, **kwargs)

    # ---------------------------------------------------------------- parts of it

    def alignment(
        self, model: ImageTextModel, images: Tensor, targets: Tensor, prompts: Tensor
    ) -> Tensor:
        """Return the contrastive loss between images and the batch's prompts, a scalar.

        Args:
            model: Gives the prompts' embeddings.
            images: (B, D), unit vectors.
            targets: (B,), classes or scores.
            prompts: (B,), the id of each image's prompt.
        """
        present = prompts.unique().to(images.device)  # (T,)
        texts = model.embed_text(present)  # (T, D)
        logits = model.head.scale * images.to(texts.dtype) @ texts.T  # (B, T)
        positives = prompt_positives(model.candidates(), targets, present)
        return contrastive_loss(logits, positives, self.text_weight)

    def _listen(self, head: ImageTextHead, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        """Store the embeddings of a forward pass."""
        self._images.append(head.image_vectors(*inputs))

    def _remembered(self, strategy: Strategy) -> Tensor:
        """Return the prompts of the current batch's memory samples, if there are any."""
        if self._memory is None:
            return self._prompt[:0]
        batch = strategy.clock.train_epoch_iterations
        return self._prompt[batch_places(self._memory.memory, batch)]

    def _uniform(self, strategy: Strategy, count: int, *place: str | int) -> Tensor:
        """Return uniform random numbers, seeded by a position in the run."""
        random = generator(self.seed_of(strategy), "prompts", *place)
        return torch.rand(count, generator=random, dtype=torch.float64)


def _model(strategy: Strategy) -> ImageTextModel:
    """Return the model, whose kind `TextReplay.prepare` has checked."""
    return cast(ImageTextModel, strategy.model)


def _of_samples(vectors: Tensor, count: int) -> Tensor:
    """Return one unit vector per sample, (B, D), averaged over its crops, (B * n, D)."""
    return F.normalize(vectors.unflatten(0, (count, -1)).mean(dim=1), dim=1)


def candidate_shares(texts: CandidateTexts, targets: Tensor) -> Tensor:
    """Return the share of each candidate for samples: one class, or the levels next to a score.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.

    Returns:
        (B, K), each row's sum 1.
    """
    if texts.values is None:
        return F.one_hot(targets.long(), len(texts)).float()
    return level_shares(targets.float(), texts.values)


def drawn_prompts(texts: CandidateTexts, targets: Tensor, draws: Tensor) -> Tensor:
    """Return a prompt for each sample: one of its class, or of the level next to its score.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.
        draws: (B,), 0 <= draw < 1, uniform.

    Returns:
        (B,), int64, ids of ``texts.flat``.

    >>> texts = CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",)))
    >>> drawn_prompts(texts, torch.tensor([0, 0, 1]), torch.tensor([0.2, 0.7, 0.7]))
    tensor([0, 1, 2])
    """
    own = candidate_shares(texts, targets).argmax(dim=1)  # (B,)
    counts = torch.tensor([len(prompts) for prompts in texts.prompts], device=own.device)
    starts = counts.cumsum(0) - counts
    return starts[own] + (draws.to(own.device) * counts[own]).long()


def prompt_positives(texts: CandidateTexts, targets: Tensor, prompts: Tensor) -> Tensor:
    """Return the share of each prompt for samples, (B, T).

    Several prompts of one candidate divide its share.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.
        prompts: (T,), different ids of ``texts.flat``.
    """
    owners = torch.tensor(texts.owners, device=prompts.device)[prompts]  # (T,)
    present = owners.bincount(minlength=len(texts)).to(targets.device)  # (K,)
    shares = candidate_shares(texts, targets) / present.clamp(min=1)
    return shares[:, owners.to(targets.device)]
