"""Fault 27: whatever is wrong with the cache of compiled code, the result is right."""

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest
from child import COMPILED, environment, run

import dhop

pytestmark = COMPILED

# What a child computes: with a product, or with two kernels that compile within a moment.
PRODUCT = """
    from dhop import DHOperator
    A = DHOperator((6, 5), psf, 2, method="fft")
    assert abs(A @ np.arange(30.0) - matrix @ np.arange(30.0)).max() < 1e-11
"""
KERNELS = """
    from dhop.kernels.aliased_systems import add_outer, product_rows
    out, squares = np.empty((2, 5)), np.zeros((1, 1, 3))
    product_rows(psf, matrix[:3, :5], np.array([1, 0]), out)
    add_outer(np.array([[2.0, 3.0]]), 1.0, np.array([[0, 1]]), squares)
    assert (out == psf[[1, 0]] @ matrix[:3, :5]).all()
    assert (squares == [4, 6, 9]).all()
"""


def work(computed=KERNELS, warnings=1):
    """Right results and so many warnings at most."""
    return f"""
    import warnings
    import numpy as np
    import oracle

    psf = np.arange(6.0).reshape(2, 3)
    matrix = oracle.matrix((6, 5), psf, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
{indent(computed, "    ")}
    assert len(caught) <= {warnings}, [str(warning.message) for warning in caught]
    assert all(warning.category is RuntimeWarning for warning in caught)
    """


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A cache folder that one process has filled."""
    folder = tmp_path_factory.mktemp("cache")
    run(work(), env={"NUMBA_CACHE_DIR": str(folder)})
    return folder


@pytest.mark.slow
def test_fault_27_no_place_for_a_cache(tmp_path):
    """Neither beside the source, nor where it was asked for, nor at home: files are in the way."""
    package = tmp_path / "dhop"
    shutil.copytree(
        Path(dhop.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("in the way")
    home = str(package / "__pycache__" / "home")
    environment = dict.fromkeys(["NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "IPYTHONDIR"], home)
    here = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    """
    run(here + work(PRODUCT), env={**environment, "NUMBA_OPT": "0"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "size"),
    [
        (".nbi", 0),
        (".nbc", 1000),
        pytest.param(".nbi", 100, marks=pytest.mark.fuzz),
        pytest.param(".nbc", 0, marks=pytest.mark.fuzz),
    ],
)
def test_fault_27_damaged_files(compiled, suffix, size):
    """A process that was killed, or a full disk, has left half a file."""
    damaged = list(compiled.rglob(f"*{suffix}"))
    assert damaged, "nothing was cached where it was asked for"
    for path in damaged:
        path.write_bytes(path.read_bytes()[:size])
    run(work(), env={"NUMBA_CACHE_DIR": str(compiled)})


@pytest.mark.slow
def test_fault_27_full_disk(tmp_path):
    """No file can grow beyond a few hundred bytes."""
    pytest.importorskip("resource")
    limit = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    """
    run(limit + work(), env={"NUMBA_CACHE_DIR": str(tmp_path)})


@pytest.mark.slow
def test_fault_27_deleted_while_running(tmp_path):
    deletion = f"""
    import shutil
    shutil.rmtree({str(tmp_path)!r})
    product_rows(1j * psf, psf.T + 0j, np.array([1]), turned := np.empty((1, 2), complex))
    assert (turned == 1j * psf[1:] @ psf.T).all()
    """
    run(work() + deletion, env={"NUMBA_CACHE_DIR": str(tmp_path)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "processes"),
    [(1, 2), pytest.param(20, 8, marks=[pytest.mark.fuzz, pytest.mark.timeout(3600)])],
)
def test_fault_27_many_processes_fill_an_empty_cache(tmp_path, rounds, processes):
    """Right results in all of them, at most one warning each, and a cache that works."""
    for number in range(rounds):
        cache = {"NUMBA_CACHE_DIR": str(tmp_path / str(number))}
        children = [
            subprocess.Popen([sys.executable, "-W", "error", "-c", dedent(work())],
                             env=environment(cache), stderr=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]  # fmt: skip
        for child in children:
            _, complaint = child.communicate(timeout=200)
            assert child.returncode == 0, complaint
        run(work(warnings=0), env=cache)


@pytest.mark.slow
def test_cache_switched_off(tmp_path):
    """Nothing is written, and nobody is warned."""
    run(work(warnings=0), env={"NUMBA_CACHE_DIR": str(tmp_path), "DHOP_DISABLE_CACHE": "1"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_warmup_compiles_all_that_products_need():
    """Of the operator's dtype, or of the one that is named."""
    run(
        """
        import numpy as np
        from numba.core import event
        from dhop import DHOperator
        from dhop.kernels import compile

        class Cache(compile._ForgivingCache):
            def load_overload(self, sig, target_context):
                wanted.append(sig)  # whether or not somebody has compiled it before
                return super().load_overload(sig, target_context)

        wanted, compile._ForgivingCache = [], Cache
        for method, dtype in [("direct", None), ("separable", None), ("fft", None), ("fft", "f8")]:
            A = DHOperator((40, 30), np.outer(np.hanning(9), np.hanning(7)), 2, method=method,
                           boundary="reflect", dtype="f4")
            A.warmup(dtype)
            wanted.clear()
            with event.install_recorder("numba:compile") as compiled:
                x = np.ones(A.shape[1], dtype or "f4")
                A.H @ (A @ x)
                A.T @ (A @ np.ones((A.shape[1], 3), x.dtype))
            assert not compiled.buffer, compiled.buffer
            assert not wanted, wanted
    """,
        timeout=200,
    )


@pytest.mark.slow
def test_a_damaged_index_heals(compiled):
    """The process that finds it warns; the next one does not."""
    for path in compiled.rglob("*.nbi"):
        path.write_bytes(b"")
    run(work(), env={"NUMBA_CACHE_DIR": str(compiled)})
    run(work(warnings=0), env={"NUMBA_CACHE_DIR": str(compiled)})


@pytest.mark.slow
def test_a_change_of_an_inner_loop_is_compiled(tmp_path):
    """Numba's own stamp covers the file of a kernel, not what it includes."""
    package = tmp_path / "dhop"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(dhop.__file__).parent, package, ignore=ignored)
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    import numpy as np
    from dhop.kernels.spectral import add_products
    from dhop.kernels.vectors import BYTES
    point = np.ones((1, 1, 1, 2, BYTES // 8))
    add_products(point[0], point, total := np.empty_like(point[0]))
    print(total.ravel()[0])
    """
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(code, env=environment) == "0.0\n"
    loops = package / "kernels" / "complex_vectors.py"
    product = "product.store_complex(0, one.load_complex(0) * two.load_complex(0))\n"
    assert product in loops.read_text()
    loops.write_text(loops.read_text().replace(product, product.replace("*", "+")))
    assert run(code, env=environment) == "2.0\n"
