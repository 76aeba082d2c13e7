"""Listing images without hidden and system files, and paths in either Unicode form."""

from __future__ import annotations

import glob
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cliqa.transforms.image_file import HEIF_SUFFIXES, IMAGE_SUFFIXES
from cliqa.utils.errors import DatasetError

logger = logging.getLogger(__name__)

_LEFTOVERS = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}
    | {"system volume information", "lost+found"}
)
"""Files and folders of Windows, macOS and network disks, in small letters."""
_SHOWN = 5


def is_hidden(name: str) -> bool:
    """Return whether a name is hidden (``._a.jpg``, ``.DS_Store``) or a system's (``Thumbs.db``).

    >>> is_hidden("._a.jpg"), is_hidden("Thumbs.db"), is_hidden("a.jpg")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in _LEFTOVERS


def is_image(name: str) -> bool:
    """Return whether a file is an image by its name.

    >>> is_image("a.JPG"), is_image("._a.jpg"), is_image("a.txt")
    (True, False, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def list_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, hidden ones left out."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)
    )


def list_images(folder: Path, others: list[str], recursive: bool = True) -> list[str]:
    """Return the paths of the images in a folder, in no order, hidden ones left out.

    The names of the files that have no image suffix are added to `others`; see `log_others`.

    Raises:
        DatasetError: A folder may not be read.
    """
    found: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if recursive and not is_hidden(name)]
        for name in files:
            if is_image(name):
                found.append(os.path.join(parent, name))
            elif not is_hidden(name):
                others.append(name)
    return found


def log_others(folder: str | Path, names: Iterable[str]) -> None:
    """Log how many files of a folder have no image suffix, if any."""
    suffixes = Counter(os.path.splitext(name)[1].lower() or "without suffix" for name in names)
    if not suffixes:
        return
    listed = [f"{suffix} {count}" for suffix, count in suffixes.most_common(_SHOWN)]
    rest = sum(suffixes.values()) - sum(count for _, count in suffixes.most_common(_SHOWN))
    listed += [f"others {rest}"] if rest else []
    count = sum(suffixes.values())
    what = "file is no image by its suffix" if count == 1 else "files are no images by their suffix"
    unread = [suffix for suffix in HEIF_SUFFIXES if suffix in suffixes]
    hint = f" pip install pillow-heif to have {unread[0]} read." if unread else ""
    logger.info("%s: %d %s and not read (%s).%s", folder, count, what, ", ".join(listed), hint)


def _refuse(error: OSError) -> None:
    """Raise a DatasetError for a folder that cannot be read: it might hold images."""
    raise DatasetError(
        f"{error.filename}: cannot be read ({error.strerror}). Change its permissions, or move it."
    ) from error


def find_path(path: str | Path) -> Path:
    """Return a path as the disk spells it where that differs in the form of Unicode alone.

    macOS writes an accent as a character of its own (NFD), most others within the letter (NFC): two
    names that look the same. Where none exists, or several do, it is `path` itself.
    """
    path = Path(path)
    if str(path).isascii() or os.path.lexists(path):
        return path
    parent = find_path(path.parent)
    wanted = to_nfc(path.name)
    try:
        names = [name for name in os.listdir(parent) if to_nfc(name) == wanted]
    except OSError:
        return path
    return parent / names[0] if len(names) == 1 else path


def places_by_nfc(names: Sequence[str]) -> dict[str, int]:
    """Return the places of names that are not ASCII, by their `to_nfc`; none that two share."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if not name.isascii():
            places.setdefault(to_nfc(name), []).append(place)
    return {form: own[0] for form, own in places.items() if len(own) == 1}


def to_nfc(name: str) -> str:
    """Return a name in one form of Unicode, for comparison.

    >>> to_nfc("cafe\u0301") == to_nfc("caf\u00e9")
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """Return the images that files and folders name, sorted within each folder.

    Args:
        paths: Files, taken whatever their suffix, folders, and patterns such as ``set/**/*.jpg``
            (``**`` for any folders), of which the images are taken. How many other files these
            hold is logged; hidden files, and those of operating systems, are skipped.
        recursive: Look into folders' folders too.

    Raises:
        DatasetError: A path does not exist, or a folder or pattern leads to no image.
    """
    found: list[Path] = []
    for path in map(find_path, paths):
        others: list[str] = []
        if path.is_dir():
            inside = sorted(map(Path, list_images(path, others, recursive)))
            log_others(path, others)
            if not inside:
                hint = "" if recursive else " Use --recursive to look into its folders."
                raise DatasetError(f"{path}: no image in this folder.{hint}")
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        elif glob.has_magic(str(path)):
            matched = sorted(_matching(path, others))
            log_others(path, others)
            if not matched:
                raise DatasetError(f"{path}: no image matches this pattern.")
            found.extend(matched)
        else:
            raise DatasetError(f"{path}: no such file or folder.")
    return list(dict.fromkeys(found))


def _matching(pattern: Path, others: list[str]) -> Iterator[Path]:
    """Yield the images that a pattern leads to; the names of other files go to `others`."""
    for path in map(Path, glob.iglob(str(pattern), recursive=True)):
        if not path.is_file() or is_hidden(path.name):
            continue
        if is_image(path.name):
            yield path
        else:
            others.append(path.name)
