"""What Ray's workers do; it reaches them by value, since they do not know yet where cliqa lies."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_task(root: str, job: dict[str, Any], board: Any, place: int) -> dict[str, Any]:  # noqa: ANN401
    """Run a job on this worker's node.

    Args:
        root: The folder that holds the package.
        job: A job as plain values.
        board: The board's actor.
        place: The run's number on it.

    Returns:
        What `RunOnNode.run` returns.
    """
    import ray  # noqa: PLC0415  the worker has it

    if root not in sys.path:
        sys.path.insert(0, root)
    from cliqa.studies.backends.on_node import Job, RunOnNode  # noqa: PLC0415  found only now

    node = ray.get_runtime_context().get_node_id()
    with ThreadPoolExecutor(1) as calls:  # a task that waits itself lends its processor to others

        def ask(question: Any, *given: Any) -> Any:  # noqa: ANN401
            return calls.submit(lambda: ray.get(question.remote(*given))).result()

        attempt = ask(board.begin, place, f"{socket.gethostname()}-{node[:6]}")
        if not attempt:
            return {"status": 1, "refused": "", "again": False}
        own = Job(**{**job, "owner": f"{job['token']}-{attempt}"})
        run = RunOnNode(own, lambda note: bool(ask(board.tell, place, attempt, note)))
        return {**run.run(), "again": True}
