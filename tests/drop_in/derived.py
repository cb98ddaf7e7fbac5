"""Derived: autograd in all its modes, and the transforms of torch.func."""

from __future__ import annotations

import copy

import torch
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from .case import by_hand, case, drawn, gradients, raises, sequences

DERIVED, SAVED, FUNC = "derived", "saved tensors", "torch.func"


def double(make, *sizes, **settings):
    return make(*sizes, dtype=torch.float64, **settings), drawn(4, 2, 3, dtype=torch.float64)


@case(DERIVED)
def gradients_by_finite_differences(make):
    layer, x = double(make, 3, 2)
    names, values = zip(*layer.named_parameters(), strict=True)
    h0 = drawn(1, 2, 2, seed=3, dtype=torch.float64).requires_grad_()
    call = lambda x, h0, *w: torch.func.functional_call(layer, dict(zip(names, w, strict=True)), (x, h0))  # noqa: E731
    assert torch.autograd.gradcheck(call, (x.requires_grad_(), h0, *values), fast_mode=True)


@case(DERIVED)
def second_gradients_by_finite_differences(make):
    layer, x = double(make, 3, 2)
    names, values = zip(*layer.named_parameters(), strict=True)
    call = lambda x, *w: torch.func.functional_call(layer, dict(zip(names, w, strict=True)), (x,))[0]  # noqa: E731
    assert torch.autograd.gradgradcheck(call, (x.requires_grad_(), *values), fast_mode=True)


@case(DERIVED)
def gradients_forward_over_finite_differences(make):
    layer, x = double(make, 3, 2)
    call = lambda x: layer(x)[0]  # noqa: E731
    assert torch.autograd.gradcheck(call, (x.requires_grad_(),), check_forward_ad=True, fast_mode=True)


@case(DERIVED)
def batched_gradients_are_checked(make):
    layer, x = double(make, 3, 2)
    call = lambda x: layer(x)[0]  # noqa: E731
    assert torch.autograd.gradcheck(call, (x.requires_grad_(),), check_batched_grad=True)


@case(DERIVED)
def gradients_of_the_last_state_alone(make):
    layer, x = make(3, 5, 2, bidirectional=True), sequences()
    layer(x)[1].square().sum().backward()
    ours = [p.grad for p in layer.parameters()]
    assert_close(ours, gradients(by_hand(layer, x)[1], layer))


@case(DERIVED)
def backward_twice_where_the_graph_is_kept(make):
    layer, loss = make(3, 5), None
    loss = layer(sequences())[0].sum()
    loss.backward(retain_graph=True)
    once = layer.weight_ih_l0.grad.clone()
    loss.backward()
    assert_close(layer.weight_ih_l0.grad, 2 * once)
    with raises(RuntimeError):
        loss.backward()


