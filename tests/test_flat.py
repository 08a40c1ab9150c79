"""Bare pointers to arrays: whose memory they may look at, and for how long."""

import ast
from pathlib import Path

import numpy as np
import pytest

import dhop
from dhop.kernels.compile import kernel
from dhop.kernels.flat import flat

KERNELS = sorted((Path(dhop.__file__).parent / "kernels").glob("*.py"))
MAKERS = {"empty", "zeros", "ones", "full", "empty_like", "zeros_like"}


def made_here(function):
    """Names of the arrays that a function makes."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            targets = node.targets[0]
            targets = targets.elts if isinstance(targets, ast.Tuple) else [targets]
            for target, value in zip(targets, values, strict=False):
                call = isinstance(value, ast.Call) and getattr(value.func, "attr", None)
                if call in MAKERS:
                    names.add(target.id)
    return names


def loose(source):
    """Arrays that are made and become flat in a function, but not in a loop."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        loops = [n for n in ast.walk(function) if isinstance(n, ast.For | ast.While)]
        kept = {id(node) for loop in loops for node in ast.walk(loop)}
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "flat":
                used = {n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name)}
                if id(node) not in kept and used & made_here(function):
                    found.append(f"{function.name}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_arrays_of_a_kernel_become_flat_in_a_loop(path):
    """Numba frees an array after the last line that names it, whoever still looks at it.

    Weights of warps and of photons were written to memory that other threads could get.
    """
    assert loose(path.read_text()) == []


def test_the_check_sees_what_it_looks_for():
    loop = "    for k in range(3):\n        {}p[k] = 0\n"
    made = "def f():\n    a, b = np.empty(3), np.zeros((2, 3))\n    p = flat(b[0])\n"
    assert loose(made + loop.format("")) == ["f: flat(b[0])"]
    assert loose("def f():\n    a = np.empty(3)\n" + loop.format("p = flat(a)\n        ")) == []


@kernel
def _own_and_others(count, out):
    own = np.empty(count, np.int64)
    for turn in range(2):
        numbers = flat(own)
        for k in range(count):
            numbers[k] = 7
        other = np.empty(count, np.int64)
        for k in range(count):
            other[k] = turn
        for k in range(count):
            out[turn] += numbers[k]


@pytest.mark.parametrize("count", [1, 100, 168, 5000])
def test_a_loop_keeps_them(count):
    out = np.zeros(2, np.int64)
    _own_and_others(count, out)
    assert list(out) == [7 * count, 7 * count]
