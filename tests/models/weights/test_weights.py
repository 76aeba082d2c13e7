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
    report = load_weights(model, save(tmp_path, state))
    assert equal(model, source)
    assert report.fraction == 1
    assert not report.is_doubtful
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), ())


def test_a_backbone_alone_goes_into_the_model(tmp_path: Path) -> None:
    source, model = Net(), Net()
    path = save(tmp_path, source.backbone.state_dict())
    report = load_weights(model, path, drop=["head"])
    assert equal(model.backbone, source.backbone)
    assert report.missing == ()
    assert "renamed '*' to 'backbone.*'" in str(report)
    with pytest.raises(
        ModelError,
        match=r"2 of the Net's 12 trained tensors would stay random \(head\.weight, head\.bias\)\. "
        r"Name what starts anew: load_from=dict\(path='\.\.\.', drop=\['head'\]\)\. strict=False "
        r"in its place loads whatever fits\.$",
    ):
        load_weights(model, path)
    named = load_weights(model, path, backbone_alone=True)
    assert named.missing == ("head.weight", "head.bias")
    assert not named.is_doubtful


def test_a_model_goes_into_a_backbone_alone(tmp_path: Path) -> None:
    source, model = Net(), Net()
    report = load_weights(model.backbone, save(tmp_path, source.state_dict()))
    assert equal(model.backbone, source.backbone)
    assert report.unexpected == ("head.weight", "head.bias")


def test_a_new_head_is_left_as_it_is_and_reported(tmp_path: Path) -> None:
    source, model = Net(classes=5), Net()
    head = model.head.weight.clone()
    report = load_weights(model, save(tmp_path, source.state_dict()), backbone_alone=True)
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
    assert "9 unexpected (extra.* (9), such as extra.0)" in str(report)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.bias": None}, r"1 of the Net's 12 .* random \(head\.bias\)"),
        ({"head.bias": torch.zeros(7)}, r"12 of the model's 13 .* random \(head\.bias\)"),
        ({"head.scale": torch.ones(1)}, r"1 of the file's weights have no place .*head\.scale\)"),
        ({"backbone.0.bias": None}, r"random \(backbone\.0\.bias\).* drop=\['backbone\.0'\]\)"),
        ({"backbone.1.running_var": None}, r"random \(backbone\.1\.running_var\)"),
        ({"backbone.0.scale": torch.ones(1)}, r"no place in the Net \(backbone\.0\.scale\)"),
    ],
)
def test_any_gap_is_refused_and_the_model_left_alone(
    change: dict[str, Any], message: str, alone: bool, tmp_path: Path
) -> None:
    state = {k: v for k, v in (Net().state_dict() | change).items() if v is not None}
    path, model, twin = save(tmp_path, state), Net(), Net()
    twin.load_state_dict(model.state_dict())
    with pytest.raises(ModelError, match=message):
        load_weights(model, path, backbone_alone=alone)
    assert equal(model, twin)
    assert load_weights(model, path, strict=False).is_doubtful


def test_computed_tensors_need_not_be_there(tmp_path: Path) -> None:
    state = Net().state_dict() | {"backbone.0.total_ops": torch.ones(1)}
    del state["backbone.1.num_batches_tracked"]
    assert not load_weights(Net(), save(tmp_path, state)).is_doubtful


def test_a_backbones_file_has_no_other_weights_than_a_classifiers(tmp_path: Path) -> None:
    state = Net().backbone.state_dict()
    fc = {"fc.weight": torch.zeros(9, 4), "fc.bias": torch.zeros(9)}
    load_weights(Net(), save(tmp_path, state | fc), backbone_alone=True)
    path = save(tmp_path, state | {f"fc_w.{k}.weight": torch.zeros(1) for k in range(5)})
    with pytest.raises(
        ModelError,
        match=r"random \(head\..*5 of the file's .* no place in the Net \(fc_w\.\* \(5\), s",
    ):
        load_weights(Net(), path, backbone_alone=True)
    assert load_weights(Net(), path, drop=["head"]).unexpected  # named: then it is wanted


def test_a_stranger_is_refused_and_the_model_left_alone(tmp_path: Path) -> None:
    path = save(tmp_path, {"conv.weight": torch.zeros(3), "head.bias": torch.zeros(2)})
    model, twin = Net(), Net()
    twin.load_state_dict(model.state_dict())
    with pytest.raises(
        ModelError,
        match=r"1 of the model's 13.* 11 of the Net's 12 trained tensors would stay random "
        r"\(backbone\.\* \(10\), head\.\* \(1\), such .*\)\. Choose the file of this very arch",
    ):
        load_weights(model, path)
    assert equal(model, twin)
    assert load_weights(model, path, strict=False).matched == ("head.bias",)
    with pytest.raises(ModelError, match=r"0 of the model's 13.* Choose another file"):
        load_weights(model, save(tmp_path, {"x": torch.zeros(1)}), strict=False)


def test_another_width_is_refused_unless_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path, Net(width=5).state_dict())
    with pytest.raises(
        ModelError, match=r"9 of the Net's 12 .*\), 9 of them because of another shape"
    ):
        load_weights(Net(), path)
    assert load_weights(Net(), path, strict=False).mismatched


def test_a_prefix_chooses_one_of_several_models(tmp_path: Path) -> None:
    student, teacher, model = Net(), Net(), Net()
    state = {f"student.{key}": value for key, value in student.state_dict().items()}
    state |= {f"teacher.{key}": value for key, value in teacher.state_dict().items()}
    path = save(tmp_path, state)
    load_weights(model, path, prefix="teacher")
    assert equal(model, teacher)
    with pytest.raises(
        ModelError, match=r"fit the model equally well: student\.\*, teacher\.\*.*prefix='student'"
    ):
        load_weights(model, path)
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
    report = load_weights(model, path, drop=["head"])
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
    with pytest.raises(ModelError, match="12 of the Net's 12 trained tensors would stay"):
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
    load_weights(model, save(tmp_path, {"config": {}, "strategy": strategy}))
    assert equal(model, source)
