"""From a scenario section to a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avalanche.benchmarks import CLScenario
from torch import nn

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.benchmarks.attribute_split import KEYS, split_data_sets
from cliqa.benchmarks.online import OnlineStream, as_online
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.random_splits import given_split
from cliqa.benchmarks.upstream import functions as functions  # makes scenarios of functions
from cliqa.config.arguments import check_argument_names, checked_arguments
from cliqa.config.trust import TRUST, untrusted_source
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.storage import MANIFEST
from cliqa.engine.sections import data_set_sections
from cliqa.losses.ratings import wanted_by
from cliqa.registry import DATASETS, GENERATORS, SCENARIOS, build_component, find, parameters_of
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError, TrustError, first_line
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import home_path

logger = get_logger(__name__)

OF_DATA = ("dataset_root", "generate", "datasets", "evaluate_only", "online")
"""Keys of the section that describe where the data come from."""

TRANSFORMS = ("train_transform", "eval_transform")


def build_benchmark(scenario: dict[str, Any], learnt: Sequence[str] = ()) -> CLScenario:
    """Build a section's stream, of scores or of classes, with its data.

    Args:
        scenario: The section.
        learnt: Data sets that need not be there any more; see `build_data_sets`.

    Raises:
        ConfigError: An argument is wrong.
        DatasetError: Data are wrong or missing.
    """
    online = online_of(scenario)
    benchmark = _build_benchmark(scenario, learnt)
    if online is None:
        return benchmark
    if any(
        getattr(experience, "arrival", None) for experience in benchmark.streams.get("train", ())
    ):
        raise ConfigError(
            "scenario.online: the benchmark is an online stream already. Leave scenario.online "
            "out, or make the benchmark without split_online_stream."
        )
    return as_online(benchmark, online)


def _build_benchmark(scenario: dict[str, Any], learnt: Sequence[str]) -> CLScenario:
    """Build a section's stream, whose samples all arrive at once."""
    if takes_data_sets(scenario):
        generate(scenario)
        data, errors = _read_data_sets(scenario, learnt)
        unseen, more = _read_unseen(scenario)
        _raise_all([*errors, *more])
        return build_stream(scenario, _cut(scenario, data), unseen)
    generate(scenario)
    section = {key: value for key, value in scenario.items() if key not in ("generate", "online")}
    for key in TRANSFORMS:
        if section.get(key) is not None:
            section[key] = build_pipeline(section[key], f"scenario.{key}", quality=False)
    return build_component(SCENARIOS, section, "scenario")


def online_of(scenario: Mapping[str, Any]) -> OnlineStream | None:
    """Return the options of a scenario's online stream; None where it is none.

    Raises:
        ConfigError: One is wrong.
    """
    section = scenario.get("online")
    if section is None:
        return None
    if not isinstance(section, Mapping):
        raise ConfigError(f"scenario.online: expected dict(chunk_size=..., ...), got {section!r}.")
    check_argument_names(OnlineStream, [str(key) for key in section], (), "scenario.online")
    return OnlineStream(**checked_arguments(OnlineStream, section, "scenario.online."))


def takes_data_sets(scenario: Mapping[str, Any]) -> bool:
    """Return whether a scenario takes a list of data sets; others read their own data."""
    return "datasets" in parameters_of(find(SCENARIOS, scenario, "scenario"))[0]


def generate(scenario: dict[str, Any]) -> None:
    """Generate data in the section's folder, if it has ``generate``.

    Raises:
        DatasetError: The folder holds something else.
        TrustError: An untrusted file asks for it, and the data are not there.
    """
    if scenario.get("generate") is not None:
        generator = build_component(GENERATORS, scenario["generate"], "scenario.generate")
        check_may_generate(scenario)
        generator.write(home_path(scenario.get("dataset_root") or "."))


def check_may_generate(scenario: Mapping[str, Any]) -> None:
    """Refuse to let a file that is not trusted have data generated.

    Raises:
        TrustError: It asks for that, and the data are not there.
    """
    root = home_path(scenario.get("dataset_root") or ".")
    asked = scenario.get("generate") is not None and untrusted_source()
    if asked and not (root / MANIFEST).is_file():
        raise TrustError(
            f"{root}: its data are not there, and {asked} would have them generated in that "
            f"folder. {TRUST}"
        )


