"""How a model is evaluated batch by batch: like its strategy's loop, or by a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.views.trace import Score, gate_rows

CPU = torch.device("cpu")

Images = Tensor | RaggedImages


class EvalSession:
    """A model that is evaluated batch by batch.

    Attributes:
        device: Where it computes.
    """

    device = CPU

    def start(self, experience: NamedExperience) -> None:
        """Prepare for a data set."""

    def outputs(self, images: Images, targets: Tensor, task: int | None) -> Tensor:
        """Return the model's outputs of a batch, float32 (B,) or (B, K), on the CPU.

        Args:
            images: (B, C, H, W), crops (B, N, C, H, W), or images of many sizes.
            targets: (B,).
            task: The samples' task label; None where the stream has none.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Restore the model's state from before the evaluation."""

    def gates(self, score: Score) -> dict[str, dict[str, Any]]:
        """Return what gates did, by data set; see `gate_rows`."""
        return {}


class ForwardSession(EvalSession):
    """The evaluation of a forward pass: images (B, C, H, W) -> (B,) or (B, K), on the CPU."""

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self.forward = forward

    def outputs(self, images: Images, targets: Tensor, task: int | None) -> Tensor:
        """Return the outputs of a batch; see `EvalSession`."""
        return apply_model(self.forward, images)


class StrategySession(EvalSession):
    """The evaluation of a strategy as its own loop would do it, without its metrics.

    Plugins take part: some switch to another view of the model for each data set, or average over
    several of them.
    """

    def __init__(self, strategy: Any) -> None:  # noqa: ANN401  Avalanche's, with our template
        self.strategy = strategy
        self.device = torch.device(strategy.device)
        strategy.is_training = False
        strategy.model.eval()
        self._call("before_eval")

    def start(self, experience: NamedExperience) -> None:
        """Prepare for a data set."""
        self.strategy.experience = experience
        self.strategy.model = self.strategy.model_adaptation()
        self.strategy.model.eval()
        self._call("before_eval_exp")

    def outputs(self, images: Images, targets: Tensor, task: int | None) -> Tensor:
        """Return the outputs of a batch; see `EvalSession`."""
        strategy, device = self.strategy, self.strategy.device
        labels = [] if task is None else [torch.full((len(targets),), task, device=device)]
        strategy.mbatch = [images.to(device), targets.to(device), *labels]
        self._call("before_eval_iteration")
        self._call("before_eval_forward")
        strategy.mb_output = strategy.forward()
        self._call("after_eval_forward")
        outputs: Tensor = strategy.mb_output.detach().float().cpu()
        return outputs

    def end(self) -> None:
        """Restore the strategy's state from before the evaluation."""
        self._call("after_eval")

    def gates(self, score: Score) -> dict[str, dict[str, Any]]:
        """Return what the plugins' gates did, by data set."""
        return gate_rows(self.strategy.plugins, score)

    def _call(self, hook: str) -> None:
        """Run a hook of every plugin but the metrics."""
        for plugin in self.strategy.plugins:
            if plugin is not self.strategy.evaluator and hasattr(plugin, hook):
                getattr(plugin, hook)(self.strategy)
