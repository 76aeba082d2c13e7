"""The files of a run's work_dir; every one is written atomically.

=============================================  ===================================================
``config.py``                                  the resolved config
``run.json``                                   command, versions, seed, device, git revision
``train.log``                                  what the console showed
``metrics.jsonl``                              a row an epoch, and a row an experience and data set
``results.json`` ``matrix.csv``                the score matrix and its summary
``predictions/after_{t}_on_{name}.npz``        prediction, target, raw, image
``checkpoints/last.pth`` ``exp_{k}.pth``       states to go on from; see ``last_checkpoint``
``figures/*.png``                              drawn from the files above
=============================================  ===================================================
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cliqa.utils.errors import ArtifactError, CheckpointError
from cliqa.utils.io import folder_lock, replace_by_link, write_json, write_jsonl, write_text
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

PACKAGES = ("torch", "torchvision", "avalanche-lib", "mmengine", "mmpretrain", "numpy", "scipy")


class WorkDir:
    """The paths of a work_dir, and the writing of what has no better place.

    Args:
        root: The folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.py"
        self.run = self.root / "run.json"
        self.log = self.root / "train.log"
        self.metrics = self.root / "metrics.jsonl"
        self.results = self.root / "results.json"
        self.matrix = self.root / "matrix.csv"
        self.checkpoints = self.root / "checkpoints"
        self.last = self.checkpoints / "last.pth"
        self.figures = self.root / "figures"

    def checkpoint_of(self, experience: int, epoch: int | None = None) -> Path:
        """Return the path of the checkpoint kept after an experience, or inside one."""
        inside = "" if epoch is None else f"_epoch_{epoch}"
        return self.checkpoints / f"exp_{experience}{inside}.pth"

    def forget_epochs(self, keep: int) -> None:
        """Remove all but the newest checkpoints from inside experiences."""
        inside = sorted(self.checkpoints.glob("exp_*_epoch_*.pth"), key=_place)
        for path in inside[:-keep]:
            path.unlink()

    def holds_a_run(self) -> bool:
        """Tell whether a run has left something here."""
        return any(path.exists() for path in (self.last, self.results, self.run))

    def move_aside(self) -> Path:
        """Rename the folder of an earlier run, so that a new one overwrites nothing.

        Returns:
            Where the earlier run lies now.
        """
        number = 1
        while (aside := self.root.with_name(f"{self.root.name}.{number}")).exists():
            number += 1
        os.replace(self.root, aside)
        return aside

    def owns(self, checkpoint: Path) -> bool:
        """Tell whether a checkpoint is one of this folder's."""
        return checkpoint.resolve().parent == self.checkpoints.resolve()

    @contextlib.contextmanager
    def held(self, *, goes_on: bool) -> Iterator[None]:
        """Make the folder, and keep other processes out of it inside the block.

        Args:
            goes_on: The run goes on from a checkpoint of this folder; the files of an earlier one
                are moved aside otherwise.

        Raises:
            ArtifactError: Another process trains in the folder, or it cannot be made.
        """
        with contextlib.ExitStack() as held:
            if self.root.is_dir():
                self._hold(held)  # before anything is moved: a run may be going on in it
            if not goes_on and self.holds_a_run():
                held.close()
                logger.info("the earlier run was moved to %s", self.move_aside())
            self.prepare()
            held.close()
            self._hold(held)
            yield

    def _hold(self, held: contextlib.ExitStack) -> None:
        """Lock the folder until the stack is closed."""
        if not held.enter_context(folder_lock(self.root)):
            raise ArtifactError(
                f"work_dir {self.root}: another process is training in it. Wait for it, or choose "
                "another folder with --work-dir."
            )

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            ArtifactError: It cannot be made or written to.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(
                f"work_dir {self.root}: cannot be made ({error.strerror}). Choose another with "
                "--work-dir."
            ) from error
        if not os.access(self.root, os.W_OK):
            raise ArtifactError(f"work_dir {self.root}: not writable. Choose another: --work-dir.")
        for pattern in (".*.tmp", ".*.link"):  # what a killed run was about to write
            for leftover in self.root.rglob(pattern):
                leftover.unlink(missing_ok=True)

    def mark_last(self, checkpoint: Path) -> None:
        """Name the checkpoint to go on from."""
        write_text(self.root / "last_checkpoint", f"{checkpoint.name}\n")

    def adopt(self, checkpoint: Path) -> None:
        """Make a checkpoint, of this folder or another one's, the one to go on from."""
        if checkpoint.resolve() != self.last.resolve():
            replace_by_link(checkpoint, self.last)
            self.mark_last(self.last)

    def checkpoint_to_resume(self, wanted: str) -> Path | None:
        """Return the checkpoint that ``--resume`` means.

        Args:
            wanted: ``"auto"`` for this folder's last one, or a path.

        Returns:
            The path; None for ``"auto"`` where there is no checkpoint yet.

        Raises:
            CheckpointError: The path does not exist.
        """
        if wanted == "auto":
            return self.last if self.last.is_file() else None
        path = Path(wanted)
        if path.is_dir():
            path = WorkDir(path).last
        if not path.is_file():
            raise CheckpointError(f"--resume {wanted}: no such checkpoint.")
        return path

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write the history anew: after a resume nothing stands in it twice."""
        write_jsonl(self.metrics, rows)

    def write_run(self, **facts: Any) -> None:  # noqa: ANN401
        """Write what is needed to run this again."""
        write_json(
            self.run,
            {
                "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
                "python": platform.python_version(),
                "platform": platform.platform(),
                "packages": {name: _version(name) for name in PACKAGES},
                "git": _git_revision(),
                **facts,
            },
        )


def _place(checkpoint: Path) -> tuple[int, int]:
    """Return the experience and the epoch of a checkpoint from inside an experience."""
    _, experience, _, epoch = checkpoint.stem.split("_")
    return int(experience), int(epoch)


def _version(package: str) -> str | None:
    """Return an installed package's version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Return the revision of the checkout this package lies in, with a mark if it is changed."""
    here = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
