"""A fingerprint of a run's data, which changes with any label or file.

Of every split of every data set the record has a digest of the images' names, labels and sizes, in
their order, and ten bytes an image, which tell later what has changed. Names are relative to the
data set's folder: a folder that was moved is the same data.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from avalanche.benchmarks import CLScenario

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.engine.work_dir.data_changes import ROW, describe_changes
from cliqa.utils.archive import digest_of
from cliqa.utils.errors import CheckpointError

FORMAT = 1
"""Version of the layout in a checkpoint."""

Digests = dict[str, dict[str, dict[str, Any]]]
"""By data set and split: ``images``, how many there are, and their ``digest``."""


class Samples(NamedTuple):
    """The images of a split.

    Attributes:
        names: What each is called, whatever folder the data set lies in.
        labels: (N,) scores in the label file's units, or classes.
        sizes: (N,) bytes of the files; of images in memory and of features a CRC.
    """

    names: list[str]
    labels: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True, eq=False)
class SplitRecord:
    """The record of a split.

    Attributes:
        images: How many there are.
        digest: Of all of them.
        rows: (N,) of the type `ROW`; None where the digest alone is known.
        names: The images' names; None for a record that was read from a file.
    """

    images: int
    digest: str
    rows: np.ndarray | None = None
    names: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class DataRecord:
    """The fingerprint of a run's data.

    Attributes:
        sets: By data set and split.
        classes: The classes' names, if the labels are classes.
        changes: What has changed since the run began, if it was allowed to continue: sentences
            for the results' warnings.
    """

    sets: Mapping[str, Mapping[str, SplitRecord]]
    classes: tuple[str, ...] = ()
    changes: tuple[str, ...] = field(default=())

    def digests(self) -> Digests:
        """Return the record as written to run.json, without the rows of single images."""
        return {
            name: {key: {"images": one.images, "digest": one.digest} for key, one in parts.items()}
            for name, parts in self.sets.items()
        }

    def facts(self) -> dict[str, Any]:
        """Return the entries about the data in run.json and results.json."""
        changed = {"changed_data": list(self.changes)} if self.changes else {}
        return {"data": self.digests(), **changed}

    def to_state(self) -> dict[str, Any]:
        """Return the record in a checkpoint's types."""
        rows = {
            name: torch.from_numpy(
                np.concatenate([_bytes_of(part.rows) for part in parts.values()])
            )
            for name, parts in self.sets.items()
        }
        return {
            "format": FORMAT,
            "sets": self.digests(),
            "rows": rows,
            "classes": list(self.classes),
            "changes": list(self.changes),
        }

    def differences(self, now: DataRecord) -> list[str]:
        """Return the differences of another record from this one, a line per data set.

        Data sets and splits that only one of them has are passed by; ``all`` of a data set is
        compared with what this record has of it.
        """
        found = []
        for name, parts in now.sets.items():
            then = self.sets.get(name, {})
            same = [
                key in then and self._equal(then[key], one, now)
                for key, one in parts.items()
                if key in then or key == "all"
            ]
            if then and not all(same):
                found.append(f"{name}: {self._changes(then, now, parts)}")
        return [line for line in found if not line.endswith(": ")]

    def _equal(self, then: SplitRecord, one: SplitRecord, now: DataRecord) -> bool:
        """Return whether two records are of equal images; classes may have been added since."""
        if then.digest == one.digest or then.rows is None or one.rows is None:
            return then.digest == one.digest
        more = len(now.classes) > len(self.classes) > 0
        grown = more and now.classes[: len(self.classes)] == self.classes
        return grown and np.array_equal(then.rows, one.rows)

    def _changes(
        self, then: Mapping[str, SplitRecord], now: DataRecord, parts: Mapping[str, SplitRecord]
    ) -> str:
        """Return the changes of a data set."""
        whole = "all" in parts
        old = then if whole else {key: one for key, one in then.items() if key in parts}
        new = parts if whole else {key: one for key, one in parts.items() if key in then}
        if any(one.rows is None for one in (*old.values(), *new.values())):
            return "" if whole else "its labels, its images or its splits"
        classes = self.classes or now.classes
        then_rows, now_rows = (
            {key: one.rows for key, one in split.items() if one.rows is not None}
            for split in (old, new)
        )
        names = {key: one.names or () for key, one in new.items()}
        changes = describe_changes(then_rows, now_rows, names, classes, only_known=whole)
        if self.classes != now.classes:
            more = f"; {changes}" if changes else ""
            changes = f"the classes were {', '.join(self.classes[:8])}{more}"
        return changes or ("" if whole else "the order of its images")


