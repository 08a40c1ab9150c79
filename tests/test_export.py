"""Matrices on disk: every format, streamed, and replaced all at once or not at all."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from child import run
from numpy.testing import assert_allclose, assert_array_equal

import dhop.matrix.export
import dhop.matrix.sparse
from dhop import DHOperator, load_matrix
from dhop.runtime import system

RNG = np.random.default_rng(3)
NAMES = ["matrix.npz", "matrix", "matrix.mtx", "matrix.mtx.gz", "matrix.mat"]


def operator(dtype="float32", dims=(9, 12)):
    psf = RNG.standard_normal((4, 5)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        psf = psf + 1j * RNG.standard_normal((4, 5)).astype(psf.real.dtype)
    psf[1, 2] = 0
    return DHOperator(dims, psf.astype(dtype), (2, 3), boundary="symmetric")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_written_and_read(tmp_path, monkeypatch, name, dtype):
    """Bit for bit, from many small blocks."""
    monkeypatch.setattr(dhop.matrix.export, "BLOCK", 1000)
    monkeypatch.setattr(dhop.matrix.export, "TEXT_BLOCK", 1000)
    A = operator(dtype)
    path = A.export(tmp_path / name)
    assert path == tmp_path / name
    assert os.listdir(tmp_path) == [name]
    for mmap in (True, False):
        found = load_matrix(path, mmap=mmap)
        assert isinstance(found, scipy.sparse.csr_array)
        assert found.nnz == A.nnz
        assert_array_equal(found.astype(dtype).toarray(), A.to_sparse().toarray())


@pytest.mark.parametrize("limit", [None, 10])
def test_npz_is_scipys(tmp_path, monkeypatch, limit):
    """The same members as `scipy.sparse.save_npz` writes."""
    if limit:
        monkeypatch.setattr(dhop.matrix.sparse, "INT32_LIMIT", limit)
    A = operator()
    A.export(tmp_path / "ours.npz")
    scipy.sparse.save_npz(tmp_path / "scipys.npz", A.to_sparse(), compressed=False)
    with np.load(tmp_path / "ours.npz") as ours, np.load(tmp_path / "scipys.npz") as scipys:
        assert sorted(ours) == sorted(scipys)
        for name in ours:
            assert_array_equal(ours[name], scipys[name])
            if name != "shape":
                assert ours[name].dtype == scipys[name].dtype
    matrix = scipy.sparse.load_npz(tmp_path / "ours.npz")
    matrix.check_format(full_check=True)
    assert isinstance(matrix, scipy.sparse.csr_array)


def test_folder_is_mapped(tmp_path):
    A = operator()
    matrix = load_matrix(A.export(tmp_path / "matrix"))
    assert isinstance(matrix.data, np.memmap)
    x = RNG.standard_normal(A.shape[1]).astype(np.float32)
    assert_array_equal(matrix @ x, A.to_sparse() @ x)
    with pytest.raises(ValueError, match="read-only"):
        matrix.data[0] = 1


def test_folder_that_does_not_fit_together(tmp_path):
    A = operator()
    path = A.export(tmp_path / "matrix")
    np.save(path / "data.npy", np.zeros(3))
    with pytest.raises(ValueError, match="do not fit"):
        load_matrix(path)
    with pytest.raises(FileNotFoundError):
        load_matrix(tmp_path / "nothing")


def test_matrix_without_entries(tmp_path):
    A = DHOperator((4, 4), np.zeros((3, 3)), 2)
    for name in NAMES:
        assert load_matrix(A.export(tmp_path / name)).nnz == 0


@pytest.mark.parametrize("name", NAMES)
def test_fault_26_existing_target(tmp_path, name):
    A, B = operator("float64"), operator("float64")
    path = A.export(tmp_path / name)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        B.export(path, progress=lambda *_: pytest.fail("works on it"))
    assert_array_equal(load_matrix(path, mmap=False).toarray(), A.to_sparse().toarray())
    B.export(path, overwrite=True)
    assert_array_equal(load_matrix(path).toarray(), B.to_sparse().toarray())
    assert os.listdir(tmp_path) == [name]


def test_format(tmp_path):
    A = operator()
    A.export(tmp_path / "a.bin", format="npz")
    assert scipy.sparse.load_npz(tmp_path / "a.bin").shape == A.shape
    for wrong in ("a.txt", "a.npy"):
        with pytest.raises(ValueError, match="format"):
            A.export(tmp_path / wrong)
    with pytest.raises(ValueError, match="format must be one of"):
        A.export(tmp_path / "a", format="hdf5")


class TestLargeMat:
    """Above a limit a .mat file is HDF5, as MATLAB's version 7.3."""

    @pytest.fixture(autouse=True)
    def limits(self, monkeypatch):
        monkeypatch.setattr(dhop.matrix.export, "LARGEST_MAT", 1000)
        monkeypatch.setattr(dhop.matrix.export, "BLOCK", 5000)

    def test_without_h5py(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ModuleNotFoundError, match=r"2 GiB needs h5py.*dhop\[mat\]"):
            operator().export(tmp_path / "a.mat")
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
    def test_is_matlabs(self, tmp_path, dtype):
        """The layout that MATLAB documents, read without our reader."""
        h5py = pytest.importorskip("h5py")
        A = operator(dtype)
        path = A.export(tmp_path / "a.mat")
        head = path.read_bytes()[:512]
        assert head.startswith(b"MATLAB 7.3 MAT-file")
        assert head[124:128] == b"\x00\x02IM"
        with h5py.File(path) as file:
            assert list(file) == ["A"]
            assert file["A"].attrs["MATLAB_class"] == b"double"
            text = file["A"].attrs.get_id("MATLAB_class").get_type()
            assert text.get_strpad() == h5py.h5t.STR_NULLTERM  # libmatio reads no other
            height = file["A"].attrs["MATLAB_sparse"]
            data, ir, jc = (file["A"][name][:] for name in ("data", "ir", "jc"))
        assert height.dtype == ir.dtype == jc.dtype == np.uint64
        if A.dtype.kind == "c":
            data = data["real"] + 1j * data["imag"]
        assert data.dtype.itemsize == (16 if A.dtype.kind == "c" else 8)
        matrix = scipy.sparse.csc_array((data, ir.astype(int), jc.astype(int)))
        matrix.resize(int(height), jc.size - 1)
        assert_array_equal(matrix.toarray(), A.to_sparse().toarray())
        assert_array_equal(load_matrix(path).toarray(), A.to_sparse().toarray())

    @pytest.mark.parametrize("make", [lambda A: A.H, lambda A: 2j * A, lambda A: A.gram()])
    def test_of_expressions(self, tmp_path, make):
        pytest.importorskip("h5py")
        E = make(operator("complex128"))
        found = load_matrix(E.export(tmp_path / "a.mat"))
        assert_allclose(found.toarray(), E.to_sparse().toarray(), rtol=0, atol=1e-12)

    def test_another_reader(self, tmp_path):
        mat73 = pytest.importorskip("mat73")
        for A in operator(), DHOperator((40, 40), np.zeros((3, 3)), 2):
            found = mat73.loadmat(A.export(tmp_path / "a.mat", overwrite=True))["A"]
            assert_array_equal(found.toarray(), A.to_sparse().toarray())

    def test_damaged(self, tmp_path):
        """Refused: no such matrix, indices out of range, parts that do not fit, an end too soon."""
        h5py = pytest.importorskip("h5py")
        A = operator()
        path = A.export(tmp_path / "a.mat")
        whole = path.read_bytes()

        def wrong(file, name):
            if name == "A":
                file.move("A", "B")
            else:
                file["A"][name][1] = 10**6

        for name in ("A", "ir", "jc"):
            path.write_bytes(whole)
            with h5py.File(path, "r+") as file:
                wrong(file, name)
            with pytest.raises(ValueError, match="broken"):
                load_matrix(path)
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises((ValueError, OSError)):
            load_matrix(path)


