"""What has changed between two records of a data set, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

ROW = np.dtype([("name", "<u4"), ("label", "<f4"), ("size", "<u2")])
"""What is kept of an image: a CRC of its name, its label, and its size (a remainder)."""

Rows = Mapping[str, np.ndarray]
"""By split: (N,) of the type `ROW`."""

Image = tuple[float, int, str]
"""Label, size and split."""


@dataclass
class _Found:
    """How many images have changed in one way, and the first of them."""

    count: int = 0
    first: str = ""

    def add(self, first: str) -> None:
        """Count an image."""
        self.count += 1
        self.first = self.first or first


@dataclass
class _Changes:
    """All that has changed."""

    labels: _Found = field(default_factory=_Found)
    sizes: _Found = field(default_factory=_Found)
    splits: _Found = field(default_factory=_Found)
    new: _Found = field(default_factory=_Found)
    gone: int = 0
    images: int = 0


def describe_changes(
    then: Rows,
    now: Rows,
    names: Mapping[str, Sequence[str]],
    classes: Sequence[str] = (),
    only_known: bool = False,
) -> str:
    """Return what has changed: ``20 of 32 labels differ (first: a.jpg: .31 then, .62 now)``.

    With `only_known`, `now` may have more images than were kept, in a split of another name;
    `names` are those of its images, by split.

    >>> one, other = (np.array([(1, label, 9)], ROW) for label in (0.25, 0.5))
    >>> describe_changes({"train": one}, {"train": other}, {"train": ["a.jpg"]})
    '1 of 1 labels differ (first: a.jpg: 0.25 then, 0.5 now)'
    """
    found = _compare(then, now, names, classes, only_known)
    parts = [
        (found.labels, f"{found.labels.count} of {found.images} labels differ"),
        (found.sizes, f"{_images(found.sizes.count)} another size"),
        (found.splits, f"{_images(found.splits.count)} another split"),
        (found.new, f"{found.new.count} image{_s(found.new.count)} new"),
    ]
    lines = [f"{text} (first: {one.first})" for one, text in parts if one.count]
    if found.gone:
        lines.append(f"{found.gone} image{_s(found.gone)} gone")
    return "; ".join(lines)


def _compare(
    then: Rows,
    now: Rows,
    names: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    only_known: bool,
) -> _Changes:
    """Return what has changed, image by image."""
    known: dict[int, list[Image]] = defaultdict(list)
    for key, image in _images_of(then):
        known[key].append(image)
    found = _Changes(images=sum(map(len, now.values())))
    left = set(known)
    titles = (name for split in now for name in names[split])
    for (key, (label, size, split)), name in zip(_images_of(now), titles, strict=True):
        left.discard(key)
        own = known.get(key)
        if own is None:
            if not only_known:
                found.new.add(name)
            continue
        if any((label, size) == one[:2] and (only_known or split == one[2]) for one in own):
            continue
        then_label, then_size, then_split = own[0]
        if label != then_label:
            values = (_label(value, classes) for value in (then_label, label))
            found.labels.add("{}: {} then, {} now".format(name, *values))
        if size != then_size:
            found.sizes.add(name)
        if not only_known and split not in [one[2] for one in own]:
            found.splits.add(f"{name}: {then_split} then, {split} now")
    found.gone = len(left)
    return found


def _images_of(rows: Rows) -> Iterator[tuple[int, Image]]:
    """Yield every image's key, and what is kept of it."""
    for split, own in rows.items():
        for name, label, size in own.tolist():
            yield name, (label, size, split)


def _label(value: float, classes: Sequence[str]) -> str:
    """Return a label in words."""
    if classes and value.is_integer() and 0 <= value < len(classes):
        return classes[int(value)]
    return f"{value:g}"


def _images(count: int) -> str:
    """Return the beginning of a sentence about so many images."""
    return f"{count} image{'s have' if count != 1 else ' has'}"


def _s(count: int) -> str:
    """Return the end of a word, and its verb."""
    return "s are" if count != 1 else " is"
