"""Traced: compilers, exporters, tensors that are none, and modes that watch every operation."""

from __future__ import annotations

import io
import os
import tempfile

import torch
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map, tree_map_only

from .case import case, drawn, gradients, sequences

COMPILED, EXPORTED, SUBCLASS, WATCHED, MANY = "compiled", "exported", "other tensors", "watched", "many processes"


def compiled_by(backend, make, **more):
    torch._dynamo.reset()
    layer, x = make(3, 5, 2), sequences()
    expected = gradients(layer(x)[0], layer)
    out = torch.compile(layer, backend=backend, **more)(x)[0]
    assert_close(out, layer(x)[0])
    assert_close(gradients(out, layer), expected)


@case(COMPILED)
def compiled_as_a_graph_that_runs_as_it_is(make):
    compiled_by("eager", make)


@case(COMPILED)
def compiled_with_autograd_traced(make):
    compiled_by("aot_eager", make)


@case(COMPILED)
def compiled_whole_without_a_break(make):
    compiled_by("aot_eager", make, fullgraph=True)


@case(COMPILED)
def compiled_for_any_length(make):
    torch._dynamo.reset()
    layer = make(3, 5)
    compiled = torch.compile(layer, backend="eager", dynamic=True)
    for T in (6, 9, 4):
        assert_close(compiled(drawn(T, 4, 3))[0], layer(drawn(T, 4, 3))[0])


@case(COMPILED)
def compiled_under_no_grad_and_in_evaluation(make):
    torch._dynamo.reset()
    layer, x = make(3, 5, 2, dropout=0.5).eval(), sequences()
    with torch.no_grad():
        assert_close(torch.compile(layer, backend="eager")(x)[0], layer(x)[0])


@case(COMPILED)
def aot_function(make):
    from functorch.compile import aot_function, nop

    layer, x = make(3, 5), sequences().requires_grad_()
    names, values = zip(*layer.named_parameters(), strict=True)
    call = lambda x, *w: torch.func.functional_call(layer, dict(zip(names, w, strict=True)), (x,))[0]  # noqa: E731
    out = aot_function(call, nop)(x, *values)
    assert_close(out, layer(x)[0])
    assert_close(gradients(out, layer, x), gradients(layer(x)[0], layer, x))


@case(COMPILED)
def aot_module(make):
    from functorch.compile import aot_module, nop

    layer, x = make(3, 5), sequences()
    module = aot_module(layer, nop)
    assert_close(module(x)[0], layer(x)[0])


def retraced(mode, make):
    from torch.fx.experimental.proxy_tensor import make_fx

    layer, x = make(3, 5, 2).requires_grad_(False), sequences()
    graph = make_fx(lambda x: layer(x)[0], tracing_mode=mode, _allow_non_fake_inputs=True)(x)
    other = drawn(6, 4, 3, seed=9)
    assert_close(graph(other), layer(other)[0])


@case(COMPILED)
def make_fx_of_real_tensors(make):
    retraced("real", make)


@case(COMPILED)
def make_fx_of_fake_tensors(make):
    retraced("fake", make)


@case(COMPILED)
def make_fx_of_symbolic_shapes(make):
    retraced("symbolic", make)


@case(COMPILED)
def make_fx_of_the_gradient(make):
    from torch.fx.experimental.proxy_tensor import make_fx

    layer, x = make(3, 5).requires_grad_(False), sequences()
    grad = torch.func.grad(lambda x: layer(x)[0].square().sum())
    other = drawn(6, 4, 3, seed=9)
    assert_close(make_fx(grad)(x)(other), grad(other))


class Net(nn.Module):
    """A layer with a readout, as it stands in a net."""

    def __init__(self, layer):
        super().__init__()
        self.rnn, self.readout = layer, nn.Linear(5, 2)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])


@case(COMPILED)
def symbolically_traced_inside_a_net(make):
    net, x = Net(make(3, 5)), sequences()
    assert_close(torch.fx.symbolic_trace(net)(x), net(x))


@case(EXPORTED)
def jit_traced(make):
    layer, x, other = make(3, 5, 2), sequences(), drawn(6, 4, 3, seed=9)
    assert_close(torch.jit.trace(layer, (x,))(other), layer(other))


@case(EXPORTED)
def jit_traced_for_other_lengths(make):
    layer = make(3, 5)
    traced = torch.jit.trace(layer, (sequences(),), check_trace=False)
    assert_close(traced(drawn(9, 4, 3)), layer(drawn(9, 4, 3)))


@case(EXPORTED)
def jit_traced_and_saved(make):
    layer, x, file = make(3, 5), sequences(), io.BytesIO()
    torch.jit.save(torch.jit.trace(layer, (x,)), file)
    file.seek(0)
    assert_close(torch.jit.load(file)(x), layer(x))


