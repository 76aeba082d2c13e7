"""Loading weights from a file into a model, with a report of matched tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.config.suggest import listed
from cliqa.models.freezing import check_patterns, matches
from cliqa.models.pruned import apply_pruning, pruning_in, pruning_of
from cliqa.models.weights.gaps import foreign, gap_text, of_backbone, partial_parts
from cliqa.models.weights.names import best_match, match_by_order, resized
from cliqa.models.weights.published_layouts import from_published
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ModelError

logger = logging.getLogger(__name__)

TEXTS = "_extra_state"
"""The name under which a state holds the texts of a model of images and texts."""

SHOWN = 4
"""Names shown of each list in a report."""

MOST_MISMATCHED = 0.1
"""Maximum share of common names with another shape: a new head has few, another depth more."""


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
        random: The backbone's trained tensors among the missing and mismatched ones.
        gaps: A text on how the model's backbone differs from the file's; empty if it does not.
        partial: Parts beside the backbone of which the file has only some tensors.
    """

    path: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    renaming: str
    dropped: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    gaps: str = ""
    partial: tuple[str, ...] = ()

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
        """Whether more than a new head is left over in the model, or much in the file."""
        source = len(self.matched) + len(self.mismatched) + len(self.unexpected)
        return bool(self.gaps or self.partial) or len(self.unexpected) > 0.1 * source

    def __str__(self) -> str:
        parts = [f"{self.path}: {len(self.matched)} of the model's {self.total} tensors matched"]
        if self.renaming:
            parts.append(self.renaming)
        for title, names in (
            ("missing", self.missing),
            ("of another shape", self.mismatched),
            ("unexpected", self.unexpected),
            ("dropped", self.dropped),
        ):
            if names:
                parts.append(f"{len(names)} {title} ({listed(names, SHOWN)})")
        if self.partial:
            parts.append(f"of {', '.join(self.partial)} a part only")
        return "; ".join(filter(None, (*parts, self.gaps)))


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    strict: bool = False,
    prefix: str = "",
    least_matched: float = 0.5,
    drop: Sequence[str] = (),
    log: bool = True,
) -> WeightReport:
    """Load a file's weights into a model.

    Wrappers' prefixes (``module.``, ``backbone.``, ``model.`` ...) are removed or added as
    needed, the state dict is found inside a training checkpoint, and torchvision's MobileNetV2,
    MobileNetV3 and VGG weights are renamed for mmpretrain's backbones, those of HyperIQA's
    published code and of its descendants for this package's models.

    Args:
        model: The model; not changed if the weights do not fit. For the checkpoint of a pruned
            model it is pruned first.
        path: A file of tensors and plain types.
        strict: Refuse anything missing, unexpected or of another shape.
        prefix: Use only the file's tensors below this name (``"teacher"``).
        least_matched: Minimum share of the model's tensors that must fit. For any value but 0 the
            backbone must fit completely, and the file must have no other weights inside it. 0
            loads all matching tensors, even from another architecture.
        drop: Names of the model's parts, as for `freeze_parts`, that keep their values even if the
            file has others. They count neither for `strict` nor for `least_matched`.
        log: Log the report, as a warning if much is left over.

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
    held = _below(_tensors(content), prefix, path)
    _take_texts(model, held)
    state = model.state_dict()
    file, layout = from_published(held, state)
    own = {name: tensor for name, tensor in state.items() if not matches(name, drop)}
    names, renaming = best_match(file, own)
    if len(names) < least_matched * len(own):
        by_order = {k: v for k, v in match_by_order(file, model).items() if k in own}
        if len(by_order) > len(names):
            names, renaming = by_order, "renamed by order from torchvision's layout"
    fitted = resized(file, model, names)
    file = {**file, **fitted}
    words = f"resized {', '.join(fitted)}" if fitted else ""
    renaming = "; ".join(filter(None, (layout, renaming, words)))
    report = _report(path, model, file, names, renaming, drop)
    _refuse_misfit(report, type(model).__name__, strict, least_matched)
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
    random = of_backbone(model, (*missing, *mismatched))
    return WeightReport(
        path,
        matched,
        missing,
        unexpected,
        mismatched,
        renaming,
        dropped=tuple(name for name in state if name not in own),
        random=random,
        gaps=gap_text(model, random, foreign(model, left, matched)),
        partial=partial_parts(model, matched, (*missing, *mismatched)),
    )


def _refuse_misfit(report: WeightReport, model: str, strict: bool, least_matched: float) -> None:
    """Raise a ModelError if too little fits."""
    too_little = report.fraction < least_matched
    common = len(report.matched) + len(report.mismatched)
    another = len(report.mismatched) > max(2, MOST_MISMATCHED * common)  # another architecture
    if too_little or (least_matched and another):
        limit = f"at least {least_matched:.0%} must fit" if too_little else "too many shapes differ"
        raise ModelError(
            f"{report}. That is {report.fraction:.0%} of the {model}; {limit}. Choose the file of "
            "this very architecture; for torchvision's files use 'TorchvisionBackbone'."
        )
    if least_matched and report.gaps:
        raise ModelError(f"{report}. {_way_out(report)}")
    if strict and (report.missing or report.unexpected or report.mismatched):
        raise ModelError(f"{report}. With strict=True everything must fit the {model}.")


def _way_out(report: WeightReport) -> str:
    """Return advice for a file that lacks tensors of the backbone."""
    anyway = "least_matched=0 loads all matching tensors"
    if report.random:
        part = ".".join(report.random[0].split(".")[:2])
        anyway = f"drop=['{part}'] reinitialises that part, and {anyway}"
    return (
        "Choose the file of this very architecture. In a config's load_from=dict(path='...'), "
        f"{anyway}."
    )


def _below(tensors: dict[str, torch.Tensor], prefix: str, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors below a prefix, without it.

    Raises:
        ModelError: There are none.
    """
    start = f"{prefix.rstrip('.')}." if prefix else ""
    found = {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
    if not found:
        where = f" below '{prefix}'" if prefix else ""
        raise ModelError(f"{path}: holds no named tensors{where}.")
    return found


def _tensors(state: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    """Return the largest dict of named tensors in a checkpoint: the state dict.

    In a run's checkpoint it is the model's entry: a plugin may have several tensors per weight.
    """
    strategy = state.get("strategy")
    if isinstance(strategy, Mapping) and isinstance(strategy.get("model"), Mapping):
        return _tensors(strategy["model"])
    own = {
        name: value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    nested = [_tensors(value) for value in state.values() if isinstance(value, Mapping)]
    return max([own, *nested], key=len)
