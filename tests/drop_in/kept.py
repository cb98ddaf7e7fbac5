"""Kept: state dicts, copies, moves, optimizers, hooks, parametrizations, replicas - what one does with any module."""

from __future__ import annotations

import copy
import io
import pickle

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, parametrize, prune, vector_to_parameters
from torch.testing import assert_close

from .case import case, drawn, gradients, raises, sequences

KEPT, MOVED, TRAINED, HOOKED, COMPUTED = "kept", "moved", "trained", "hooked", "weights computed from others"


@case(KEPT)
def a_state_dict_goes_into_another_layer(make):
    layer, other, x = make(3, 5, 2), make(3, 5, 2), sequences()
    other.reset_parameters()
    assert not torch.equal(other(x)[0], layer(x)[0])
    assert other.load_state_dict(layer.state_dict()).missing_keys == []
    assert torch.equal(other(x)[0], layer(x)[0])


@case(KEPT)
def a_state_dict_is_assigned(make):
    layer, other, x = make(3, 5), make(3, 5, device="meta"), sequences()
    other.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(other(x)[0], layer(x)[0])


@case(KEPT)
def a_state_dict_with_a_key_missing_is_a_runtime_error(make):
    layer = make(3, 5)
    state = layer.state_dict()
    state.pop("weight_ih_l0")
    with raises(RuntimeError):
        layer.load_state_dict(state)


@case(KEPT)
def a_state_dict_of_another_shape_is_a_runtime_error(make):
    with raises(RuntimeError):
        make(3, 5).load_state_dict(make(3, 6).state_dict())


@case(KEPT)
def a_state_dict_names_layers_and_directions(make):
    keys = set(make(3, 5, 2, bidirectional=True).state_dict())
    assert {"weight_ih_l0", "weight_ih_l0_reverse", "weight_ih_l1", "weight_ih_l1_reverse"} <= keys
    assert not any("bias" in key for key in make(3, 5, bias=False).state_dict())


@case(KEPT)
def a_deep_copy_is_independent(make):
    layer, x = make(3, 5, 2), sequences()
    out = layer(x)[0]
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    assert torch.equal(layer(x)[0], out)
    assert not other(x)[0].any()


@case(KEPT)
def a_shallow_copy_shares_its_weights(make):
    layer, x = make(3, 5), sequences()
    assert torch.equal(copy.copy(layer)(x)[0], layer(x)[0])


@case(KEPT)
def pickled(make):
    layer, x = make(3, 5, 2, bidirectional=True), sequences()
    layer(x)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x)[0], layer(x)[0])


@case(KEPT)
def a_whole_layer_is_saved_and_loaded(make):
    layer, x, file = make(3, 5, 2), sequences(), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x)[0], layer(x)[0])


@case(KEPT)
def a_state_dict_is_saved_and_loaded_as_weights_only(make):
    layer, x, file = make(3, 5, 2), sequences(), io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        out = layer(x)[0]
        for p in layer.parameters():
            p.zero_()
    layer.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(layer(x)[0], out)


@case(KEPT)
def the_layer_is_a_leaf_without_buffers(make):
    layer = make(3, 5, 2, dropout=0.5)
    assert list(layer.children()) == []
    assert list(layer.buffers()) == []


@case(KEPT)
def parameters_are_counted_and_flattened(make):
    layer, x = make(3, 5, 2), sequences()
    out, vector = layer(x)[0], parameters_to_vector(layer.parameters())
    assert len(vector) == sum(p.numel() for p in layer.parameters())
    vector_to_parameters(vector.clone(), layer.parameters())
    assert torch.equal(layer(x)[0], out)


@case(KEPT)
def a_function_is_applied(make):
    seen = []
    assert isinstance(make(3, 5).apply(lambda module: seen.append(type(module))), nn.Module)
    assert len(seen) == 1


@case(KEPT)
def in_module_lists_and_dicts(make):
    holder = nn.ModuleDict({"a": nn.ModuleList([make(3, 5), make(5, 2)])})
    assert holder["a"][1](holder["a"][0](sequences())[0])[0].shape == (6, 4, 2)
    assert "a.1.weight_ih_l0" in holder.state_dict()


