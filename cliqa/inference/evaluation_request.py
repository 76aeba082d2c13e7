"""The request of an evaluation: its data sets and their scales, the split and the protocol."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.config.option_values import parse_value
from cliqa.config.trust import vouch
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.labels.layouts.layout import guess_layout, known_set
from cliqa.datasets.labels.layouts.parts import listed_files
from cliqa.datasets.labels.scale import Scale
from cliqa.datasets.sharing import find_shared
from cliqa.engine.sections import data_set_sections
from cliqa.engine.streams import build_data_sets, build_stream, build_unseen
from cliqa.inference.execution.precision import Execution
from cliqa.registry import DATASETS, build_component, find
from cliqa.transforms.protocol import EvaluationProtocol
from cliqa.utils.device import check_workers
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import home_path

logger = get_logger(__name__)

FILES = (".csv", ".json", ".xlsx", ".txt", ".tsv")
"""Suffixes of score files; any other word before the ``=`` is a type of data set."""


ALL = "all"
"""Stands for every data set of the config, also beside others."""


@dataclass(frozen=True)
class EvalRequest:
    """Which data are evaluated, and how.

    Attributes:
        data_sets: Names of the config's data sets, or others as `parse_data_set` takes them; none
            or ``all`` for all of the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        protocol: How images are resized and cropped.
        scale: Of the score files among the data sets.
        batch_size: Images a batch; None for the run's own, in which the crops of a `protocol` count
            as images.
        num_workers: Processes that read images; None for threads instead, one for each CPU.
        allow_changed_data: Evaluate the run's own data sets even if they have changed since.
        dataset_root: Where the run's own data sets lie; None where the run read them.
        execution: How the models are computed; None for as each run does itself.

    Raises:
        ConfigError: A number is out of range.
    """

    data_sets: Sequence[str] = ()
    split: str = "test"
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    scale: Scale | None = None
    batch_size: int | None = None
    num_workers: int | None = None
    allow_changed_data: bool = False
    dataset_root: str | None = None
    execution: Execution | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"--batch-size {self.batch_size}: must be at least 1.")
        check_workers(self.num_workers or 0, "--num-workers")

    @property
    def takes_own(self) -> bool:
        """Whether all of the config's data sets are wanted: no name is given, or ``all`` is one."""
        return not self.data_sets or ALL in self.data_sets

    @property
    def named(self) -> list[str]:
        """The names of the config's data sets that are given."""
        return list(dict.fromkeys(t for t in self.data_sets if not is_new_data_set(t) and t != ALL))


def is_new_data_set(text: str) -> bool:
    """Return whether an argument describes a data set, rather than naming one of the config's."""
    return "=" in text


def parse_data_set(text: str, scale: Scale | None = None) -> QualityDataset:
    """Build the data set that a command line describes.

    Args:
        text: ``TYPE=ROOT``; ``FILE=ROOT`` with a csv, json or xlsx file of images below ROOT and
            their scores, all of which are evaluated unless the file has a column of splits; or as
            in a config: ``dict(type='ScoreFile', root=..., ...)``.
        scale: Of the scores in a file.

    Raises:
        ConfigError: The text, the type or an argument is wrong, or a file's scale is not known.
        DatasetError: The data set is wrong or missing.
    """
    where = f"--datasets {text}"
    if text.startswith(("dict(", "{")):
        return _build(parse_value(text, None, where))
    kind, _, root = text.partition("=")
    if not kind or not root:
        raise ConfigError(
            f"{where}: write TYPE=ROOT, e.g. KADID10k=/data/kadid10k, or FILE=ROOT, e.g. "
            "scores.csv=/data/images."
        )
    if Path(kind).suffix.lower() in FILES:
        return _build(_score_file(Path(kind), root, scale, where))
    return _build({"type": kind, "root": root})


def _score_file(path: Path, root: str, scale: Scale | None, where: str) -> dict[str, Any]:
    """Return the section of a file of scores."""
    own = {"type": "ScoreFile", "root": root, "images": ".", "fractions": (0.0, 0.0, 1.0)}
    own["labels"] = str(home_path(path).resolve())
    layout = guess_layout(home_path(path))
    if layout:
        own["layout"] = layout
    if scale is not None:
        return {
            **own,
            "score_range": (scale.low, scale.high),
            "higher_is_better": scale.higher_is_better,
        }
    if known_set(layout or None, path.name) is not None:
        return own
    raise ConfigError(
        f"{where}: the scale of its scores is not known. Add --score-range LOW HIGH (and "
        f"--lower-is-better for a DMOS), or write dict(type='ScoreFile', root='{root}', "
        f"labels='{path}', images='.', score_range=(LOW, HIGH), higher_is_better=True)."
    )


