"""The fast neuron attention is the published function: same values and gradients as an implementation with tokens."""

import math

import pytest
import torch

from dina.checks import DataError
from dina.models.towers.neural import paper_neuron_attention as attention_kernel
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.tower import initialise, seed_dropout


def make_tower(n_neurons, width, dtype=torch.float64):
    tower = NeuronAttention(n_neurons, (1, 16, 64), width=width, centring="none").to(dtype)
    initialise(tower, torch.Generator().manual_seed(0))
    return tower


def attend_with_tokens(tower, responses):
    """Attention as the paper draws it: one token per neuron, no re-formulation."""
    own = tower.tokens
    token = responses[:, :, None] * own.weight + own.bias
    query, key, value = tower.query(token), tower.key(token), tower.value(token)
    weight = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(token.shape[-1]), dim=-1)
    out = tower.output(weight @ value)
    read = (own.read_out * out).sum(-1) + own.read_bias
    coarse = tower.chain(read).unflatten(1, (1, 8, 32))
    return torch.nn.functional.interpolate(coarse, size=(16, 64), mode="bilinear", align_corners=False)


def gradients(tower, maps, responses):
    probe = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2), dtype=maps.dtype)
    named = dict(tower.named_parameters())
    found = torch.autograd.grad((maps * probe).sum(), [*named.values(), responses])
    return dict(zip([*named, "responses"], found, strict=True))


