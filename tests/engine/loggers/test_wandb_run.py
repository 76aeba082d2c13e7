"""Weights & Biases, offline."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cliqa.engine.loggers import wandb_run
from cliqa.engine.loggers.build import build_loggers, close_loggers
from cliqa.engine.loggers.guard import guarded
from cliqa.engine.loggers.run_logger import Audience
from cliqa.engine.loggers.wandb_run import WandBLogger, is_logged_in, is_reachable
from cliqa.utils.errors import ConfigError

Trained = Callable[[list[Any]], dict[str, Any]]


@pytest.mark.slow
def test_wandb_runs_offline(trained: Trained, tmp_path: Path) -> None:
    loggers = build_loggers({"loggers": [{"type": "WandBLogger", "project_name": "t"}]}, tmp_path)
    facts = Audience(loggers).begin({"seed": 0}, tmp_path)
    trained(loggers)
    (file,) = tmp_path.rglob("*.wandb")
    first = facts["WandBLogger"]
    assert first["link"] == f"wandb sync --append {file.parent}"
    assert file.name == f"run-{first['id']}.wandb"
    (tmp_path / "run.json").write_text(json.dumps({"loggers": facts}))
    again = build_loggers({"loggers": [{"type": "WandBLogger"}]}, tmp_path)  # of a resumed run
    second = Audience(again).begin({"seed": 0}, tmp_path)["WandBLogger"]
    close_loggers(again)
    assert second["id"] == first["id"]


def test_wandb_refuses_an_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mode must be 'online', 'offline' or 'disabled'"):
        WandBLogger(mode="of", work_dir=tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the arguments that Avalanche's logger is started with."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        wandb_run.AvalancheWandBLogger, "__init__", lambda _, **given: calls.append(given)
    )
    return calls


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty home folder; nobody is logged in, and nothing is remembered."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb = pytest.importorskip("wandb")
    teardown = wandb.teardown  # a test may replace it
    teardown()
    yield folder
    teardown()


@pytest.mark.parametrize(
    ("mode", "variables", "expected"),
    [
        (None, {}, "offline"),
        (None, {"WANDB_API_KEY": "k"}, "online"),
        (None, {"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, "disabled"),
        ("offline", {"WANDB_API_KEY": "k", "WANDB_MODE": "online"}, "offline"),
        (None, {"WANDB_IDENTITY_TOKEN_FILE": "token"}, "online"),
        (None, {"WANDB_MODE": "online"}, "online"),
        (None, {"WANDB_MODE": "dryrun", "WANDB_API_KEY": "k"}, "offline"),
    ],
)
def test_online_is_for_those_with_a_key(
    started: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    mode: str | None,
    variables: dict[str, str],
    expected: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    WandBLogger(mode=mode, work_dir="runs/x", params={"tags": ["t"]})
    assert started[0]["params"] == {"mode": expected, "tags": ["t"]}
    assert started[0]["run_name"] == "x"
    assert started[0]["dir"] == "runs/x"


def test_names_that_the_library_has_dropped_are_put_back(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SimpleNamespace(util=SimpleNamespace(), plot=SimpleNamespace(CustomChart="chart"))
    monkeypatch.setattr(
        wandb_run.AvalancheWandBLogger,
        "import_wandb",
        lambda self: setattr(self, "wandb", library),
    )
    logger = WandBLogger(mode="offline")
    logger.import_wandb()
    assert len(library.util.generate_id(8)) == 8
    assert library.util.generate_id() != library.util.generate_id()
    assert library.viz.CustomChart == "chart"


KEY = 40 * "a"


def log_in(home: Path) -> None:
    """Do what ``wandb login`` does."""
    (home / ".netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    (home / ".netrc").chmod(0o600)


def test_who_has_logged_in_is_online(
    started: list[dict[str, Any]], home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    WandBLogger(work_dir="runs/x")
    assert started[-1]["params"] == {"mode": "offline"}
    log_in(home)
    WandBLogger(work_dir="runs/x")
    assert started[-1]["params"] == {"mode": "online"}
    assert capfd.readouterr() == ("", "")


def test_what_wandb_offline_has_set_is_kept(started: list[dict[str, Any]], home: Path) -> None:
    log_in(home)
    (home / "config").mkdir()
    (home / "config" / "settings").write_text("[default]\nmode = offline\n")
    WandBLogger(work_dir="runs/x")
    assert started[-1]["params"] == {"mode": "offline"}


def test_an_unknown_mode_of_the_environment(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "of")
    with pytest.raises(ConfigError, match=r"WANDB_MODE must be 'online', .* got 'of'"):
        WandBLogger()


def library(**given: Any) -> Any:
    """Return a library whose settings hold nothing."""
    settings = SimpleNamespace(api_key=None, identity_token_file=None)
    return SimpleNamespace(setup=lambda: SimpleNamespace(settings=settings), **given)


def test_a_library_without_the_old_name_is_asked_by_its_new_one() -> None:
    asked: list[dict[str, Any]] = []

    def login(**options: Any) -> bool:
        asked.append(options)
        return True

    assert is_logged_in(library(login=login))
    assert asked == [{"prompt": False, "verify": False}]
    assert not is_logged_in(library())


class Init:
    """Stands for ``wandb.init``; it fails in some modes."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **given: Any) -> None:
        self.calls.append(given)
        if given["mode"] in self.failing:
            raise RuntimeError("Run initialization has timed out.\nPlease read ...")


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., WandBLogger]:
    """Return a function that starts a logger with a key, by a given ``wandb.init``."""
    import wandb  # noqa: PLC0415  the library is replaced in part

    def make(init: Init, reachable: bool = True) -> WandBLogger:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setattr(wandb, "init", init)
        monkeypatch.setattr(wandb, "run", SimpleNamespace(_label=lambda **_: None))
        monkeypatch.setattr(wandb_run, "is_reachable", lambda _: reachable)
        return WandBLogger(work_dir=tmp_path, params={"id": "abc", "tags": ["t"]})

    return make


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def test_online_the_server_has_seconds(start: Callable[..., WandBLogger]) -> None:
    init = Init()
    start(init)
    (given,) = init.calls
    assert (given["mode"], given["id"], given["tags"]) == ("online", "abc", ["t"])
    assert given["settings"].init_timeout == wandb_run.INIT_TIMEOUT


