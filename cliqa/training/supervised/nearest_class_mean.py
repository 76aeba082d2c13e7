"""Nearest-class-mean classification: few-shot learning without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.heads.prototype import PrototypeHead
from cliqa.models.outputs import last_output
from cliqa.registry import STRATEGIES
from cliqa.training.loop.batching import apply_model
from cliqa.training.loop.template import Template
from cliqa.utils.errors import ConfigError


@STRATEGIES.register_module()
class NearestClassMean(Template):
    """Add every sample's features to the mean of its class, once, with a frozen network.

    The means over the whole stream are exact in any order, so nothing is forgotten; classes that
    the network cannot distinguish are never learnt (Mensink et al., 2013; as a few-shot baseline:
    Snell et al., 2017; Wang et al., "SimpleShot", 2019). Give the model a `PrototypeHead`, weights
    by ``load_from`` or ``init_cfg``, and set ``train_epochs=1``. Images go through the evaluation
    transform; optimizer and schedule have no effect.

    Raises:
        ConfigError: The model has no `PrototypeHead`, or more than one epoch is asked for.
    """

    distributed = "features are exchanged, and every process adds them all"
    needs_optimizer = False
    takes_chunks = True

    def __init__(self, **arguments: object) -> None:
        if arguments.get("optimizer") is None:  # a script need not give one
            arguments["optimizer"] = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=0.0)
        super().__init__(**arguments)
        heads = [m for m in self.model.modules() if isinstance(m, PrototypeHead)]
        if len(heads) != 1 or not hasattr(self.model, "extract_feat"):
            raise ConfigError(
                "cl_strategy 'NearestClassMean': the model needs one PrototypeHead. Set "
                "model.head=dict(type='PrototypeHead', num_classes=..., in_channels=...)."
            )
        if self.train_epochs != 1:
            raise ConfigError(
                f"cl_strategy.train_epochs={self.train_epochs}: NearestClassMean uses every "
                "sample once. Set it to 1."
            )

    @property
    def head(self) -> PrototypeHead:
        """The model's head."""
        return next(m for m in self.model.modules() if isinstance(m, PrototypeHead))

    def make_train_dataloader(self, num_workers: int = 0, **_: object) -> None:
        """Load every sample once, as in an evaluation."""
        self.dataloader = self.loader(self.adapted_dataset.eval(), train=False)

    @torch.no_grad()
    def training_epoch(self, **kwargs: object) -> None:
        """Add the experience's samples to the class means."""
        self.model.eval()
        if self.passes:  # only what has come: the loader is of the whole experience
            self.dataloader = self.loader(self.new_samples().eval(), train=False)
        for batch in self.dataloader:
            self.mbatch = batch
            self._unpack_minibatch()
            self._before_training_iteration(**kwargs)
            self.head.update(self._features(), self.mb_y)
            self._before_forward(**kwargs)
            self.mb_output = self.forward()
            self._after_forward(**kwargs)
            self.loss = self.criterion()
            self._after_training_iteration(**kwargs)

    def _features(self) -> Tensor:
        """Return the features (B, D) of the current batch, averaged over crops."""
        model: Any = self.model
        name = type(model).__name__
        with self.precision.autocast():
            own = apply_model(lambda x: last_output(model.extract_feat(x), name), self.mb_x)
        return self.whole(own.float())
