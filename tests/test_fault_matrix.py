"""Faults 24 and 25: matrices beyond 32-bit indices, and beyond the memory that is there."""

import os

import numpy as np
import oracle
import pytest
from child import run
from numpy.testing import assert_array_equal
from small import build

import dhop.matrix.sparse
from dhop import DHOperator

INDICES = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
}


class TestFault24:
    @pytest.mark.parametrize("name", INDICES)
    def test_fault_24_beyond_the_limit(self, name, dtype, monkeypatch):
        """Both index arrays are int64 and the values the same, in the memory that we filled."""
        A = build(dtype)
        small = A.to_sparse(name)
        filled, fill = [], dhop.matrix.sparse._filled
        monkeypatch.setattr(dhop.matrix.sparse, "INT32_LIMIT", 10)
        monkeypatch.setattr(
            dhop.matrix.sparse, "_filled", lambda *args: filled.append(fill(*args)) or filled[-1]
        )
        large = A.to_sparse(name)
        for index in INDICES[name]:
            assert getattr(small, index).dtype == np.int32
            assert getattr(large, index).dtype == np.int64
        if name != "coo":
            large.check_format(full_check=True)
        assert_array_equal(
            large.toarray(), oracle.matrix(A.dims, A.psf, A.factor, boundary="symmetric")
        )
        indices, data = filled[0]
        assert np.shares_memory(large.data, data)
        assert np.shares_memory(large.col if name == "coo" else large.indices, indices)

    def test_fault_24_really_beyond_the_limit(self):
        """More than 2**31 entries and columns: numbered without a wrap, two rows exact."""
        images, height, width = 2**15, 512, 256
        A = DHOperator((images, height, width), [[1.0, 2.0]], (height, width))
        assert A.nnz == images * height * width == 2**32
        assert A.sparse_nbytes() == A.nnz * (8 + 8) + 8 * (images + 1)
        part = A.to_sparse(rows=[0, images - 1])
        part.check_format(full_check=True)
        assert part.indices.dtype == part.indptr.dtype == np.int64
        one = np.arange(height * width)
        assert_array_equal(part.indices, np.append(one, one + (images - 1) * height * width))
        row = np.full((height, width), 3.0)
        row[:, -1] = 1.0
        assert_array_equal(part.data, np.append(row, row))


class TestFault25:
    @pytest.mark.parametrize("name", dhop.matrix.sparse.FORMATS)
    def test_fault_25_refused_before_the_allocation(self, name, monkeypatch):
        A = DHOperator((64, 64), np.ones((9, 9)), 2)
        with monkeypatch.context() as patch:
            patch.setattr("dhop.runtime.memory.available", lambda: 1000)
            patch.setattr("dhop.matrix.sparse._filled", lambda *_: pytest.fail("allocates"))
            with pytest.raises(MemoryError, match=r"export\(\.\.\.\)") as caught:
                A.to_sparse(name)
        assert f"{A.sparse_nbytes(name):,}" in str(caught.value)
        assert A.to_sparse(name, rows=[0]).shape == (1, A.shape[1])

    @pytest.mark.slow
    @pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
    @pytest.mark.parametrize(
        "product",
        ["A.to_sparse()", "A @ np.broadcast_to(x[:, None], (len(x), 2000))"],
    )
    def test_fault_25_an_allocation_that_fails(self, product):
        """Under a limit that only it meets: MemoryError, and the operator is as before."""
        run(
            f"""
            import resource
            import numpy as np
            import dhop.runtime.memory
            from dhop import DHOperator

            A = DHOperator((400, 400), np.ones((31, 31)), 2)
            x = np.ones(A.shape[1])
            before, adjoint = A @ x, A.H @ np.ones(A.shape[0])
            small = DHOperator((8, 8), np.ones((3, 3)), 2)
            small.to_sparse()
            dhop.runtime.memory.available = lambda: None
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
            try:
                {product}
            except MemoryError:
                pass
            else:
                raise AssertionError("there was room")
            assert (A @ x == before).all()
            assert (A.H @ np.ones(A.shape[0]) == adjoint).all()
            assert small.to_sparse().nnz == small.nnz
            """,
            timeout=120,
        )
