"""Eight bits where they do no harm: what is tried, measured and chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from cliqa.deploy.fidelity import Fidelity, compare_outputs, outputs_of
from cliqa.deploy.onnx.calibration import CalibrationImages
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.prepared_graph import PreparedGraph, prepared
from cliqa.deploy.onnx.quantization import QuantizationReport, write_quantized
from cliqa.deploy.onnx.score_head import LAYERS
from cliqa.utils.errors import ConfigError, DatasetError

HELD_BACK = 4
"""Every fourth image is not calibrated on, but compared on."""

FEWEST = 8
"""Images to compare on, at least: a rank correlation of fewer is chance."""


@dataclass(frozen=True)
class Attempt:
    """One way to quantize, and what it costs.

    Attributes:
        name: What was left in float, in words.
        activations: ``"uint8"`` or ``"uint16"``.
        excluded: The nodes left in float, beside the head.
        quantized_layers: Layers with integer weights.
        bytes: Of the file.
        fidelity: To the file in float32, on images held back.
    """

    name: str
    activations: str
    excluded: tuple[str, ...] = field(repr=False)
    quantized_layers: int
    bytes: int
    fidelity: Fidelity

    def to_row(self) -> dict[str, Any]:
        """Return the attempt as plain values."""
        return {**asdict(self), "excluded": list(self.excluded)}

    def __str__(self) -> str:
        """Return a line."""
        return (
            f"{self.activations}, in float {self.name}, {self.bytes / 1e6:.2f} MB: {self.fidelity}"
        )


@dataclass(frozen=True)
class CareReport:
    """What was tried, and what was chosen.

    Attributes:
        attempts: In the order of the trials.
        chosen: The one written.
        reached: Whether it is as true as was asked for; else it is the truest.
        quantization: What was written.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt
    reached: bool
    quantization: QuantizationReport

    def __str__(self) -> str:
        """Return the attempts, a line each, and the choice."""
        lines = [str(attempt) for attempt in self.attempts]
        wide = self.chosen.activations == "uint16"
        why = "" if self.reached else ", the truest, though less true than asked for"
        slow = " (computed in float: smaller, not faster)" if wide else ""
        return "\n".join(
            [*lines, f"chosen: {self.chosen.activations}, in float {self.chosen.name}{slow}{why}"]
        )


def quantize_with_care(
    source: str | Path,
    target: str | Path,
    batches: Iterable[Tensor],
    *,
    threshold: float = 0.99,
    distinct: float = 0.9,
    tries: int = 12,
    exclude: Sequence[str] = (),
    method: str = "minmax",
) -> CareReport:
    """Write an ONNX file in eight bits, or as near to that as it stays true.

    First all is rounded to eight bits but the head. If that is not true enough, activations get 16
    bits, which is nearly exact, but computed in float. As eight bits are faster, it is then tried
    what has to be left in float for them: groups of nodes, one at a time, then the groups that
    helped most together. Chosen is the first of: eight bits; eight bits with fewest layers left in
    float; 16 bits; whatever is truest.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W), all in memory at once; every fourth is held back
            to compare on. At least 32; some 100 are good.
        threshold: What the SRCC of scores to those in float32, or the agreement on classes, must
            reach, 0..1.
        distinct: Share of the different scores that must stay different, 0..1.
        tries: Files to try at most, >= 2.
        exclude: See `quantize_int8`; left in float in all tries.
        method: See `quantize_int8`.

    Returns:
        What was tried, with figures.

    Raises:
        ArtifactError: See `quantize_int8`, as all others.
        ConfigError: A number is out of range.
        DatasetError: There are too few images to compare on.
    """
    if not (0 < threshold <= 1 and 0 <= distinct <= 1 and tries >= 2):
        raise ConfigError(
            f"threshold={threshold} and distinct={distinct} must lie in 0..1, tries={tries} must "
            "be 2 or more."
        )
    with prepared(source) as graph, tempfile.TemporaryDirectory() as folder:
        fixed = graph.matching(exclude)
        calibrated, held = split_images(CalibrationImages(batches, graph.shape, "reading"))
        graph.calibrate(calibrated, method)
        trial = _Trial(graph, fixed, held, Path(folder) / "trial.onnx", tries)
        attempts = list(trial.run(lambda found: _is_true(found, threshold, distinct)))
        true = [a for a in attempts if _is_true(a.fidelity, threshold, distinct)]
        fast = [a for a in true if a.activations == "uint8"]
        chosen = (
            max(fast, key=lambda a: (a.quantized_layers, -len(a.excluded)))
            if fast
            else max(true or attempts, key=lambda a: (a.fidelity.rank, a.fidelity.distinct))
        )
        report = write_quantized(
            graph, target, exclude=chosen.excluded, activations=chosen.activations
        )
    return CareReport(tuple(attempts), chosen, bool(true), report)


