"""Mixed precision: 8 bits where the outputs stay accurate, float or 16 bits elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.fidelity import compare_outputs, outputs_of
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.integers.calibration import CalibrationImages
from cliqa.deploy.onnx.integers.integer_forms import groups_of, nodes_of_parts
from cliqa.deploy.onnx.integers.prepared_graph import PreparedGraph, prepared
from cliqa.deploy.onnx.integers.quantization import write_quantized
from cliqa.deploy.onnx.score_head import LAYERS
from cliqa.utils.errors import DatasetError
from cliqa.utils.progress import Phase

HELD_BACK = 4
"""Every fourth image is not calibrated on, but compared on."""

FEWEST = 8
"""Images to compare on, at least: a rank correlation of fewer is chance."""

THRESHOLD = 0.99
"""Least SRCC to the scores in float32, or least agreement on classes."""

DISTINCT = 0.9
"""Least number of different scores, as a share of those in float32."""

TRIES = 12
"""Files to try at most."""


def quantize_mixed_precision(
    source: str | Path,
    target: str | Path,
    batches: Iterable[Tensor],
    in_float: Sequence[str] = (),
) -> ConversionReport:
    """Write an ONNX file in 8 bits, or as near to that as its outputs stay accurate.

    First everything but the head is quantized to 8 bits. If that is not accurate enough, then
    activations get 16 bits, which is nearly exact, but computed in float. As 8 bits are faster,
    groups of nodes are then left in float: one group at a time, then the groups that helped most
    together. Chosen is the first of these that is accurate enough: 8 bits; 8 bits with the fewest
    layers in float; 16 bits. If none is, the most accurate one is chosen.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W), all in memory at once; every fourth is held back
            to compare on. At least 32; some 100 are good.
        in_float: Parts of the network that stay in float in any case, for they are faster so:
            names among `PARTS` in `cliqa.deploy.onnx.integers.integer_forms`.

    Returns:
        The report of the file and of all attempts, with their fidelity on the images held back.

    Raises:
        ArtifactError: See `quantize_int8`, as all others.
        ConfigError: The network has no such part.
        DatasetError: There are too few images to compare on.
    """
    with prepared(source) as graph, tempfile.TemporaryDirectory() as folder:
        apart = nodes_of_parts(graph.model, in_float)
        calibrated, held = split_images(CalibrationImages(batches, graph.shape, "reading"))
        graph.calibrate(calibrated)
        trial = _Trial(graph, held, Path(folder) / "trial.onnx", in_float, apart)
        attempts = list(trial.run())
        accurate = [one for one in attempts if _is_accurate(one)]
        fast = [one for one in accurate if one.activations == "uint8"]
        chosen = (
            max(fast, key=lambda one: (one.quantized_layers, -len(one.excluded)))
            if fast
            else max(accurate or attempts, key=_accuracy)
        )
        report = write_quantized(
            graph, target, exclude=chosen.excluded, activations=chosen.activations
        )
    return replace(
        report,
        fidelity=chosen.fidelity,
        in_float=chosen.in_float,
        attempts=tuple(attempts),
        reached=bool(accurate),
    )


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
    """Return groups of nodes that 8 bits may harm.

    Args:
        graph: The graph; its head belongs to no group.
        blocks: Blocks to divide it into, of about as many layers each.

    Returns:
        Nodes by the group's name: all that are no layers, the depthwise convolutions, and the
        blocks from the first to the last.
    """
    head = set(graph.head)
    nodes = [node for node in graph.model.graph.node if node.name not in head]
    layers = [node for node in nodes if node.op_type in LAYERS]
    groups = {
        "all but layers": [node.name for node in nodes if node.op_type not in LAYERS],
        "depthwise convolutions": [node.name for node in layers if groups_of(node) > 1],
    }
    blocks = min(blocks, len(layers))
    layer = -1
    parts: list[list[str]] = [[] for _ in range(blocks)]
    for node in nodes:
        layer += node.op_type in LAYERS
        parts[max(layer, 0) * blocks // len(layers)].append(node.name)
    groups |= {f"block {index}/{blocks}": part for index, part in enumerate(parts, start=1)}
    return {name: group for name, group in groups.items() if group}


class _Trial:
    """Tries ways to quantize one graph."""

    def __init__(
        self,
        graph: PreparedGraph,
        held: list[Tensor],
        path: Path,
        parts: Sequence[str],
        apart: Sequence[str],
    ) -> None:
        self._graph, self._held, self._path = graph, held, path
        self._parts, self._apart = parts, apart  # in float in every attempt
        self._expected = outputs_of(onnx_forward(graph.source), held)
        self._left = TRIES
        self._bar = Phase("try ways to quantize", TRIES, "file")

    def run(self) -> Iterator[ConversionReport]:
        """Yield attempts until one in 8 bits is accurate, or the tries are used up."""
        with self._bar:
            yield (first := self._attempt("the head", [], "uint8"))
            if _is_accurate(first):
                return
            yield self._attempt("the head", [], "uint16")
            groups = node_groups(self._graph, blocks=max(self._left - 4, 1))
            helped: list[tuple[float, str]] = []
            for name, nodes in groups.items():
                if self._left and self._leaves_layers(nodes):
                    yield (attempt := self._attempt(name, nodes, "uint8"))
                    helped.append((_accuracy(attempt)[0], name))
            if any(rank >= _accuracy(first)[0] for rank, _ in helped):
                yield from self._together(groups, sorted(helped, reverse=True))

    def _together(
        self, groups: dict[str, list[str]], helped: list[tuple[float, str]]
    ) -> Iterator[ConversionReport]:
        """Yield attempts that leave the best two groups in float, then three, and so on."""
        for count in range(2, len(helped)):
            names = [name for _, name in helped[:count]]
            nodes = [node for name in names for node in groups[name]]
            if not self._left or not self._leaves_layers(nodes):
                return
            yield (attempt := self._attempt(", ".join(names), nodes, "uint8"))
            if _is_accurate(attempt):
                return

    def _leaves_layers(self, nodes: Sequence[str]) -> bool:
        """Return whether any layer is left to quantize."""
        apart = {*nodes, *self._apart, *self._graph.head}
        return any(
            node.op_type in LAYERS and node.name not in apart
            for node in self._graph.model.graph.node
        )

    def _attempt(self, name: str, nodes: Sequence[str], activations: str) -> ConversionReport:
        """Return the report of one way to quantize, with its fidelity."""
        exclude = [*self._apart, *nodes]
        report = write_quantized(self._graph, self._path, exclude=exclude, activations=activations)
        outputs = outputs_of(onnx_forward(self._path), self._held)
        fidelity = compare_outputs(self._expected, outputs)
        self._left -= 1
        self._bar.update()
        return replace(report, fidelity=fidelity, in_float=", ".join([*self._parts, name]))


def _accuracy(attempt: ConversionReport) -> tuple[float, int]:
    """Return what attempts are ranked by."""
    found = attempt.fidelity
    return (0.0, 0) if found is None else (found.rank, found.distinct)


def _is_accurate(attempt: ConversionReport) -> bool:
    """Return whether an attempt is accurate enough."""
    found = attempt.fidelity
    if found is None:
        return False
    few = found.agreement is None and found.distinct_share < DISTINCT
    return found.rank >= THRESHOLD and not few
