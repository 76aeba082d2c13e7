"""How a model is evaluated batch by batch: like its strategy's loop, or by a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.inference.execution.agreement import Agreement
from cliqa.inference.execution.network import Executed
from cliqa.inference.execution.precision import Execution
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.loop.precision import Precision
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

    Args:
        strategy: Avalanche's, with our template.
        execution: How the model is computed; None for as the strategy itself does, bit for bit.

    Raises:
        ConfigError: The device cannot compute so.
    """

    def __init__(self, strategy: Any, execution: Execution | None = None) -> None:  # noqa: ANN401
        self.strategy = strategy
        self.device = torch.device(strategy.device)
        self._executed: Executed | None = None
        self._agreement: Agreement | None = None
        if execution is not None:
            self._execute(execution)
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
        strategy.mbatch = [self._placed(images), targets.to(device), *labels]
        self._call("before_eval_iteration")
        self._call("before_eval_forward")
        with torch.inference_mode():
            strategy.mb_output = strategy.forward()
        self._call("after_eval_forward")
        outputs: Tensor = strategy.mb_output.detach().float().cpu()
        if self._agreement is not None:
            self._agreement.add(outputs, self._exact)
        return outputs

    def end(self) -> None:
        """Restore the strategy's state from before the evaluation."""
        self._call("after_eval")
        if self._agreement is not None:
            self._agreement.tell()

    def gates(self, score: Score) -> dict[str, dict[str, Any]]:
        """Return what the plugins' gates did, by data set."""
        return gate_rows(self.strategy.plugins, score)

    def _execute(self, execution: Execution) -> None:
        """Let the strategy compute in another way; compare it with float32 unless gates count."""
        strategy = self.strategy
        self._executed = Executed(strategy.model, self.device, execution)
        precision = self._executed.precision
        strategy.precision = Precision(self.device, precision != "float32" and precision)
        if execution.compiled:
            strategy.model.compile()
        gated = any(hasattr(plugin, "traces") for plugin in strategy.plugins)
        if self._executed.name != "float32" and not gated:
            self._agreement = Agreement(self._executed.name)

    def _placed(self, images: Images) -> Images:
        """Return a batch on the device."""
        if self._executed is None or isinstance(images, RaggedImages):
            return images.to(self.device)
        return self._executed.place(images)

    def _exact(self) -> Tensor:
        """Return the strategy's outputs of its current batch in float32."""
        strategy = self.strategy
        before, strategy.precision = strategy.precision, Precision(self.device, amp=False)
        try:
            with torch.inference_mode():
                outputs: Tensor = strategy.forward().detach().float().cpu()
        finally:
            strategy.precision = before
        return outputs

    def _call(self, hook: str) -> None:
        """Run a hook of every plugin but the metrics."""
        for plugin in self.strategy.plugins:
            if plugin is not self.strategy.evaluator and hasattr(plugin, hook):
                getattr(plugin, hook)(self.strategy)
