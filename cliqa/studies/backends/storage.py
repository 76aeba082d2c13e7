"""Folders of runs kept in a storage that all nodes reach: S3, or any address that fsspec knows.

A run's place holds its files under the SHA-256 of their content, and numbered manifests, which name
the files of one state. The manifest comes last: a copy that is cut in its middle leaves the state
before, whole. Whoever reads takes the newest manifest whose sum is right and whose files are there.

==============================  ===================================================================
``PLACE/content/<sha256>``      a file's content; equal files are kept once
``PLACE/<number>.manifest``     the files of a state: their names, sums and sizes
``PLACE/owner``                 the attempt that may write; an older one must not go on
``PLACE/output.log``            what the last attempt printed
==============================  ===================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cliqa.utils.errors import ArtifactError, ConfigError, first_line
from cliqa.utils.io import atomic_open, sha256_of, to_json, write_text

FIRST = ("checkpoints/last.pth", "checkpoints/")
"""How the names begin that are copied first: what is newer than its checkpoint does no harm."""

LAST = "results.json"
"""What is written last where files are fetched: with it a run counts as finished."""

KEPT = 2
"""Manifests that stay: the newest, and the one before."""

BLOCK = 1 << 20


class LostPlaceError(Exception):
    """Another attempt at the same run owns its place now."""


class Storage:
    """Folders in a storage.

    Args:
        url: An address that fsspec knows: ``file:///mnt/x``, ``s3://bucket/x``, ``memory://x``.

    Raises:
        ConfigError: fsspec does not know it, or its library is missing.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs  # noqa: PLC0415  only studies with a storage need it

        self.url = url
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"--storage {url}: cannot be opened ({first_line(error)}). Give an address that "
                "fsspec knows, file:///mnt/shared/x or s3://bucket/x, and install its library "
                "(pip install s3fs) on every node."
            ) from error

    def check(self) -> None:
        """Write, read and remove a small file.

        Raises:
            ConfigError: That is not possible.
        """
        path = f"{self._root}/.probe"
        try:
            self._write(path, b"probe")
            found = self._read(path)
            self._files.rm(path)
        except Exception as error:  # noqa: BLE001  every library raises its own
            raise ConfigError(
                f"--storage {self.url}: cannot be written to ({first_line(error)})."
            ) from error
        if found != b"probe":
            raise ConfigError(f"--storage {self.url}: does not give back what was written.")

    def claim(self, place: str, owner: str) -> None:
        """Take a place: from now on pushes of other owners are refused."""
        self._write(f"{self._root}/{place}/owner", owner.encode())

    def push(self, folder: Path, place: str, owner: str = "") -> None:
        """Copy a folder's state into a place.

        Files that change meanwhile are copied as they were when they were opened; locks and
        temporary files stay.

        Args:
            folder: The folder; what is written there is written atomically, or appended.
            place: Its name in the storage.
            owner: Who claimed the place; "" where nobody did.

        Raises:
            LostPlaceError: Somebody else has claimed the place since.
        """
        root = f"{self._root}/{place}"
        numbers = self._numbers(root)
        known = self._sizes(root)
        self._files.makedirs(f"{root}/content", exist_ok=True)
        files: dict[str, dict[str, Any]] = {}
        for name in _names(folder):
            with suppress(FileNotFoundError):  # removed, or replaced, since it was listed
                files[name] = self._store(folder / name, root, known)
        if owner and self._owner(root) != owner:
            raise LostPlaceError(place)
        number = max(numbers, default=0) + 1
        body = to_json(files)
        whole = to_json({"sha256": hashlib.sha256(body.encode()).hexdigest(), "files": body})
        self._write(f"{root}/{number}.manifest", whole.encode())
        self._forget(root, [*numbers, number])

    def fetch(self, place: str, folder: Path) -> bool:
        """Write the files of a place's newest whole state into a folder.

        Returns:
            Whether there is a state.

        Raises:
            ArtifactError: A file in the storage is damaged.
        """
        root = f"{self._root}/{place}"
        files = self._newest(root)
        if files is None:
            return False
        for name in sorted(files, key=lambda name: (name == LAST, name)):
            self._fetch_file(f"{root}/content", files[name], folder / name)
        return True

    def holds(self, place: str) -> bool:
        """Return whether a place has a whole state."""
        return self._newest(f"{self._root}/{place}") is not None

    def keep_log(self, place: str, log: Path) -> None:
        """Copy the output of a run beside its state."""
        if log.is_file():
            self._write(f"{self._root}/{place}/output.log", log.read_bytes())

    def fetch_log(self, place: str, log: Path) -> None:
        """Write the output of a run, if there is any, to a file."""
        with suppress(FileNotFoundError):
            write_text(
                log, self._read(f"{self._root}/{place}/output.log").decode("utf-8", "replace")
            )

    def _store(self, path: Path, root: str, known: dict[str, int]) -> dict[str, Any]:
        """Copy a file under its sum, unless it is there; return how a manifest describes it."""
        with path.open("rb") as file:
            digest, size = hashlib.sha256(), 0
            while block := file.read(BLOCK):
                digest.update(block)
                size += len(block)
            name = digest.hexdigest()
            if known.get(name) != size:
                file.seek(0)
                with self._files.open(f"{root}/content/{name}", "wb") as target:
                    _copy(file, target, size)
                known[name] = size
        return {"sha256": name, "size": size}

    def _fetch_file(self, content: str, described: dict[str, Any], path: Path) -> None:
        """Write a file, unless it is there with the same content."""
        wanted = described["sha256"]
        same = path.is_file() and path.stat().st_size == described["size"]
        if same and sha256_of(path) == wanted:
            return
        with atomic_open(path, "wb") as target:
            with self._files.open(f"{content}/{wanted}", "rb") as file:
                digest = _copy(file, target, described["size"])
            if digest != wanted:
                raise ArtifactError(
                    f"{self.url}: {content}/{wanted} is damaged: it is not the content of "
                    f"{path.name}. Remove that file and the newest manifest beside its folder; the "
                    "run then goes on from the state before."
                )

    def _newest(self, root: str) -> dict[str, dict[str, Any]] | None:
        """Return the files of the newest manifest that is whole; None if there is none."""
        sizes = self._sizes(root)
        for number in sorted(self._numbers(root), reverse=True):
            files = _read_manifest(self._read(f"{root}/{number}.manifest"))
            if files is not None and all(
                sizes.get(one["sha256"]) == one["size"] for one in files.values()
            ):
                return files
        return None

    def _numbers(self, root: str) -> list[int]:
        """Return the numbers of a place's manifests."""
        names = [PurePosixPath(path) for path in self._list(root)]
        return sorted(
            int(name.stem) for name in names if name.suffix == ".manifest" and name.stem.isdecimal()
        )

    def _sizes(self, root: str) -> dict[str, int]:
        """Return the sizes of a place's contents, by their sums."""
        found = self._list(f"{root}/content")
        return {PurePosixPath(path).name: size for path, size in found.items()}

    def _list(self, folder: str) -> dict[str, int]:
        self._files.invalidate_cache(folder)
        try:
            entries = self._files.ls(folder, detail=True)
        except FileNotFoundError:
            return {}
        return {one["name"]: int(one.get("size") or 0) for one in entries}

    def _forget(self, root: str, numbers: Sequence[int]) -> None:
        """Remove all but the newest manifests, and the contents that none of them names."""
        for number in numbers[:-KEPT]:
            self._files.rm(f"{root}/{number}.manifest")
        used: set[str] = set()
        for number in numbers[-KEPT:]:
            files = _read_manifest(self._read(f"{root}/{number}.manifest")) or {}
            used.update(one["sha256"] for one in files.values())
        for name in set(self._sizes(root)) - used:
            self._files.rm(f"{root}/content/{name}")

    def _owner(self, root: str) -> str:
        try:
            return self._read(f"{root}/owner").decode()
        except FileNotFoundError:
            return ""

    def _read(self, path: str) -> bytes:
        return bytes(self._files.cat_file(path))

    def _write(self, path: str, content: bytes) -> None:
        self._files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        self._files.pipe_file(path, content)


