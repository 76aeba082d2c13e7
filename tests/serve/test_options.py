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
        ({"max_wait": -0.001}, r"--max-wait -1: must be at least 0"),
        ({"max_wait": float("nan")}, r"--max-wait nan: must be at least 0"),
        ({"max_wait": float("inf")}, r"--max-wait inf: an image would wait .* Give milliseconds"),
        ({"max_wait": 30.0}, r"--max-wait 30000: an image would wait .* --timeout of 30 s is over"),
        ({"batch_size": 5000}, r"--batch-size 5000: at most 4096"),
        ({"queue": 10**7}, r"--queue 1e\+07: at most 1000000"),
        ({"max_bytes": 10**17}, r"--max-bytes 1e\+17: at most 68719476736"),
        ({"max_pixels": 10**17}, r"--max-pixels 1e\+17: at most 10000000000"),
        ({"timeout": float("inf")}, r"--timeout inf: at most 86400"),
        ({"timeout": float("nan")}, r"--timeout nan: must be at least 0\.1"),
        ({"port": 70000}, r"--port 70000: must be between 0"),
        ({"scale": (5.0, 1.0)}, r"--scale 5 1: LOW must be below HIGH"),
        ({"scale": (0.0, float("inf"))}, r"--scale 0 inf: LOW must be below HIGH, both finite"),
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