@case(MOVED)
def to_float64_and_back(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    assert_close(layer.double()(x.double())[0].float(), out)
    assert_close(layer.float()(x)[0], out)


@case(MOVED)
def to_meta_and_back_empty(make):
    layer, x = make(3, 5).to("meta"), sequences()
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert layer(x)[0].isfinite().all()


@case(MOVED)
def moved_under_swapped_parameters(make):
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        layer, x = make(3, 5), sequences()
        out = layer(x)[0].detach()
        before = layer.weight_ih_l0
        assert layer.double().weight_ih_l0 is before
        assert_close(layer(x.double())[0].float(), out)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


@case(MOVED)
def weights_in_shared_memory(make):
    layer, x = make(3, 5), sequences()
    assert all(p.is_shared() for p in layer.share_memory().parameters())
    assert layer(x)[0].isfinite().all()


@case(MOVED)
def a_replica_as_data_parallel_makes_it(make):
    layer, x = make(3, 5), sequences()
    replica = layer._replicate_for_data_parallel()
    for name, p in layer.named_parameters():
        setattr(replica, name, p * 1.0)
    if hasattr(replica, "_flat_weights"):
        replica._flat_weights = [getattr(replica, name) for name in replica._flat_weights_names]
    out = replica(x)[0]
    assert_close(out, layer(x)[0])
    assert all(g.any() for g in gradients(out, layer))


@case(MOVED)
def a_weight_is_replaced(make):
    layer, x = make(3, 5), sequences()
    layer.weight_ih_l0 = nn.Parameter(torch.zeros(5, 3))
    assert torch.equal(layer(x)[0], layer(torch.zeros_like(x))[0])


@case(MOVED)
def weight_data_is_replaced(make):
    layer, x = make(3, 5), sequences()
    layer.weight_ih_l0.data = torch.zeros(5, 3)
    assert torch.equal(layer(x)[0], layer(torch.zeros_like(x))[0])


@case(MOVED)
def two_layers_share_a_weight(make):
    layer, other, x = make(3, 5), make(3, 5), sequences()
    other.weight_ih_l0 = layer.weight_ih_l0
    (layer(x)[0].sum() + other(x)[0].sum()).backward()
    both = layer.weight_ih_l0.grad.clone()
    layer.zero_grad()
    layer(x)[0].sum().backward()
    assert_close(both, 2 * layer.weight_ih_l0.grad)


@case(TRAINED)
def trained_by_every_kind_of_optimizer(make):
    x, target = sequences(), drawn(6, 4, 5, seed=5).relu()
    for kind, settings in (
        (torch.optim.SGD, {}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"foreach": True}),
    ):
        layer = make(3, 5)
        optimizer, losses = kind(layer.parameters(), lr=0.01, **settings), []
        for _ in range(20):
            optimizer.zero_grad()
            losses.append((layer(x)[0] - target).square().mean())
            losses[-1].backward()
            optimizer.step()
        assert losses[-1] < losses[0]


@case(TRAINED)
def trained_by_lbfgs(make):
    layer, x, target = make(3, 5), sequences(), drawn(6, 4, 5, seed=5).relu()
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=5)

    def closure():
        optimizer.zero_grad()
        loss = (layer(x)[0] - target).square().mean()
        loss.backward()
        return loss

    assert optimizer.step(closure) > closure()


@case(TRAINED)
def gradients_are_clipped(make):
    layer = make(3, 5)
    layer(sequences())[0].square().sum().backward()
    clip_grad_norm_(layer.parameters(), 1e-3)
    assert sum(p.grad.square().sum() for p in layer.parameters()) < 1.1e-6


@case(TRAINED)
def gradients_accumulate_and_are_set_to_none(make):
    layer, x = make(3, 5), sequences()
    layer(x)[0].sum().backward()
    once = layer.weight_ih_l0.grad.clone()
    layer(x)[0].sum().backward()
    assert_close(layer.weight_ih_l0.grad, 2 * once)
    layer.zero_grad()
    assert layer.weight_ih_l0.grad is None


@case(TRAINED)
def frozen_it_passes_gradients_to_its_input_alone(make):
    layer, x = make(3, 5).requires_grad_(False), sequences()
    assert not layer(x)[0].requires_grad
    layer(x.requires_grad_())[0].sum().backward()
    assert x.grad.any()
    assert all(p.grad is None for p in layer.parameters())


@case(TRAINED)
def one_weight_frozen_the_others_learn(make):
    layer = make(3, 5)
    layer.weight_ih_l0.requires_grad_(False)
    layer(sequences())[0].sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None] == ["weight_ih_l0"]


@case(TRAINED)
def an_averaged_model_follows(make):
    layer, x = make(3, 5), sequences()
    averaged = torch.optim.swa_utils.AveragedModel(layer)
    averaged.update_parameters(layer)
    assert_close(averaged(x)[0], layer(x)[0])


@case(HOOKED)
def a_forward_pre_hook_changes_the_input(make):
    layer, x = make(3, 5), sequences()
    doubled = layer(2 * x)[0]
    with layer.register_forward_pre_hook(lambda _, args: (2 * args[0], *args[1:])):
        assert torch.equal(layer(x)[0], doubled)


@case(HOOKED)
def a_forward_pre_hook_changes_arguments_by_name(make):
    layer, x, h0 = make(3, 5), sequences(), drawn(1, 4, 5, seed=3)
    expected = layer(x, h0)[0]
    with layer.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, "hx": h0}), with_kwargs=True):
        assert torch.equal(layer(x)[0], expected)


@case(HOOKED)
def a_forward_hook_changes_the_answer(make):
    layer, x = make(3, 5), sequences()
    with layer.register_forward_hook(lambda _, args, out: out[0] * 0):
        assert not layer(x).any()


