"""The two commands that listen, ``cliqa app`` and ``cliqa serve``, say the same of a port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("gradio")
pytest.importorskip("fastapi")

from cliqa.commands.models.app import main as app
from cliqa.commands.models.serve import main as serve
from cliqa.utils.errors import ConfigError
from cliqa.utils.system import ports
from cliqa.utils.system.ports import listening

Refusal = Callable[..., str]


@pytest.fixture(params=["app", "serve"])
def refusal(request: pytest.FixtureRequest, tmp_path: Path) -> Refusal:
    """Return what a command says that cannot listen where it is told to."""
    own = {
        "app": (app, ["--work-dirs", str(tmp_path)]),
        "serve": (serve, [__file__, "--processes", "2"]),
    }
    main, words = own[request.param]

    def run(host: str, port: int) -> str:
        with pytest.raises(ConfigError) as caught:
            main([*words, "--device", "cpu", "--host", host, "--port", str(port)])
        return str(caught.value)

    return run


def test_a_port_in_use(refusal: Refusal) -> None:
    with listening("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        assert refusal("127.0.0.1", port) == (
            f"--port {port}: in use at 127.0.0.1 by another program. Choose another one, or 0 for "
            "a free one."
        )


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("nowhere.invalid", 0, "--host nowhere.invalid: unknown host. Use 127.0.0.1, or 0.0.0.0"),
        ("192.0.2.1", 0, "--host 192.0.2.1: no address of this machine. Use 127.0.0.1, or 0.0.0.0"),
        ("127.0.0.1", 70000, "--port 70000: must be between 0 (a free one) and 65535."),
    ],
)
def test_no_such_place(refusal: Refusal, host: str, port: int, message: str) -> None:
    assert refusal(host, port).startswith(message)


def test_no_right_to_the_port(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports, "_bound", refuse)
    assert refusal("127.0.0.1", 80) == (
        "--port 80: needs rights of its own. Choose one from 1024 on."
    )