def split_images(batches: Iterable[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return batches to calibrate on, and batches to compare on: every fourth image.

    Raises:
        DatasetError: Too few are left to compare on.
    """
    calibrated: list[Tensor] = []
    held: list[Tensor] = []
    seen = 0
    for batch in batches:
        is_held = [(seen + k) % HELD_BACK == HELD_BACK - 1 for k in range(len(batch))]
        seen += len(batch)
        for kept, into in ((False, calibrated), (True, held)):
            chosen = [k for k, flag in enumerate(is_held) if flag is kept]
            if chosen:
                into.append(batch[chosen])
    if sum(len(batch) for batch in held) < FEWEST:
        raise DatasetError(
            f"{seen} images are too few: every fourth is held back to compare on, and that must be "
            f"{FEWEST} at least. Give {FEWEST * HELD_BACK} or more."
        )
    return calibrated, held


def node_groups(graph: PreparedGraph, blocks: int) -> dict[str, list[str]]:
    """Return groups of nodes that may be what eight bits harm.

    Args:
        graph: The graph; its head belongs to no group.
        blocks: Stretches to divide it into, of as many layers each.

    Returns:
        Nodes by what they are: all that are no layers, the depthwise convolutions, and the
        stretches from the first to the last.
    """
    head = set(graph.head)
    nodes = [node for node in graph.model.graph.node if node.name not in head]
    layers = [node for node in nodes if node.op_type in LAYERS]
    groups = {
        "all but layers": [node.name for node in nodes if node.op_type not in LAYERS],
        "depthwise convolutions": [node.name for node in layers if _groups_of(node) > 1],
    }
    blocks = min(blocks, len(layers))
    layer, stretches = -1, [[] for _ in range(blocks)]  # type: ignore[var-annotated]
    for node in nodes:
        layer += node.op_type in LAYERS
        stretches[max(layer, 0) * blocks // len(layers)].append(node.name)
    for index, stretch in enumerate(stretches):
        groups[f"stretch {index + 1} of {blocks}"] = stretch
    return {name: group for name, group in groups.items() if group}


class _Trial:
    """Tries ways to quantize one graph."""

    def __init__(
        self, graph: PreparedGraph, fixed: list[str], held: list[Tensor], path: Path, tries: int
    ) -> None:
        self._graph, self._fixed, self._held, self._path = graph, fixed, held, path
        self._expected = outputs_of(onnx_forward(graph.source), held)
        self._left = tries
        self._bar = tqdm(total=tries, desc="trying", unit=" files", disable=None, leave=False)

    def run(self, is_true: Callable[[Fidelity], bool]) -> Iterator[Attempt]:
        """Yield attempts until one in eight bits is true, or the tries are used up."""
        with self._bar:
            yield (first := self._attempt("the head", [], "uint8"))
            if is_true(first.fidelity):
                return
            yield self._attempt("the head", [], "uint16")
            groups = node_groups(self._graph, blocks=max(self._left - 4, 1))
            helped: list[tuple[float, str]] = []
            for name, nodes in groups.items():
                if self._left and self._leaves_layers(nodes):
                    yield (attempt := self._attempt(name, nodes, "uint8"))
                    helped.append((attempt.fidelity.rank, name))
            if any(rank >= first.fidelity.rank for rank, _ in helped):
                yield from self._together(groups, sorted(helped, reverse=True), is_true)

    def _together(
        self,
        groups: dict[str, list[str]],
        helped: list[tuple[float, str]],
        is_true: Callable[[Fidelity], bool],
    ) -> Iterator[Attempt]:
        """Yield attempts that leave the best two groups in float, then three, and so on."""
        for count in range(2, len(helped)):
            names = [name for _, name in helped[:count]]
            nodes = [node for name in names for node in groups[name]]
            if not self._left or not self._leaves_layers(nodes):
                return
            yield (attempt := self._attempt(", ".join(names), nodes, "uint8"))
            if is_true(attempt.fidelity):
                return

    def _leaves_layers(self, nodes: Sequence[str]) -> bool:
        """Tell whether any layer is left to round."""
        apart = {*self._fixed, *nodes, *self._graph.head}
        return any(
            node.op_type in LAYERS and node.name not in apart
            for node in self._graph.model.graph.node
        )

    def _attempt(self, name: str, nodes: Sequence[str], activations: str) -> Attempt:
        """Return what a way to quantize costs."""
        excluded = tuple(dict.fromkeys([*self._fixed, *nodes]))
        report = write_quantized(self._graph, self._path, exclude=excluded, activations=activations)
        found = outputs_of(onnx_forward(self._path), self._held)
        fidelity = compare_outputs(self._expected, found)
        self._left -= 1
        self._bar.update()
        return Attempt(
            name, activations, excluded, report.quantized_layers, report.bytes_after, fidelity
        )


def _is_true(fidelity: Fidelity, threshold: float, distinct: float) -> bool:
    """Tell whether a model is as true as asked for."""
    few = fidelity.agreement is None and fidelity.distinct_share < distinct
    return fidelity.rank >= threshold and not few


def _groups_of(node: Any) -> int:  # noqa: ANN401
    """Return the groups of a convolution."""
    return next((item.i for item in node.attribute if item.name == "group"), 1)
