"""Full precision is torch's own; mixed precision computes in half and steps with true gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cliqa.training.loop.precision import Computation, Precision
from cliqa.utils.errors import ConfigError

CPU = torch.device("cpu")


def stepped(precision: Precision, model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Take one step of plain gradient descent; return the output and the gradients."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with precision.autocast():
        output = model(torch.linspace(-1, 1, 8).reshape(2, 4))
    precision.backward(output.float().square().sum(), optimizer)
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    precision.step(optimizer)
    return output, gradients


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 1)


def test_full_precision_is_torchs_own_step() -> None:
    ours, plain = linear(), linear()
    output, gradients = stepped(Precision(CPU, amp=False), ours)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5)
    expected = plain(torch.linspace(-1, 1, 8).reshape(2, 4))
    expected.square().sum().backward()
    optimizer.step()
    assert output.dtype == torch.float32
    assert torch.equal(output, expected)
    assert torch.equal(ours.weight, plain.weight)
    assert plain.weight.grad is not None
    assert torch.equal(gradients[0], plain.weight.grad)


def test_mixed_precision_on_a_cpu_is_bfloat16_with_float32_weights() -> None:
    full, half = linear(), linear()
    _, expected = stepped(Precision(CPU, amp=False), full)
    output, gradients = stepped(Precision(CPU, amp=True), half)
    assert output.dtype == torch.bfloat16
    assert half.weight.dtype == torch.float32
    assert torch.allclose(gradients[0], expected[0], rtol=0.05, atol=0.02)
    assert not torch.equal(half.weight, full.weight)


def test_on_a_cpu_there_is_no_scale_to_keep() -> None:
    precision = Precision(CPU, amp=True)
    assert precision.state_dict() == {}
    precision.load_state_dict({"scale": 4.0})  # of a run on a GPU that goes on without one
    assert precision.state_dict() == {}


def test_a_named_type_is_computed_in() -> None:
    with Precision(CPU, amp="bfloat16").autocast():
        assert linear()(torch.ones(1, 4)).dtype == torch.bfloat16


def test_types_that_cannot_be_trained_in_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"amp='float16': cannot train.*'cpu'.*amp='bfloat16'"):
        Precision(CPU, amp="float16")
    with pytest.raises(ConfigError, match=r"amp: expected True, False.*got 'half'"):
        Precision(CPU, amp="half")


@pytest.mark.parametrize("amp", [False, True])
def test_gradients_of_weighted_losses_add_up(amp: bool) -> None:
    whole, parts = linear(), linear()
    x, precision = torch.linspace(-1, 1, 8).reshape(2, 4), Precision(CPU, amp)
    optimizer = torch.optim.SGD(parts.parameters(), lr=0.5)
    with precision.autocast():
        precision.backward(whole(x).float().square().mean(), optimizer)
        for row in x:  # as if four of them were to come
            precision.add_gradient(parts(row[None]).float().square().mean() / 4)
    precision.unscale(optimizer, factor=4 / 2)
    for first, second in zip(whole.parameters(), parts.parameters(), strict=True):
        assert first.grad is not None
        assert second.grad is not None
        assert torch.allclose(first.grad, second.grad, rtol=0.02 if amp else 1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_cuda_bfloat16_needs_no_scale() -> None:
    precision = Precision(torch.device("cuda", 0), amp="bfloat16")
    with precision.autocast():
        assert linear().cuda()(torch.ones(1, 4, device="cuda")).dtype == torch.bfloat16
    assert precision.state_dict() == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_cuda_gradients_are_true_and_the_scale_is_kept() -> None:
    cuda = torch.device("cuda", 0)
    full, half = linear().to(cuda), linear().to(cuda)
    results = []
    precision = Precision(cuda, amp=True)
    for chosen, model in ((Precision(cuda, amp=False), full), (precision, half)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        with chosen.autocast():
            output = model(torch.linspace(-1, 1, 8, device=cuda).reshape(2, 4))
        chosen.backward(output.float().square().sum(), optimizer)
        assert model.weight.grad is not None
        results.append(model.weight.grad.clone())
        chosen.step(optimizer)
    assert output.dtype == torch.float16
    assert torch.allclose(results[1], results[0], rtol=0.01, atol=0.005)
    state = precision.state_dict()
    state["scale"] = 128.0
    again = Precision(cuda, amp=True)
    again.load_state_dict(state)
    assert again.state_dict()["scale"] == 128.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_cuda_an_overflow_skips_the_step() -> None:
    model = linear().cuda()
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    precision = Precision(torch.device("cuda", 0), amp=True)
    precision.backward(model(torch.ones(1, 4, device="cuda")).sum() * float("inf"), optimizer)
    precision.step(optimizer)
    assert torch.equal(model.weight, before)


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * 36, 1))


def lies_last(model: nn.Sequential) -> bool:
    weight: torch.Tensor = model[2].weight  # type: ignore[assignment]
    return weight.is_contiguous(memory_format=torch.channels_last)


def test_mixed_precision_lays_convolutions_out_with_the_channels_last() -> None:
    model, plain = convolutions(), convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for amp, last in ((False, False), (True, True)):
        precision = Precision(CPU, amp)
        precision.arrange(model)
        assert lies_last(model) is last
    assert [p for group in optimizer.param_groups for p in group["params"]] == [*model.parameters()]
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    model.load_state_dict(plain.state_dict())
    assert lies_last(model)  # values are copied into it
    precision.adopt(None)
    precision.arrange(model)
    assert not lies_last(model)


def test_a_measured_choice_is_kept_and_adopted() -> None:
    precision = Precision(CPU, "auto")
    assert (precision.measures, precision.amp, precision.choice()) == (True, False, {})
    precision.use(Computation("bfloat16", channels_last=True))
    assert (precision.measures, precision.dtype) == (False, torch.bfloat16)
    again = Precision(CPU, "auto")
    again.adopt(precision.choice())
    assert again.computation == precision.computation
    assert not again.measures
    assert str(again.computation) == "bfloat16, channels last"
    again.use(Computation())  # float32 can be a choice, too
    third = Precision(CPU, "auto")
    third.adopt(again.choice())
    assert (third.measures, str(third.computation)) == (False, "float32")


def test_a_run_from_before_layouts_goes_on_in_its_own() -> None:
    mixed, plain = Precision(CPU, True), Precision(CPU, False)
    assert mixed.choice() == {"amp": "bfloat16", "channels_last": True}
    assert plain.choice() == {}
    for precision in (mixed, plain):
        precision.adopt(None)
        assert not precision.computation.channels_last
    assert mixed.amp
    mixed.adopt({"amp": "bfloat16", "channels_last": True})
    assert mixed.computation.channels_last
