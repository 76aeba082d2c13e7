"""A data set in its official folder: a label file, and images beside it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from cliqa.config.annotations import ThreeNumbers, TwoNumbers
from cliqa.datasets.base import Policy, QualityDataset
from cliqa.datasets.image_files import find_folder
from cliqa.datasets.image_listing import find_path
from cliqa.datasets.labels.table import ScoreTable, check_range, check_table
from cliqa.datasets.splits import check_fractions
from cliqa.registry import closest
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path


class LabelledFolder(QualityDataset):
    """Base of the loaders: each names the official files and folders, and reads its labels.

    Args:
        root: The data set's folder.
        name: A short name for logs and file names; each loader has its own by default.
        labels: The label file, relative to `root` or absolute, instead of the official one.
        images: The image folder, relative to `root` or absolute, instead of the official one.
        score_range: The declared (low, high) of the raw scores, instead of the official one.
        seed: Of the split, where there is no official one.
        fractions: Shares of train, val and test, where there is no official split.
        fold: (k, K) for the k-th of K folds as test, where there is no official split.
        on_bad_image: ``"error"`` or ``"skip"``, as `QualityDataset`.
        missing: ``"error"`` or ``"skip"``, as `QualityDataset`.

    Raises:
        ConfigError: An option is wrong.
        DatasetError: The label file, or an image, is wrong or missing.
    """

    default_name: ClassVar[str]
    label_files: tuple[str, ...]
    """Possible paths of the label file, relative to the root; the first that exists is read."""
    image_folders: ClassVar[tuple[str, ...]]
    """Possible image folders; of those that exist, the one that holds the first images."""
    official_range: ClassVar[tuple[float, float]]
    official_count: int | None = None
    """Rated images of the complete release."""
    lower_is_better: bool = False
    """The direction of the raw scores."""
    identity: str | None = None
    """The name space of the images, where it is not the default name."""

    def __init__(
        self,
        root: str | Path,
        name: str | None = None,
        labels: str | None = None,
        images: str | None = None,
        score_range: TwoNumbers | None = None,
        seed: int = 0,
        fractions: ThreeNumbers = (0.8, 0.1, 0.1),
        fold: Sequence[int] | None = None,
        on_bad_image: Policy = "error",
        missing: Policy = "error",
    ) -> None:
        self.name = name if name is not None else self.default_name
        self.seed = seed
        self.fractions = check_fractions(fractions, self.name)
        self.score_range = check_range(
            self.official_range if score_range is None else score_range, self.name
        )
        self.root = _folder(root, f"{self.name}: root")
        table = check_table(self.read_table(self.label_file(labels)), self.score_range)
        table = self.complete_split(table)
        folders = (images,) if images is not None else self.image_folders
        folder = find_folder(
            self.root, folders, table.images, self.name, f" {self._advice('images')}"
        )
        self.image_folder = folder
        super().__init__(
            self.name,
            self.arrange(table, folder),
            folder,
            self.score_range,
            not self.lower_is_better,
            identity=self.identity or self.default_name,
            fractions=fractions,
            seed=seed,
            fold=fold,
            on_bad_image=on_bad_image,
            missing=missing,
        )

    def read_table(self, path: Path) -> ScoreTable:
        """Read the label file; each loader implements it."""
        raise NotImplementedError

    def complete_split(self, table: ScoreTable) -> ScoreTable:
        """Return the checked table with a val where an official split lacks one."""
        return table

    def arrange(self, table: ScoreTable, folder: Path) -> ScoreTable:
        """Return the table with image paths as they lie in `folder`; by default as they are."""
        return table

    @classmethod
    def layout(cls) -> str:
        """Return the official folder tree, as the class's docstring shows it."""
        _, _, tail = (inspect.getdoc(cls) or "").partition("::\n")
        lines = []
        for line in tail.split("\n"):
            if line and not line.startswith(" "):
                break
            lines.append(line)
        return "\n".join(lines).strip("\n")

    @classmethod
    def declared_range(
        cls, score_range: TwoNumbers | None = None, **options: object
    ) -> tuple[float, float]:
        """Return the range of the raw scores, without reading the data.

        Args:
            score_range: As in the constructor.
            options: The constructor's other arguments.

        Raises:
            ConfigError: `score_range` is not a range.
        """
        return check_range(cls.official_range if score_range is None else score_range, cls.__name__)

    @classmethod
    def declared_direction(cls, higher_is_better: bool | None = None, **options: object) -> bool:
        """Return whether a higher raw score is better, without reading the data.

        Args:
            higher_is_better: As in the constructor, where it takes it.
            options: The constructor's other arguments.
        """
        return not cls.lower_is_better if higher_is_better is None else bool(higher_is_better)

    @classmethod
    def official_sizes(cls, **options: Any) -> tuple[int, int, int] | None:  # noqa: ANN401
        """Return the images of train, val and test of the complete release, without the data.

        Args:
            options: The constructor's arguments, as far as they decide: `fractions`.

        Returns:
            None where the number of images is not known.
        """
        if cls.official_count is None:
            return None
        train, val, _ = options.get("fractions", (0.8, 0.1, 0.1))
        sizes = round(cls.official_count * train), round(cls.official_count * val)
        return *sizes, cls.official_count - sum(sizes)

    def label_file(self, labels: str | None, option: str = "labels") -> Path:
        """Return the path of the label file that an option gave, or of an official one.

        Raises:
            DatasetError: There is none.
        """
        candidates = (labels,) if labels is not None else self.label_files
        paths = [find_path(self.root / candidate) for candidate in candidates]
        found = next((path for path in paths if self.is_label_file(path)), None)
        if found is not None:
            return found
        if not self.root.is_dir():
            option = "root"
            problem = f"no folder {self.root} (from {Path.cwd()})."
        else:
            problem = f"no label file {' or '.join(map(str, paths))} (from {Path.cwd()})."
            if paths[0].parent.is_dir():
                problem += closest(paths[0].name, (p.name for p in paths[0].parent.iterdir()))
        raise DatasetError(f"{self.name}: {problem} {self._advice(option)}")

    @classmethod
    def is_label_file(cls, path: Path) -> bool:
        """Return whether there is a label file at a path; a set of many files has a folder."""
        return path.is_file()

    def _advice(self, option: str) -> str:
        """Return how a user says where something lies; a user's own files have no layout."""
        own = not self.label_files
        layout = "." if own else f", or use the official layout:\n{self.layout()}"
        return f"Set {option}='...' to its path{layout}"


def _folder(root: str | Path, where: str) -> Path:
    """Return a folder's path with ``~`` resolved, or raise a ConfigError if it is no path."""
    if not isinstance(root, (str, Path)):
        raise ConfigError(f"{where} must be a folder's path, got {root!r}.")
    return find_path(home_path(root))
