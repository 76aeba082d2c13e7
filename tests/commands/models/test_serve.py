"""``cliqa serve``: its arguments, and what it hands to the service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from cliqa.commands.models.serve import main, parse_args
from cliqa.serve.options import ServiceOptions
from cliqa.serve.supervisor import Supervisor
from cliqa.utils.cli import run_entry_point

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ServiceOptions]:
    """Return the list of what services were asked for; none is started."""
    found: list[ServiceOptions] = []

    def run(self: Supervisor) -> int:
        self.options.check()
        found.append(self.options)
        return 0

    monkeypatch.setattr(Supervisor, "run", run)
    monkeypatch.setattr("cliqa.utils.device.usable_cpus", lambda: 4)
    return found


def test_there_is_one_process_a_core_with_one_thread(asked: list[ServiceOptions]) -> None:
    assert main(["m.onnx"]) == 0
    assert asked == [ServiceOptions("m.onnx", processes=4)]


@pytest.mark.parametrize(("processes", "threads"), [(1, 4), (2, 2), (3, 1), (8, 1)])
def test_cores_are_shared_out(asked: list[ServiceOptions], processes: int, threads: int) -> None:
    main(["m.onnx", "--processes", str(processes)])
    assert (asked[0].processes, asked[0].threads) == (processes, threads)


def test_every_option_arrives(asked: list[ServiceOptions]) -> None:
    given = "m.onnx --host 0.0.0.0 --port 81 --processes 2 --batch-size 3 --max-wait 20 --queue 9"
    more = "--max-images 4 --max-bytes 5 --max-pixels 6 --timeout 7 --dataset koniq --device cpu"
    main([*given.split(), *more.split(), "--allow-urls", "--trust", "--access-log"])
    assert asked[0] == ServiceOptions(
        "m.onnx",
        host="0.0.0.0",
        port=81,
        processes=2,
        threads=2,
        batch_size=3,
        max_wait=0.02,
        queue=9,
        max_images=4,
        max_bytes=5,
        max_pixels=6,
        timeout=7.0,
        dataset="koniq",
        device="cpu",
        allow_urls=True,
        trust=True,
        access_log=True,
    )


def test_a_checkpoint_has_a_name(asked: list[ServiceOptions], tiny_run: Path) -> None:
    main([str(tiny_run), "--checkpoint", "exp_0", "--scale", "1", "5"])
    assert asked[0].model == str(tiny_run / "checkpoints" / "exp_0.pth")
    assert asked[0].scale == (1.0, 5.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m.onnx", "--queue", "3"], "error: --max-images 64: a request of so many"),
        (["m.onnx", "--processes", "0"], "error: --processes 0: must be at least 1."),
        (["m.onnx", "--timeout", "0"], "error: --timeout 0: must be at least 0.1."),
        (["none.onnx"], "error: none.onnx: there is no such work_dir, checkpoint or exported"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_entry_point(lambda: main(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom cliqa.commands.models.serve import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'fastapi', 'uvicorn', 'onnxruntime', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_defaults_are_those_of_the_service() -> None:
    args = parse_args(["m.onnx"])
    for name in ("host", "port", "batch_size", "queue", "max_images", "max_bytes", "max_pixels"):
        assert getattr(args, name) == getattr(ServiceOptions, name)
