"""Loading weights from a file into a model: all that it has must be there, or be named as new."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonprefix
from pathlib import Path

import torch
from torch import nn

from cliqa.models.freezing import check_patterns, matches
from cliqa.models.pruned import apply_pruning, pruning_in, pruning_of
from cliqa.models.weights.gaps import (
    foreign,
    grouped,
    is_beside,
    learnt,
    new_parts,
    strangers,
)
from cliqa.models.weights.names import best_match, match_by_order, resized
from cliqa.models.weights.published_layouts import from_published
from cliqa.models.weights.states import state_of_file
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ModelError

logger = logging.getLogger(__name__)

TEXTS = "_extra_state"
"""The name under which a state holds the texts of a model of images and texts."""

MUCH = 0.1
"""Share of a file's tensors without a place in the model that is worth a warning."""


@dataclass(frozen=True)
class WeightReport:
    """A report of the weights loaded into a model.

    Attributes:
        path: The file.
        matched: The model's tensors that were loaded.
        missing: The model's tensors that the file does not have.
        unexpected: The file's tensors that the model does not have.
        mismatched: The model's tensors that have another shape in the file.
        renaming: Description of changes of the file's names and shapes; empty if there are none.
        dropped: The model's tensors that kept their values on request; not in the lists above.
        random: The trained ones among the missing and mismatched tensors.
        foreign: The unexpected tensors that are weights inside a part of the model.
    """

    path: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    renaming: str
    dropped: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def fraction(self) -> float:
        """The share of the model's tensors, except dropped ones, that were loaded: 0..1."""
        return len(self.matched) / max(1, self.total)

    @property
    def total(self) -> int:
        """The number of the model's tensors, except dropped ones."""
        return len(self.matched) + len(self.missing) + len(self.mismatched)

    @property
    def is_doubtful(self) -> bool:
        """Whether a part of the model has random weights, or much of the file is not used."""
        source = len(self.matched) + len(self.mismatched) + len(self.unexpected)
        return bool(self.random or self.foreign) or len(self.unexpected) > MUCH * source

    @property
    def summary(self) -> str:
        """How many of the model's tensors matched, under which changes of names."""
        matched = f"{self.path}: {len(self.matched)} of the model's {self.total} tensors matched"
        return "; ".join(filter(None, (matched, self.renaming)))

    def __str__(self) -> str:
        parts = [self.summary]
        for title, names in (
            ("missing", self.missing),
            ("of another shape", self.mismatched),
            ("unexpected", self.unexpected),
            ("dropped", self.dropped),
        ):
            if names:
                parts.append(f"{len(names)} {title} ({grouped(names)})")
        return "; ".join(parts)


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    strict: bool = True,
    prefix: str = "",
    drop: Sequence[str] = (),
    backbone_alone: bool = False,
    log: bool = True,
) -> WeightReport:
    """Load a file's weights into a model.

    All that the model has learnt must be in the file, except for what `drop` names; and the file
    may have no weights that belong inside a part of the model which has no place for them. What
    else it has (the classifier of a backbone's file, an optimizer's state) is left out.

    The state dict is found inside a training checkpoint (`state_of_file`), wrappers' prefixes
    (``module.``, ``backbone.``, ``model.`` ...) are removed or added, and the layouts in
    `cliqa.models.weights.published_layouts` are renamed.

    Args:
        model: The model; not changed if the weights do not fit. For the checkpoint of a pruned
            model it is pruned first.
        path: A file of tensors and plain types.
        strict: False: load whatever fits, even from another architecture; the rest of the model
            keeps its initial values, with a warning.
        prefix: Use only the file's tensors below this name (``"teacher"``).
        drop: Names of the model's parts, as for `freeze_parts`, that keep their initial values:
            ``["head"]``. They need not be in the file, and are not read if they are.
        backbone_alone: The file may be that of a backbone or of a classifier with this backbone:
            a part beside the backbone of which it has nothing keeps its initial values.
        log: Log the report, as a warning if a part stays random or much is left over.

    Returns:
        The report.

    Raises:
        CheckpointError: The file cannot be read safely.
        ModelError: The weights do not fit the model, or `drop` matches nothing.
    """
    path = Path(path)
    check_patterns(model, drop, "drop")
    content = load_checkpoint(path)
    apply_pruning(model, pruning_in(content) or pruning_of(model))
    held, which = state_of_file(content, prefix, path)
    _take_texts(model, held)
    state = model.state_dict()
    file, layout = from_published(held, state)
    own = {name: tensor for name, tensor in state.items() if not matches(name, drop)}
    names, renaming = best_match(file, own, path)
    by_order = {k: v for k, v in match_by_order(file, model).items() if k in own}
    if len(by_order) > len(names):
        names, renaming = by_order, "renamed by order from torchvision's layout"
    fitted = resized(file, model, names)
    file = {**file, **fitted}
    words = f"resized {', '.join(fitted)}" if fitted else ""
    renaming = "; ".join(filter(None, (which, layout, renaming, words)))
    report = _report(path, model, file, names, renaming, drop)
    if strict:
        report = _of_backbone(report, model, file) if backbone_alone else report
        _refuse_gaps(report, model)
    elif not report.matched:
        raise ModelError(f"{report}. Choose another file.")
    fitting = {name: file[source] for name, source in names.items() if name in report.matched}
    model.load_state_dict(fitting, strict=False)
    if log:
        logger.log(logging.WARNING if report.is_doubtful else logging.INFO, "%s", report)
    return report