def _build(section: dict[str, Any]) -> QualityDataset:
    """Build a data set from its section."""
    vouch(section)  # the user has named it, not the file that is evaluated
    data: QualityDataset = build_component(DATASETS, section, "--datasets")
    return data


def scales_of(scenario: Mapping[str, Any]) -> dict[str, Scale]:
    """Return the scale of each data set's raw scores by its name, without reading the data.

    Raises:
        ConfigError: A data set is unknown, or its range is wrong.
    """
    if "datasets" not in scenario:
        return {}
    found = {}
    for index, section in enumerate(data_set_sections(scenario)):
        component: Any = find(DATASETS, section, f"scenario.datasets[{index}]")
        arguments = {key: value for key, value in section.items() if key != "type"}
        low, high = component.declared_range(**arguments)
        higher = component.declared_direction(**arguments)
        name = arguments.get("name") or getattr(component, "default_name", None)
        name = str(name or Path(listed_files(arguments["labels"])[0]).stem)
        found[name] = Scale(low, high, higher)
    return found


def scale_of(scenario: Mapping[str, Any], name: str) -> Scale:
    """Return the scale of one data set.

    Raises:
        ConfigError: There is no such data set.
    """
    known = scales_of(scenario)
    if name not in known:
        has = f"has {', '.join(known)}" if known else "has no data sets of scores"
        raise ConfigError(f"--dataset {name}: the model's config {has}. Or use --scale LOW HIGH.")
    return known[name]


def only_scale(scenario: Mapping[str, Any]) -> Scale | None:
    """Return the scale of a scenario's only data set of scores; None if there are more or none.

    It is None too for a data set that cannot be looked up here: nobody has asked for its scale.
    """
    try:
        known = scales_of(scenario)
    except CliqaError:
        return None
    return next(iter(known.values())) if len(known) == 1 else None


def score_sources(
    scenario: dict[str, Any], request: EvalRequest, may_be_gone: Sequence[str]
) -> tuple[dict[str, QualityDataset], dict[str, str]]:
    """Return the split of the wanted data sets by name, in the order asked for.

    Also return why others that are wanted are not there; see `build_data_sets`.
    """
    wanted, split = request.data_sets, request.split
    named, takes_own = request.named, request.takes_own
    built = build_data_sets(scenario, may_be_gone) if named or takes_own else []
    unseen = build_unseen(scenario) if built else []
    own = {data.name: data for data in [*built, *unseen]}
    for name in named:
        if name not in own:
            raise ConfigError(
                f"--datasets {name}: the config has {', '.join(own)}. For another data set write "
                "TYPE=ROOT, e.g. KADID10k=/data/kadid10k."
            )
    others = [parse_data_set(text, request.scale) for text in wanted if is_new_data_set(text)]
    _report_seen(built, others)
    absent = {name: d.reason for name, d in own.items() if isinstance(d, AbsentDataset)}
    chosen = {n: own[n] for n in (own if takes_own else named) if n not in absent}
    if split != "all" and own:
        sources = build_stream(scenario, built, unseen).sources
        chosen = {
            name: sources[name, split] for name in chosen if _has(sources, name, split, named)
        }
    for data in others:
        if data.name in chosen:
            raise ConfigError(
                f"--datasets: two data sets are called '{data.name}'. Give one of them another "
                f"name: dict(type='{type(data).__name__}', root=..., name='...')."
            )
        chosen[data.name] = data.subset(cast("Any", split))
    for name, data in chosen.items():
        if not len(data):
            raise ConfigError(f"--split {split}: {name} has no such split. Use --split all.")
    if not chosen:
        raise DatasetError("\n".join(absent.values()))
    return chosen, absent if takes_own else {}


def _has(sources: Container[tuple[str, str]], name: str, split: str, named: Sequence[str]) -> bool:
    """Return whether a data set has a split in the stream: one only evaluated has test alone.

    Raises:
        ConfigError: It has not, and is asked for by its name.
    """
    if (name, split) not in sources and name in named:
        raise ConfigError(f"--split {split}: {name} is only evaluated. Use --split test or all.")
    return (name, split) in sources


def _report_seen(own: Sequence[QualityDataset], others: Sequence[QualityDataset]) -> None:
    """Warn about images of other data sets that are among the config's training data."""
    train = [data.subset("train") for data in own]
    for other in others:
        shared = find_shared([*train, other])
        seen = {index for image in shared for index in image.by_dataset().get(len(train), ())}
        if seen:
            logger.warning(
                "%d of the %d images of %s are in the training data of this config",
                len(seen),
                len(other),
                other.name,
            )
