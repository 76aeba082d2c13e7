"""What a service may be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.serve.options import MIB, ServiceOptions
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"processes": 0}, r"--processes 0: must be at least 1"),
        ({"processes": 1000}, r"--processes 1000: at most 256"),
        ({"batch_size": 0}, r"--batch-size 0"),
        ({"queue": 0}, r"--queue 0"),
        ({"max_bytes": -1}, r"--max-bytes -1"),
        ({"max_pixels": 0}, r"--max-pixels 0"),
        ({"max_wait": -1.0}, r"--max-wait -1: must be at least 0"),
        ({"timeout": float("nan")}, r"--timeout nan: must be at least 0\.1"),
        ({"port": 70000}, r"--port 70000: must be between 0"),
        ({"scale": (5.0, 1.0)}, r"--scale 5 1: LOW must be below HIGH"),
        ({"scale": (0.0, 1.0), "dataset": "a"}, r"--scale and --dataset: both"),
        ({"queue": 8, "max_images": 9}, r"--max-images 9: .* Use --queue 9 or more"),
    ],
)
def test_what_no_service_can_keep_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ServiceOptions("model.onnx", **wrong).check()


def test_options_come_back_from_a_text() -> None:
    options = ServiceOptions("a b.onnx", scale=(1.0, 5.0), allow_urls=True, max_wait=0.25)
    options.check()
    assert ServiceOptions.from_json(options.to_json()) == options
    assert ServiceOptions.from_json(ServiceOptions("m").to_json()).scale is None


def test_a_process_holds_few_of_the_largest_bodies() -> None:
    assert ServiceOptions("m", max_bytes=MIB).pending_bytes == 4 * MIB
