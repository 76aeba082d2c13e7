"""Replay whose samples come with a text of their class or quality level."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from cliqa.losses.contrastive import contrastive_loss
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import MixedLoader, batch_places
from cliqa.training.plugins.replay import Replay
from cliqa.training.prompts import drawn_prompts, prompt_positives
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

ON = ("all", "memory")


@PLUGINS.register_module()
class TextReplay(Replay):
    """Replay, and beta times a contrastive loss between the batch's images and their texts.

    The memory keeps for each sample its class or score and one prompt: of its class, or of the
    level that its score is nearest to, drawn when the sample comes in. A new sample's prompt is
    drawn anew every epoch. The loss (`contrastive_loss`) compares every image of the batch with
    every prompt of the batch; all prompts of an image's own class are its positives, and of levels
    those on both sides of its score, by their shares (`level_shares`). The image's embedding is
    that of the step itself: no image goes through the model twice.

    Prompts serve this loss alone. What the model answers compares an image with all candidates,
    here as in evaluation.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        beta: Factor of the contrastive loss, >= 0; with 0 it is `Replay` to the bit.
        on: ``"all"`` samples of a batch, or those of the ``"memory"`` alone.
        text_weight: Weight, 0..1, of the texts' side of the loss; the rest is the images'.
        policy: Who is remembered; see `Replay`.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the memory and of the prompts; None for the run's.

    Raises:
        ConfigError: A value is out of range, the model knows no texts, or another plugin has a
            memory in the batches, too.
    """

    def __init__(
        self,
        mem_size: int = 200,
        beta: float = 0.5,
        on: str = "all",
        text_weight: float = 0.5,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed)
        if not beta >= 0:
            raise ConfigError(f"TextReplay: beta must be >= 0, got {beta!r}.")
        if not 0 <= text_weight <= 1:
            raise ConfigError(f"TextReplay: text_weight must lie in 0..1, got {text_weight!r}.")
        if on not in ON:
            raise ConfigError(f"TextReplay: on must be 'all' or 'memory', got {on!r}.")
        self.beta = beta
        self.on = on
        self.text_weight = text_weight
        self._target = torch.zeros(0, dtype=torch.float64)  # (M,) a sample's class or score
        self._prompt = torch.zeros(0, dtype=torch.long)  # (M,) its prompt's id
        self._draws = torch.zeros(0, dtype=torch.float64)  # (N,) 0..1, of the epoch's new samples
        self._memory: MixedLoader | None = None  # where this memory's batches are from
        self._images: list[Tensor] = []  # the embeddings of the forward pass
        self._hook: RemovableHandle | None = None

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model that knows no texts."""
        if not isinstance(model, ImageTextModel):
            raise ConfigError(
                f"TextReplay: a {type(model).__name__} knows no texts. Use model.type="
                "'ImageTextModel' or 'FusionModel', or the plugin 'Replay'."
            )

    def check(self, plugins: Any) -> None:  # noqa: ANN401
        """Refuse a second memory in the batches: whose samples are whose could not be told."""
        others = [type(p).__name__ for p in plugins if isinstance(p, Replay) and p is not self]
        if others:
            raise ConfigError(
                f"TextReplay: {others[0]} puts a second memory into the batches. Keep one of them."
            )

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Mix the memory into the new batches."""
        own = strategy.dataloader
        super().before_training_exp(strategy, **kwargs)
        self._memory = None if strategy.dataloader is own else strategy.dataloader

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Draw the new samples' prompts for this epoch."""
        place = strategy.step_index, strategy.epochs_done
        self._draws = self._uniform(strategy, len(strategy.adapted_dataset), "epoch", *place)

    def before_forward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Listen for the images' embeddings."""
        if self.beta > 0:
            self._images = []
            self._hook = strategy.model.head.register_forward_hook(self._listen)

    def after_forward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Stop listening: a copy of the model that is made later must not report here."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def before_backward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Add the contrastive loss."""
        if not self.beta > 0:
            return
        targets = strategy.mb_y
        new = strategy.new_places()
        texts = strategy.model.candidates()
        drawn = drawn_prompts(texts, targets[: len(new)].cpu(), self._draws[new])
        prompts = torch.cat([drawn, self._remembered(strategy)])
        start = len(new) if self.on == "memory" else 0
        if start < len(targets):
            images = _of_samples(torch.cat(self._images), len(targets))
            part = self.alignment(strategy.model, images[start:], targets[start:], prompts[start:])
            strategy.loss = strategy.loss + self.beta * part

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Let the experience's samples into the memory, each with its prompt."""
        data = strategy.experience.dataset
        targets = torch.as_tensor([float(target) for target in data.targets], dtype=torch.float64)
        experience = strategy.experience.current_experience
        draws = self._uniform(strategy, len(data), "memory", experience)
        self._target = torch.cat([self._target, targets])
        prompts = drawn_prompts(strategy.model.candidates(), targets, draws)
        self._prompt = torch.cat([self._prompt, prompts])
        super().after_training_exp(strategy, **kwargs)

    # ---------------------------------------------------------------- parts of it

    def alignment(
        self, model: ImageTextModel, images: Tensor, targets: Tensor, prompts: Tensor
    ) -> Tensor:
        """Return the contrastive loss between images and the prompts that are there, a scalar.

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

    def _listen(self, head: Any, inputs: tuple[Tensor, ...], _: Tensor) -> None:  # noqa: ANN401
        """Note the embeddings of a forward pass."""
        self._images.append(head.image_vectors(*inputs))

    def _remembered(self, strategy: Any) -> Tensor:  # noqa: ANN401
        """Return the prompts of the current batch's memory samples, none before there are any."""
        if self._memory is None:
            return self._prompt[:0]
        batch = strategy.clock.train_epoch_iterations
        return self._prompt[batch_places(self._memory.memory, batch)]

    def _uniform(self, strategy: Any, count: int, *place: str | int) -> Tensor:  # noqa: ANN401
        """Return uniform numbers of one place in the run."""
        seed = strategy.options.seed if self.seed is None else self.seed
        random = generator(seed, "prompts", *place)
        return torch.rand(count, generator=random, dtype=torch.float64)

    def _keep(self, places: Tensor) -> None:
        """Forget all samples but those at `places`."""
        super()._keep(places)
        self._target, self._prompt = self._target[places], self._prompt[places]

    def state_dict(self) -> dict[str, Any]:
        """Return the memory with its targets and prompts."""
        return {**super().state_dict(), "target": self._target, "prompt": self._prompt}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a memory over."""
        super().load_state_dict(state)
        self._target, self._prompt = state["target"].cpu(), state["prompt"].cpu()


def _of_samples(vectors: Tensor, count: int) -> Tensor:
    """Return one unit vector a sample, (B, D), of one or several crops each, (B * n, D)."""
    return F.normalize(vectors.unflatten(0, (count, -1)).mean(dim=1), dim=1)
