"""Training from Python: a config in, a run out."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from cliqa.api.launch import launch
from cliqa.api.models import Images, Model, load
from cliqa.api.results import RunResults, results
from cliqa.config.components import quick_check
from cliqa.config.load import dump_config, load_config
from cliqa.config.trust import trusting
from cliqa.datasets.own.options import load_with_data
from cliqa.engine.sections import run_folder
from cliqa.utils.cli import quiet_upstream
from cliqa.utils.console import prepare_process
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import close_logging
from cliqa.utils.paths import check_output_folder, config_path

Config = dict[str, Any]


@dataclass(frozen=True)
class TrainedRun:
    """A run that has been trained.

    Attributes:
        work_dir: The folder with all its files.
        config: Its config, resolved.
    """

    work_dir: Path
    config: Config

    @property
    def results(self) -> RunResults:
        """What it has measured; see `results`.

        Raises:
            ArtifactError: There are no results, as after a pretraining.
        """
        return results(self.work_dir)

    def load(self, device: str = "auto") -> Model:
        """Return the trained model; see `load`, which has more options."""
        return load(self.work_dir, device=device)

    def predict(
        self,
        images: Images,
        *,
        scale: tuple[float, float] | Literal["dataset"] | None = None,
        dataset: str | None = None,
        device: str = "auto",
    ) -> pd.DataFrame:
        """Score or classify images with the trained model; see `Model.predict`."""
        return self.load(device).predict(images, scale=scale, dataset=dataset)


def train(
    config: str | Path | Mapping[str, Any],
    *,
    data: str | Path | Sequence[str | Path] | None = None,
    cfg_options: Sequence[str] | Mapping[str, Any] = (),
    work_dir: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    resume: bool | str | Path = False,
    extend: bool = False,
    start_from: str | Path | None = None,
    stop_after: int | None = None,
    amp: bool = False,
    allow_changed_data: bool = False,
    trust: bool = False,
) -> TrainedRun:
    """Train a config over its stream, or pretrain its model; what ``cliqa train`` does.

    Args:
        config: A config file (``"cliqa::demo.py"`` is one that comes with the package), or a
            config as nested dicts.
        data: Your own scores, a csv, xlsx, json or parquet file or several, in place of the
            config's data sets; columns, folder and scale are guessed where they are plain.
        cfg_options: Changes: ``{"cl_strategy.train_epochs": 2}``, or as on the command line
            ``["cl_strategy.train_epochs=2"]``.
        work_dir: The run's folder; by default the config's ``work_dir``, else
            ``work_dirs/<config name>``. A run that lies there is moved aside.
        device: ``"auto"`` (the first GPU, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed.
        resume: True to continue from the folder's last checkpoint, or a checkpoint's path.
        extend: Continue the folder's run under a config that asks for more: data sets at its end,
            or a larger ``train_epochs``. See `extend` for a run without its config.
        start_from: Another run's folder or checkpoint: begin in a new folder with all that it has
            learnt, and continue as with `extend`.
        stop_after: Stop after so many experiences; ``resume=True`` goes on.
        amp: Train in mixed precision.
        allow_changed_data: Resume although labels or images are not those that the run began with.
        trust: Let the files that are opened, such as a teacher, name any component.

    Returns:
        The run.

    Raises:
        CliqaError: The config, the data or a checkpoint is wrong; the message has a line for
            every mistake.
    """
    if isinstance(config, (str, Path)):
        config = config_path(str(config))
    with prepared(), trusting(trust):
        loaded = load_with_data(data, lambda o: _load(config, o)[0], _options(cfg_options))
        config_file = config if isinstance(config, str) else "config"
        quick_check(loaded)
        if not isinstance(config, (str, Path)) and not (work_dir or loaded.get("work_dir")):
            raise ConfigError(
                "train: a config of nested dicts has no name for its run's folder. Give "
                "work_dir='work_dirs/...'."
            )
        folder = run_folder(loaded, config_file, work_dir)
        check_output_folder(folder, "work_dir")
        try:
            launch(
                loaded,
                config_file,
                folder,
                tell_data=bool(data),
                device=device,
                seed=seed,
                resume=_checkpoint(resume),
                extend=extend,
                start_from=None if start_from is None else str(start_from),
                stop_after=stop_after,
                amp=amp,
                allow_changed_data=allow_changed_data,
            )
        finally:
            close_logging()
    return TrainedRun(folder, loaded)


def _checkpoint(resume: bool | str | Path) -> str | None:
    """Return what the engine calls the checkpoint to resume from."""
    if isinstance(resume, bool):
        return "auto" if resume else None
    return str(resume)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Prepare the process as the entry points do, and keep upstream's idle warnings away."""
    prepare_process()
    with warnings.catch_warnings():
        quiet_upstream()
        yield


def _load(config: str | Path | Mapping[str, Any], options: list[str]) -> tuple[Config, str]:
    """Return a checked config, and the name of its file."""
    if isinstance(config, (str, Path)):
        return load_config(config, options), str(config)
    with tempfile.TemporaryDirectory(prefix="cliqa-") as folder:
        path = Path(folder) / "config.py"
        try:
            dump_config(config, path)
            return load_config(path, options), "config"
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(path), "config")) from error


def _options(given: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Return changes of a config as the command line writes them."""
    if not isinstance(given, Mapping):
        return list(given)
    return [f"{key}={_written(key, value)}" for key, value in given.items()]


def _written(key: str, value: object) -> str:
    """Return a value as the text of an option; a string keeps its quotes, so that it stays one.

    Raises:
        ConfigError: No option can hold the string.
    """
    if not isinstance(value, (str, Path)):
        return repr(value)
    text = str(value)
    quote = next((quote for quote in "'\"" if quote not in text), None)
    if quote is None:
        raise ConfigError(
            f"cfg_options {key}: a string with both kinds of quotes. Write it in a config file."
        )
    return f"{quote}{text}{quote}"
