"""Images that several folders hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from cliqa.datasets.folders.known import Found
from cliqa.datasets.sharing import find_shared
from cliqa.utils.progress import Phase

_SHOWN = 3


def shared_lines(sets: Sequence[Found]) -> list[str]:
    """Return a line for each two data sets that share images, by their keys or their content."""
    read = [(one.root.name, one.data) for one in sets if one.data is not None]
    if len(read) < 2:
        return []
    with Phase("compare the folders", unit="image"):
        rows = find_shared([data for _, data in read])
    pairs: dict[tuple[int, int], dict[str, None]] = defaultdict(dict)  # names in their order
    for image in rows:
        places = image.by_dataset()
        for first, second in combinations(places, 2):
            names = read[first][1].table.images
            pairs[first, second] |= dict.fromkeys(names[index] for index in places[first])
    return [
        f"{read[first][0]} and {read[second][0]} share {len(names)} images: "
        f"{', '.join(list(names)[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        for (first, second), names in sorted(pairs.items())
    ]