def _take_texts(model: nn.Module, file: Mapping[str, torch.Tensor]) -> None:
    """Give a model of images and texts that has no texts yet those of a checkpoint."""
    own, theirs = model.state_dict().get(TEXTS), file.get(TEXTS)
    if own is not None and theirs is not None and not len(own):
        model.set_extra_state(theirs)


def _report(
    path: Path,
    model: nn.Module,
    file: Mapping[str, torch.Tensor],
    names: Mapping[str, str],
    renaming: str,
    drop: Sequence[str],
) -> WeightReport:
    """Return the report.

    Args:
        path: The file's path.
        model: The model.
        file: The file's tensors.
        names: The file's name for each of the model's.
        renaming: As in the report.
        drop: As `load_weights`.
    """
    state = model.state_dict()
    own = {name: tensor for name, tensor in state.items() if not matches(name, drop)}
    fits = {name for name, source in names.items() if own[name].shape == file[source].shape}
    matched = tuple(name for name in own if name in fits)
    texts = state.get(TEXTS)
    given = {TEXTS} if texts is not None and len(texts) else set()  # texts are no weights
    missing = tuple(name for name in own if name not in names and name not in given)
    mismatched = tuple(name for name in own if name in names and name not in fits)
    # what the model's names would be: any pair of names shows how all are renamed
    name, source = next(iter(names.items()), ("", ""))
    end = len(commonprefix([name[::-1], source[::-1]]))
    strip, add = source[: len(source) - end], name[: len(name) - end]
    ours = {key: add + key[len(strip) :] for key in file if key.startswith(strip)}
    used = set(names.values())
    unexpected = tuple(
        key for key in file if key not in used and not (key in ours and matches(ours[key], drop))
    )
    left = {ours[key]: file[key] for key in unexpected if key in ours}
    return WeightReport(
        path,
        matched,
        missing,
        unexpected,
        mismatched,
        renaming,
        dropped=tuple(name for name in state if name not in own),
        random=learnt(model, (*missing, *mismatched)),
        foreign=foreign(model, left, matched),
    )


def _of_backbone(
    report: WeightReport, model: nn.Module, file: Mapping[str, torch.Tensor]
) -> WeightReport:
    """Return a report in which a backbone's file may lack the other parts.

    A file with other weights than a backbone's and a classifier's is not one: those that have no
    place in the model count as foreign then.
    """
    new = new_parts(model, report.matched, report.random)
    if not new:
        return report
    cut = [layer for part in model.modules() for layer in getattr(part, "cut_layers", ())]
    more = strangers({name: file[name] for name in report.unexpected}, cut)
    if more:
        return replace(report, foreign=more)
    old = tuple(name for name in report.random if name.partition(".")[0] not in new)
    return replace(report, random=old)


def _refuse_gaps(report: WeightReport, model: nn.Module) -> None:
    """Raise a ModelError if a trained part of the model stays random, or the file has more."""
    faults, kind = [], type(model).__name__
    if report.random:
        count = len(learnt(model, model.state_dict()))
        faults.append(
            f"{len(report.random)} of the {kind}'s {count} trained tensors would stay random "
            f"({grouped(report.random)})"
        )
        others = len(set(report.random) & set(report.mismatched))
        if others:
            faults[-1] += f", {others} of them because of another shape in the file"
    if report.foreign:
        count = len(report.foreign)
        faults.append(
            f"{count} of the file's weights have no place in the {kind} ({grouped(report.foreign)})"
        )
    if faults:
        advice = _way_out(model, report)
        raise ModelError(f"{report.summary}; {', and '.join(faults)}. {advice}")


def _way_out(model: nn.Module, report: WeightReport) -> str:
    """Return advice for a file that does not fit."""
    parts = {
        name.partition(".")[0] if is_beside(model, name) else ".".join(name.split(".")[:2])
        for name in report.random
    }
    other = "Choose the file of this very architecture"
    if not 0 < len(parts) <= len(("backbone", "neck", "head")):
        return f"{other}; or load_from=dict(path='...', strict=False) loads whatever fits."
    name = f"ame what starts anew: load_from=dict(path='...', drop={sorted(parts)})"
    only_new = parts == new_parts(model, report.matched, report.random) and not report.foreign
    begin = f"N{name}" if only_new else f"{other}, or n{name}"
    return f"{begin}. strict=False in its place loads whatever fits."