@case(HOOKED)
def a_forward_hook_is_called_though_forward_fails(make):
    layer, seen = make(3, 5), []
    layer.register_forward_hook(lambda *_: seen.append(1), always_call=True)
    with raises(RuntimeError):
        layer(torch.zeros(6, 4, 2))
    assert seen == [1]


@case(HOOKED)
def a_full_backward_hook_sees_gradients_of_input_and_answer(make):
    layer, x, seen = make(3, 5), sequences().requires_grad_(), []
    layer.register_full_backward_hook(lambda _, to, of: seen.append((to[0].shape, of[0].shape)))
    layer(x)[0].sum().backward()
    assert seen == [((6, 4, 3), (6, 4, 5))]


@case(HOOKED)
def a_full_backward_pre_hook_changes_the_gradient(make):
    layer, x = make(3, 5), sequences()
    layer.register_full_backward_pre_hook(lambda _, of: (of[0] * 0, of[1]))
    layer(x)[0].sum().backward()
    assert not layer.weight_ih_l0.grad.any()


@case(HOOKED)
def hooks_of_parameters_are_called(make):
    layer, seen = make(3, 5), []
    layer.weight_ih_l0.register_hook(lambda g: seen.append(g.shape) or 2 * g)
    layer.weight_ih_l0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.shape))
    layer(sequences())[0].sum().backward()
    assert seen == [(5, 3), (5, 3)]


@case(HOOKED)
def hooks_of_state_dicts_are_called(make):
    layer, seen = make(3, 5), []
    layer.register_state_dict_post_hook(lambda *_: seen.append("kept"))
    layer.register_load_state_dict_post_hook(lambda *_: seen.append("loaded"))
    layer.load_state_dict(layer.state_dict())
    assert seen == ["kept", "loaded"]


@case(HOOKED)
def global_forward_hooks_are_called_once(make):
    layer, seen = make(3, 5, 2), []
    with nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module))):
        layer(sequences())
    assert seen == [type(layer)]


@case(COMPUTED)
def a_parametrized_weight(make):
    layer, x = make(3, 5), sequences()
    expected = make(3, 5)
    expected.weight_ih_l0.data = nn.functional.softplus(expected.weight_ih_l0.data)
    parametrize.register_parametrization(layer, "weight_ih_l0", nn.Softplus(), unsafe=True)
    assert_close(layer(x)[0], expected(x)[0])
    layer(x)[0].sum().backward()
    assert layer.parametrizations.weight_ih_l0.original.grad.any()


@case(COMPUTED)
def a_parametrized_weight_is_cached_and_removed(make):
    layer, x = make(3, 5), sequences()
    parametrize.register_parametrization(layer, "weight_ih_l0", nn.Softplus(), unsafe=True)
    out = layer(x)[0]
    with parametrize.cached():
        assert torch.equal(layer(x)[0], out)
    parametrize.remove_parametrizations(layer, "weight_ih_l0")
    assert_close(layer(x)[0], out)


@case(COMPUTED)
def weight_norm_by_parametrization(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    nn.utils.parametrizations.weight_norm(layer, "weight_ih_l0")
    assert_close(layer(x)[0], out)


@case(COMPUTED)
def weight_norm_by_hook(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    nn.utils.weight_norm(layer, "weight_ih_l0")
    assert_close(layer(x)[0], out)
    layer(x)[0].sum().backward()
    assert layer.weight_ih_l0_g.grad.any()


@case(COMPUTED)
def spectral_norm(make):
    layer = nn.utils.parametrizations.spectral_norm(make(3, 5), "weight_ih_l0").eval()
    assert layer(sequences())[0].isfinite().all()
    assert torch.linalg.matrix_norm(layer.weight_ih_l0, 2) < 1.5


@case(COMPUTED)
def an_orthogonal_weight(make):
    layer = nn.utils.parametrizations.orthogonal(make(3, 5), "weight_ih_l0")
    layer(sequences())[0].sum().backward()
    assert_close(layer.weight_ih_l0.T @ layer.weight_ih_l0, torch.eye(3), rtol=1e-4, atol=1e-5)


@case(COMPUTED)
def a_pruned_weight(make):
    layer, x = make(3, 5), sequences()
    prune.random_unstructured(layer, "weight_ih_l0", 0.5)
    out = layer(x)[0]
    out.sum().backward()
    assert not layer.weight_ih_l0_orig.grad[layer.weight_ih_l0_mask == 0].any()
    prune.remove(layer, "weight_ih_l0")
    assert torch.equal(layer(x)[0], out)


@case(COMPUTED)
def weights_given_to_functional_call(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    zeros = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    assert not torch.func.functional_call(layer, zeros, (x,))[0].any()
    assert torch.equal(layer(x)[0], out)


@case(COMPUTED)
def gradients_through_functional_call(make):
    layer, x = make(3, 5), sequences()
    weights = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters()}
    torch.func.functional_call(layer, weights, (x,))[0].square().sum().backward()
    assert_close([w.grad for w in weights.values()], gradients(layer(x)[0], layer))