def test_fault_26_interrupted_while_a_folder_is_replaced(tmp_path, monkeypatch):
    """Which may take two steps: the old one comes back if the second fails."""
    monkeypatch.setattr(system, "exchange", lambda *_: False)
    A, B = operator("float64"), operator("float64")
    path = A.export(tmp_path / "matrix")
    rename = Path.rename

    def interrupted(source, target):
        if source.suffix == ".part" and ".old." not in source.name:
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        B.export(path, overwrite=True)
    assert os.listdir(tmp_path) == ["matrix"]
    assert_array_equal(load_matrix(path).toarray(), A.to_sparse().toarray())


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", ["data", "indices", "indptr"])
def test_a_folder_that_is_replaced_while_it_is_opened(tmp_path, monkeypatch, mmap, name):
    """All files are of one matrix, of either shape."""
    A, B = operator("float64"), operator("float64", (12, 9))
    path = A.export(tmp_path / "matrix")
    load, replaced = np.load, []

    def late(file, **options):
        if Path(file).stem == name and not replaced:
            replaced.append(B.export(path, overwrite=True))
        return load(file, **options)

    monkeypatch.setattr(np, "load", late)
    found = load_matrix(path, mmap=mmap).toarray()
    assert replaced
    assert_array_equal(found, B.to_sparse().toarray())


def test_fault_26_disk_is_checked_before(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(dhop.matrix.export.shutil, "disk_usage", lambda _: usage(10, 0, 10))
    for name in ("a.npz", "a"):
        with pytest.raises(OSError, match="10 free") as caught:
            operator().export(tmp_path / name)
        assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_fault_26_failure_leaves_what_was_there(tmp_path, monkeypatch, name):
    monkeypatch.setattr(dhop.matrix.export, "BLOCK", 1000)
    A = operator("float64")
    path = A.export(tmp_path / name)

    def full(done, total):
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(OSError, match="no space left"):
        operator().export(path, overwrite=True, progress=full)
    assert_array_equal(load_matrix(path).toarray(), A.to_sparse().toarray())
    with pytest.raises(OSError, match="no space left"):
        A.export(tmp_path / f"new-{name}", progress=full)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name == "nt", reason="needs limits and users of POSIX")
