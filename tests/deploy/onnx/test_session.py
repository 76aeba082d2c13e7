"""Where ONNX Runtime computes: the device that is asked for, else the CPU, which is told."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from cliqa.deploy.onnx import session
from cliqa.deploy.onnx.session import CPU, CUDA, TENSORRT, open_session, providers_of
from cliqa.utils.errors import ArtifactError, ConfigError


class Runtime(SimpleNamespace):
    """As much of ONNX Runtime as a session needs.

    Args:
        available: Providers that were built in.
        working: Those that start here.
        raises: Whether one that does not start is an error, as with some versions.
    """

    def __init__(self, available: list[str], working: list[str], raises: bool = False) -> None:
        super().__init__(available=available, working=working, raises=raises)
        self.asked: list[Any] = []

    def get_available_providers(self) -> list[str]:
        return self.available

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802  its name
        return SimpleNamespace()

    def InferenceSession(  # noqa: N802  its name
        self, model: object, options: Any, providers: list[Any], enable_fallback: int
    ) -> SimpleNamespace:
        names = [one if isinstance(one, str) else one[0] for one in providers]
        self.asked.append((names, options.intra_op_num_threads))
        if self.raises and not set(names) <= set(self.working):
            raise RuntimeError("libcublas.so.12: cannot open\nmore")
        return SimpleNamespace(
            get_providers=lambda: [name for name in names if name in self.working]
        )


def use(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> Runtime:
    """Let sessions be of this runtime."""
    monkeypatch.setattr(session, "library", lambda _: runtime)
    return runtime


GPU = [TENSORRT, CUDA, CPU]
FIRST, THIRD = {"device_id": 0}, {"device_id": 2}


@pytest.mark.parametrize(
    ("available", "device", "found"),
    [
        ([CPU], "cpu", [CPU]),
        ([CPU], "auto", [CPU]),
        (GPU, "cpu", [CPU]),
        (GPU, "auto", [(CUDA, FIRST), CPU]),
        (GPU, "cuda:2", [(CUDA, THIRD), CPU]),
        (GPU, "tensorrt", [(TENSORRT, FIRST), (CUDA, FIRST), CPU]),
    ],
)
def test_the_device_chooses_among_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    available: list[str],
    device: str,
    found: list[Any],
) -> None:
    use(monkeypatch, Runtime(available, available))
    assert providers_of(device) == found
    assert not caplog.records


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_missing_provider_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, device: str
) -> None:
    use(monkeypatch, Runtime([CPU], [CPU]))
    with caplog.at_level(logging.WARNING):
        assert providers_of(device) == [CPU]
    assert f"--device {device}: this ONNX Runtime has no" in caplog.text
    assert "computed on the CPU. For a GPU install the package onnxruntime-gpu" in caplog.text


@pytest.mark.parametrize("raises", [False, True])
def test_a_provider_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    runtime = use(monkeypatch, Runtime(GPU, [CPU], raises))
    with caplog.at_level(logging.WARNING):
        assert open_session(b"", "m.onnx", 3, "auto").get_providers() == [CPU]
    why = "libcublas.so.12: cannot open;" if raises else "CUDAExecutionProvider does not start"
    assert why in caplog.text
    assert runtime.asked[-1] == ([CPU] if raises else [CUDA, CPU], 3)


def test_a_working_gpu_computes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, Runtime(GPU, GPU))
    assert open_session(b"", "m.onnx", device="cuda").get_providers() == [CUDA, CPU]
    assert not caplog.records


def test_an_unknown_device_and_a_damaged_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--device tpu: unknown device. Use auto, cpu, cuda"):
        providers_of("tpu")
    with pytest.raises(ConfigError, match=r"--device cuda:x: unknown device"):
        providers_of("cuda:x")
    use(monkeypatch, Runtime([CPU], [], raises=True))
    with pytest.raises(ArtifactError, match=r"m\.onnx: damaged, or no ONNX file"):
        open_session(b"", "m.onnx")
