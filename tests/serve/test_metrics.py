"""Numbers for Prometheus, summed over processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cliqa.serve.metrics import FOLDER, Metrics

COUNT = """
import sys
from cliqa.serve.metrics import Metrics
metrics = Metrics()
metrics.request("/score", 200, 0.02)
metrics.request("/score", 429, 0.001)
metrics.batch(3)
metrics.waiting(2)
print(metrics.text().decode() if "show" in sys.argv else "")
"""


def values(text: str) -> dict[str, float]:
    """Return the numbers by their names."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_every_service_counts_for_itself() -> None:
    first, second = Metrics(), Metrics()
    first.request("/score", 200, 0.02)
    first.images(3, 1)
    found = values(first.text().decode())
    assert found['cliqa_requests_total{path="/score",status="200"}'] == 1
    assert found['cliqa_images_total{result="refused"}'] == 1
    assert found['cliqa_request_seconds_bucket{le="0.025",path="/score"}'] == 1
    assert found['cliqa_request_seconds_bucket{le="0.01",path="/score"}'] == 0
    assert "200" not in second.text().decode()


def test_processes_are_summed_and_those_that_have_ended_still_count(tmp_path: Path) -> None:
    variables = {**os.environ, FOLDER: str(tmp_path)}
    for more in ([], ["show"]):
        found = subprocess.run(
            [sys.executable, "-c", COUNT, *more],
            env=variables,
            check=True,
            capture_output=True,
            text=True,
        )
    numbers = values(found.stdout)
    assert numbers['cliqa_requests_total{path="/score",status="200"}'] == 2
    assert numbers["cliqa_rejected_total"] == 2
    assert numbers["cliqa_batch_images_sum"] == 6
    assert numbers["cliqa_queue_images"] == 4
    assert len(list(tmp_path.glob("gauge_livesum_*.db"))) == 2  # the parent removes a dead one's


def test_the_room_of_its_files_is_taken_at_the_start(tmp_path: Path) -> None:
    variables = {**os.environ, FOLDER: str(tmp_path)}
    subprocess.run([sys.executable, "-c", COUNT], env=variables, check=True, capture_output=True)
    found = list(tmp_path.glob("*.db"))
    assert len(found) == 3
    for path in found:  # a hole that met a full disk would end the process
        assert 512 * path.stat().st_blocks >= path.stat().st_size
