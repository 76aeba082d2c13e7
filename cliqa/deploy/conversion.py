"""The report of a conversion of an exported file to another precision or backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cliqa.deploy.fidelity import Fidelity


@dataclass(frozen=True)
class ConversionReport:
    """The result of converting an ONNX file in float32.

    Attributes:
        target: The file; of OpenVINO the ``.xml``, with its ``.bin`` and ``.json`` beside it.
        precision: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``, or ``"a16w8"``: weights in 8 bits
            and activations in 16.
        bytes_before: Size of the ONNX file.
        bytes_after: Size of all files written.
        fidelity: To the ONNX file, on images; None if they were not compared.
        images: Images of the calibration; 0 without one.
        activations: ``"uint8"`` or ``"uint16"``; empty without quantization by ONNX Runtime.
        layers: Layers that multiply by weights; counted by ONNX Runtime's quantization.
        quantized_layers: How many of them multiply in integers.
        kept: Layers left in float, with the reason.
        excluded: Nodes that were left in float beside the head.
        in_float: The same in words, as `quantize_mixed_precision` calls them.
        attempts: The attempts of `quantize_mixed_precision`, in order.
        reached: Whether the fidelity that was asked for is reached.
    """

    target: Path
    precision: str
    bytes_before: int
    bytes_after: int
    fidelity: Fidelity | None = None
    images: int = 0
    activations: str = ""
    layers: int = 0
    quantized_layers: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)
    excluded: tuple[str, ...] = field(default=(), repr=False)
    in_float: str = ""
    attempts: tuple[ConversionReport, ...] = ()
    reached: bool = True

    @property
    def ratio(self) -> float:
        """How many times smaller the new files are."""
        return self.bytes_before / self.bytes_after

    @property
    def choice(self) -> str:
        """Which attempt was chosen, in words; empty if nothing was to be chosen."""
        if not self.attempts:
            return ""
        wide = self.activations == "uint16"
        slow = " (computed in float: smaller, not faster)" if wide else ""
        why = "" if self.reached else ", the most accurate, though less than asked for"
        return f"chosen: {self.activations}, in float {self.in_float}{slow}{why}"

    def lines(self) -> list[str]:
        """Return the attempts and the file written, as a command line tool prints them."""
        lines = [
            f"{one.activations}, in float {one.in_float}, {one.bytes_after / 1e6:.2f} MB: "
            f"{one.fidelity}"
            for one in self.attempts
        ]
        if self.attempts:
            lines.append(self.choice)
        elif self.fidelity is not None:
            lines.append(str(self.fidelity))
        written = f"written: {self.target} ({self.bytes_after:,} bytes"
        if self.fidelity is None:
            computed = {"bf16": ", computed in bfloat16"}.get(self.precision, "")
            return [*lines, f"{written}){computed}"]
        factor, change = (self.ratio, "smaller") if self.ratio >= 1 else (1 / self.ratio, "larger")
        return [*lines, f"{written}, {factor:.2f} times {change})"]
