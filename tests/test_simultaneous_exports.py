"""Exports to one target at once, and what those leave that were killed."""

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest
from child import environment
from exports import EVERY, POSIX, holds, operator, thesis


@EVERY
@pytest.mark.parametrize(("there", "overwrite"), [(False, False), (False, True), (True, True)])
def test_fault_26_threads_with_one_target(tmp_path, name, there, overwrite):
    """All write at once, each a matrix of its own: they take turns, or all but one are refused."""
    operators = [operator(value) for value in (2.0, 3.0, 4.0, 5.0)]
    for turn in range(5):
        target = tmp_path / str(turn) / name
        target.parent.mkdir()
        if there:
            operator().export(target)
        together = threading.Barrier(len(operators))

        def export(A, target=target, together=together):
            waited = []

            def wait(done, total):
                if not waited:
                    waited.append(together.wait(30))

            try:
                return A.export(target, overwrite=overwrite, progress=wait)
            except FileExistsError:
                return None

        with ThreadPoolExecutor(len(operators)) as threads:
            written = list(threads.map(export, operators))
        done = [A for A, path in zip(operators, written, strict=True) if path]
        assert len(done) == (len(operators) if overwrite else 1)
        assert sum(holds(target, A) for A in done) == 1
        assert os.listdir(target.parent) == [name]


@pytest.mark.slow
def test_fault_26_processes_with_one_target(tmp_path):
    """Each as often as it can, until all have written: they take and lose the name, whole."""
    target = tmp_path / "matrix"
    code = f"""
    import numpy as np, sys
    from dhop import DHOperator
    A = DHOperator((9, 12), np.full((3, 4), float(sys.argv[1])), (2, 3), dtype="float64")
    print("ready", flush=True)
    sys.stdin.readline()
    written = 0
    for _ in range(40):
        try:
            written += A.export({str(target)!r}, overwrite=True) is not None
        except FileExistsError:
            pass
    print(written)
    """
    arguments = [sys.executable, "-W", "error", "-c", dedent(code)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment()}
    children = [subprocess.Popen([*arguments, value], **pipes) for value in "23"]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        assert int(out) > 0
    assert os.listdir(tmp_path) == ["matrix"]
    assert sum(holds(target, operator(value)) for value in (2.0, 3.0)) == 1


@pytest.fixture
def dead():
    """Number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@POSIX
@pytest.mark.parametrize("name", ["a[1].npz", "a*.npz", "a.npz", "a"])
def test_fault_26_only_parts_of_ours_are_removed(tmp_path, name, dead):
    ours = [
        f".{name}.{kind}{dead}{mark}.part" for kind in ("", "old.") for mark in ("", ".0a1b2c3d")
    ]
    ours.append(f".{name}.{os.getpid()}.part")  # of another computer's process of our number
    others = [
        f".{name}.backup.{dead}.part",
        f".{name}.{dead}.part.bak",
        f".{name}.x{dead}.part",
        f".{name}.{os.getppid()}.0a1b2c3d.part",
        f".{name}.99999999999999999999.part",
        f".a1.npz.{dead}.part",
        f".ab.npz.{dead}.part",
        f".{name}.{dead}.0a1b2c3d.0a1b2c3d.part",  # of another computer
        f"{name}.{dead}.part",
    ]
    for kept in (*ours, *others):
        (tmp_path / kept).write_bytes(b"half")
    thesis(tmp_path / f".{name}.{dead}.11111111.part")
    thesis(tmp_path / f".{name}.{dead}.22222222.part", "data.npy")
    os.mkfifo(tmp_path / f".{name}.{dead}.33333333.part")
    others += [f".{name}.{dead}.{digit * 8}.part" for digit in "13"]
    target = operator().export(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == sorted([*others, name])
    assert (tmp_path / f".{name}.{dead}.11111111.part" / "thesis.tex").exists()
    assert holds(target, operator())


@POSIX
@EVERY
def test_fault_26_what_a_killed_export_moved_aside_stays_until_the_new_is_there(
    tmp_path, name, dead
):
    """It may be the only matrix that there is."""
    path = operator().export(tmp_path / name)
    aside = path.rename(tmp_path / f".{name}.old.{dead}.0a1b2c3d.part")

    def full(done, total):
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(OSError, match="no space left"):
        operator(2.0).export(tmp_path / name, progress=full)
    assert os.listdir(tmp_path) == [aside.name]
    assert holds(aside.rename(path), operator())
    path.rename(aside)
    operator(2.0).export(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_parts_of_this_process_are_not_leftovers(tmp_path):
    """Nor are what two exports, one within the other, write and move aside."""
    target = tmp_path / "matrix"
    inner = []

    def nested(done, total):
        if not inner:
            inner.append(operator(2.0).export(target))

    operator(3.0).export(target, overwrite=True, progress=nested)
    assert inner
    assert holds(target, operator(3.0))
    assert os.listdir(tmp_path) == ["matrix"]
