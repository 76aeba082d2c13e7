"""What a server was started with, and the names by which a browser may ask for its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cliqa.evaluation.records.study_deployed import FILE
from cliqa.utils.errors import ConfigError

DEPTH = 4
"""Folders of folders below a root that are looked into."""

MOST_FOLDERS = 20_000
"""Folders that one search looks into: a root as large as a home is searched in part."""

KEPT_SECONDS = 2.0
"""A search is that long taken as true: one page asks several times."""

SPARSE = 20
"""A long search is that many times as long taken as true: pages ask every other second."""

RESULTS, STUDIES = ("results.json",), ("study.json", "label_study.json")
INNER = frozenset({"checkpoints", "figures", "predictions"})
"""Folders of runs in which there are no other runs."""

_searches: dict[tuple[Path, tuple[str, ...]], tuple[float, list[str]]] = {}


@dataclass(frozen=True)
class Settings:
    """What a server was started with.

    A browser never gives a path: it gives one of the names that `runs`, `studies`, `models`,
    `folders` or `config_names` lists, and `path_of` and its like look it up again.

    Attributes:
        work_dirs: The root of runs and studies.
        configs: The folder of configs; None for none.
        device: Where models compute: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``.
        images: The root of folders of images that may be scored; None for none.
        max_upload_bytes: The largest file that is uploaded.
        max_images: The most images that are scored at once.
        parallel: Runs that train at a time.
        read_only: Nothing can be started from a browser.
        trust: Files may name any component, as with ``--trust``.
    """

    work_dirs: Path
    configs: Path | None = None
    device: str = "auto"
    images: Path | None = None
    max_upload_bytes: int = 50 * 2**20
    max_images: int = 500
    trust: bool = False
    parallel: int = 1
    read_only: bool = False

    def runs(self) -> list[str]:
        """Return the names of runs below `work_dirs`, those that last wrote results first.

        The pruned forms that a search has made of a run come after all of them.
        """
        made = FILE.parent.name
        return sorted(_found(self.work_dirs, RESULTS), key=lambda n: Path(n).parent.name == made)

    def studies(self) -> list[str]:
        """Return the names of studies below `work_dirs`, the newest first."""
        return _found(self.work_dirs, STUDIES)

    def models(self) -> list[str]:
        """Return what can score images: runs with a checkpoint, and exported files (``.onnx``)."""
        runs = [name for name in self.runs() if _has_checkpoint(self.work_dirs / name)]
        return [*runs, *_found(self.work_dirs, (), _exported)]

    def folders(self) -> list[str]:
        """Return the names of the folders below `images` that hold files; ``.`` is the root."""
        return sorted(_found(self.images, (), _has_files)) if self.images else []

    def config_names(self) -> list[str]:
        """Return the names of the configs, without those that others are built from."""
        if self.configs is None:
            return []
        files = (path for path in self.configs.glob("*.py") if path.is_file())
        return sorted(path.name for path in files if not path.name.startswith("_"))

    def path_of(self, name: object) -> Path:
        """Return the folder of a run or a study.

        Raises:
            ConfigError: It is none of `runs` and `studies`.
        """
        return _listed(self.work_dirs, name, [*self.runs(), *self.studies()], "run or study")

    def model_of(self, name: object) -> Path:
        """Return the folder or file of a model.

        Raises:
            ConfigError: It is none of `models`.
        """
        return _listed(self.work_dirs, name, self.models(), "model")

    def folder_of(self, name: object) -> Path:
        """Return a folder of images.

        Raises:
            ConfigError: It is none of `folders`.
        """
        return _listed(self.images, name, self.folders(), "folder of images")

    def config_of(self, name: object) -> Path:
        """Return the file of a config.

        Raises:
            ConfigError: It is none of `config_names`.
        """
        return _listed(self.configs, name, self.config_names(), "config")


def chosen(name: object, known: Collection[str], kind: str) -> str:
    """Return what a browser has chosen, if it was offered.

    Raises:
        ConfigError: It was not, whatever it is.
    """
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{ascii(name)[:60]}: no such {kind} here. Choose one from the list.")
    return name


def _listed(root: Path | None, name: object, known: list[str], kind: str) -> Path:
    """Return the path of a name below a root, if it is listed and leads nowhere else."""
    found = chosen(name, known, kind)
    root = (root or Path()).resolve()  # without one nothing is known
    path = (root / found).resolve()
    if not path.is_relative_to(root):
        raise ConfigError(f"{name}: lies outside the folder that the server was started with.")
    return path


def _found(
    root: Path, files: tuple[str, ...], here: Callable[[str, list[str]], list[str]] | None = None
) -> list[str]:
    """Return relative names below a root, the newest first.

    Args:
        root: The root.
        files: Names of files, of which a folder holds one.
        here: From a folder and its files to the names in it that count; without it the folder
            itself counts.
    """
    key = (root, files or (getattr(here, "__name__", ""),))
    until, names = _searches.get(key, (0.0, []))
    began = time.monotonic()
    if began < until:
        return list(names)
    found: dict[str, float] = {}
    for folder, inside in _folders(root):
        paths = here(folder, inside) if here else [f for f in files if f in inside][:1]
        for name in paths:
            path = Path(folder) / name
            shown = (path if here else path.parent).relative_to(root).as_posix()
            found[shown] = changed_at(path)
    names = sorted(found, key=lambda name: (-found[name], name))
    ended = time.monotonic()
    _searches[key] = (ended + max(KEPT_SECONDS, SPARSE * (ended - began)), names)
    return list(names)


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield folders below a root with the names of their files, without following links."""
    start = len(root.parts)
    for count, (folder, inner, files) in enumerate(os.walk(root, followlinks=False)):
        if count >= MOST_FOLDERS:
            return
        deep = len(Path(folder).parts) - start >= DEPTH
        inner[:] = [] if deep else sorted(n for n in inner if n not in INNER and n[0] != ".")
        own = [name for name in files if not os.path.islink(os.path.join(folder, name))]
        yield folder, own


def _exported(_: str, files: list[str]) -> list[str]:
    """Return a folder's exported files."""
    return [name for name in files if name.endswith(".onnx")]


def _has_files(_: str, files: list[str]) -> list[str]:
    """Return the folder itself if it has files."""
    return ["."] if files else []


def _has_checkpoint(folder: Path) -> bool:
    """Return whether a run has a checkpoint."""
    return any((folder / "checkpoints").glob("*.pth"))


def changed_at(path: Path) -> float:
    """Return when a file was last written, 0 where it has just gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def file_state(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def forget_searches() -> None:
    """Search anew when names are next asked for."""
    _searches.clear()