@case(DERIVED)
def a_penalty_on_the_gradient(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    (g,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    ours = gradients(g, layer)
    (g,) = torch.autograd.grad(by_hand(layer, x)[0].square().sum(), x, create_graph=True)
    theirs = torch.autograd.grad(g.square().sum(), list(layer.parameters()), allow_unused=True, materialize_grads=True)
    assert_close(ours, list(theirs))


@case(DERIVED)
def no_graph_under_no_grad(make):
    layer, x = make(3, 5), sequences()
    with torch.no_grad():
        out = layer(x)[0]
    assert not out.requires_grad
    assert_close(out, layer(x)[0])


@case(DERIVED)
def inference_mode(make):
    layer, x = make(3, 5), sequences()
    with torch.inference_mode():
        out = layer(x)[0]
    assert out.is_inference()
    assert_close(out.clone(), layer(x)[0])


@case(DERIVED)
def anomalies_are_detected(make):
    layer, x = make(3, 5), sequences()
    with torch.autograd.detect_anomaly(check_nan=True), raises(RuntimeError):
        (layer(x)[0].sum() * torch.tensor(0.0).log() * 0).backward()


@case(DERIVED)
def a_weight_changed_before_backward_is_noticed(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    out = layer(x)[0]
    with torch.no_grad():
        layer.weight_ih_l0.add_(1)
    with raises(RuntimeError):
        out.sum().backward()


@case(DERIVED)
def an_answer_changed_before_backward_is_noticed(make):
    layer, x = make(3, 5), sequences()
    out = layer(x)[0]
    expected = gradients(layer(x)[0], layer)
    try:
        with torch.no_grad():
            out.add_(1)
        (2 * (out.detach() - 1) * out).sum().backward()
    except RuntimeError:
        return
    assert_close([p.grad for p in layer.parameters()], expected)


@case(DERIVED)
def many_gradients_at_once(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    out, basis = layer(x)[0], drawn(7, 6, 4, 5, seed=4)
    ours = torch.autograd.grad(out, x, basis, is_grads_batched=True, retain_graph=True)[0]
    assert_close(ours, torch.stack([torch.autograd.grad(out, x, v, retain_graph=True)[0] for v in basis]))


@case(DERIVED)
def dual_numbers(make):
    layer, x, tangent = make(3, 5), sequences(), drawn(6, 4, 3, seed=4)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        ours = torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent
    theirs = torch.func.jvp(lambda x: by_hand(layer, x)[0], (x,), (tangent,))[1]
    assert_close(ours, theirs)


@case(DERIVED)
def a_jacobian_by_autograd(make):
    layer, x = make(3, 2), drawn(3, 1, 3)
    ours = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x)
    assert_close(ours, torch.autograd.functional.jacobian(lambda x: by_hand(layer, x)[0], x))


@case(DERIVED)
def a_vectorized_jacobian_by_autograd(make):
    layer, x = make(3, 2), drawn(3, 1, 3)
    ours = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x, vectorize=True)
    assert_close(ours, torch.autograd.functional.jacobian(lambda x: by_hand(layer, x)[0], x))


@case(SAVED)
def checkpointed(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    expected = gradients(layer(x)[0], layer, x)
    for reentrant in (False, True):
        layer.zero_grad()
        x.grad = None
        checkpoint(lambda x: layer(x)[0], x, use_reentrant=reentrant).square().sum().backward()
        assert_close([*(p.grad for p in layer.parameters()), x.grad], expected)


@case(SAVED)
def saved_tensors_pass_through_hooks(make):
    layer, x, seen = make(3, 5), sequences(), []
    expected = gradients(layer(x)[0], layer)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(1) or t.numpy(force=True), torch.tensor):
        out = layer(x)[0]
    assert seen
    assert_close(gradients(out, layer), expected)


@case(SAVED)
def saved_tensors_are_kept_on_the_cpu(make):
    layer, x = make(3, 5, 2), sequences()
    with torch.autograd.graph.save_on_cpu():
        out = layer(x)[0]
    assert_close(gradients(out, layer), gradients(layer(x)[0], layer))


@case(SAVED)
def what_a_hook_makes_of_saved_tensors_is_used(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t * 0):
        out = layer(x)[0]
    assert not torch.autograd.grad(out.sum(), x)[0].any()


@case(SAVED)
def hooks_that_save_under_second_derivatives(make):
    layer, x = make(3, 5), sequences().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        (g,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(by_hand(layer, x)[0].square().sum(), x, create_graph=True)
    assert_close(g, h)


@case(SAVED)
def saved_tensors_that_are_forbidden(make):
    layer, x = make(3, 5), sequences()
    with torch.autograd.graph.disable_saved_tensors_hooks("not now"):
        gradients(layer(x)[0], layer)


@case(FUNC)
def jvp(make):
    layer, x, tangent = make(3, 5, 2), sequences(), drawn(6, 4, 3, seed=4)
    ours = torch.func.jvp(lambda x: layer(x)[0], (x,), (tangent,))
    assert_close(ours, torch.func.jvp(lambda x: by_hand(layer, x)[0], (x,), (tangent,)))


@case(FUNC)
def jvp_along_a_weight(make):
    layer, x, tangent = make(3, 5), sequences(), drawn(5, 3, seed=4)

    def along(run):
        call = lambda w: torch.func.functional_call(layer, {"weight_ih_l0": w}, (x,))[0]  # noqa: E731
        return torch.func.jvp(call if run is None else run, (layer.weight_ih_l0.detach(),), (tangent,))[1]

    step = 1e-3
    with torch.no_grad():
        moved = copy.deepcopy(layer)
        moved.weight_ih_l0.add_(tangent, alpha=step)
        near = (moved(x)[0] - layer(x)[0]) / step
    assert_close(along(None), near, rtol=0.1, atol=0.05)


@case(FUNC)
def vjp(make):
    layer, x = make(3, 5), sequences()
    out, pull = torch.func.vjp(lambda x: layer(x)[0], x)
    theirs = torch.func.vjp(lambda x: by_hand(layer, x)[0], x)[1]
    assert_close(pull(out)[0], theirs(out)[0])


@case(FUNC)
def a_jacobian_in_reverse(make):
    layer, x = make(3, 2), drawn(3, 1, 3)
    assert_close(torch.func.jacrev(lambda x: layer(x)[0])(x), torch.func.jacrev(lambda x: by_hand(layer, x)[0])(x))


@case(FUNC)
def a_jacobian_forward(make):
    layer, x = make(3, 2), drawn(3, 1, 3)
    assert_close(torch.func.jacfwd(lambda x: layer(x)[0])(x), torch.func.jacrev(lambda x: by_hand(layer, x)[0])(x))


@case(FUNC)
def a_hessian(make):
    layer, x = make(3, 2), drawn(3, 1, 3)
    ours = torch.func.hessian(lambda x: layer(x)[0].square().sum())(x)
    assert_close(ours, torch.func.hessian(lambda x: by_hand(layer, x)[0].square().sum())(x))


@case(FUNC)
def vmap_over_batches(make):
    layer, x = make(3, 5, 2), drawn(7, 6, 4, 3)
    assert_close(torch.func.vmap(lambda x: layer(x)[0])(x), torch.stack([layer(v)[0] for v in x]))


@case(FUNC)
def vmap_over_sequences_without_a_batch(make):
    layer, x = make(3, 5), sequences()
    assert_close(torch.func.vmap(lambda x: layer(x)[0], 1, 1)(x), layer(x)[0])


@case(FUNC)
def vmap_over_an_ensemble(make):
    layers, x = [make(3, 5), make(3, 5)], sequences()
    with torch.no_grad():
        layers[1].weight_ih_l0.mul_(2)
    parameters, buffers = torch.func.stack_module_state(layers)
    run = lambda p, b, x: torch.func.functional_call(layers[0], (p, b), (x,))[0]  # noqa: E731
    ours = torch.func.vmap(run, in_dims=(0, 0, None))(parameters, buffers, x)
    assert_close(ours, torch.stack([layer(x)[0] for layer in layers]))


@case(FUNC)
def vmap_over_dropout_with_masks_that_differ(make):
    layer, x = make(3, 50, 2, dropout=0.5), sequences()
    outs = torch.func.vmap(lambda _: layer(x)[0], randomness="different")(torch.zeros(2))
    assert not torch.equal(outs[0], outs[1])


@case(FUNC)
def gradients_of_each_sample(make):
    layer, x = make(3, 5), sequences()
    weights = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(weights, x):
        return torch.func.functional_call(layer, weights, (x.unsqueeze(1),))[0].square().sum()

    ours = torch.func.vmap(torch.func.grad(loss), (None, 1))(weights, x)
    for b in range(4):
        assert_close([g[b] for g in ours.values()], gradients(layer(x[:, b : b + 1])[0], layer))


@case(FUNC)
def expanded_weights_give_gradients_of_each_sample(make):
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    layer, x = make(3, 5, batch_first=True), sequences().transpose(0, 1)
    call_for_per_sample_grads(layer, loss_reduction="sum", batch_first=True)(x)[0].square().sum().backward()
    ours = [p.grad_sample for p in layer.parameters()]
    for b in range(4):
        assert_close([g[b] for g in ours], gradients(layer(x[b : b + 1])[0], layer))


@case(FUNC)
def gradients_of_gradients(make):
    layer, x = make(3, 5), sequences()
    twice = lambda run: torch.func.grad(lambda x: torch.func.grad(lambda x: run(x)[0].pow(3).sum())(x).sum())  # noqa: E731
    assert_close(twice(layer)(x), twice(lambda x: by_hand(layer, x))(x))


@case(FUNC)
def functionalized(make):
    layer, x = make(3, 5), sequences()
    assert_close(torch.func.functionalize(lambda x: layer(x)[0])(x), layer(x)[0])


@case(FUNC)
def linearized(make):
    layer, x, tangent = make(3, 5), sequences(), drawn(6, 4, 3, seed=4)
    out, push = torch.func.linearize(lambda x: layer(x)[0], x)
    assert_close(out, layer(x)[0])
    assert_close(push(tangent), torch.func.jvp(lambda x: by_hand(layer, x)[0], (x,), (tangent,))[1])
