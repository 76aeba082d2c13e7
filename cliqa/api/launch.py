"""One way from a config to a run, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cliqa.engine.options import RunOptions
from cliqa.utils.errors import ConfigError
from cliqa.utils.processes.group import (
    device_of,
    is_main,
    joined,
    main_first,
    size,
    started,
    was_restarted,
)


def launch(
    config: Mapping[str, Any],
    config_file: str | Path,
    work_dir: str | Path | None = None,
    *,
    tell_data: bool = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Train or pretrain a config, and deploy the trained model if it says so.

    The libraries are imported here, once the options and the data are known to be possible.

    Args:
        config: The config, as loaded and checked.
        config_file: Where it was loaded from.
        work_dir: Where the run's files go; None for the config's own.
        tell_data: Log what the label files hold; see `check_data`.
        options: Those of `RunOptions`.

    Raises:
        CliqaError: The options, the config, the data or a checkpoint is wrong.
    """
    if was_restarted() and options.get("resume") is None:
        options["resume"] = "auto"  # what torchrun has started again goes on
    asked = RunOptions(**options)  # what cannot be is refused before torch is imported
    if started() > 1:  # Avalanche makes a logger as it is imported, which only one process may
        import cliqa.engine.train  # noqa: F401, PLC0415
    with joined(device_of(asked.device)):
        _launch(config, config_file, work_dir, tell_data, asked, options)


def _launch(
    config: Mapping[str, Any],
    config_file: str | Path,
    work_dir: str | Path | None,
    tell_data: bool,
    asked: RunOptions,
    options: dict[str, Any],
) -> None:
    """Do what `launch` does, in the processes of the run."""
    if size() > 1 and "pretrain" in config:
        raise ConfigError(
            f"{config_file}: pretrains, which has not been made for several processes, and this "
            f"run has {size()}. Pretrain without torchrun."
        )
    if not asked.continues:  # whose earlier data may be gone
        from cliqa.benchmarks.data_check import check_data  # noqa: PLC0415  --help is fast

        with main_first():
            check_data(config, tell=tell_data)
    work: Callable[..., object]
    if "pretrain" in config:
        from cliqa.engine.pretrain.run import pretrain as work  # noqa: PLC0415  torch takes seconds
    else:
        from cliqa.engine.train import train as work  # noqa: PLC0415  Avalanche too

    made = work(config, config_file=config_file, work_dir=work_dir, **options)
    stopped = isinstance(made, Mapping) and made.get("status") == "stopped"
    if config.get("deploy") is not None and not stopped and is_main():
        from cliqa.compress.auto import deploy_run  # noqa: PLC0415  needs optional libraries

        deploy_run(config, config_file, work_dir)
