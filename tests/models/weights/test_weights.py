from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import CheckpointError, ModelError


class Net(nn.Module):
    def __init__(self, classes: int = 2, width: int = 4) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, width), nn.Linear(width, 4)
        )
        self.head = nn.Linear(4, classes)


def save(path: Path, state: Any) -> Path:
    torch.save(state, path / "weights.pth")
    return path / "weights.pth"


def equal(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("wrapper", ["", "module.", "module.model."])
def test_a_state_dict_is_found_under_any_wrapper(
    tmp_path: Path, nest: str | None, wrapper: str
) -> None:
    source, model = Net(), Net()
    state: dict[str, Any] = {wrapper + key: value for key, value in source.state_dict().items()}
    if nest:
        moments = {0: {"exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}}
        state = {"epoch": 3, "optimizer": {"state": moments}, nest: state}
    report = load_weights(model, save(tmp_path, state), strict=True)
    assert equal(model, source)
    assert report.fraction == 1
    assert not report.is_doubtful
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), ())


def test_a_backbone_alone_goes_into_the_model(tmp_path: Path) -> None:
    source, model = Net(), Net()
    report = load_weights(model, save(tmp_path, source.backbone.state_dict()))
    assert equal(model.backbone, source.backbone)
    assert report.missing == ("head.weight", "head.bias")
    assert "renamed '*' to 'backbone.*'" in str(report)


def test_a_model_goes_into_a_backbone_alone(tmp_path: Path) -> None:
    source, model = Net(), Net()
    report = load_weights(model.backbone, save(tmp_path, source.state_dict()))
    assert equal(model.backbone, source.backbone)
    assert report.unexpected == ("head.weight", "head.bias")


def test_a_new_head_is_left_as_it_is_and_reported(tmp_path: Path) -> None:
    source, model = Net(classes=5), Net()
    head = model.head.weight.clone()
    report = load_weights(model, save(tmp_path, source.state_dict()))
    assert report.mismatched == ("head.weight", "head.bias")
    assert len(report.matched) == 11
    assert torch.equal(model.head.weight, head)
    assert equal(model.backbone, source.backbone)
    assert "2 of another shape (head.weight, head.bias)" in str(report)


def test_the_report_is_logged_louder_when_much_is_left_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path, Net().state_dict() | {f"extra.{i}": torch.zeros(1) for i in range(9)})
    with caplog.at_level(logging.INFO):
        report = load_weights(Net(), path)
        load_weights(Net(), save(tmp_path, Net().state_dict()))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "9 unexpected (extra.0, extra.1, extra.2, extra.3 and 5 more)" in str(report)


def test_strict_refuses_anything_left_over(tmp_path: Path) -> None:
    path = save(tmp_path, Net(classes=5).state_dict())
    with pytest.raises(ModelError, match="With strict=True everything must fit the Net"):
        load_weights(Net(), path, strict=True)


def test_a_stranger_is_refused_and_the_model_left_alone(tmp_path: Path) -> None:
    path = save(tmp_path, {"conv.weight": torch.zeros(3), "head.bias": torch.zeros(2)})
    model, twin = Net(), Net()
    twin.load_state_dict(model.state_dict())
    with pytest.raises(ModelError, match=r"1 of the model's 13.* 8% of the Net; at least 50% must"):
        load_weights(model, path)
    assert equal(model, twin)
    with pytest.raises(ModelError, match=r"10 of the 10 tensors of its backbone stay random"):
        load_weights(model, path, least_matched=0.05)
    assert equal(model, twin)
    assert load_weights(model, path, least_matched=0).matched == ("head.bias",)


def test_another_width_is_refused_unless_asked_for(tmp_path: Path) -> None:
    wide = Net(width=5).state_dict() | {f"backbone.{i}.more": torch.zeros(1) for i in range(3)}
    path = save(tmp_path, wide)
    with pytest.raises(ModelError, match=r"of another shape.*at least 50% must fit"):
        load_weights(Net(), path)
    with pytest.raises(ModelError, match=r"of another shape.*too many shapes differ"):
        load_weights(Net(), path, least_matched=0.1)
    assert load_weights(Net(), path, least_matched=0).mismatched


def test_a_prefix_chooses_one_of_several_models(tmp_path: Path) -> None:
    student, teacher, model = Net(), Net(), Net()
    state = {f"student.{key}": value for key, value in student.state_dict().items()}
    state |= {f"teacher.{key}": value for key, value in teacher.state_dict().items()}
    load_weights(model, save(tmp_path, state), prefix="teacher", strict=True)
    assert equal(model, teacher)
    with pytest.raises(ModelError, match=r"weights\.pth: holds no named tensors below 'ema'"):
        load_weights(model, tmp_path / "weights.pth", prefix="ema")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no named tensors"):
        load_weights(Net(), save(tmp_path, {"epoch": 3}))


def test_a_file_that_could_run_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="could run code"):
        load_weights(Net(), save(tmp_path, Net()))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        load_weights(Net(), tmp_path / "gone.pth")


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_dropped_parts_keep_their_values_and_do_not_count(tmp_path: Path, wrapper: str) -> None:
    source, model = Net(classes=5), Net()
    head = model.head.weight.clone()
    state = source.state_dict() | {"head.scale": torch.ones(1)}
    path = save(tmp_path, {wrapper + key: value for key, value in state.items()})
    report = load_weights(model, path, strict=True, drop=["head"])
    assert report.dropped == ("head.weight", "head.bias")
    assert (report.fraction, report.total) == (1, 11)
    assert not report.unexpected
    assert torch.equal(model.head.weight, head)
    assert equal(model.backbone, source.backbone)
    assert "2 dropped (head.weight, head.bias)" in str(report)


def test_a_dropped_part_is_not_loaded_though_it_fits(tmp_path: Path) -> None:
    source: Any = Net()
    model: Any = Net()
    before = model.backbone[0].weight.clone()
    load_weights(model, save(tmp_path, source.state_dict()), drop=["backbone.0.*"])
    assert torch.equal(model.backbone[0].weight, before)
    assert torch.equal(model.head.weight, source.head.weight)


def test_the_share_is_that_of_what_is_not_dropped(tmp_path: Path) -> None:
    path = save(tmp_path, Net().head.state_dict())
    with pytest.raises(ModelError, match="at least 50% must fit"):
        load_weights(Net(), path)
    report = load_weights(Net(), path, drop=["backbone"])
    assert report.matched == ("head.weight", "head.bias")


def test_a_drop_that_names_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"drop: 'haed' names no part .* Did you mean 'head'\?"):
        load_weights(Net(), save(tmp_path, Net().state_dict()), drop=["haed"])


def test_a_runs_checkpoint_holds_its_model_among_larger_states(tmp_path: Path) -> None:
    source, model = Net(), Net()
    older = {name: value + 1 for name, value in source.state_dict().items()}
    many = {f"{k}.{name}": value for k in range(3) for name, value in older.items()}
    strategy = {"plugins": {"0.EWC": {"importance": many}}, "model": source.state_dict()}
    load_weights(model, save(tmp_path, {"config": {}, "strategy": strategy}), strict=True)
    assert equal(model, source)
