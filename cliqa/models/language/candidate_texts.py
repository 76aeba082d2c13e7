"""The candidate texts that images are compared with: classes, or levels of quality.

Legend: K candidates, N prompts of all candidates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cliqa.utils.errors import ConfigError

TEMPLATE = "a photo of a {}."
"""The prompt of a class that has no text but its name."""


@dataclass(frozen=True)
class CandidateTexts:
    """The prompts of K candidates.

    Attributes:
        names: The candidates' names: the classes, or the levels.
        prompts: The prompts of each candidate, at least one.
        values: The score of each level, 0..1; None for classes.
        source: Source of the texts, for error messages.
    """

    names: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    values: tuple[float, ...] | None = None
    source: str = "texts"

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def flat(self) -> tuple[str, ...]:
        """All N prompts, those of the first candidate first; a prompt's id is its index here."""
        return tuple(prompt for own in self.prompts for prompt in own)

    @property
    def owners(self) -> tuple[int, ...]:
        """The candidate, 0..K-1, of each of the N prompts."""
        return tuple(k for k, own in enumerate(self.prompts) for _ in own)

    def ids_of(self, candidate: int) -> range:
        """Return the ids of a candidate's prompts."""
        start = sum(len(own) for own in self.prompts[:candidate])
        return range(start, start + len(self.prompts[candidate]))

    def to_json(self) -> str:
        """Return the texts as JSON, for a checkpoint."""
        names, prompts, values = self.names, self.prompts, self.values
        return json.dumps({"names": names, "prompts": prompts, "values": values})

    @classmethod
    def from_json(cls, text: str, source: str = "texts") -> CandidateTexts:
        """Return the texts from `to_json`."""
        found = json.loads(text)
        values = None if found["values"] is None else tuple(found["values"])
        prompts = tuple(tuple(own) for own in found["prompts"])
        return cls(tuple(found["names"]), prompts, values, source)

    def lines(self) -> dict[str, str]:
        """Return the value and the prompts of each candidate, for messages.

        >>> CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",))).lines()
        {'cat': 'a cat. | one cat.', 'dog': 'a dog.'}
        """
        values = [f"{value:g}: " for value in self.values or ()] or [""] * len(self)
        shown = zip(self.names, values, self.prompts, strict=True)
        return {name: value + " | ".join(prompts) for name, value, prompts in shown}

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse candidates that differ from a stream's classes, or their order.

        Args:
            names: The stream's classes in the order of their labels.

        Raises:
            ConfigError: With both lists.
        """
        if self.names == tuple(names):
            return
        same = sorted(self.names) == sorted(names)
        what = "in another order" if same else "others"
        gaps = {"missing": set(names) - set(self.names), "unknown": set(self.names) - set(names)}
        told = [f"  {how}: {', '.join(sorted(some))}\n" for how, some in gaps.items() if some]
        raise ConfigError(
            f"model.texts {self.source}: its candidates are {what} than the stream's classes.\n"
            f"  texts:  {', '.join(self.names)}\n  stream: {', '.join(names)}\n"
            f"{''.join(told)}"
            "Copy the file, name the stream's classes in their order in it, and give its path."
        )


def texts_of_names(names: Sequence[str], source: str) -> CandidateTexts:
    """Return the texts of classes that have no text but their names.

    Args:
        names: The classes, in the order of their labels.
        source: Their source, for error messages.

    Raises:
        ConfigError: There are fewer than two, or one is given twice.

    >>> texts_of_names(["cat", "polar_bear"], "texts").flat
    ('a photo of a cat.', 'a photo of a polar bear.')
    """
    prompts = tuple((TEMPLATE.format(name.replace("_", " ")),) for name in names)
    return CandidateTexts(tuple(names), prompts, None, source)


def _check(texts: CandidateTexts) -> None:
    """Refuse a single candidate, one without prompts, doubled prompts, and doubled values."""
    if len(texts.names) < 2:
        raise ConfigError(
            f"model.texts {texts.source}: one candidate leaves nothing to choose "
            "from. Add another one."
        )
    seen: dict[str, str] = {}
    for name, own in zip(texts.names, texts.prompts, strict=True):
        for prompt in own:
            same = prompt.casefold()  # CLIP's tokenizer lowercases texts
            if same in seen:
                raise ConfigError(
                    f"model.texts {texts.source}: {prompt!r} is a text of '{seen[same]}' and "
                    f"of '{name}'. Every text must occur once (case is ignored)."
                )
            seen[same] = name
    if texts.values is not None and len(set(texts.values)) < len(texts.values):
        raise ConfigError(
            f"model.texts {texts.source}: two levels have the same value. Merge their "
            "texts into one level."
        )