@pytest.mark.parametrize(("n_neurons", "batch", "width"), [(37, 5, 16), (1, 3, 4), (130, 1, 24)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_all_gradients_equal_those_of_tokens(n_neurons, batch, width, dtype):
    tower = make_tower(n_neurons, width, dtype)
    responses = torch.rand(batch, n_neurons, generator=torch.Generator().manual_seed(1), dtype=dtype).requires_grad_()

    fast, slow = tower(responses), attend_with_tokens(tower, responses)

    # double precision shows that the function is the same; single precision that rounding does not spoil it
    tolerance = 1e-11 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(fast, slow, atol=tolerance, rtol=tolerance)
    of_fast, of_slow = gradients(tower, fast, responses), gradients(tower, slow, responses)
    for name, expected in of_slow.items():
        # the key bias cancels in the softmax: its true gradient is 0 and only rounding is seen, hence the floor
        scale = max(float(expected.abs().max()), 0.1)
        torch.testing.assert_close(of_fast[name] / scale, expected / scale, atol=tolerance, rtol=0, msg=name)


@pytest.mark.parametrize("n_kept", [0, 6 * 23 * 23])
def test_small_tiles_and_recomputed_matrices_change_nothing(monkeypatch, n_kept):
    tower = make_tower(23, 8)
    responses = torch.rand(7, 23, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    expected = tower(responses)
    expected_gradients = gradients(tower, expected, responses)

    # tiles of three samples, blocks of five rows, nothing or all of it kept for the backward pass
    for name, value in {"CACHE_ELEMENTS": 3 * 23, "BLOCK_ELEMENTS": 5 * 6 * 23, "KEPT_ELEMENTS": n_kept}.items():
        monkeypatch.setattr(attention_kernel, name, value)

    maps = tower(responses)
    torch.testing.assert_close(maps, expected)
    for name, gradient in gradients(tower, maps, responses).items():
        torch.testing.assert_close(gradient, expected_gradients[name], msg=name)


def test_parameters_are_counted_as_published():
    n_parameters = sum(p.numel() for p in NeuronAttention(100).parameters())
    assert n_parameters == 3585 * 100 + 2_233_088


def test_interactions_rebuild_the_answer_of_one_neuron():
    tower = make_tower(6, 8)
    r = torch.rand(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    P, Q, R, T, G, H = tower.interactions()

    weight = torch.softmax(r * (r[2] * P[2] + R[2]) + r[2] * Q[2] + T[2], dim=0)
    by_hand = (weight * (r * G[2] + H[2])).sum()

    with torch.no_grad():
        torch.testing.assert_close(attention_kernel.attend(r[None], tower.factors())[0, 2], by_hand)


def test_the_collapsed_chain_is_the_chain():
    tower = make_tower(11, 8)
    read = torch.randn(4, 11, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weight, bias = tower.collapsed_chain()
    torch.testing.assert_close(read @ weight.T + bias, tower.chain(read))


def test_many_responses_at_once_give_the_maps_of_few(monkeypatch):
    tower = make_tower(11, 8)
    responses = torch.rand(520, 11, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(tower(responses), torch.cat([tower(responses[:260]), tower(responses[260:])]))


def test_scaling_is_learnt_from_training_and_does_not_clip():
    tower = NeuronAttention(3, width=4)
    train = torch.tensor([[0.0, 5.0, -1.0], [2.0, 5.0, 1.0]])
    tower.learn_scaling(train)
    scaled = (torch.tensor([[4.0, 7.0, 0.0]]) - tower.lowest) * tower.inverse_range
    # twice the training maximum is 2, a constant neuron is 0, the middle is one half
    torch.testing.assert_close(scaled, torch.tensor([[2.0, 0.0, 0.5]]))


def test_standardised_responses_are_read_as_they_come():
    tower = NeuronAttention(3, width=4, scaling="standardised")
    tower.learn_scaling(torch.tensor([[0.0, 5.0, -1.0], [2.0, 5.0, 1.0]]))
    assert tower.lowest.tolist() == [0, 0, 0]
    assert tower.inverse_range.tolist() == [1, 1, 1]


def test_a_normalised_readout_lets_the_first_maps_depend_on_the_response():
    responses = torch.randn(64, 30, generator=torch.Generator().manual_seed(1))
    varying = {}
    for is_normalised in (False, True):
        tower = NeuronAttention(30, width=16, centring="none", scaling="standardised", is_normalised=is_normalised)
        initialise(tower, torch.Generator().manual_seed(0))
        maps = tower(responses).detach().flatten(1)
        varying[is_normalised] = float(maps.var(0).sum() / maps.square().mean(0).sum())
    assert varying[False] < 0.01
    assert varying[True] > 0.3


def test_narrow_readouts_and_silenced_neurons_can_be_had():
    tower = NeuronAttention(30, width=16, hidden=(7,), dropout=0.5, centring="none")
    initialise(tower, torch.Generator().manual_seed(0))
    assert [layer.out_features for layer in tower.chain] == [7, 8 * 32]
    read = torch.randn(4, 30)
    weight, bias = tower.collapsed_chain()
    torch.testing.assert_close(read @ weight.T + bias, tower.chain(read))
    responses = torch.rand(5, 30)
    seed_dropout(tower, torch.Generator().manual_seed(0))
    assert not torch.equal(tower(responses), tower(responses))
    tower.eval()
    assert torch.equal(tower(responses), tower(responses))


def test_another_number_of_neurons_is_refused():
    with pytest.raises(DataError, match=r"n_neurons = 3, as the neural tower was built for; got \(2, 4\)"):
        NeuronAttention(3, width=4)(torch.zeros(2, 4))


def test_no_array_of_batch_by_neurons_by_neurons_is_made(monkeypatch):
    monkeypatch.setattr(attention_kernel, "CACHE_ELEMENTS", 4 * 64)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else (result,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.numel())
            return result

    responses = torch.rand(32, 64, dtype=torch.float64, requires_grad=True)
    factors = attention_kernel.Factors(
        *(torch.randn(2, 64, 8, dtype=torch.float64, requires_grad=True) for _ in range(3)),
        torch.randn(64, 8, dtype=torch.float64, requires_grad=True),
    )
    with Watch():
        attention_kernel.attend(responses, factors).sum().backward()
    # the six matrices of 64 x 64 are the largest thing; the forbidden array would have 32 x 64 x 64
    assert largest <= 4 * 64 * 64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees_with_the_cpu():
    tower = make_tower(333, 64, torch.float32)
    responses = torch.rand(17, 333, generator=torch.Generator().manual_seed(1)).requires_grad_()
    maps = tower(responses)
    expected = gradients(tower, maps, responses)

    on_gpu = responses.detach().cuda().requires_grad_()
    tower.cuda()
    maps_gpu = tower(on_gpu)
    probe = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2)).cuda()
    names = [*dict(tower.named_parameters()), "responses"]
    found = torch.autograd.grad((maps_gpu * probe).sum(), [*tower.parameters(), on_gpu])

    # order of summation differs between devices: single-precision rounding of sums of some hundred terms
    torch.testing.assert_close(maps_gpu.cpu(), maps, atol=1e-4, rtol=1e-4)
    for name, gradient in zip(names, found, strict=True):
        scale = max(float(expected[name].abs().max()), 1e-3)
        torch.testing.assert_close(gradient.cpu() / scale, expected[name] / scale, atol=1e-4, rtol=0, msg=name)
