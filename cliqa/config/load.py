"""Loading configs: mmengine's config files become plain nested dicts and lists.

A config is a Python file, so loading it runs code: load only configs that you trust. YAML and JSON
are not supported. The sections are described in `cliqa.config.sections`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mmengine.config import Config
from mmengine.config import config as mmengine_config

from cliqa.config.inheritance import ConfigFile, base_path, read_chain
from cliqa.config.mmlab.scaling import scale_rates
from cliqa.config.older_names import rename_cache, rename_pretraining, rename_scenario
from cliqa.config.options import apply_options, is_copied
from cliqa.config.sections import (
    COPIES,
    DATA,
    SECTIONS,
    check_sections,
    check_top_level,
    with_flags,
)
from cliqa.config.suggest import closest
from cliqa.config.trust import import_custom_modules, vouch
from cliqa.config.values import format_config, plain
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_text

RunConfig = dict[str, Any]
"""The sections of a config by name, in plain values."""

_ALONE = threading.RLock()


def load_config(path: str | Path, overrides: Sequence[str] | None = None) -> RunConfig:
    """Load a config file and its bases, apply options, and check the sections.

    Args:
        path: An old-style mmengine config (``_base_`` list, ``_delete_``, ``custom_imports``).
        overrides: Options ``key.sub=value``; see `apply_options`.

    Returns:
        The sections, in the order of `SECTIONS`, without the file's variables.

    Raises:
        ConfigError: A file is missing or wrong, a section is unknown, missing or has a wrong value,
            or an option has an unknown key. The message names the file and the remedy.
    """
    try:
        return _load(path, overrides or ())
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply. Reduce the nesting.") from error


def _load(path: str | Path, overrides: Sequence[str]) -> RunConfig:
    """Load a config file; see `load_config`."""
    file = read_chain(path)
    values = _run(file)
    check_top_level(values, file)
    config = {
        name: plain(values[name], f"{file.path}: {name}") for name in SECTIONS if name in values
    }
    config = apply_options(config, overrides, sorted(file.names - set(SECTIONS)))
    _copy_pipelines(config, file)
    config = {name: value for name, value in config.items() if not is_copied(name, config)}
    config = with_flags(config)
    rename_scenario(config, str(file.path))
    rename_pretraining(config, str(file.path))
    rename_cache(config)
    check_sections(config, str(file.path))
    config = scale_rates(config, str(file.path))
    import_custom_modules(config.get("custom_imports"), str(file.path))
    vouch(config)
    return config


def dump_config(config: Mapping[str, Any], path: str | Path) -> None:
    """Write a config atomically as a Python file that loads to an equal config.

    Args:
        config: A config from `load_config`.
        path: The file, ending in ``.py``.

    Raises:
        ConfigError: It contains other than plain values.
    """
    write_text(path, format_config({key: plain(value, key) for key, value in config.items()}))


def default_work_dir(path: str | Path) -> Path:
    """Return the default folder of a config's run: ``work_dirs/<config name>``.

    >>> default_work_dir("config/iqa_ewc.py").as_posix()
    'work_dirs/iqa_ewc'
    """
    return Path("work_dirs") / Path(path).stem


def _copy_pipelines(config: RunConfig, file: ConfigFile) -> None:
    """Use ``train_pipeline`` and ``test_pipeline`` for the scenario if no file reads them."""
    scenario = config.get("scenario")
    for name, key in COPIES.items():
        read = any(name in {*part.used, *part.used_of_bases} for part in file.chain())
        if isinstance(scenario, dict) and name in config and not read:
            scenario.setdefault(key.partition(".")[2], config[name])


def read_values(path: str | Path) -> dict[str, Any]:
    """Return all values that a config and its bases set, of whatever package's keys.

    Args:
        path: The file, or one of another package: ``mmpretrain::resnet/resnet18_8xb32_in1k.py``.

    Raises:
        ConfigError: A file is missing, wrong, or holds other than plain values.
    """
    file = read_chain(base_path(str(path), Path()) if "::" in str(path) else path)
    values = _run(file)
    kept = {name: value for name, value in values.items() if isinstance(value, DATA)}
    return {name: plain(value, f"{file.path}: {name}") for name, value in kept.items()}


def _run(file: ConfigFile) -> dict[str, Any]:
    """Run and merge the files with mmengine."""
    try:
        with _mmengine():
            config = Config.fromfile(str(file.path), lazy_import=False, import_custom_modules=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001  config code may raise anything
        raise ConfigError(_explain(error, file)) from error
    return {name: config[name] for name in config}


@contextlib.contextmanager
def _mmengine() -> Iterator[None]:
    """Make mmengine accept byte-order marks, and redirect printed text to standard error.

    Its message about environment variables is suppressed: it would import torch. One thread at a
    time does so: what is changed belongs to all of them.
    """
    with _ALONE:
        yield from _changed()


def _changed() -> Iterator[None]:
    """Change mmengine and standard output until the generator goes on."""
    announce, find = mmengine_config.print_log, Config._get_cfg_path
    mmengine_config.print_log = lambda *_, **__: None
    Config._get_cfg_path = staticmethod(_path_of_base)
    mmengine_config.open = _open_marked
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        mmengine_config.print_log = announce
        Config._get_cfg_path = staticmethod(find)
        del mmengine_config.open


def _path_of_base(name: str, path: str) -> tuple[str, None]:
    """Return the path of a base as `read_chain` finds it, and no scope for its components."""
    return str(base_path(name, Path(path))), None


def _open_marked(path: str, mode: str = "r", encoding: str = "utf-8") -> IO[str]:
    """Open a text file as mmengine does, without a byte-order mark."""
    return open(path, mode, encoding="utf-8-sig" if mode == "r" else encoding)


def _explain(error: BaseException, file: ConfigFile) -> str:
    """Return where and why a config failed, and a remedy."""
    files = {os.path.abspath(part.path): part for part in file.chain()}
    frames = list(traceback.walk_tb(error.__traceback__))
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    for frame, line in reversed(frames):
        part = files.get(frame.f_code.co_filename)
        if part is not None:
            return f"{part.path}, line {line}: {reason}.{_hint(error, part)}"
    # mmengine's own code failed: only its frames know which file it was merging
    merging = [frame.f_locals.get("filename") for frame, _ in frames]
    part = next((files[name] for name in reversed(merging) if name in files), file)
    return _explain_merge(error, part) or f"{part.path}: {reason}."


def _hint(error: BaseException, file: ConfigFile) -> str:
    """Return advice for an error of a config's own code."""
    inherited = {name for base in file.bases for name in base.names}
    if isinstance(error, NameError) and error.name:
        if error.name in inherited:
            return f" A base sets it: write _base_.{error.name}."
        return closest(error.name, [*file.assigned, *inherited])
    return ""


def _explain_merge(error: BaseException, file: ConfigFile) -> str | None:
    """Return an explanation of mmengine's errors in merging, or None for others."""
    text = str(error)
    if "Duplicate key is not allowed" in text:
        pairs = [(a, b) for i, b in enumerate(file.bases) for a in file.bases[:i]]
        for first, second in pairs:
            if names := sorted(first.names & second.names):
                return (
                    f"{file.path}: its bases {first.path} and {second.path} both set "
                    f"{', '.join(names)}. Two bases must not set the same name: inherit from "
                    "one of them, or rename the variable."
                )
    match = re.match(r"(\w+)=.*but is of type <class '([\w.]+)'>", text, re.DOTALL)
    if match:
        return (
            f"{file.path}: {match[1]} is a dict, but its base has a {match[2].split('.')[-1]} "
            f"there. To replace the base's value, add _delete_=True to {match[1]}."
        )
    if "cannot pickle" in text:
        return f"{file.path}: {text}: a config holds numbers, strings, None, lists and dicts."
    if isinstance(error, KeyError) and error.args:
        missing = re.fullmatch(r"\w+", str(error.args[0]))
        return f"{file.path}: {'no base has the key ' if missing else ''}{error.args[0]}."
    return None
