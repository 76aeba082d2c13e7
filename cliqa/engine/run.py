"""A run: its results so far, and the state from which it can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate

from cliqa.benchmarks.experience import evaluated_names
from cliqa.config.load import dump_config
from cliqa.engine.costs import Costs
from cliqa.engine.interrupts import Interrupted
from cliqa.engine.recording import Recording, stream_facts
from cliqa.engine.targets import targets_of
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.cadence import cadence_of
from cliqa.engine.work_dir.checkpoints import is_best
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.engine.work_dir.history import History
from cliqa.engine.work_dir.results_file import ResultsFile
from cliqa.engine.work_dir.same_run import check_same_config, check_same_data, check_same_texts
from cliqa.engine.work_dir.saving import LAST, Kept, Saving
from cliqa.engine.work_dir.source import FORMAT, Source, can_go_on, read_source
from cliqa.evaluation.records.results import Results, load_results
from cliqa.training.state import plugin_records
from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import replace_by_link
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


class Run:
    """The records of one training over a stream, kept in a work_dir.

    Args:
        work_dir: The folder.
        config: The resolved config.
        resume: ``None`` to start from scratch, ``"auto"`` to resume from the last checkpoint if
            there is one, or a checkpoint's path.
        config_file: The config's path as the user gave it.
        bootstrap: Resamples for the confidence intervals; 0 for none.
        data: The record of the data that it learns from.
        allow_changed_data: Resume although the data differ from the checkpoint's.
        source: The checkpoint to continue from, where it has been read already.
        grows: The config asks for more than the source's; see `cliqa.engine.growth.continuation`.
        absent: Data sets that were learnt before and are not there any more.

    Raises:
        CheckpointError: The checkpoint is missing or damaged, or belongs to another config or to
            other data.
    """

    def __init__(
        self,
        work_dir: str | Path,
        config: dict[str, Any],
        resume: str | None = None,
        config_file: str = "",
        bootstrap: int = 1000,
        data: DataRecord | None = None,
        allow_changed_data: bool = False,
        source: Source | None = None,
        grows: bool = False,
        absent: Collection[str] = (),
    ) -> None:
        self.config_file, self.config = config_file, config
        self.files = WorkDir(work_dir)
        self._history, self._saving = History(self.files.metrics), Saving(self.files)
        self.epochs, self.evaluations = self._history.epochs, self._history.evaluations
        self.names, self.evaluated = list[str](), list[str]()
        self._results = ResultsFile(self.files)
        self.costs = Costs()
        self.next_step, self.moved = 0, False
        self.notes: list[str] = []
        self.data = data or DataRecord({})
        self.absent, self._bootstrap = absent, bootstrap
        self._allow_changed_data = allow_changed_data
        self._held, self._grows = ExitStack(), grows
        self._found: Callable[[], list[dict[str, Any]]] = list
        self._finished, self._resumable = False, resume == "auto"
        path = self.files.checkpoint_to_resume(resume) if resume and source is None else None
        if self._resumable and path is None and source is None:
            logger.info("%s has no checkpoint yet: the run starts from scratch", self.files.root)
        self._source = read_source(path) if path is not None else source
        if self._source is not None:
            self._check(self._source)

    def __enter__(self) -> Run:
        """Make the folder; an earlier run is moved aside unless this one resumes it."""
        source = self._source
        here = source is not None and self.files.owns(source.path)
        read_as = None if source is None else source.read_as
        held = self.files.held(resumes=here, resumed=read_as, resumable=self._resumable)
        self._held.enter_context(held)
        return self

    def begin(self, device: str, warnings: list[str], **facts: object) -> None:
        """Write the config and run.json with these facts; `warnings` are for the results."""
        dump_config(self.config, self.files.config)
        facts = {"device": device, "config": self.config_file, **facts, **self.data.facts()}
        self.files.write_run(seed=self.config["seed"], **facts)
        self.notes = [*warnings, *self.data.changes]

    def start(
        self,
        strategy: SupervisedTemplate,
        benchmark: CLScenario,
        labels: list[str],
        catch_up: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Resume from the checkpoint, or write the first one; `labels` name the stream's steps.

        A strategy whose state cannot be kept trains the stream again from its start, which ends
        in the same numbers. `catch_up` gets the strategy's state before it is loaded, with the
        records restored: it may load and evaluate the models of earlier steps.
        """
        self.names, self.evaluated = list(benchmark.names), evaluated_names(benchmark)
        self._labels = labels
        self._benchmark = benchmark
        self._targets = targets_of(benchmark)
        given = (self.files.root, benchmark, self._targets, labels, self._bootstrap)
        self.recording = Recording(*given, self.config["seed"])
        self._found = lambda: plugin_records(strategy)
        source, self._source = self._source, None
        if not can_go_on(source, strategy, len(labels)):
            source = None
        if source is None:
            self._history.begin()
            self._save(strategy.state_dict())
            return
        self._restore(source)
        self.moved = not self.files.owns(source.path)
        if self.moved:
            self._history.begin()  # a checkpoint's rows are there before it is
        self._adopt(source)
        self._saving.wait()
        if not self.moved:
            self._history.begin()  # later checkpoints' rows are there until it is the last one
        known = len(self.evaluations)
        catch_up(source.state["strategy"])
        strategy.load_state_dict(source.state["strategy"])
        if len(self.evaluations) > known:
            self._history.rewrite(self._found())
        if self._grows and self.next_step == len(labels):  # by data sets to evaluate alone
            kept = self.files.checkpoint_of(self.next_step - 1)
            self._save(source.state["strategy"], Kept(kept))
        self._saving.wait()
        if self._is_best():  # a kill may have come between the two
            replace_by_link(self.files.last, self.files.best)
        self._write_results("running")
        done = (source.path, self.next_step, len(self.epochs))
        logger.info("resumed from %s: %d experience(s) and %d epoch(s) done", *done)

    def _check(self, source: Source) -> None:
        """Refuse a checkpoint that does not fit this run's config, texts or data."""
        path, state = source.path, source.state
        if not self._grows:
            check_same_config(path, state["config"], self.config, self.files.config)
        check_same_texts(path, state, self.config)
        self._rows = source.rows()
        self.data = check_same_data(
            path, state.get("data"), self.data, self._allow_changed_data, self.absent
        )

    def _restore(self, source: Source) -> None:
        """Load the checkpoint's records."""
        state, known = source.state, len(source.state["names"])
        if state["names"] != (self.names[:known] if self._grows else self.names):
            raise CheckpointError(
                f"{source.path}: made over the data sets {state['names']}, not {self.names}."
            )
        self._history.restore(self._rows)
        self.costs.load_state_dict(state["costs"])
        self.next_step = state["next_step"]

    def _adopt(self, source: Source) -> None:
        """Make the checkpoint the one to resume from, under this run's config and stream."""
        if not self._grows:
            self.files.adopt(source.path)
            return
        if not self.files.owns(source.path):
            self.files.take_over(source.path, self.next_step)
        self._save(source.state["strategy"])

    def finish_epoch(
        self,
        strategy: SupervisedTemplate,
        row: dict[str, Any],
        seconds: float,
        keep: bool = False,
        cpu_seconds: float = 0.0,
    ) -> None:
        """Record an epoch and save the state; `keep` it for more epochs, if it was the last one."""
        self.epochs.append(row)
        self.costs.add_epoch(seconds, cpu_seconds)
        self._history.append(self._found())
        options = self.config.get("checkpoint_config") or {}
        kept = bool(options.get("interval")) and row["epoch"] % options["interval"] == 0
        best = self._is_best()
        if not (kept or best or cadence_of(self.config).after_epoch(row["epoch"], keep)):
            return
        path = self.files.checkpoint_of(row["experience"], row["epoch"]) if kept else None
        # with `keep` the hooks at the experience's end are still to come
        what = Kept(path, best, before_end=keep, newest=options.get("keep"))
        self._save(strategy.state_dict(), what)

    def record(self, step: int, name: str, prediction: np.ndarray, target: np.ndarray) -> None:
        """Measure and store what the model after `step` gives for one data set."""
        self.evaluations.append(self.recording.row(step, name, prediction, target))

    def finish_step(
        self, strategy: SupervisedTemplate, step: int, seconds: float, *, last: bool = False
    ) -> None:
        """Save the state after a step of the stream; after the `last` one whatever is asked for."""
        self.recording.store(step)
        self.costs.finish_step(strategy, seconds)
        self.next_step = step + 1
        self._history.append(self._found())
        if cadence_of(self.config).after_experience(self.next_step, last):
            what = Kept(self.files.checkpoint_of(step), self._is_best())
            write = self._results.later(partial(self._so_far, "running"))
            self._save(strategy.state_dict(), what, then=write)

    def finish(self, status: str = "finished") -> Results:
        """Write the results with the run's status and return them."""
        self._saving.wait()
        self._write_results(status)
        self._finished = True
        return load_results(self.files.results)

    def _save(
        self,
        strategy: dict[str, Any],
        kept: Kept = LAST,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Write the checkpoint with a strategy's state; its history is on the disk already."""
        state = {
            "format": FORMAT,
            "config": self.config,
            "names": self.names,
            **stream_facts(self._benchmark),
            "next_step": self.next_step,
            "history": self._history.counts(),
            "costs": self.costs.state_dict(),
            "data": self.data.to_state(),
            "absent": list(self.absent),
            "strategy": strategy,
        }
        self._saving.save(state, kept, then)

    def _is_best(self) -> bool:
        """Return whether the last epoch is the best of its experience."""
        keeps_best = bool(self.config.get("cl_strategy", {}).get("keep_best"))
        return is_best(self.epochs, self._targets.validation_key, self.next_step, keeps_best)

    def _write_results(self, status: str) -> None:
        """Write the results, once there is an evaluation."""
        if self.evaluations:
            self._results.write(partial(self._so_far, status))

    def _so_far(self, status: str) -> Results:
        """Return the results so far."""
        facts = {"status": status, "config": self.config_file, "warnings": self.notes}
        found = self.recording.results(self.epochs, self.evaluations, **facts, **self.costs.lists())
        return {**found, "data": self.data.digests()}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the results with the run's final status, and release the folder."""
        with self._held:
            if kind is None:
                self._saving.wait()
            if kind is None or self._finished or not self.names:
                return
            with suppress(OSError):  # of a full disk, which `error` reports already
                self._saving.wait()
            ended = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
            with suppress(OSError):
                self._write_results(ended)
            if isinstance(error, Interrupted):
                logger.debug("%s", error)  # for the log file; the entry point tells the user
