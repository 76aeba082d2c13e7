"""Experiences cut from one data set: by its images' distortion, generator, or another attribute."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.datasets.base import QualityDataset
from cliqa.registry import closest
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

KEYS = ("split_by", "groups", "min_images")
"""Keys of a scenario: the attribute, values that are learnt together, the smallest experience."""

Groups = Mapping[str, Sequence[str]]


def split_data_sets(
    datasets: Sequence[QualityDataset],
    split_by: str | Mapping[str, str] | None,
    groups: Groups | None = None,
    min_images: int = 10,
) -> list[QualityDataset]:
    """Return data sets cut into one for each value of an attribute, in their place.

    The splits into train, val and test are those of the whole data set: a reference image whose
    distorted copies are tested in one experience is trained on in none. The values come in the
    order of their first image. A name is the value; with several data sets it is ``set-value``.

    Args:
        datasets: The data sets.
        split_by: The attribute; by data set where not all are cut, or not by the same one; None
            cuts none. ``LIQA`` (Liu et al., 2021) cuts by distortion.
        groups: Values that make an experience together, by its name and in this order; images of
            other values are left out. None for an experience a value.
        min_images: Images that every experience must train on, and test on, at least.

    Raises:
        ConfigError: A data set has no such attribute, a group has a value that no image has, two
            experiences share a name, or one is too small.
    """
    if split_by is None:
        if groups is not None:
            raise ConfigError("scenario.groups: are of the values of split_by. Set split_by='...'.")
        return list(datasets)
    if isinstance(min_images, bool) or not isinstance(min_images, int) or min_images < 1:
        raise ConfigError(f"scenario.min_images: expected a number >= 1, got {min_images!r}.")
    by_name = _by_name(datasets, split_by)
    found: list[QualityDataset] = []
    for data in datasets:
        attribute = by_name.get(data.name)
        if attribute is None or isinstance(data, AbsentDataset):
            found.append(data)
            continue
        named = {data.name: attribute} if len(datasets) > 1 else {}
        parts = _parts(data, attribute, groups)
        found += [
            _part(data, f"{data.name}-{name}" if named else name, places, index)
            for index, (name, places) in enumerate(parts.items())
        ]
    _check_sizes([data for data in found if data not in datasets], min_images)
    return found


def _by_name(
    datasets: Sequence[QualityDataset], split_by: str | Mapping[str, str]
) -> dict[str, str]:
    """Return the attribute that each data set is cut by."""
    names = [data.name for data in datasets]
    if isinstance(split_by, str):
        return dict.fromkeys(names, split_by)
    for name in split_by:
        if name not in names:
            raise ConfigError(
                f"scenario.split_by: no data set is called '{name}'.{closest(name, names)} "
                f"The stream has {', '.join(names)}."
            )
    return dict(split_by)


def _parts(data: QualityDataset, attribute: str, groups: Groups | None) -> dict[str, list[int]]:
    """Return the images of each experience by its name."""
    known = data.table.attributes
    if attribute not in known:
        has = f"It has {', '.join(sorted(known))}" if known else "Its label file tells none"
        raise ConfigError(
            f"scenario.split_by='{attribute}': the images of {data.name} have no such attribute."
            f"{closest(attribute, known)} {has}."
        )
    places: dict[str, list[int]] = {}
    for index, value in enumerate(known[attribute]):
        if value:
            places.setdefault(value, []).append(index)
    members = {_name(value): [value] for value in places} if groups is None else groups
    if groups is None and len(members) < len(places):
        raise ConfigError(
            f"scenario.split_by='{attribute}': two of the values {_listed(places)} would make the "
            "same name. Name them yourself: groups=dict(name=['value', ...], ...)."
        )
    _check_groups(members, places, f"{attribute} of {data.name}")
    parts = {
        name: sorted(index for value in values for index in places[value])
        for name, values in members.items()
    }
    left = len(data) - sum(map(len, parts.values()))
    if left:
        logger.warning(
            "%s: %d of %d images are in no experience, by their %s.",
            *(data.name, left, len(data), attribute),
        )
    return parts


def _check_groups(groups: Groups, known: Mapping[str, object], what: str) -> None:
    """Refuse groups that are no lists of known values, each in one group."""
    taken: dict[str, str] = {}
    for name, values in groups.items():
        if isinstance(values, str) or not values:
            raise ConfigError(
                f"scenario.groups.{name}: expected a list of values, got {values!r}. "
                f"Write {name}=['...', '...']."
            )
        for value in values:
            if value not in known:
                raise ConfigError(
                    f"scenario.groups.{name}: '{value}' is no {what}.{closest(str(value), known)} "
                    f"There are {_listed(known)}."
                )
            if value in taken:
                raise ConfigError(
                    f"scenario.groups: '{value}' is in {taken[value]} and in {name}. An image "
                    "belongs to one experience: leave it in one of them."
                )
            taken[value] = name


def _part(data: QualityDataset, name: str, places: Sequence[int], index: int) -> QualityDataset:
    """Return the images of one experience as a data set of its own."""
    part = data.select(places)
    part.name = name
    part.score_warnings = data.score_warnings if not index else ()  # they are of the whole set
    return part


def _check_sizes(parts: Sequence[QualityDataset], least: int) -> None:
    """Refuse experiences with fewer images to train on, or to test on, than `least`."""
    small = [
        f"{part.name} has {part.splits.count('train')} to train on and "
        f"{part.splits.count('test')} to test on"
        for part in parts
        if min(part.splits.count("train"), part.splits.count("test")) < least
    ]
    if small:
        more = f" (and {len(small) - 3} more of {len(parts)} experiences)" if len(small) > 3 else ""
        raise ConfigError(
            f"scenario.split_by: {'; '.join(small[:3])}{more}, and each needs {least} images of "
            "both. Join values with groups=dict(name=['value', 'value']), choose larger "
            "fractions=(train, val, test), or set a smaller scenario.min_images."
        )


def _name(value: str) -> str:
    """Return a value as the name of an experience, which names files.

    >>> _name("JPEG compression"), _name("sd1.5")
    ('JPEG-compression', 'sd1.5')
    """
    return re.sub(r"[^\w.+]+", "-", value, flags=re.ASCII).strip("-._+") or "value"


def _listed(values: Mapping[str, object]) -> str:
    """Return some of the values, in quotes."""
    shown = ", ".join(f"'{value}'" for value in list(values)[:30])
    return shown + (f" and {len(values) - 30} more" if len(values) > 30 else "")
