"""Ridge regression over a stream from sums of features: exact, and nothing is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLExperience
from torch import Tensor, nn

from cliqa.models.heads.ridge import RidgeHead, features_of
from cliqa.registry import STRATEGIES
from cliqa.training.loop.batching import Loader, RaggedImages, apply_model
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.parallel.shared_batch import own_samples
from cliqa.training.loop.template import Template
from cliqa.training.state import copied_to
from cliqa.training.supervised.ridge_checks import (
    check_arguments,
    check_head,
    check_head_type,
    chunk_mistakes,
    name_of,
)
from cliqa.training.supervised.ridge_solution import fit_head
from cliqa.training.supervised.ridge_sums import Accumulator, StreamSums, check_removable
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


@STRATEGIES.register_module()
class StreamingRidge(Template):
    """Solve a ridge regression over all data so far from sums, with a frozen network.

    Of every data set one pass adds sum w z z^T and sum w z y of its features z and its scores, or
    its one-hot classes, y. The totals determine the ridge regression over the union: the solution
    is that of training on all data at once, in any order of the data sets and in any batches. No
    image and no feature is kept, and the state does not grow with the number of samples.
    Zhuang et al., "ACIL", 2022 (the same in recursive form); McDonnell et al., "RanPAC", 2023
    (random features, first session); Hayes & Kanan, "SLDA", 2020.

    Give the model a `RidgeHead` and weights; images go through the evaluation transform. Features
    are standardised by the sums over all sets, in closed form. Set ``train_epochs=1``. In an online
    stream (`cliqa.benchmarks.online`) every chunk is added once and solved for; after the last one
    the solution is that without chunks.

    Args:
        strength: Of the penalty, above 0, for features of variance 1 and a mean over samples.
            ``"gcv"`` chooses it by generalised cross-validation from the sums, after every set;
            ``"validation"`` by the squared error on the validation splits of all sets so far, whose
            sums are kept too.
        standardize: What is projected to random features: ``"image"``, every image's features
            normalised by themselves, so that the order of the sets does not matter; ``"first"``,
            standardised by the first experience's means and deviations (one more pass over it), so
            that the solution depends on which set was first, and on nothing else of the order.
        weighting: ``"samples"``, or ``"sets"`` to give every data set the same weight.
        align: For scores: None, ``"offset"`` or ``"affine"``, a scale for every set; see `solve`.
        keep_sets: Keep the sums of every set by themselves, so that it can be removed later:
            4 (D + M)^2 bytes a set in place of that once.
        first_session: Epochs in which the whole network is trained on the first experience, by the
            section's optimizer, loss and schedule, with the head as solved before; 0 for none.

    Attributes:
        sums: The sums of all data sets.
        held: Those of their validation splits, with ``strength="validation"``.
        strength_used: The strength of the current solution; None before it.
        given: What is projected was standardised before, by ``load_from``, and stays so.

    Raises:
        ConfigError: The model has no `RidgeHead`, or an argument is wrong.
    """

    distributed = "every process adds up its share of the samples, and the sums are added up"
    needs_optimizer = False
    takes_chunks = True
    chunk_mistakes = staticmethod(chunk_mistakes)
    check_arguments = staticmethod(check_arguments)
    check_head_type = staticmethod(check_head_type)

    def __init__(
        self,
        *,
        strength: float | str = "gcv",
        standardize: str = "image",
        weighting: str = "samples",
        align: str | None = None,
        keep_sets: bool = False,
        first_session: int = 0,
        **arguments: object,
    ) -> None:
        self.check_arguments(strength, standardize, weighting, align, first_session)
        if arguments.get("optimizer") is None:  # a script need not give one
            arguments["optimizer"] = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=0.0)
        super().__init__(**arguments)
        self.strength, self.standardize, self.align = strength, standardize, align
        self.weighting, self.first_session = weighting, first_session
        self.needs_optimizer = first_session > 0
        self.sums, self.held = StreamSums(keep_sets), StreamSums(keep_sets)
        self.strength_used: float | None = None
        self._watched: Sequence[Any] = ()
        self._passes: Loader
        check_head(self.model, self.train_epochs, align)
        self.given = bool(self.head.fixed) and first_session == 0

    def configure(self, options: TrainingOptions, *others: Any, **named: Any) -> None:  # noqa: ANN401
        """Set the run's options.

        Raises:
            ConfigError: They would end an experience before its sums are taken.
        """
        super().configure(options, *others, **named)
        if self.selection.active:
            option = "keep_best" if self.selection.keep else "patience"
            raise ConfigError(
                f"cl_strategy.{option}: StreamingRidge takes the sums in the last epoch of an "
                f"experience, so no other one can be its best. Leave {option} out."
            )

    @property
    def head(self) -> RidgeHead:
        """The model's head."""
        return next(m for m in self.model.modules() if isinstance(m, RidgeHead))

    # ---------------------------------------------------------------- a step of the stream

    def run_step(
        self, index: int, experiences: list[CLExperience], watched: list[Any] | None
    ) -> None:
        """Train one step: a pass; before it, in the first one, the first session's epochs.

        Raises:
            ConfigError: It arrives in chunks that an argument cannot do with, or there are no
                validation data, and the strength is to be chosen by them.
        """
        flat = [e for item in watched or () for e in (item if isinstance(item, list) else [item])]
        self._watched = flat
        self._check_step(experiences)
        first = index == 0 and self.first_session > 0
        self.train_epochs = self.first_session + 2 if first else 1
        super().run_step(index, experiences, watched)

    def _check_step(self, experiences: list[CLExperience]) -> None:
        """Refuse a step that cannot be learnt with these arguments."""
        if self.chunks_of(experiences):
            arrival: Any = experiences[0].arrival
            own = {**vars(self), "keep_sets": self.sums.keep_sets}
            mistakes = chunk_mistakes(own, arrival.hidden, arrival.mixed)
            if mistakes:
                raise ConfigError("\n".join(mistakes))
        if self.strength == "validation" and not self._watched:
            raise ConfigError(
                f"cl_strategy.strength='validation': {name_of(experiences[-1])} has no validation "
                "data. Give it a validation split (a fraction in its section, or "
                "scenario.val_fraction; in a script eval_streams=[...]), or set strength='gcv'."
            )

    def make_train_dataloader(self, num_workers: int = 0, **kwargs: object) -> None:
        """Load every sample once, as in an evaluation; in a first session as in training too."""
        self._passes = self.loader(self.measured(self.adapted_dataset), train=False)
        self.dataloader = self._passes
        if self.train_epochs > 1:
            super().make_train_dataloader(num_workers=num_workers, **kwargs)

    def training_epoch(self, **kwargs: object) -> None:
        """Add the sums of what is new and solve, or train the network in a first session."""
        last = self.epochs_done == self.train_epochs - 1 or self.passes > 0
        if not last and self.epochs_done > 0:
            super().training_epoch(**kwargs)
            return
        self.model.eval()
        if len(self.chunks_of([self.experience])) > 1:  # only what has come
            self._passes = self.loader(self.measured(self.new_samples()), train=False)
            self.dataloader = self._passes
        with torch.no_grad():
            if self.standardize == "first" and not self.sums.sets and not self.given:
                self._normalise()
            added = self._pass(**kwargs)
            # the validation samples come with the first chunk, once
            held = self._validation() if self.epochs_done == 0 or not self.passes else None
            # a first session starts from the solution for the network as it is
            sums, tested = (self.sums, self.held) if last else (StreamSums(), StreamSums())
            sums.add(self.set_name, *added)
            if held:
                tested.add(self.set_name, *held)
            self._assign(sums, tested)

    @property
    def set_name(self) -> str:
        """The name of the current experience's sums."""
        return name_of(self.experience)

    # ---------------------------------------------------------------- sums

    def _pass(self, **kwargs: object) -> tuple[Any, Tensor]:
        """Return the sums over the experience's samples, with the hooks of a training pass."""
        head, found = self.head, self._accumulator()
        weight = 1.0 / len(self.adapted_dataset) if self.weighting == "sets" else 1.0
        for batch in self._passes:
            self.mbatch = batch
            strategy: Any = self
            strategy._unpack_minibatch()
            strategy._before_training_iteration(**kwargs)
            strategy._before_forward(**kwargs)
            lifted = self._lifted(self.mb_x)
            strategy.mb_output = self.whole(head.read(lifted))
            strategy._after_forward(**kwargs)
            self.loss = strategy.criterion()
            targets = own_samples(self.mbatch)[1]
            found.add(lifted[: len(targets)], self.head.rows(targets), weight)
            self._after_training_iteration(**kwargs)
        return found.total()

    def _validation(self) -> tuple[Any, Tensor] | None:
        """Return the sums over the validation samples; None where they are not used."""
        if self.strength != "validation":
            return None
        found = self._accumulator()
        count = sum(len(experience.dataset) for experience in self._watched)
        weight = 1.0 / count if self.weighting == "sets" else 1.0
        for experience in self._watched:
            for batch in self.loader(self.measured(experience.dataset), train=False):
                inputs, targets = own_samples(batch)
                if len(targets):
                    lifted = self._lifted(inputs.to(self.device))
                    found.add(lifted, self.head.rows(targets.to(self.device)), weight)
        return found.total()

    @property
    def _place(self) -> torch.device:
        """Where the sums are: on the CPU where the device has no float64."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    def _accumulator(self) -> Accumulator:
        """Return sums of nothing."""
        return Accumulator(self.head.length, len(self.head.bias), self._place)

    def _lifted(self, inputs: Tensor | RaggedImages) -> Tensor:
        """Return z (B, D + M) of inputs, averaged over crops, as an evaluation's outputs are."""
        with self.precision.autocast():
            return apply_model(lambda x: self.head.lift(features_of(self.model, x)), inputs)

    def _normalise(self) -> None:
        """Fix what is projected by the experience's means and deviations."""
        found = Accumulator(self.head.in_channels, 1, self._place)
        for batch in self._passes:
            inputs, targets = own_samples(batch)
            if len(targets):
                with self.precision.autocast():
                    features = apply_model(
                        lambda x: features_of(self.model, x), inputs.to(self.device)
                    )
                found.add(features, torch.zeros_like(features[:, :1]))
        found.total()
        mean = found.sums.z / found.sums.count
        square = found.products.diagonal() / found.sums.count
        self.head.normalise_by(mean, (square - mean.square()).clamp(min=0).sqrt())

    # ---------------------------------------------------------------- solution

    def _assign(self, sums: StreamSums, held: StreamSums) -> None:
        """Give the head the solution of some sums."""
        self.strength_used = fit_head(self.head, sums, held, self.strength, self.align)
        size = self.head.length
        logger.info("ridge over %d features: strength %.2g", size, self.strength_used)

    def forget(self, name: str) -> None:
        """Remove a data set: the solution is the one of never having seen it.

        Args:
            name: Of its experience.

        Raises:
            ConfigError: Other parts of the model depend on the set.
            ModelError: There are no sums of it, or they were not kept by themselves.
        """
        check_removable(self.sums, name, self.first_session, self.standardize)
        self.sums.remove(name)
        if self.held.sets:
            self.held.remove(name)
        self._assign(self.sums, self.held)

    # ---------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the strategy, with the sums."""
        ridge = {"sums": self.sums.state_dict(), "held": self.held.state_dict()}
        ridge["strength_used"] = self.strength_used  # type: ignore[assignment]
        return {**super().state_dict(), "ridge": ridge}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        super().load_state_dict(state)
        own = copied_to(state["ridge"], self._place)
        self.sums.load_state_dict(own["sums"])
        self.held.load_state_dict(own["held"])
        self.strength_used = own["strength_used"]
