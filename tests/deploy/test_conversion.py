"""What a conversion reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.fidelity import Fidelity

SMALL = ConversionReport(Path("m.onnx"), "int8", 4_000, 1_000)


def test_lines_tell_the_size_and_the_fidelity() -> None:
    assert SMALL.lines() == ["written: m.onnx (1,000 bytes)"]
    bf16 = replace(SMALL, precision="bf16")
    assert bf16.lines() == ["written: m.onnx (1,000 bytes), computed in bfloat16"]
    fidelity = Fidelity(8, 0.1, None, 8, 8, srcc=1.0)
    written = "written: m.onnx (1,000 bytes, 4.00 times smaller)"
    assert replace(SMALL, fidelity=fidelity).lines() == [str(fidelity), written]
    larger = replace(SMALL, fidelity=fidelity, bytes_before=500).lines()
    assert larger[-1] == "written: m.onnx (1,000 bytes, 2.00 times larger)"


def test_attempts_are_listed_with_the_choice() -> None:
    fidelity = Fidelity(8, 0.1, None, 8, 8, srcc=1.0)
    first = replace(SMALL, fidelity=fidelity, activations="uint8", in_float="the head")
    lines = replace(first, attempts=(first,)).lines()
    assert lines[0] == f"uint8, in float the head, 0.00 MB: {fidelity}"
    assert lines[1] == "chosen: uint8, in float the head"
