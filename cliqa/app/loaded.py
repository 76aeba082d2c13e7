"""Models and images of runs that sessions share: a few are kept, each used by one at a time."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import cliqa
from cliqa.api.models import Model
from cliqa.api.run_images import RunImages
from cliqa.app.settings import Settings

T = TypeVar("T")

MODELS, IMAGES = 4, 4
"""How many are kept."""


class Kept(Generic[T]):
    """The last few things that were made, by key.

    Each is made once, by the thread that asks first, and used by one thread at a time: explaining a
    model leaves marks in it while it runs.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()

    @contextmanager
    def use(self, key: Hashable, make: Callable[[], T]) -> Iterator[T]:
        """Give the thing of a key to this thread alone, within a ``with`` block.

        Args:
            key: The key.
            make: Makes it; what it raises is raised here, and the next call tries again.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.things:
                entry.things.append(make())
            yield entry.things[0]


class _Entry(Generic[T]):
    """A thing once it is made, and the right to use it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.things: list[T] = []


class Loaded:
    """The models and images that a server keeps in memory.

    Args:
        settings: The server's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: Kept[Model] = Kept(MODELS)
        self._images: Kept[RunImages] = Kept(IMAGES)

    @contextmanager
    def model(self, name: object, checkpoint: str | None = None) -> Iterator[Model]:
        """Give a model to this thread alone.

        Args:
            name: One of `Settings.models`.
            checkpoint: A checkpoint of it, as `cliqa.load` calls them; by default the last one.

        Raises:
            CliqaError: There is none, or it cannot be loaded.
        """
        path = self._settings.model_of(name)
        trust = self._settings.trust

        def load() -> Model:
            return cliqa.load(
                path, checkpoint=checkpoint, device=self._settings.device, trust=trust
            )

        with self._models.use((path, checkpoint, _written(path)), load) as found:
            yield found

    @contextmanager
    def images(self, name: object) -> Iterator[RunImages]:
        """Give the test images of a run to this thread alone.

        Raises:
            CliqaError: There is no such run, or it has no checkpoint.
        """
        path, trust = self._settings.path_of(name), self._settings.trust

        def load() -> RunImages:
            return cliqa.results(path).images(trust)

        with self._images.use((path, _written(path)), load) as found:
            yield found


@functools.cache
def loaded(settings: Settings) -> Loaded:
    """Return what the tabs of a server share."""
    return Loaded(settings)


def _written(path: Path) -> float:
    """Return when a model's file, or the folder of a run's checkpoints, was last written."""
    inner = path / "checkpoints"
    place = inner if inner.is_dir() else path
    return place.stat().st_mtime if place.exists() else 0.0