@case(EXPORTED)
def jit_traced_and_trained(make):
    layer, x = make(3, 5), sequences()
    traced = torch.jit.trace(layer, (x,))
    assert_close(gradients(traced(x)[0], layer), gradients(layer(x)[0], layer))


@case(EXPORTED)
def jit_scripted(make):
    layer, x = make(3, 5, 2), sequences()
    assert_close(torch.jit.script(layer)(x), layer(x))


@case(EXPORTED)
def jit_scripted_inside_a_net(make):
    net, x = Net(make(3, 5)), sequences()
    assert_close(torch.jit.script(net)(x), net(x))


@case(EXPORTED)
def torch_export(make):
    layer, other = make(3, 5, 2), drawn(6, 4, 3, seed=9)
    assert_close(torch.export.export(layer, (sequences(),)).module()(other), layer(other))


@case(EXPORTED)
def torch_export_is_strict(make):
    layer, other = make(3, 5), drawn(6, 4, 3, seed=9)
    assert_close(torch.export.export(layer, (sequences(),), strict=True).module()(other), layer(other))


@case(EXPORTED)
def torch_export_for_any_batch(make):
    layer, other = make(3, 5), drawn(6, 7, 3, seed=9)
    program = torch.export.export(layer, (sequences(),), dynamic_shapes=({1: torch.export.Dim("batch")},))
    assert_close(program.module()(other), layer(other))


@case(EXPORTED)
def torch_export_is_saved_and_decomposed(make):
    layer, x, file = make(3, 5), sequences(), io.BytesIO()
    torch.export.save(torch.export.export(layer, (x,)), file)
    file.seek(0)
    assert_close(torch.export.load(file).run_decompositions().module()(x), layer(x))


@case(EXPORTED)
def onnx_by_trace(make):
    layer, x = make(3, 5).eval(), sequences()
    with tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(layer, (x,), os.path.join(folder, "rnn.onnx"), dynamo=False)
        assert os.path.getsize(os.path.join(folder, "rnn.onnx")) > 100


@case(EXPORTED)
def onnx_by_export(make):
    layer, x = make(3, 5).eval(), sequences()
    with tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(layer, (x,), os.path.join(folder, "rnn.onnx"), dynamo=True)
        assert os.path.getsize(os.path.join(folder, "rnn.onnx")) > 100


@case(EXPORTED, control=False)
def onnx_by_our_writer(make):
    from workbench.recurrence import onnx

    layer, x = make(3, 5).eval(), sequences()
    with tempfile.TemporaryDirectory() as folder:
        onnx.export(layer, (x,), os.path.join(folder, "rnn.onnx"))
        assert os.path.getsize(os.path.join(folder, "rnn.onnx")) > 100


@case(SUBCLASS)
def meta_tensors(make):
    out, h_n = make(3, 5, 2, device="meta")(sequences().to("meta"))
    assert (out.device.type, out.shape, h_n.shape) == ("meta", (6, 4, 5), (2, 4, 5))


@case(SUBCLASS)
def meta_tensors_backward(make):
    layer = make(3, 5, device="meta")
    layer(sequences().to("meta"))[0].sum().backward()
    assert all(p.grad.shape == p.shape for p in layer.parameters())


@case(SUBCLASS)
def fake_tensors(make):
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    with FakeTensorMode():
        out = make(3, 5, 2)(torch.empty(6, 4, 3))[0]
    assert isinstance(out, FakeTensor)
    assert out.shape == (6, 4, 5)


@case(SUBCLASS)
def fake_tensors_backward(make):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        layer = make(3, 5)
        layer(torch.empty(6, 4, 3))[0].sum().backward()
    assert all(p.grad.shape == p.shape for p in layer.parameters())


@case(SUBCLASS)
def fake_tensors_through_a_real_layer(make):
    from torch._subclasses.fake_tensor import FakeTensorMode

    layer, mode = make(3, 5), FakeTensorMode(allow_non_fake_inputs=True)
    x = mode.from_tensor(sequences())
    with mode:
        assert layer(x)[0].shape == (6, 4, 5)


class Wrapped(torch.Tensor):
    """A tensor without memory of its own; each operation is done on the one inside."""

    @staticmethod
    def __new__(cls, held, requires_grad=False):
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=held.device, requires_grad=requires_grad
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(cls, lambda t: t.held, (args, kwargs or {}))
        wrap = lambda t: cls(t) if isinstance(t, torch.Tensor) and not isinstance(t, cls) else t  # noqa: E731
        return tree_map(wrap, func(*args, **kwargs))


