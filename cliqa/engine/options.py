"""What a command line or a call may ask of a run, beside its config."""

from __future__ import annotations

from dataclasses import dataclass

from cliqa.utils.errors import ConfigError

OF_STREAMS = ("extend", "start_from", "stop_after")
"""Options that need a stream: a pretraining has none."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run. A new one has its place here, and where users give it.

    Args:
        device: ``"auto"`` (the first GPU, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed.
        resume: ``None`` to start from scratch, ``"auto"`` or a checkpoint's path to resume.
        extend: Continue the run in the folder under a config that asks for more: data sets at the
            end of the stream, or more epochs of the last experience.
        start_from: Another run's folder or checkpoint: the run begins in its own folder with all
            that the other one has learnt and recorded, and continues as with `extend`.
        stop_after: Stop once so many experiences of the stream are learnt, >= 1; None: at its end.
        amp: Train in mixed precision.
        allow_changed_data: Continue although labels or images are not those that it began with.

    Raises:
        ConfigError: Two options exclude each other, or a number is out of range.
    """

    device: str = "auto"
    seed: int | None = None
    resume: str | None = None
    extend: bool = False
    start_from: str | None = None
    stop_after: int | None = None
    amp: bool = False
    allow_changed_data: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        given = {
            "--resume": self.resume is not None,
            "--extend": self.extend,
            "--start-from": self.start_from is not None,
        }
        chosen = [name for name, used in given.items() if used]
        if len(chosen) > 1:
            raise ConfigError(
                f"{' and '.join(chosen)}: only one of them can be given. --resume continues a run "
                "under its own config, --extend under one that asks for more, and --start-from "
                "does so in a new folder."
            )
        stop = self.stop_after
        if stop is not None and (isinstance(stop, bool) or not isinstance(stop, int) or stop < 1):
            raise ConfigError(f"--stop-after: expected a number of experiences >= 1, got {stop!r}.")

    @property
    def continues(self) -> bool:
        """Whether the config may ask for more than the checkpoint's."""
        return self.extend or self.start_from is not None

    def check_pretraining(self) -> None:
        """Refuse what a pretraining cannot do.

        Raises:
            ConfigError: An option needs a stream of experiences.
        """
        for name in OF_STREAMS:
            if getattr(self, name):
                raise ConfigError(
                    f"--{name.replace('_', '-')}: a pretraining has no stream of experiences. "
                    "For more epochs, raise pretrain.epochs in a new run with load_from."
                )