def _names(folder: Path) -> list[str]:
    """Return the files of a folder in the order in which they are copied, without hidden ones."""
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.as_posix() for path in paths if not any(p.startswith(".") for p in path.parts)]

    def turn(name: str) -> int:
        return next((k for k, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))

    return sorted(names, key=turn)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> str:
    """Copy the first bytes of a file, which may grow meanwhile; return their SHA-256."""
    digest, left = hashlib.sha256(), size
    while left and (block := source.read(min(BLOCK, left))):
        digest.update(block)
        target.write(block)
        left -= len(block)
    return digest.hexdigest()


def _read_manifest(content: bytes) -> dict[str, dict[str, Any]] | None:
    """Return the files that a manifest names; None if it is cut off, or no manifest of ours."""
    try:
        whole = json.loads(content)
        body = whole["files"]
        if hashlib.sha256(body.encode()).hexdigest() != whole["sha256"]:
            return None
        files = json.loads(body)
        checked = {str(name): _described(one) for name, one in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    for name in checked:  # a name must not lead out of the folder
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
            return None
    return checked


def _described(one: dict[str, Any]) -> dict[str, Any]:
    """Return a file's sum and size, checked."""
    name, size = one["sha256"], one["size"]
    if len(name) != 64 or not set(name) <= set("0123456789abcdef") or type(size) is not int:
        raise ValueError(name)
    return {"sha256": name, "size": size}