@case(SUBCLASS)
def a_tensor_that_wraps_another(make):
    layer, x = make(3, 5, 2), sequences()
    with torch.no_grad():
        assert_close(layer(Wrapped(x))[0].held, layer(x)[0])


@case(SUBCLASS)
def gradients_through_a_tensor_that_wraps_another(make):
    layer, x = make(3, 5).requires_grad_(False), sequences()
    leaf = Wrapped(x, requires_grad=True)
    layer(leaf)[0].square().sum().backward()
    expected = torch.autograd.grad(layer(x.requires_grad_())[0].square().sum(), x)[0]
    assert_close(leaf.grad.held, expected)


@case(SUBCLASS)
def weights_that_wrap_others(make):
    layer, x = make(3, 5), sequences()
    expected = layer(x)[0].detach()
    for name, p in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(Wrapped(p.detach())))
    assert_close(layer(x)[0].detach().held, expected)


@case(SUBCLASS)
def two_tensors_in_one(make):
    from torch.testing._internal.two_tensor import TwoTensor

    layer, x = make(3, 5).requires_grad_(False), sequences()
    out = layer(TwoTensor(x, 2 * x))[0]
    assert_close(out.a, layer(x)[0])
    assert_close(out.b, layer(2 * x)[0])


class Tagged(torch.Tensor):
    """A subclass that is nothing but a name."""


@case(SUBCLASS)
def a_subclass_by_name(make):
    layer, x = make(3, 5), sequences()
    assert_close(layer(x.as_subclass(Tagged))[0].as_subclass(torch.Tensor), layer(x)[0])


class Counted(torch.Tensor):
    """A subclass that sees every function called on it."""

    seen = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen += 1
        return super().__torch_function__(func, types, args, kwargs or {})


@case(SUBCLASS)
def a_subclass_that_overrides_torch_function(make):
    layer, x, before = make(3, 5), sequences(), Counted.seen
    assert_close(layer(x.as_subclass(Counted))[0].as_subclass(torch.Tensor), layer(x)[0])
    assert Counted.seen > before


class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@case(WATCHED)
def a_dispatch_mode_sees_operations(make):
    layer, x = make(3, 5), sequences()
    expected = layer(x)[0]
    with Watch() as watch:
        out = layer(x)[0]
    assert watch.seen
    assert_close(out, expected)


@case(WATCHED)
def a_function_mode_sees_calls(make):
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        seen = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            Mode.seen += 1
            return func(*args, **(kwargs or {}))

    layer, x = make(3, 5), sequences()
    expected = layer(x)[0]
    with Mode():
        out = layer(x)[0]
    assert Mode.seen
    assert_close(out, expected)


@case(WATCHED)
def floating_point_operations_are_counted(make):
    from torch.utils.flop_counter import FlopCounterMode

    layer, x = make(30, 50), drawn(6, 4, 30)
    with FlopCounterMode(display=False) as counter:
        layer(x)[0].sum().backward()
    assert counter.get_total_flops() >= 2 * 2 * 6 * 4 * 30 * 50


@case(WATCHED)
def the_profiler_runs(make):
    layer, x = make(3, 5), sequences()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as seen:
        layer(x)[0].sum().backward()
    assert len(seen.key_averages()) > 3


@case(WATCHED)
def deterministic_algorithms_are_asked_for(make):
    torch.use_deterministic_algorithms(True)
    try:
        make(3, 5, 2)(sequences())[0].sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)


def alone():
    """A group of one process, without a network."""
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)


@case(MANY)
def distributed_data_parallel(make):
    alone()
    layer, x = make(3, 5), sequences()
    parallel = nn.parallel.DistributedDataParallel(make(3, 5))
    parallel(x)[0].square().sum().backward()
    assert_close([p.grad for p in parallel.parameters()], gradients(layer(x)[0], layer))


@case(MANY)
def distributed_tensors_as_weights(make):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, distribute_module, distribute_tensor

    alone()
    layer, x, mesh = make(3, 5), sequences(), init_device_mesh("cpu", (1,))
    expected = layer(x)[0].detach()
    out = distribute_module(layer, mesh)(distribute_tensor(x, mesh))[0]
    assert isinstance(out, DTensor)
    assert_close(out.full_tensor().detach(), expected)


@case(MANY)
def fully_sharded(make):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    alone()
    layer, x = make(3, 5), sequences()
    expected = gradients(layer(x)[0], layer)
    sharded = make(3, 5)
    fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
    sharded(x)[0].square().sum().backward()
    assert_close([p.grad.full_tensor() for p in sharded.parameters()], expected)


@case(MANY)
def in_a_forked_process(make):
    layer, x = make(3, 16), drawn(30, 8, 3)
    expected = layer(x)[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(layer(x)[0], expected) else 3)
    assert os.waitpid(child, 0)[1] == 0
