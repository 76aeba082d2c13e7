"""What a scoring service is asked for: the model, its address and its limits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cliqa.utils.arguments import check_at_least, check_at_most, check_scale
from cliqa.utils.errors import ConfigError
from cliqa.utils.system.ports import check_port

MIB = 2**20

PENDING = 4
"""Bodies of the largest size whose bytes a process may hold at once."""

MOST = {
    "processes": 256,
    "batch_size": 4096,
    "queue": 1_000_000,
    "max_bytes": 64 * 1024 * MIB,
    "max_pixels": 10_000_000_000,
    "timeout": 86_400,
}
"""More than any machine keeps is a slip of the finger: it would end a request with the memory."""


@dataclass(frozen=True)
class ServiceOptions:
    """What a service is asked for.

    Args:
        model: A work_dir, a checkpoint or an exported file.
        host: The address that it listens at.
        port: 0 for a free one.
        processes: Each scores with threads of its own.
        threads: Of a pass of the network in each process.
        batch_size: Images that are scored in one pass, at most.
        max_wait: Seconds that an image waits for others to fill its batch.
        queue: Images that may wait in each process.
        max_images: Images of a request.
        max_bytes: Bytes of a request's body.
        max_pixels: Pixels of an image, checked before it is decoded.
        timeout: Seconds that a request may take, its body's arrival included.
        scale: (low, high) of the scores; None for the model's own scale.
        dataset: The data set of the run whose scale the scores are on.
        device: Where it is computed; ``"auto"``, ``"cpu"``, ``"cuda:0"`` ...
        allow_urls: Whether images may be named by addresses, which the service fetches.
        trust: Whether the model's file may name any component.
        access_log: Whether every request is told, in a line of JSON.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 1
    threads: int = 1
    batch_size: int = 8
    max_wait: float = 0.005
    queue: int = 128
    max_images: int = 64
    max_bytes: int = 32 * MIB
    max_pixels: int = 40_000_000
    timeout: float = 30.0
    scale: tuple[float, float] | None = None
    dataset: str | None = None
    device: str = "auto"
    allow_urls: bool = False
    trust: bool = False
    access_log: bool = False

    @property
    def pending_bytes(self) -> int:
        """The bytes of bodies that a process holds at once."""
        return PENDING * self.max_bytes

    def check(self) -> None:
        """Refuse options that no service can keep.

        Raises:
            ConfigError: One of them, with what it may be.
        """
        for option in ("processes", "batch_size", "queue", "max_images", "max_bytes", "max_pixels"):
            check_at_least(1, f"--{option.replace('_', '-')}", getattr(self, option))
        check_at_least(0, "--max-wait", 1000 * self.max_wait)
        check_at_least(0.1, "--timeout", self.timeout)
        for option, most in MOST.items():
            check_at_most(most, f"--{option.replace('_', '-')}", getattr(self, option))
        if self.max_wait >= self.timeout:
            raise ConfigError(
                f"--max-wait {1000 * self.max_wait:g}: an image would wait for others until the "
                f"--timeout of {self.timeout:g} s is over. Give milliseconds, e.g. 5."
            )
        check_scale(self.scale, self.dataset)
        check_port(self.port)
        if self.max_images > self.queue:
            raise ConfigError(
                f"--max-images {self.max_images}: a request of so many would never fit into the "
                f"queue of {self.queue}. Use --queue {self.max_images} or more."
            )

    def to_json(self) -> str:
        """Return the options as a text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServiceOptions:
        """Return the options of a text that `to_json` wrote."""
        values = json.loads(text)
        scale = values.pop("scale")
        return cls(**values, scale=None if scale is None else (scale[0], scale[1]))