def test_without_a_network_the_run_continues_offline(
    start: Callable[..., WandBLogger], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    init = Init("online")
    start(init, reachable=False)
    (given,) = init.calls
    assert (given["mode"], given["id"]) == ("offline", "abc")
    (told,) = warnings_in(caplog)
    assert "the run continues offline (https://" in told
    assert told.endswith(f"send it later with: wandb sync {tmp_path}/wandb/offline-run-*")


def test_a_server_that_does_not_answer_the_library(
    start: Callable[..., WandBLogger], caplog: pytest.LogCaptureFixture
) -> None:
    init = Init("online")
    start(init)
    assert [(call["mode"], call["id"]) for call in init.calls] == [
        ("online", "abc"),
        ("offline", "abc"),
    ]
    (told,) = warnings_in(caplog)
    assert "continues offline (Run initialization has timed out); send it later" in told


def test_a_library_that_cannot_start_at_all(
    start: Callable[..., WandBLogger], caplog: pytest.LogCaptureFixture
) -> None:
    init = Init("online", "offline")
    start(init)
    assert [call["mode"] for call in init.calls] == ["online", "offline", "disabled"]
    assert warnings_in(caplog)[1].startswith("Weights & Biases: cannot start (Run init")


def test_a_service_that_dies_does_not_stop_the_run(
    start: Callable[..., WandBLogger],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import wandb  # noqa: PLC0415  the library is replaced in part

    calls: list[str] = []

    def lost(*_: Any, **__: Any) -> None:
        calls.append("log")
        raise ConnectionResetError(104, "Connection reset by peer")

    def teardown() -> None:
        calls.append("teardown")
        raise ConnectionResetError(104, "Connection reset by peer")

    logger = guarded(start(Init()))
    for name, function in (("log", lost), ("finish", lost), ("teardown", teardown)):
        monkeypatch.setattr(wandb, name, function)
    for k in range(3):
        logger.log_single_metric("loss", 0.5, k)
    logger.close()
    assert calls == ["log", "teardown"]
    assert warnings_in(caplog) == [
        "WandBLogger: cannot write (ConnectionResetError: [Errno 104] Connection reset by peer); "
        "the run continues without it"
    ]


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy stand between this machine and itself."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("proxies")
def test_any_answer_of_a_server_will_do() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  the library's name
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert is_reachable(f"http://127.0.0.1:{server.server_port}")


@pytest.mark.usefixtures("proxies")
def test_a_machine_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_run, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert not is_reachable(f"http://127.0.0.1:{port}")
    assert not is_reachable(f"http://127.0.0.1:{port}")  # refused
    assert not is_reachable("http://nowhere.invalid")
    assert not is_reachable("no address")


def test_a_resumed_run_continues_the_same_run(
    started: list[dict[str, Any]], tmp_path: Path
) -> None:
    record = tmp_path / "run.json"
    for kept, expected in (
        ({"WandBLogger": {"id": "1a2b"}}, {"id": "1a2b", "resume": "allow"}),
        ({"WandBLogger": {"id": "../x"}}, {}),
        ({"WandBLogger": {"id": 3}}, {}),
        ({}, {}),
    ):
        record.write_text(json.dumps({"loggers": kept}))
        WandBLogger(mode="offline", work_dir=tmp_path)
        assert started[-1]["params"] == {"mode": "offline", **expected}


class Library:
    """Stands for the library while a run is on; it keeps what it is told."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.told: list[tuple[dict[str, Any], int]] = []
        self.axes: dict[str, str | None] = {}
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.id, self.url, self.step, self.dir = "1a2b", url, 12, str(folder / "r-1a2b" / "files")
        self.run = self

    def update(self, config: dict[str, Any], allow_val_change: bool) -> None:
        assert allow_val_change
        self.config = config

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.axes[name] = step_metric

    def log(self, values: dict[str, Any], step: int) -> None:
        self.told.append((values, step))


def test_the_whole_run_is_shown(
    started: list[dict[str, Any]], tmp_path: Path, make_strategy: Callable[..., Any]
) -> None:
    logger = WandBLogger(mode="online", work_dir=tmp_path)
    library = Library(tmp_path, "https://wandb.test/run/1a2b")
    library.config = SimpleNamespace(update=library.update)  # type: ignore[assignment]
    library.Table = lambda **given: given  # type: ignore[attr-defined]
    library.Image = lambda file: f"image {file}"  # type: ignore[attr-defined]
    logger.wandb, logger.init_kwargs, logger.step = library, {"mode": "online"}, 0
    link = "https://wandb.test/run/1a2b"
    assert logger.log_run({"seed": 0}, tmp_path, {}) == {"id": "1a2b", "link": link}
    assert library.config == {"seed": 0}
    assert library.axes["test/*"] == "experience"
    strategy = make_strategy()
    strategy.clock.train_iterations = 40
    logger.after_training_iteration(strategy)
    logger.log_values({"train/loss": 0.5}, "epoch", 3)
    logger.log_table("summary", ["measure", "value"], [["msrcc", 0.9]])
    logger.log_image("figures/scores", tmp_path / "scores.png")
    assert library.summary == {"msrcc": 0.9}
    assert library.told[0] == ({"epoch": 3, "train/loss": 0.5}, 40)
    assert library.told[1][0]["summary"]["data"] == [["msrcc", 0.9]]
    assert library.told[2] == ({"figures/scores": f"image {tmp_path / 'scores.png'}"}, 40)
    logger.step = 0  # of a run that was resumed at its end
    logger.log_image("figures/scores", tmp_path / "scores.png")
    assert library.told[3][1] == 12
    logger.init_kwargs = {"mode": "offline"}
    library.url = None
    offline = logger.log_run({"seed": 0}, tmp_path, {})
    assert offline == {"id": "1a2b", "link": f"wandb sync --append {tmp_path / 'r-1a2b'}"}