def record_of(benchmark: CLScenario) -> DataRecord:
    """Return the record of a stream's data; empty for data sets of other classes than ours."""
    sources = getattr(benchmark, "sources", {})
    return record_sources(sources, tuple(getattr(benchmark, "class_names", ())))


def record_sources(
    sources: Mapping[tuple[str, str], Any], classes: Sequence[str] = ()
) -> DataRecord:
    """Return the record of data sets by name and split."""
    sets: dict[str, dict[str, SplitRecord]] = {}
    for (name, split), data in sources.items():
        samples = samples_of(data)
        if samples is not None:
            sets.setdefault(name, {})[split] = record_samples(samples, classes)
    return DataRecord(sets, tuple(map(str, classes)))


def record_samples(samples: Samples, classes: Sequence[str] = ()) -> SplitRecord:
    """Return the record of some images."""
    names, labels, sizes = samples
    rows = np.zeros(len(names), ROW)
    coded = [name.encode("utf-8", "surrogateescape") for name in names]
    rows["name"] = [zlib.crc32(name) for name in coded]
    rows["label"], rows["size"] = labels, sizes % 65521  # a prime: sizes are often round
    texts = b"\0".join([*coded, b"", *(str(name).encode() for name in classes)])
    numbers = (labels.astype("<f8").tobytes(), sizes.astype("<i8").tobytes())
    return SplitRecord(len(names), digest_of(texts, *numbers), rows, names)


def samples_of(data: object) -> Samples | None:
    """Return the images of a data set, None for other classes than ours."""
    if isinstance(data, QualityDataset):
        return Samples(list(data.table.images), data.raw_scores, file_sizes(data.files))
    if isinstance(data, ClassDataset):
        inputs = data.inputs
        if isinstance(inputs, ImageFiles):
            sizes = file_sizes(inputs.paths)
        elif isinstance(inputs, torch.Tensor):
            sizes = _checks(inputs)
        else:  # Avalanche's, which would all have to be read
            sizes = np.zeros(len(data), np.int64)
        return Samples(list(data.keys), data.targets, sizes)
    return None


def file_sizes(files: Iterable[str]) -> np.ndarray:
    """Return the sizes of files in bytes, int64."""
    return np.array([os.stat(file).st_size for file in files], np.int64)


def _checks(inputs: torch.Tensor) -> np.ndarray:
    """Return a CRC of each sample in memory, int64."""
    rows = inputs.detach().cpu().contiguous().numpy()
    return np.array([zlib.crc32(row) for row in rows], np.int64)


def read_record(state: object, where: object) -> DataRecord | None:
    """Return the record in a checkpoint or an exported file, None where it has none.

    Raises:
        CheckpointError: It is not what `DataRecord.to_state` or `DataRecord.digests` gave.
    """
    if not state:
        return None
    try:
        if not isinstance(state, Mapping):
            raise TypeError(f"a {type(state).__name__}")
        if "rows" not in state:
            return DataRecord({str(name): _parts(parts, None) for name, parts in state.items()})
        rows, digests = state["rows"], state["sets"]
        sets = {str(name): _parts(parts, rows[name]) for name, parts in digests.items()}
        return DataRecord(sets, tuple(state["classes"]), tuple(state["changes"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{where}: its record of the run's data cannot be read ({error!r})."
        ) from error


def _parts(parts: Mapping[str, Any], rows: torch.Tensor | None) -> dict[str, SplitRecord]:
    """Return a data set's splits."""
    found, start = {}, 0
    whole = None if rows is None else np.frombuffer(rows.contiguous().numpy().tobytes(), ROW)
    for key, one in parts.items():
        end = start + int(one["images"])
        own = None if whole is None else whole[start:end]
        if own is not None and len(own) != end - start:
            raise ValueError("rows are missing")
        found[str(key)] = SplitRecord(end - start, str(one["digest"]), own)
        start = end
    return found


def _bytes_of(rows: np.ndarray | None) -> np.ndarray:
    """Return rows as bytes, uint8."""
    return np.zeros(0, np.uint8) if rows is None else rows.view(np.uint8)
