"""The texts that an image may be said to show: classes, or levels of quality.

Legend: K candidates, N prompts of all candidates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cliqa.utils.errors import ConfigError


@dataclass(frozen=True)
class CandidateTexts:
    """The prompts of K candidates.

    Attributes:
        names: What the candidates are called: the classes, or the levels.
        prompts: The prompts of each candidate, one at least.
        values: What each level is worth as a score, 0..1; None for classes.
        source: Where the texts are from, for messages.
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
        """All N prompts, those of the first candidate first; a prompt's id is its place here."""
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
        """Return what `to_json` gave."""
        found = json.loads(text)
        values = None if found["values"] is None else tuple(found["values"])
        prompts = tuple(tuple(own) for own in found["prompts"])
        return cls(tuple(found["names"]), prompts, values, source)

    def lines(self) -> dict[str, str]:
        """Return what stands for each candidate, for messages.

        >>> CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",))).lines()
        {'cat': 'a cat. | one cat.', 'dog': 'a dog.'}
        """
        values = [f"{value:g}: " for value in self.values or ()] or [""] * len(self)
        shown = zip(self.names, values, self.prompts, strict=True)
        return {name: value + " | ".join(prompts) for name, value, prompts in shown}

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse other candidates than a stream's classes, or another order.

        Args:
            names: The stream's classes in the order of their labels.

        Raises:
            ConfigError: Both lists, and what to do.
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


def _check(texts: CandidateTexts) -> None:
    """Refuse a single candidate, one without prompts, doubled prompts, and doubled values."""
    if len(texts.names) < 2:
        raise ConfigError(
            f"model.texts {texts.source}: one candidate leaves nothing to choose. Name two or more."
        )
    seen: dict[str, str] = {}
    for name, own in zip(texts.names, texts.prompts, strict=True):
        for prompt in own:
            same = prompt.casefold()  # CLIP reads small letters alone
            if same in seen:
                raise ConfigError(
                    f"model.texts {texts.source}: {prompt!r} stands for '{seen[same]}' and again "
                    f"for '{name}'. Every text must be there once, whatever its case."
                )
            seen[same] = name
    if texts.values is not None and len(set(texts.values)) < len(texts.values):
        raise ConfigError(
            f"model.texts {texts.source}: two levels have one value. Join their texts in one level."
        )
