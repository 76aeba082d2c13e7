"""``--data my.csv``: label files as the data sets of a config."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cliqa.config.options import apply_options
from cliqa.datasets.own.examine import examine
from cliqa.datasets.own.guess import Guess, guess_section
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.logging import get_logger
from cliqa.utils.mistakes import Mistakes
from cliqa.utils.paths import home_path, name_after

logger = get_logger(__name__)

RunConfig = dict[str, Any]

_OF_DATA_SET = re.compile(r"\s*scenario\.datasets\.(\d+)\.")
_REPLACED = re.compile(r"\s*scenario(\.(datasets|dataset_root|generate|order))?\s*=")


def load_with_data(
    files: Sequence[str | Path] | str | Path | None,
    load: Callable[[list[str]], RunConfig],
    options: Sequence[str] = (),
) -> RunConfig:
    """Return a config whose data sets are label files; see `data_options`."""
    return load(data_options(files, load, options))


def data_options(
    files: Sequence[str | Path] | str | Path | None,
    load: Callable[[list[str]], RunConfig],
    options: Sequence[str] = (),
) -> list[str]:
    """Return the options under which a config's data sets are label files, learnt in their order.

    What a file's columns and scores mean is guessed where it is plain, and logged; the user's
    ``scenario.datasets.N.key=value`` come first.

    Args:
        files: The label files; none leaves the config's own data sets.
        load: Loads the config under options ``key=value``.
        options: The user's options.

    Returns:
        The data sets as an option, and the user's options after it.

    Raises:
        ConfigError: The config has no stream of scores, or an option is wrong.
        DatasetError: With all that is wrong in the files, and all that they leave open.
    """
    if not files:
        return list(options)
    paths = [home_path(file) for file in ([files] if isinstance(files, (str, Path)) else files)]
    scenario = load([]).get("scenario") or {}
    if scenario.get("type", "") != "QualityStream":
        raise ConfigError(
            f"--data: the config's scenario is {scenario.get('type')!r}, not a stream of scores "
            "('QualityStream'). Use cliqa::my_data.py, or a config over its data sets."
        )
    for option in options:
        if _REPLACED.match(option):
            raise ConfigError(
                f"--cfg-options {option}: --data gives the data sets already. Leave it out; "
                "scenario.datasets.0.images=FOLDER names the folder of the first one's images."
            )
    base = _common_folder(paths)
    guesses = _guess(paths, options)
    for path, guess in zip(paths, guesses, strict=True):
        guess.section["root"] = Path(os.path.relpath(path.absolute().parent, base)).as_posix()
    _raise_all(paths, guesses)
    for path, guess in zip(paths, guesses, strict=True):
        for line in guess.lines:
            logger.info("%s: %s", path.name, line)
    data: dict[str, Any] = {
        "dataset_root": str(base),
        "datasets": [guess.section for guess in guesses],
    }
    data |= {key: None for key in ("generate", "order") if key in scenario}
    return [f"scenario={data!r}", *options]


def _common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that holds all the files."""
    folders = [str(path.absolute().parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise ConfigError(f"--data: the files lie on several drives ({error}).") from error


def _guess(paths: Sequence[Path], options: Sequence[str]) -> list[Guess]:
    """Return what is known about every file; the user's options come first."""
    empty = {"scenario": {"datasets": [{"type": "ScoreFile"} for _ in paths]}}
    own = [option for option in options if _OF_DATA_SET.match(option)]
    given = apply_options(empty, own)["scenario"]["datasets"]
    names = [name_after(path) for path in paths]
    taken: set[str] = set()
    guesses = []
    for place, path in enumerate(paths):
        options_of = {key: value for key, value in given[place].items() if key != "type"}
        if names[place] in names[:place]:  # the first keeps its name: a stream may grow by others
            folder = name_after(path.absolute().parent.name or "data")
            if "name" not in options_of and path.absolute() in map(Path.absolute, paths[:place]):
                raise ConfigError(
                    f"--data: {path} is given twice. Leave one out, or give it another name: "
                    f"--cfg-options scenario.datasets.{place}.name=NAME."
                )
            name = f"{folder}_{names[place]}"
            name = f"{name}_{place + 1}" if name in taken else name
            taken.add(options_of.setdefault("name", name))
        guesses.append(guess_section(path, options_of, place))
    return guesses


def _raise_all(paths: Sequence[Path], guesses: Sequence[Guess]) -> None:
    """Raise what is wrong or open in any of the files; nothing if all is plain.

    Where something is, all the files are examined, as far as they can be: the user mends them once.
    """
    if not any(guess.mistakes.lines for guess in guesses):
        return
    mistakes = Mistakes()
    for path, guess in zip(paths, guesses, strict=True):
        mistakes.add(guess.mistakes.lines)
        if guess.readable:
            mistakes.add(examine(guess.section, path.parent).mistakes)
    mistakes.raise_as(DatasetError)
