"""Avalanche's WandBLogger, repaired for current versions of Weights & Biases.

Nothing that its server, its network or its service does stops a run.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from avalanche.logging import WandBLogger as AvalancheWandBLogger
from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.loggers.run_logger import Facts, RunLogger, earlier_facts
from cliqa.registry import LOGGERS
from cliqa.utils.errors import ConfigError, first_line
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

MODES = ("online", "offline", "disabled")
IN_ENVIRONMENT = {"dryrun": "offline", "run": "online", "shared": "shared"}
"""Further values of ``WANDB_MODE``, and what they mean."""

CREDENTIALS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
PATIENCE = 5.0
"""Seconds in which the server must answer."""

INIT_TIMEOUT = 15.0
"""Seconds in which the server must know a run; `WANDB_INIT_TIMEOUT` comes first."""


@LOGGERS.register_module()
class WandBLogger(AvalancheWandBLogger, RunLogger):
    """A run for Weights & Biases, online or offline: config, curves, score matrix, figures.

    A run that is resumed continues the same run there, by the id in its ``run.json``.

    Args:
        project_name: Project of the run.
        run_name: Name of the run; None for the work_dir's name.
        mode: ``"online"``, ``"offline"`` or ``"disabled"``; None for ``WANDB_MODE`` or what
            ``wandb offline`` has set, else online for those who are logged in (``wandb login``,
            ``WANDB_API_KEY``), else offline. Send a run later with ``wandb sync``. A run that
            cannot reach the server continues offline.
        work_dir: The run's folder; its ``wandb`` subfolder takes the files.
        arguments: Further arguments of Avalanche's logger.

    Attributes:
    Raises:
        ConfigError: `mode` is unknown.
    """

    step: int
    """The library's step: training iterations so far."""

    def __init__(
        self,
        project_name: str = "cliqa",
        run_name: str | None = None,
        mode: str | None = None,
        work_dir: str | Path = ".",
        params: dict[str, Any] | None = None,
        **arguments: object,
    ) -> None:
        if mode is not None and mode not in MODES:
            raise ConfigError(
                f"WandBLogger: mode must be 'online', 'offline' or 'disabled', got {mode!r}."
            )
        self.import_wandb()
        begun = earlier_facts(work_dir).get("WandBLogger", {}).get("id")
        known = isinstance(begun, str) and re.fullmatch(r"[\w-]{1,64}", begun)
        resumed = {"id": begun, "resume": "allow"} if known else {}
        super().__init__(
            project_name=project_name,
            run_name=run_name or Path(work_dir).resolve().name,
            dir=arguments.pop("dir", None) or str(work_dir),
            params={"mode": mode or mode_of_environment(self.wandb), **resumed, **(params or {})},
            **arguments,
        )

    def import_wandb(self) -> None:
        """Import the library, and restore two removed names that Avalanche 0.6 uses."""
        super().import_wandb()
        if not hasattr(self.wandb.util, "generate_id"):
            self.wandb.util.generate_id = lambda length=8: secrets.token_hex(length // 2)
        if not hasattr(self.wandb, "viz"):
            self.wandb.viz = SimpleNamespace(CustomChart=self.wandb.plot.CustomChart)

    def before_run(self) -> None:
        """Start the run; one that cannot be started online is started offline."""
        if self.init_kwargs.get("mode") not in ("offline", "disabled"):
            reason = self._started_online()
            if reason is None:
                return
            logger.warning(
                "Weights & Biases: the run continues offline (%s); send it later with: "
                "wandb sync %s",
                reason,
                Path(str(self.dir or ".")) / "wandb" / "offline-run-*",
            )
            self.abandon()  # its service still holds the run's id
            self.init_kwargs["mode"] = "offline"
        try:
            super().before_run()
        except Exception as error:  # noqa: BLE001  a full disk, or a service that cannot start
            logger.warning(
                "Weights & Biases: cannot start (%s); nothing is sent", _first_line(error)
            )
            self.abandon()
            self.init_kwargs["mode"] = "disabled"
            super().before_run()

    def _started_online(self) -> str | None:
        """Start the run; return why that was not possible."""
        server = str(self.wandb.setup().settings.base_url)
        if not is_reachable(server):
            return f"{server} cannot be reached"
        if "settings" not in self.init_kwargs and "WANDB_INIT_TIMEOUT" not in os.environ:
            self.init_kwargs["settings"] = self.wandb.Settings(init_timeout=INIT_TIMEOUT)
        try:
            super().before_run()
        except Exception as error:  # noqa: BLE001  whatever the server or the library says
            return _first_line(error)
        return None

    def log_run(self, config: Mapping[str, Any], work_dir: Path, earlier: Facts) -> Facts | None:
        """Show the config; return the run's id, and its address or how to send it."""
        run = self.wandb.run
        run.config.update(dict(config), allow_val_change=True)
        for name, axis in (("train/*", "epoch"), ("val/*", "epoch"), ("test/*", "experience")):
            run.define_metric(axis)
            run.define_metric(name, step_metric=axis)
        folder = Path(run.dir).parent
        offline = self.init_kwargs.get("mode") == "offline"
        link = f"wandb sync --append {folder}" if offline else run.url
        return {"id": run.id, **({"link": link} if link else {})}

    def log_values(self, values: Mapping[str, float], axis: str, place: int) -> None:
        """Add a point to curves; they share the step of the last metric."""
        self.wandb.log({axis: place, **values}, step=self.step)

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table; the summary's values are those of the run."""
        if name == "summary":
            self.wandb.run.summary.update({str(key): value for key, value in rows})
        table = self.wandb.Table(columns=list(columns), data=[list(row) for row in rows])
        self.wandb.log({name: table}, step=self._last_step())

    def log_image(self, name: str, file: Path) -> None:
        """Show a figure."""
        self.wandb.log({name: self.wandb.Image(str(file))}, step=self._last_step())

    def _last_step(self) -> int:
        """Return the newest step, an earlier process's where this one has trained nothing."""
        return max(self.step, int(self.wandb.run.step))

    def after_training_iteration(self, strategy: SupervisedTemplate, *_: object) -> None:
        """Follow the iterations, which are the library's steps: a resumed run goes on from them."""
        self.step = max(self.step, strategy.clock.train_iterations)

    def abandon(self) -> None:
        """Shut the library down after an error, so that it does not fail again at the end."""
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            self.wandb.teardown()

    def close(self) -> None:
        """Finish the run, which writes its remaining values."""
        self.wandb.finish()


def _first_line(error: Exception) -> str:
    """Return an error's first line."""
    return first_line(error).rstrip(".")


def mode_of_environment(wandb: ModuleType) -> str:
    """Return the mode that environment variables and settings ask for.

    Raises:
        ConfigError: ``WANDB_MODE`` has an unknown value.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode:
        mode = IN_ENVIRONMENT.get(mode, mode)
        if mode not in (*MODES, *IN_ENVIRONMENT.values()):
            raise ConfigError(
                f"WANDB_MODE must be 'online', 'offline' or 'disabled', got {mode!r}."
            )
        return mode
    settings = wandb.setup().settings  # of the environment and of files
    if settings.mode in ("offline", "disabled"):
        return str(settings.mode)
    return "online" if is_logged_in(wandb) else "offline"


def is_logged_in(wandb: ModuleType) -> bool:
    """Return whether the user is logged in, without asking a server."""
    settings = wandb.setup().settings
    known = (getattr(settings, name, None) for name in ("api_key", "identity_token_file"))
    if any(os.environ.get(name) for name in CREDENTIALS) or any(known):
        return True
    # of ~/.netrc, where ``wandb login`` puts the key. The library warns that the name may go.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return bool(wandb.api.api_key)
        except Exception:  # noqa: BLE001  the name has gone; its own question may ask the server
            with contextlib.suppress(Exception):
                return bool(wandb.login(prompt=False, verify=False))
    return False


def is_reachable(url: str) -> bool:
    """Return whether a server answers in a few seconds, with any answer, by the usual proxies."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
        except urllib.error.HTTPError:  # an answer
            answers.append(True)
        except urllib.error.URLError as error:
            # certificates of one's own: the library may know them
            answers.append(isinstance(error.reason, ssl.SSLError))
        except (OSError, ValueError, http.client.HTTPException):
            answers.append(False)
        else:
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)  # a look-up has no time limit of its own
    thread.start()
    thread.join(PATIENCE)
    return answers == [True]
