"""Moving an earlier run's files aside for a new run in the same folder.

The files move, not the folder: it stays what links lead to, and the lock in it is held throughout.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from cliqa.utils.errors import ArtifactError
from cliqa.utils.io import atomic_open, sync_folder
from cliqa.utils.locks import RANDOM, remove_leftovers

FIRST = "checkpoints"
"""What moves first: the run lies where its checkpoints lie, if a kill comes between two moves."""

OWN = (
    *(FIRST, "predictions", "figures", "tensorboard", "wandb", "deploy", "steps"),
    *("config.py", "run.json", "train.log", "metrics.*", "results.json", "matrix.csv"),
    *("last_checkpoint", "eval_results*.json", "pruning.json", "pruned.pth"),
    *("model*.onnx", "model*.xml", "model*.bin", "model*.json"),
)
"""Names that runs and tools give by themselves to what they write into a run's folder."""

LOCK, JOURNAL = ".lock", ".moved_to"
"""The lock, which records whether the folder is shared, and the target of an unfinished move."""

STAY = (LOCK, JOURNAL, ".pruning.lock")

SHARED = "The first run found other things here: they stay when a run is moved aside.\n"


def note_others(folder: Path) -> None:
    """Record, before a folder's first run, that it holds other files too."""
    others = [name for name in _movable(folder) if not _is_own(name)]
    lock = folder / LOCK
    if others and not (lock.exists() and lock.stat().st_size):
        lock.write_text(SHARED, encoding="utf-8")


def is_shared(folder: Path) -> bool:
    """Return whether a folder held other files before its first run, or is a working folder."""
    here = Path.cwd()
    if folder.resolve() in (here, *here.parents, Path.home()):
        return True
    lock = folder / LOCK
    return lock.is_file() and lock.read_bytes() == SHARED.encode()


def move_aside(folder: Path) -> Path:
    """Move an earlier run to the first free of ``folder.1``, ``folder.2``, ..., and return that.

    All that lies in the folder moves; of one that held other things before its first run, only
    what has a name of ours. Where no folder can be made beside it, or a disk begins with it, the
    run goes into a folder in it. The caller holds the folder, which may be a link.

    Raises:
        ArtifactError: A part of it cannot be moved.
    """
    place = folder.resolve()
    names = _names(place)
    _check_disks(folder, place, names)
    reason = ""
    for parent in (place.parent, place):
        try:
            target = _begin(place, parent, names[0])
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        _move_rest(folder, place, target)
        return target
    raise ArtifactError(
        f"work_dir {folder}: the earlier run in it cannot be moved aside ({reason}). Choose "
        "another folder with --work-dir."
    )


def finish_move(folder: Path) -> None:
    """Complete a move that was killed; the caller holds the folder.

    Raises:
        ArtifactError: A part cannot be moved.
    """
    place = folder.resolve()
    journal = place / JOURNAL
    remove_leftovers(place, JOURNAL)
    if not journal.is_file():
        return
    target = place / os.fsdecode(journal.read_bytes())
    own = target in _asides(place, target.name)  # never an arbitrary path from a file
    if own and target.is_dir() and any(target.iterdir()):
        _move_rest(folder, place, target)
    elif own:
        _undo(place, target)
    else:
        journal.unlink()


def _begin(place: Path, parent: Path, name: str) -> Path:
    """Record the target of the move and move the first part, or change nothing.

    Raises:
        OSError: It cannot be moved there.
    """
    while True:
        target = _free(parent, place, _name(place))
        try:
            # written first, so that no unknown empty folder is ever left behind
            with atomic_open(place / JOURNAL, "wb") as journal:
                journal.write(os.fsencode(os.path.relpath(target, place)))
            target.mkdir()
        except FileExistsError:  # made in this moment
            continue
        except OSError:
            _undo(place, target)
            raise
        try:
            _move(place / name, target / name)
        except OSError:
            _undo(place, target)
            raise
        return target


def _move_rest(folder: Path, place: Path, target: Path) -> None:
    """Move what is left."""
    for name in _names(place):
        try:
            _move(place / name, target / name)
        except FileNotFoundError:
            continue  # somebody has removed it
        except OSError as error:
            raise ArtifactError(
                f"work_dir {folder}: {name} of the earlier run cannot be moved to {target} "
                f"({error.strerror}). Move it there, or choose another folder with --work-dir."
            ) from error
    sync_folder(target)
    sync_folder(place)
    (place / JOURNAL).unlink(missing_ok=True)


def _asides(place: Path, name: str) -> tuple[Path, ...]:
    """Return where a run of a folder may lie under a name, if that is one for it."""
    fits = re.fullmatch(rf"{re.escape(_name(place))}\.\d+", name)
    return (place / ".." / name, place / name) if fits else ()


def _undo(place: Path, target: Path) -> None:
    """Cancel a move before its first part has moved."""
    with contextlib.suppress(OSError):
        target.rmdir()
    (place / JOURNAL).unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    """Move a file or a folder; where a link leads to a folder, the next run gets one beside that.

    Whoever keeps checkpoints on a large disk by a link keeps the next run's there too.
    """
    if not (source.is_symlink() and source.is_dir()):
        if not os.path.lexists(target):
            os.rename(source, target)
        return
    linked = source.resolve()
    if not os.path.lexists(target):
        os.symlink(linked, target, target_is_directory=True)
    if target.resolve() != linked:
        return  # the link is new already
    try:
        fresh = _free(linked.parent, linked, re.sub(r"(\.\d+)+$", "", linked.name))
        fresh.mkdir()
        link = target.with_name(".link")
        link.unlink(missing_ok=True)  # of a move that was killed here
        os.symlink(fresh, link, target_is_directory=True)
        os.replace(link, source)
    except OSError:  # where there can be none, a plain folder will do
        source.unlink()


def _names(place: Path) -> list[str]:
    """Return what is to be moved, in order."""
    shared = is_shared(place)
    names = [name for name in _movable(place) if not shared or _is_own(name)]
    return sorted(names, key=lambda name: (name != FIRST, name))


def _movable(place: Path) -> Iterator[str]:
    """Yield the names in a folder, without what belongs to it whatever run is in it."""
    for name in os.listdir(place):
        hidden = name in STAY or name.startswith(".nfs")
        if not hidden and not _asides(place, name):
            yield name


def _is_own(name: str) -> bool:
    """Return whether a name is one that runs and tools give, or a temporary form of one."""
    temporary = re.fullmatch(rf"\.(.+)\.{RANDOM}\.tmp", name)
    name = temporary[1] if temporary else name
    return any(fnmatchcase(name, pattern) for pattern in OWN)


def _check_disks(folder: Path, place: Path, names: list[str]) -> None:
    """Refuse, before anything moves, a part that is a disk of its own."""
    for name in names:
        if os.path.ismount(place / name):
            raise ArtifactError(
                f"work_dir {folder}: holds an earlier run, which cannot be moved aside, for a disk "
                f"begins at {name}. Choose another folder with --work-dir, or move its files away."
            )


def _free(parent: Path, place: Path, name: str) -> Path:
    """Return the first path of a name and a number that neither lies beside a place nor in it."""
    number = 1
    while any(os.path.lexists(where / f"{name}.{number}") for where in (place.parent, place)):
        number += 1
    return parent / f"{name}.{number}"


def _name(place: Path) -> str:
    """Return a folder's name; the root of all has none."""
    return place.name or "run"
