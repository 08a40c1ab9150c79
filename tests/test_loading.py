"""Damaged exports: the right matrix or a refusal, never the end of the interpreter."""

import json

import numpy as np
import pytest
import scipy.io
from child import run
from numpy.testing import assert_array_equal

from dhop import DHOperator, load_matrix

FOLDER = ["dhop-matrix.json", "indptr.npy", "indices.npy", "data.npy"]
READ = pytest.mark.parametrize("options", [{"mmap": False}, {"check": True}], ids=str)


def operator(dtype="float32"):
    return DHOperator((6, 5), np.arange(6.0).reshape(2, 3), 2, dtype=dtype)


@pytest.fixture
def folder(tmp_path):
    return operator().export(tmp_path / "matrix")


def change(folder, name, **changes):
    array = np.load(folder / f"{name}.npy")
    for place, value in changes.items():
        array[int(place.strip("_"))] = value
    np.save(folder / f"{name}.npy", array)


class TestFolder:
    def test_right(self, folder):
        for options in ({}, {"check": True}, {"mmap": False}, {"mmap": False, "check": True}):
            found = load_matrix(folder, **options)
            assert_array_equal(found.toarray(), operator().to_sparse().toarray())
            assert isinstance(found.data, np.memmap) == options.get("mmap", True)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("format", "csc"),
            ("format", None),
            ("version", 2),
            ("version", "1"),
            ("dtype", "float64"),
            ("dtype", "object"),
            ("dtype", []),
            ("shape", [6]),
            ("shape", [6, -30]),
            ("shape", [6, 30.0]),
            ("shape", [True, 30]),
            ("shape", [7, 30]),
            ("shape", [6, 2**70]),
            ("shape", "ab"),
        ],
    )
    def test_manifest(self, folder, key, value):
        path = folder / "dhop-matrix.json"
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {key: value}))
        with pytest.raises(ValueError, match="is broken, or holds no matrix"):
            load_matrix(folder)
        del told[key]
        path.write_text(json.dumps(told))
        with pytest.raises(ValueError, match=key):
            load_matrix(folder)

    @pytest.mark.parametrize("options", [{}, {"mmap": False}, {"check": True}], ids=str)
    def test_row_pointer_that_descends(self, folder, options, monkeypatch):
        """Of the right length, from zero to the number of entries; also between two stretches."""
        monkeypatch.setattr("dhop.matrix.loading.CHUNK", 2)
        whole = np.load(folder / "indptr.npy")
        for place in range(1, whole.size - 1):
            for value in (whole[place - 1] - 1, whole[place + 1] + 1, -1, whole[-1] + 1):
                change(folder, "indptr", **{f"_{place}": value})
                with pytest.raises(ValueError, match="descends"):
                    load_matrix(folder, **options)
            np.save(folder / "indptr.npy", whole)
        change(folder, "indptr", _2=33489024, _3=-2147457536)  # their difference overflows
        with pytest.raises(ValueError, match="descends"):
            load_matrix(folder, **options)
        np.save(folder / "indptr.npy", whole)
        change(folder, "indptr", _0=1)
        with pytest.raises(ValueError, match="start with 0"):
            load_matrix(folder, **options)

    @pytest.mark.slow
    @READ
    @pytest.mark.parametrize("stretch", [1, 5, 2**20])
    def test_indices_that_are_none(self, folder, options, stretch, monkeypatch):
        monkeypatch.setattr("dhop.matrix.loading.CHUNK", stretch)
        whole = np.load(folder / "indices.npy")
        pointer = np.load(folder / "indptr.npy")
        for place in range(whole.size):
            wrong = {-1, 30, 2**31 - 1}
            if place + 1 not in pointer:
                wrong |= {whole[place + 1]}
            if place not in pointer:
                wrong |= {whole[place - 1], whole[place - 1] - 1}
            for value in wrong:
                change(folder, "indices", **{f"_{place}": value})
                with pytest.raises(ValueError, match=r"ind(ices|ex)"):
                    load_matrix(folder, **options)
            np.save(folder / "indices.npy", whole)

    @pytest.mark.parametrize("name", ["data", "indices", "indptr"])
    @pytest.mark.parametrize("kind", [">f4", "f8", "c8", "u4", ">i4", "i8", "i2", "f4,i4", "S4"])
    def test_types(self, folder, name, kind):
        array = np.load(folder / f"{name}.npy")
        np.save(folder / f"{name}.npy", np.zeros(array.shape, kind))
        with pytest.raises(ValueError, match="is broken, or holds no matrix"):
            load_matrix(folder)


@pytest.mark.filterwarnings("ignore:The default value for `spmatrix`:DeprecationWarning")
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("dims", [(6, 5), (2, 2), (1, 1)])  # many entries, one, none
def test_matlab_is_read_as_scipy_reads_it(tmp_path, dtype, dims):
    psf = np.zeros((1, 1)) if dims == (1, 1) else [[2.0 - 1j]] if dtype[0] == "c" else [[2.0]]
    factor = dims if dims == (2, 2) else 1
    A = DHOperator(dims, psf, factor, dtype=dtype, decimation="sample")
    path = A.export(tmp_path / "a.mat")
    found, scipys = load_matrix(path), scipy.io.loadmat(path)["A"]
    assert found.format == "csr"
    assert found.dtype == scipys.dtype
    assert_array_equal(found.toarray(), scipys.toarray())


@pytest.mark.slow
def test_random_damages(tmp_path):
    """Of what has a checksum, what opens is right; of the rest, it can be multiplied with."""
    run(
        f"""
    import collections, resource
    from pathlib import Path
    import numpy as np
    from dhop import DHOperator, load_matrix

    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    A = DHOperator((6, 5), np.arange(6.0).reshape(2, 3), 2, dtype="f4")
    expected = A.to_sparse().toarray()

    def damages(whole):
        rng = np.random.default_rng(7)
        for turn in range(400):
            place, some = rng.integers(len(whole)), rng.bytes(rng.integers(1, 9))
            if turn % 2:
                some = bytes(rng.choice(list(b"0123456789 .-en,[]"), len(some)).astype("u1"))
            yield (
                whole[:place] + some + whole[place + len(some):],
                whole[:place] + some + whole[place:],
                whole[:place],
                whole[:place] + bytes([whole[place] ^ 1 << turn % 8]) + whole[place + 1:],
            )[turn // 2 % 4]

    def check(file, target):
        A.export(target, overwrite=True)
        path, seen = target / file if target.is_dir() else target, collections.Counter()
        for damaged in damages(path.read_bytes()):
            path.unlink()  # what is mapped stays as it is
            path.write_bytes(damaged)
            try:
                S = load_matrix(target, check=True)
            except (ValueError, OSError, MemoryError) as error:
                assert str(error)
                seen[type(error).__name__] += 1
                continue
            S.check_format(full_check=True)
            if file.endswith(("z", ".json")):
                assert (S.toarray()[:, :30] == expected).all()  # a changed width may go unnoticed
                assert S.shape[1] == 30 or file.endswith(".json")
            if max(S.shape) < 1000:
                with np.errstate(all="ignore"):
                    S @ np.ones(S.shape[1])
            seen["opened"] += 1
        assert seen["ValueError"] > 40, seen

    folder = Path({str(tmp_path)!r})
    for file in ["m.npz", "m.mtx", "m.mtx.gz", "m.mat", *{FOLDER!r}]:
        print(file, flush=True)
        check(file, folder / (file.replace(".", "-") if file in {FOLDER!r} else file))
    """,
        warnings="ignore",
    )
