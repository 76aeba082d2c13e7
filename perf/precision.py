"""What bfloat16 brings on this processor: ``python perf/precision.py config/x.py``.

Training steps of a config's model on random images, in float32 and in bfloat16, with weights as
they are and with the channels last. The arms take turns; what is compared is the process's CPU
time.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch

from cliqa.config.load import load_config
from cliqa.models.build import build_model
from cliqa.training.loop.precision import Computation, Precision
from cliqa.utils.arguments import add_arguments
from cliqa.utils.cli import run_entry_point
from perf.rounds import pairs, print_row, spread, take_turns

ARMS = {
    str(kind): kind
    for kind in (
        Computation(),
        Computation(channels_last=True),
        Computation("bfloat16"),
        Computation("bfloat16", channels_last=True),
    )
}
"""By name, the ways to compute."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_arguments(parser, "config", "--cfg-options")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    section = load_config(args.config, args.cfg_options)["model"]
    images, scores = torch.randn(args.batch, 3, args.size, args.size), torch.rand(args.batch)
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in cpu_flags()]
    size = f"batch {args.batch}, {args.size} px"
    print(
        f"{args.config}, {size}, {args.threads} thread(s), the CPU has "
        f"{' and '.join(flags) or 'no bfloat16 instructions'}"
    )
    steps = {name: step_in(kind, section, images, scores) for name, kind in ARMS.items()}
    seconds = take_turns(steps, args.rounds)
    plain = next(iter(ARMS))
    ratios = {name: spread(pairs(seconds, plain, name)) for name in ARMS}
    for name, values in seconds.items():
        print(
            f"{name:>24}  {spread(values, 3)} s a step, float32 takes {ratios[name]} times as long"
        )
    shown = ", ".join(f"{ratios[name]} in {name}" for name in list(ARMS)[1:])
    measured = f"a training step takes as many times as long in float32 ({size}): {shown}"
    options = "" if not args.cfg_options else " --cfg-options model.pretrained=False"
    print_row("mixed precision", f"perf/precision.py {args.config}{options}", measured)


def step_in(
    kind: Computation, section: dict[str, Any], images: torch.Tensor, scores: torch.Tensor
) -> Callable[[], None]:
    """Return a training step of a model of its own in one way to compute."""
    torch.manual_seed(0)
    model = build_model(section)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    precision = Precision(torch.device("cpu"), False)
    precision.use(kind)
    precision.arrange(model)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        with precision.autocast():
            output = model(images)
        (output.float() - scores).abs().mean().backward()
        optimizer.step()

    return step


def cpu_flags() -> set[str]:
    """Return what the processor can do, as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
