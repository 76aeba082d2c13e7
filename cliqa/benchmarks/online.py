"""Online streams: the images of an experience arrive in small chunks, each of them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.utils.utils import concat_datasets

from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

ORDERS = ("shuffled", "given")
BOUNDARIES = ("known", "hidden")


@dataclass(frozen=True, slots=True)
class OnlineStream:
    """How the images of a stream arrive: ``scenario.online``.

    Args:
        chunk_size: Images of a chunk. A chunk is trained on for ``train_epochs`` (1: every image
            is seen once) before the next one arrives; a last one of a single image joins the one
            before.
        order: ``"shuffled"``: the images of an experience arrive in an order drawn by `seed`;
            ``"given"``: in that of the label file.
        blur: Mixes experiences at their borders: every image arrives earlier or later by a normal
            deviate of this many mean lengths of an experience, drawn by `seed`; 0 keeps them
            apart. Experience t is then the t-th part of what arrives, as long as before.
        boundaries: ``"known"``: methods act at the start and at the end of every experience, as
            without chunks, and never at those of a chunk; ``"hidden"``: nobody tells them, and
            methods that need to know are refused.
        evaluate_every: Evaluate after every so many chunks, besides at every experience's end;
            0: only there.
        seed: Of the order and of the mixing.

    Raises:
        ConfigError: A value is out of range.
    """

    chunk_size: int
    order: str = "shuffled"
    blur: float = 0.0
    boundaries: str = "known"
    evaluate_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name, least in (("chunk_size", 2), ("evaluate_every", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"scenario.online.{name}={getattr(self, name)}: must be at least {least}."
                )
        for name, known in (("order", ORDERS), ("boundaries", BOUNDARIES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"scenario.online.{name}='{getattr(self, name)}': choose "
                    f"'{known[0]}' or '{known[1]}'."
                )
        if not 0 <= self.blur < float("inf"):
            raise ConfigError(f"scenario.online.blur={self.blur}: must be at least 0.")


@dataclass(frozen=True, slots=True)
class Arrival:
    """The chunks in which the samples of an experience arrive.

    Args:
        chunks: Indices of each chunk's samples in the experience's data set.
        hidden: The start and the end of the experience are not told to methods.
        evaluate_every: The chunks between two evaluations; 0: none within the experience.
        mixed: There are samples of other experiences among them.
    """

    chunks: tuple[tuple[int, ...], ...]
    hidden: bool = False
    evaluate_every: int = 0
    mixed: bool = False


def as_online(benchmark: CLScenario, options: OnlineStream) -> CLScenario:
    """Let the samples of a benchmark's training stream arrive in chunks, and return it.

    This package's strategies train on chunk after chunk. An experience of a single chunk is trained
    on as without. Avalanche's ``split_online_stream`` makes an experience of every chunk instead,
    so that methods consolidate once a chunk.

    Args:
        benchmark: A `QualityStream` or a `ClassStream`; its training experiences are changed.
        options: The options.

    Raises:
        ConfigError: The experiences of classes are to be mixed, or there are several patches of an
            image.
    """
    stream = list(benchmark.streams.get("train", ()))
    if any(getattr(experience, "patches", None) for experience in stream):
        raise ConfigError(
            "scenario.patches_per_image: an image of an online stream arrives once. Set it to 1, "
            "or leave scenario.online out."
        )
    lengths = [len(experience.dataset) for experience in stream]
    orders = [
        _order(count, str(experience.name), options)
        for count, experience in zip(lengths, stream, strict=True)
    ]
    if options.blur:
        if benchmark.target_kind == "classes":
            raise ConfigError(
                "scenario.online.blur: an experience of classes has classes of its own, which the "
                "mixing would change. Set blur=0."
            )
        _mix(stream, orders, options)
        orders = [list(range(count)) for count in lengths]
    for experience, order in zip(stream, orders, strict=True):
        chunks = _chunks(order, options.chunk_size)
        hidden = options.boundaries == "hidden"
        mixed = options.blur > 0
        experience.arrival = Arrival(chunks, hidden, options.evaluate_every, mixed)
    return benchmark


def _order(count: int, name: str, options: OnlineStream) -> list[int]:
    """Return the indices of an experience's samples in the order in which they arrive."""
    if options.order == "given":
        return list(range(count))
    drawn: list[int] = torch.randperm(
        count, generator=generator(options.seed, "arrival", name)
    ).tolist()
    return drawn


def _chunks(order: Sequence[int], size: int) -> tuple[tuple[int, ...], ...]:
    """Return samples in chunks; a last one of a single sample joins the one before.

    >>> _chunks([3, 1, 0, 2, 4], 2)
    ((3, 1), (0, 2, 4))
    """
    whole, left = divmod(len(order), size)
    chunks = chunks_of_sizes([size] * whole + [left] * (left > 0))
    return tuple(tuple(order[place] for place in chunk) for chunk in chunks)


def chunks_of_sizes(sizes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return places 0, 1, ... in chunks of these sizes; a last one of 1 joins the one before.

    >>> chunks_of_sizes([2, 2, 1])
    ((0, 1), (2, 3, 4))
    """
    sizes = list(sizes)
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    ends = list(accumulate(sizes))
    return tuple(tuple(range(end - size, end)) for size, end in zip(sizes, ends, strict=True))


def _mix(stream: Sequence[CLScenario], orders: Sequence[list[int]], options: OnlineStream) -> None:
    """Give every experience its part of the samples in the order in which they arrive."""
    lengths = [len(order) for order in orders]
    total = sum(lengths)
    deviates = torch.randn(total, generator=generator(options.seed, "blur"), dtype=torch.float64)
    width = options.blur * total / len(lengths)
    arrive = (torch.arange(total) + width * deviates).argsort(stable=True).tolist()
    everything = concat_datasets(
        [e.dataset.subset(order) for e, order in zip(stream, orders, strict=True)]
    )
    start = 0
    for experience, count in zip(stream, lengths, strict=True):
        experience._dataset = everything.subset(arrive[start : start + count]).train()
        start += count
