"""A state as JSON and tensors, and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from cliqa.engine.shared_model.split_state import Split, joined
from cliqa.utils.errors import CheckpointError


def test_a_state_comes_back_as_it_was() -> None:
    state: dict[str, Any] = {
        "means": {0: torch.ones(2), 3: torch.zeros(1)},
        "size": (3, (4, [5])),
        "limit": math.inf,
        "empty": [torch.empty(0), {}, ()],
        "flags": [True, None, "text", 1.5],
        "odd": {"$tensor": "not one"},
    }
    split = Split()
    plain = json.loads(json.dumps(split.plain(state, "state")))
    found = joined(plain, split.tensors)
    assert torch.equal(found["means"].pop(0), torch.ones(2))
    assert torch.equal(found["means"].pop(3), torch.zeros(1))
    assert found["empty"].pop(0).shape == (0,)
    assert found == {**state, "means": {}, "empty": [{}, ()]}
    assert math.isnan(joined(Split().plain(math.nan, "x"), {}))


def test_a_tensor_is_kept_once_and_views_have_memory_of_their_own() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    split = Split()
    plain = split.plain([base, base, base.t(), base[1]], "s")
    assert plain[1] == plain[0] == {"$tensor": "s/0"}
    assert list(split.tensors) == ["s/0", "s/2", "s/3"]
    assert len({one.untyped_storage().data_ptr() for one in split.tensors.values()}) == 3
    assert all(one.is_contiguous() for one in split.tensors.values())
    assert torch.equal(joined(plain, split.tensors)[2], base.t())


def test_other_types_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"state/a/0: a set cannot be written as JSON"):
        Split().plain({"a": [set()]}, "state")


@pytest.mark.parametrize(
    "plain", [{"$tensor": "gone"}, {"$tuple": 3}, {"$items": [[1]]}, {"$number": "x", "y": 1}]
)
def test_damage_is_told(plain: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^\$\w+: damaged, or its tensor is missing"):
        joined([plain], {})