@pytest.mark.parametrize("names", [NAMES[:2], pytest.param(NAMES[2:], marks=pytest.mark.fuzz)])
class TestFault26:
    """A disk that fails for real, in a process that may be limited."""

    START = """
        import os, resource, shutil, sys
        from pathlib import Path
        import numpy as np
        from dhop import DHOperator, load_matrix

        A = DHOperator((60, 60), np.ones((9, 9)), 2)
        os.chdir({folder!r})
        folder, targets = Path("."), [Path(name) for name in {names!r}]
        for target in targets:
            A.export(target)
            A.export(target.with_name("second-" + target.name))
        expected = load_matrix(targets[0], mmap=False).toarray()
        before = sorted(os.listdir(folder))

        def refused(path, kind=OSError, **options):
            try:
                A.export(path, **options)
            except kind as error:
                print(error)
            else:
                raise AssertionError("written")
    """

    def run(self, folder, names, code):
        run(self.START.format(folder=str(folder), names=names) + code)

    @pytest.mark.slow
    def test_fault_26_no_room(self, tmp_path, names):
        """No file may grow beyond a few thousand bytes."""
        self.run(tmp_path, names, """
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        for target in targets:
            refused(target, overwrite=True)
            refused(target.with_name("new-" + target.name))
            assert sorted(os.listdir(folder)) == before
            assert (load_matrix(target, mmap=False).toarray() == expected).all()
        """)  # fmt: skip

    @pytest.mark.slow
    def test_fault_26_no_permission(self, tmp_path, names):
        """Nobody may write into somebody else's folder."""
        self.run(tmp_path, names, """
        if os.getuid() == 0:
            folder.chmod(0o755)
            os.setuid(65534)
        else:
            folder.chmod(0o555)
        for target in targets:
            refused(target.with_name("new-" + target.name), PermissionError)
            refused(target, PermissionError, overwrite=True)
            assert sorted(os.listdir(folder)) == before
            assert (load_matrix(target, mmap=False).toarray() == expected).all()
        """)  # fmt: skip

    @pytest.mark.slow
    def test_fault_26_vanishing_folder(self, tmp_path, names):
        self.run(tmp_path, names, """
        import dhop.matrix.export
        dhop.matrix.export.BLOCK = dhop.matrix.export.TEXT_BLOCK = 50000
        lost = folder / "lost"
        for target in targets:
            lost.mkdir()
            refused(lost / target.name, progress=lambda *_: shutil.rmtree(lost, ignore_errors=True))
            assert sorted(os.listdir(folder)) == before
        for target in targets:
            assert A.export(lost.with_name("found-" + target.name)).exists()
        """)  # fmt: skip


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        operator().export(tmp_path / "no" / "a.npz")


def test_progress(tmp_path):
    A = operator()
    seen = []
    A.export(tmp_path / "a", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (A.nnz, A.nnz)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_fault_26_leftovers_of_the_dead_are_removed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    stale = tmp_path / f".a.npz.{child.pid}.part"
    stale.write_bytes(b"half")
    replaced = tmp_path / f".a.npz.old.{child.pid}.part"
    replaced.mkdir()
    alive = tmp_path / f".a.npz.{os.getppid()}.part"
    alive.write_bytes(b"of another process")
    operator().export(tmp_path / "a.npz")
    assert sorted(os.listdir(tmp_path)) == [alive.name, "a.npz"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("name", [pytest.param("a.npz", marks=pytest.mark.fuzz), "a"])
def test_fault_26_killed_at_any_moment(tmp_path, name):
    """The target is the old matrix, the new one or, for a folder, missing; never a part."""
    code = f"""
    import numpy as np
    import dhop.matrix.export
    from dhop import DHOperator
    dhop.matrix.export.BLOCK = 20000
    A = DHOperator((60, 60), np.ones((9, 9)), 2, dtype="float32")
    print("ready", flush=True)
    while True:
        A.export({str(tmp_path / name)!r}, overwrite=True)
    """
    expected = DHOperator((60, 60), np.ones((9, 9)), 2, dtype="float32").to_sparse()
    waits = np.random.default_rng(0).random(3) * 0.3
    for wait in waits:
        arguments = [sys.executable, "-c", textwrap.dedent(code)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(wait)
            child.send_signal(signal.SIGKILL)
        if (tmp_path / name).exists():
            assert (load_matrix(tmp_path / name) != expected).nnz == 0
    A = DHOperator((60, 60), np.ones((9, 9)), 2, dtype="float32")
    A.export(tmp_path / name, overwrite=True)
    assert os.listdir(tmp_path) == [name]
