"""The Triton kernels compiled for devices that are not here, and what their machine code is like."""

from __future__ import annotations

import importlib
import re
import subprocess
from typing import NamedTuple

import torch

from workbench.recurrence import engine_triton, triton_layer

POINTERS = {"sums": "*fp64", "found": "*fp64", "tracked": "*i64"}  # all others are of float32
CHAINS = 32 * 128  # of a layer of the six-layer net


class Budget(NamedTuple):
    """A kernel's arrays read ahead, and the instructions that a step may take, addresses and waits included."""

    module: str
    streams: int
    instructions: float
    constants: dict


class Code(NamedTuple):
    """Counts of what was compiled: asynchronous copies, fused products, registers, spilled bytes, instructions."""

    constants: dict
    copies: int
    fused: bool
    passes_nan: bool
    registers: int
    spilled: int
    a_step: float


KERNELS = {  # with batch norm and dropout; measured 15.1, 24.4, 15.9, 12.6
    "states": Budget("triton_kernels", 1, 16, {"ZERO": True, "MOMENTS": True}),
    "gradients": Budget(
        "triton_kernels", 2, 26, {"ZERO": True, "AFTER": False, "NORM": True, "DROP": True, "EPS": 1e-5}
    ),
    "weigh": Budget("triton_norm", 2, 17, {"DROP": True}),
    "normalize": Budget("triton_norm", 0, 16, {"NORM": True, "DROP": True, "EPS": 1e-5, "SHARE": 0.1}),
}


def constants(name):
    """The constants of a kernel as they are launched for float32 and T = 784."""
    streams, more = KERNELS[name].streams, KERNELS[name].constants | {"chains": CHAINS}
    if name == "normalize":
        shape = {"BLOCK": triton_layer.BLOCK, "UNROLL": triton_layer.UNROLL}
        return engine_triton.wide(torch.float32) | shape | more
    activation = {} if name == "weigh" else {"ACTIVATION": "relu"}
    return engine_triton.settings(torch.float32, streams) | activation | {"UNROLL": engine_triton.UNROLL} | more


def compiled(name, architecture, folder):
    """A kernel compiled for a CUDA architecture (80, 90, 100); `folder` is for what the disassembler reads."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(importlib.import_module(f"workbench.recurrence.{KERNELS[name].module}"), name)
    given = constants(name)
    kinds = dict.fromkeys(("T", "length", "rows", "N"), "i32") | dict.fromkeys(given, "constexpr")
    signature = {argument: kinds.get(argument, POINTERS.get(argument, "*fp32")) for argument in kernel.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind.startswith("*")}
    source = ASTSource(fn=kernel, signature=signature, constexprs=given, attrs=aligned)
    options = engine_triton.OPTIONS | {"num_warps": 4 if name == "normalize" else 1}
    made = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options).asm
    path = folder / "kernel.cubin"
    path.write_bytes(made["cubin"])
    usage = _said(triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(path))
    spilled = sum(int(size) for size in re.findall(r"(?:STACK|LOCAL):(\d+)", usage))
    return Code(
        given,
        len(re.findall(r"cp\.async\.c[ag]", made["ptx"])),
        "fma.rn.f32" in made["ptx"],
        "max.NaN" in made["ptx"],
        int(re.search(r"REG:(\d+)", usage)[1]),
        spilled,
        longest_way(_said(triton.knobs.nvidia.nvdisasm.path, "-c", str(path)), given) / given["UNROLL"],
    )


def _said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def longest_way(listing, given):
    """Instructions of the loop over time: the longest that reads ahead, or, where none does, the last that loads."""
    labels, instructions, loops = {}, [], []
    for line in listing.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif re.search(r"/\*[0-9a-f]{4,}\*/", line):
            instructions.append(line)
            back = re.search(r"BRA.*`\((\.L_x_\d+)\)", line)
            if back and back[1] in labels:
                loops.append(instructions[labels[back[1]] :])
    mark = "LDGSTS" if "FLIGHT" in given else "STG"
    return max(len(loop) for loop in loops if any(mark in line for line in loop))
