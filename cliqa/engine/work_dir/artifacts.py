"""The files of a run's work_dir; every one is written atomically.

=============================================  ===================================================
``config.py``                                  the resolved config
``run.json``                                   command, versions, seed, device, git revision
``train.log``                                  what the console showed
``metrics.jsonl``                              a row an epoch, and a row an experience and data set
``results.json`` ``matrix.csv``                the score matrix and its summary
``predictions/after_{t}.npz``                  by data set: prediction, target, raw, image
``checkpoints/last.pth`` ``exp_{k}.pth``       states to resume from; see ``last_checkpoint``
``checkpoints/last_epoch.pth``                 the state before the last experience's end
``checkpoints/best.pth``                       the best epoch of the experience validated last
``figures/*.png``                              drawn from the files above
=============================================  ===================================================
"""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cliqa.engine.work_dir.earlier_run import LOCK, finish_move, is_shared, move_aside, note_others
from cliqa.engine.work_dir.holding import ReadCheckpoint, make_folder, training_lock, unusable
from cliqa.evaluation.records.predictions import prediction_path
from cliqa.utils import locks
from cliqa.utils.errors import ArtifactError, CheckpointError
from cliqa.utils.io import replace_by_link, write_json, write_text
from cliqa.utils.locks import remove_leftovers
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

PACKAGES = ("torch", "torchvision", "avalanche-lib", "mmengine", "mmpretrain", "numpy", "scipy")

WRITTEN = {
    ".": (
        *("config.py", "run.json", "metrics.jsonl", "results.json", "matrix.csv"),
        *("last_checkpoint", "eval_results*.json", "pruning.json", "pruned.pth", "model*"),
    ),
    "checkpoints": ("last.pth", "last_epoch.pth", "best.pth", "exp_*.pth", "encoder.pth"),
    "predictions": ("after_*.npz",),
    "figures": ("*.png", "*.pdf", "*.svg"),
}
"""The files of a work_dir that are written atomically, by folder."""


class WorkDir:
    """The paths of a work_dir, its lock, and the files that the engine writes."""

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
        self.before_end = self.checkpoints / "last_epoch.pth"
        self.predictions = self.root / "predictions"
        self.best = self.checkpoints / "best.pth"
        self.figures = self.root / "figures"

    def checkpoint_of(self, experience: int, epoch: int | None = None) -> Path:
        """Return the path of the checkpoint kept after or during an experience."""
        inside = "" if epoch is None else f"_epoch_{epoch}"
        return self.checkpoints / f"exp_{experience}{inside}.pth"

    def forget_epochs(self, keep: int) -> None:
        """Remove all but the newest checkpoints saved during experiences."""
        inside = sorted(self.checkpoints.glob("exp_*_epoch_*.pth"), key=_place)
        for path in inside[:-keep]:
            path.unlink()

    def holds_a_run(self) -> bool:
        """Return whether a run has written files here."""
        return any(path.exists() for path in (self.last, self.results, self.run))

    def has_learnt(self) -> bool:
        """Return whether a run has left a checkpoint or results here."""
        return self.results.exists() or any(self.checkpoints.glob("*.pth"))

    def owns(self, checkpoint: Path) -> bool:
        """Return whether a checkpoint is in this folder."""
        return checkpoint.resolve().parent == self.checkpoints.resolve()

    @contextlib.contextmanager
    def held(
        self, *, resumes: bool, resumed: ReadCheckpoint | None = None, resumable: bool = False
    ) -> Iterator[None]:
        """Create the folder, and lock it inside the block.

        Args:
            resumes: The run resumes from a checkpoint of this folder; otherwise the files of an
                earlier run are moved aside.
            resumed: That checkpoint, as it was read.
            resumable: A run that was stopped before its first checkpoint is no earlier one.

        Raises:
            ArtifactError: Another process trains in the folder, it cannot be made, or it holds a
                ``config.py`` of somebody else's.
        """
        make_folder(self.root)
        held_before = (self.root / LOCK).exists()
        with training_lock(self.root):
            finish_move(self.root)
            if resumes and resumed is not None:
                resumed.check_unchanged(self.root)
            if not self.holds_a_run():
                note_others(self.root)
                self._check_config(held_before)
            elif not (resumes or (resumable and not self.has_learnt())):
                self._move_aside()
            self.prepare()
            yield

    def _check_config(self, held_before: bool) -> None:
        """Refuse to overwrite a user's own ``config.py`` in a folder without a run."""
        if not held_before and locks.AVAILABLE and self.config.exists():
            (self.root / LOCK).unlink()
            raise ArtifactError(
                f"work_dir {self.root}: holds a config.py that no run wrote, and a run writes its "
                "own there. Choose another folder with --work-dir, or rename the file."
            )

    def _move_aside(self) -> None:
        """Move the files of an earlier run aside, so that a new one overwrites nothing."""
        shared = is_shared(self.root)
        logger.info("the earlier run was moved to %s", move_aside(self.root))
        if shared:
            logger.info("what else lies in %s stays there", self.root)

    def prepare(self) -> None:
        """Create the folder and its subfolders, and remove temporary files of a killed run."""
        make_folder(self.root)
        try:
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise unusable(self.root, error) from error
        for folder, names in WRITTEN.items():
            remove_leftovers(self.root / folder, *names)

    def mark_last(self, checkpoint: Path) -> None:
        """Write the name of the checkpoint to resume from."""
        write_text(self.root / "last_checkpoint", f"{checkpoint.name}\n")

    def adopt(self, checkpoint: Path) -> None:
        """Make a checkpoint of this or another folder the one to resume from."""
        if checkpoint.resolve() != self.last.resolve():
            replace_by_link(checkpoint, self.last)
            self.mark_last(self.last)

    def take_over(self, checkpoint: Path, steps: int) -> None:
        """Link what another run keeps of its first steps: checkpoints and predictions."""
        best = checkpoint.parent / self.best.name
        if best.is_file():
            replace_by_link(best, self.best)
        for step in range(steps):
            path = self.checkpoint_of(step)
            kept = checkpoint.parent / path.name
            if kept.is_file():
                replace_by_link(kept, path)
            found = prediction_path(checkpoint.parent.parent, step)
            self.predictions.mkdir(exist_ok=True)
            if found.is_file():
                replace_by_link(found, self.predictions / found.name)

    def checkpoint_to_resume(self, wanted: str, option: str = "--resume") -> Path | None:
        """Return the checkpoint that ``--resume`` means: ``"auto"``, this folder's last, or a path.

        It is None for ``"auto"`` where there is no checkpoint yet. `option` is for the message.

        Raises:
            CheckpointError: The path does not exist.
        """
        if wanted == "auto":
            return self.last if self.last.is_file() else None
        path = Path(wanted)
        if path.is_dir():
            path = WorkDir(path).last
        if not path.is_file():
            raise CheckpointError(f"{option} {wanted}: no such checkpoint.")
        return path

    def write_run(self, **facts: object) -> None:
        """Write what is needed to run this again."""
        write_json(
            self.run,
            {
                "command": [*Path(sys.argv[0]).name.split(), *sys.argv[1:]],
                "python": platform.python_version(),
                "platform": platform.platform(),
                "packages": {name: _version(name) for name in PACKAGES},
                "git": _git_revision(),
                **facts,
            },
        )


def _place(checkpoint: Path) -> tuple[int, int]:
    """Return the experience and epoch of a checkpoint saved during an experience."""
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