def build_data_sets(scenario: dict[str, Any], learnt: Sequence[str] = ()) -> list[QualityDataset]:
    """Write generated data if the section asks for them, read its data sets, and cut them.

    An `AbsentDataset` has the place of one that cannot be read and need not be.

    Args:
        scenario: The section.
        learnt: Names of the data sets that may be gone, each at its place in the stream, ``""`` at
            the places of the others.

    Raises:
        DatasetError: With what is wrong in every data set, if more than one cannot be read.
    """
    generate(scenario)
    built, errors = _read_data_sets(scenario, learnt)
    _raise_all(errors)
    return _cut(scenario, built)


def _cut(scenario: Mapping[str, Any], data: Sequence[QualityDataset]) -> list[QualityDataset]:
    """Return data sets as the section's ``split_by`` cuts them into experiences."""
    given = {key: scenario[key] for key in KEYS if key in scenario}
    return split_data_sets(data, **{"split_by": None, **given})


def build_unseen(scenario: dict[str, Any]) -> list[QualityDataset]:
    """Read the data sets that the section's stream only evaluates.

    An `AbsentDataset` has the place of one that cannot be read: what a model has learnt does not
    depend on it.

    Raises:
        ConfigError: An argument is wrong.
    """
    built, errors = _read_unseen(scenario, may_be_gone=True)
    _raise_all(errors)
    return built


def _read_unseen(
    scenario: dict[str, Any], may_be_gone: bool = False
) -> tuple[list[QualityDataset], list[CliqaError]]:
    """Return the data sets that are only evaluated, and the errors of those that are not there."""
    built: list[QualityDataset] = []
    errors: list[CliqaError] = []
    for index, section in enumerate(data_set_sections(scenario, "evaluate_only")):
        where = f"scenario.evaluate_only[{index}]"
        try:
            built.append(build_component(DATASETS, section, where))
        except CliqaError as error:
            if isinstance(error, DatasetError) and may_be_gone:
                default = getattr(find(DATASETS, section, where), "default_name", None)
                name = section.get("name") or default or Path(str(section.get("labels"))).stem
                built.append(AbsentDataset(str(name), first_line(error)))
            else:
                errors.append(error)
    return built, errors


def _read_data_sets(
    scenario: dict[str, Any], learnt: Sequence[str] = ()
) -> tuple[list[QualityDataset], list[CliqaError]]:
    """Return the data sets that are learnt, and the errors; see `build_data_sets`."""
    built: list[QualityDataset] = []
    errors: list[CliqaError] = []
    if scenario.get("split_by") is not None:
        learnt = ()  # names of experiences, which are parts of these data sets
    for index, section in enumerate(data_set_sections(scenario)):
        name = section.get("name")
        if name is None and not scenario.get("order"):
            name = dict(enumerate(learnt)).get(index)
        try:
            built.append(build_component(DATASETS, section, f"scenario.datasets[{index}]"))
            if scenario.get("split_index") is not None and not built[-1].drawn:
                raise DatasetError(given_split(built[-1].name))
        except CliqaError as error:
            if isinstance(error, DatasetError) and name and name in learnt:
                built.append(AbsentDataset(str(name), first_line(error)))
                logger.warning("%s", built[-1].score_warnings[0])
            else:
                errors.append(error)
    return built, errors


def _raise_all(errors: Sequence[CliqaError]) -> None:
    """Raise what is wrong in any of the data sets, in one error."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DatasetError("\n".join(map(str, errors)))


def build_stream(
    scenario: dict[str, Any],
    data: Sequence[QualityDataset],
    unseen: Sequence[QualityDataset] = (),
) -> QualityStream:
    """Build the section's stream over data sets, and over `unseen`, those only evaluated."""
    section = {key: value for key, value in scenario.items() if key not in (*OF_DATA, *KEYS)}
    for key in TRANSFORMS:
        section[key] = build_pipeline(section[key], f"scenario.{key}")
    sources: dict[str, Any] = {"datasets": data, **({"evaluate_only": unseen} if unseen else {})}
    stream: QualityStream = build_component(SCENARIOS, section, "scenario", **sources)
    return stream


def add_ratings(benchmark: CLScenario, loss: nn.Module) -> None:
    """Add what a loss reads of raters to a stream's training samples, if it reads anything.

    Raises:
        ConfigError: The stream has no raters.
        DatasetError: The labels of a data set do not tell.
    """
    wanted = wanted_by(loss)
    if wanted is None:
        return
    if not isinstance(benchmark, QualityStream):
        raise ConfigError(
            f"cl_strategy.loss: {type(loss).__name__} reads what raters said of each image, and a "
            f"{type(benchmark).__name__} has none. Use it over a 'QualityStream'."
        )
    benchmark.rate(wanted)
