"""Where the images of a stream are kept, chosen once from their size and the machine's room."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import PIL
import torchvision
from torch import Tensor

from cliqa.config.trust import untrusted_source
from cliqa.transforms.pixel_store.estimate import mean_bytes
from cliqa.transforms.pixel_store.on_disk import PixelFile, forget_old_images
from cliqa.transforms.pixel_store.shared_memory import SharedPixels, workers_are_forked
from cliqa.transforms.pixel_store.store import PixelStore
from cliqa.transforms.staged import StagedPipeline, fixed_signature
from cliqa.utils.cache_folder import cache_folder
from cliqa.utils.errors import ConfigError
from cliqa.utils.memory import available_memory
from cliqa.utils.paths import free_space
from cliqa.utils.processes.group import on_this_machine

Cache = Literal["auto", "ram", "disk", False]

CACHES: tuple[Cache, ...] = ("auto", "ram", "disk", False)
"""The values of ``scenario.cache``."""

SHARE = 0.25
"""Share of the free memory, or disk, that ``"auto"`` takes at most."""

MOST = 0.8
"""Share that is taken at most where it is asked for."""

ROOM = 2**24
"""Bytes of the disk under which a cache is not begun."""

SPARE = 1.1
"""Room beyond the estimate."""

FORMAT = 1
"""Rises when the same steps give other pixels."""


@dataclass(frozen=True)
class Part:
    """Images that go through one pipeline.

    Args:
        name: The data set's name.
        files: The images' files.
        transform: The pipeline.
        scaled_decode: As `StagedPipeline`.
    """

    name: str
    files: Sequence[str]
    transform: Callable[[Tensor], Tensor]
    scaled_decode: bool = False

    @property
    def recipe(self) -> str:
        """What decides about the kept pixels beside the image."""
        versions = [FORMAT, torchvision.__version__, PIL.__version__]
        steps = fixed_signature(self.transform)
        return json.dumps([*versions, self.scaled_decode, steps])


class PixelCache:
    """The stores of a stream's images.

    Args:
        mode: ``"ram"``: in memory that this process shares with its workers. ``"disk"``: in files
            of the cache folder (``CLIQA_CACHE``), which later runs find again. ``"auto"``: in
            memory if that takes at most a quarter of what is free, else on the disk by the same
            rule, else nowhere. False: nowhere.
        parts: All images that may be asked for.

    Attributes:
        kind: ``"ram"``, ``"disk"``, or None.
        needed: The estimate of all bytes.
        notice: A line on what was chosen and why; empty where there is nothing to keep.

    Raises:
        ConfigError: The mode is none of these.
    """

    def __init__(self, mode: str | bool, parts: Sequence[Part]) -> None:
        check_cache(mode)
        parts = [part for part in parts if len(part.files)]
        self.needed = 0
        if mode is not False:
            self.needed = sum(len(part.files) * _mean(part) for part in parts)
        self.kind: str | None = None
        self._memory: SharedPixels | None = None
        self.notice = ""
        if not self.needed:
            return
        images = 2 * sum(len(part.files) for part in parts)  # by two transforms
        self.kind, room = _chosen(mode, int(self.needed * SPARE), parts)
        self._room = room
        if self.kind == "ram":
            self._memory = SharedPixels(room, images)
        self.notice = self._told(mode)

    def staged(self, part: Part, pool: int = 0) -> StagedPipeline:
        """Return a part's pipeline over the store of its images.

        Args:
            part: One of the parts, or with another of the transforms.
            pool: How many images, the latest, are kept in memory where all are not.
        """
        store = self.store(part)
        if store is None and pool:
            room = round(1.5 * pool * (_mean(part) or 1 << 20))
            store = SharedPixels(room, len(part.files), overwrite=True)
        return StagedPipeline(part.transform, store, part.scaled_decode)

    def store(self, part: Part) -> PixelStore | None:
        """Return where a part's images are kept; None for nowhere."""
        if self._memory is not None:
            return _OfRecipe(self._memory, part.recipe)
        if self.kind == "disk":
            return PixelFile(_file_of(part), self._room, part.recipe)
        return None

    def _told(self, mode: str | bool) -> str:
        """Return a line on what was chosen and why."""
        size = f"about {_readable(self.needed)} once decoded and resized"
        if self.kind is None:
            folder, again = cache_folder() / "pixels", "decoded again in every epoch:"
            if mode != "auto":
                return f"{again} there is no room in {folder} for {size}"
            return (
                f"{again} {size} are too much for a quarter of the free memory or disk "
                f"(scenario.cache='disk' keeps them in {folder})"
            )
        where = "in memory" if self.kind == "ram" else f"in {cache_folder() / 'pixels'}"
        if self._room < self.needed:
            where += f" as far as {_readable(self._room)} go"
        return f"kept {where}: {size} (cache={mode!r})"


def check_cache(mode: object) -> None:
    """Refuse a value that ``scenario.cache`` cannot have.

    Raises:
        ConfigError: It is none of `CACHES`.
    """
    if mode is not False and (not isinstance(mode, str) or mode not in CACHES):
        raise ConfigError(
            f"scenario.cache: expected 'auto', 'ram', 'disk' or False, got {mode!r}. 'ram' keeps "
            "decoded images in memory, 'disk' in the cache folder."
        )


class _OfRecipe:
    """The part of a store that belongs to one pipeline's fixed steps."""

    def __init__(self, store: PixelStore, recipe: str) -> None:
        self._store = store
        self._prefix = hashlib.blake2b(recipe.encode(), digest_size=8).hexdigest()

    def get(self, file: str) -> Tensor | None:
        """Return an image; None if it is not there."""
        return self._store.get(self._prefix + file)

    def put(self, file: str, image: Tensor) -> None:
        """Keep an image, if there is room."""
        self._store.put(self._prefix + file, image)


def _mean(part: Part) -> int:
    """Return the mean bytes of a part's images as they are kept."""
    return mean_bytes(part.files, part.transform)


def _chosen(mode: str | bool, needed: int, parts: Sequence[Part]) -> tuple[str | None, int]:
    """Return where images go, and the bytes that they may have there."""
    memory = available_memory() // on_this_machine()  # each process keeps its own
    if mode == "ram":
        return "ram", min(needed, int(MOST * memory))
    if mode == "auto" and workers_are_forked() and needed <= SHARE * memory:
        return "ram", needed
    if untrusted_source():  # a stranger's config writes nothing
        return None, 0
    for part in parts:
        forget_old_images(_file_of(part), part.recipe, part.files)
    own = {file for part in parts if (file := _file_of(part)).is_file()}  # what is kept already
    disk = free_space(cache_folder()) + sum(file.stat().st_size for file in own)
    if mode == "disk":
        return ("disk", min(needed, int(MOST * disk))) if disk > ROOM else (None, 0)
    return ("disk", needed) if needed <= SHARE * disk else (None, 0)


def _file_of(part: Part) -> Path:
    """Return the file of a part's images: one for each data set's folder and recipe."""
    home = str(Path(part.files[0]).absolute().parent)
    digest = hashlib.blake2b(f"{home}\0{part.recipe}".encode("utf-8", "surrogateescape"))
    return cache_folder() / "pixels" / f"{part.name}-{digest.hexdigest()[:16]}.lmdb"


def _readable(count: int) -> str:
    """Return a number of bytes for people.

    >>> _readable(2_500_000_000), _readable(1_200_000), _readable(900)
    ('2.5 GB', '1.2 MB', '900 bytes')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
