"""The figures in matrix.md: ways to build the explicit matrix, and how exact its entries are.

python docs/explanation/steps.py
"""

import time
from statistics import median

import numba
import numpy as np
from scipy import sparse

from dhop import DHOperator, psf

SIZE, WIDTH, FACTOR = 256, 33, 2
DTYPE = np.float32


def rows_in_numpy(folded, start, size, outputs, factor):
    """One image of zeros for each output, the folded PSF pasted into it, its non-zeros listed."""
    T = len(folded)
    columns, values, counts = [], [], []
    for j0 in range(outputs):
        for j1 in range(outputs):
            image = np.zeros((size, size), folded.dtype)
            top, left = start + factor * j0, start + factor * j1
            r0, r1 = max(top, 0), min(top + T, size)
            c0, c1 = max(left, 0), min(left + T, size)
            image[r0:r1, c0:c1] = folded[r0 - top : r1 - top, c0 - left : c1 - left]
            found = np.flatnonzero(image)
            columns.append(found)
            values.append(image.ravel()[found])
            counts.append(found.size)
    pointer = np.append(0, np.cumsum(counts))
    data = np.concatenate(values), np.concatenate(columns), pointer
    return sparse.csr_array(data, shape=(outputs**2, size**2))


def arrays_in_numpy(folded, start, size, outputs, factor, pointer):
    """All rows at once, by broadcasting."""
    places = start + factor * np.arange(outputs)[:, None] + np.arange(len(folded))
    inside = (places >= 0) & (places < size)
    columns = (places * size)[:, None, :, None] + places[None, :, None, :]
    stored = inside[:, None, :, None] & inside[None, :, None, :]
    values = np.broadcast_to(folded, columns.shape)
    return sparse.csr_array((values[stored], columns[stored], pointer), (outputs**2, size**2))


@numba.njit(parallel=True)
def _rows_of_temporaries(folded, start, size, outputs, factor, pointer, columns, values):
    T = len(folded)
    for j in numba.prange(outputs**2):
        image = np.zeros((size, size), folded.dtype)
        top, left = start + factor * (j // outputs), start + factor * (j % outputs)
        r0, r1 = max(top, 0), min(top + T, size)
        c0, c1 = max(left, 0), min(left + T, size)
        image[r0:r1, c0:c1] = folded[r0 - top : r1 - top, c0 - left : c1 - left]
        found = np.flatnonzero(image)
        columns[pointer[j] : pointer[j + 1]] = found
        values[pointer[j] : pointer[j + 1]] = image.ravel()[found]


def prange_of_temporaries(folded, start, size, outputs, factor, pointer):
    """The same lines compiled, in parallel."""
    columns = np.empty(pointer[-1], np.int64)
    values = np.empty(pointer[-1], folded.dtype)
    _rows_of_temporaries(folded, start, size, outputs, factor, pointer, columns, values)
    return sparse.csr_array((values, columns, pointer), shape=(outputs**2, size**2))


@numba.njit
def _coordinates(folded, start, size, outputs, factor, rows, columns, values):
    T = len(folded)
    k = 0
    for j in range(outputs**2):
        top, left = start + factor * (j // outputs), start + factor * (j % outputs)
        for u in range(max(-top, 0), min(T, size - top)):
            for v in range(max(-left, 0), min(T, size - left)):
                rows[k] = j
                columns[k] = (top + u) * size + left + v
                values[k] = folded[u, v]
                k += 1


def loops_into_coordinates(folded, start, size, outputs, factor, pointer):
    """Plain loops, no temporaries; coordinates that are sorted into CSR afterwards."""
    rows, columns = np.empty((2, pointer[-1]), np.int64)
    values = np.empty(pointer[-1], folded.dtype)
    _coordinates(folded, start, size, outputs, factor, rows, columns, values)
    return sparse.coo_array((values, (rows, columns)), shape=(outputs**2, size**2)).tocsr()


def seconds(builders):
    """Median seconds of each, in turn; the first round is not counted."""
    times = {name: [] for name in builders}
    for _ in range(6):
        for name, build in builders.items():
            begin = time.perf_counter()
            build()
            times[name].append(time.perf_counter() - begin)
    return {name: median(each[1:]) for name, each in times.items()}


def build_times():
    A = DHOperator((SIZE, SIZE), psf.gaussian(WIDTH, WIDTH / 6), FACTOR, dtype=DTYPE)
    S = A.to_sparse()
    model = A.model
    given = model.taps, model.rows.start, SIZE, A.dimsd[0], FACTOR
    pointer = S.indptr.astype(np.int64)
    builders = {
        "NumPy, row by row": lambda: rows_in_numpy(*given),
        "NumPy, all rows at once": lambda: arrays_in_numpy(*given, pointer),
        "`prange` over rows, the same lines compiled": lambda: prange_of_temporaries(
            *given, pointer
        ),
        "loops into COO, then CSR": lambda: loops_into_coordinates(*given, pointer),
        "`to_sparse`": A.to_sparse,
    }
    for build in builders.values():
        assert (build() != S).nnz == 0
    print(f"{SIZE} -> {SIZE // FACTOR}, PSF {WIDTH}, {A.nnz:,} nonzeros")
    times = seconds(builders)
    for name, each in times.items():
        print(f"| {name} | {each / times['`to_sparse`']:.0f} |")


def precision():
    """Largest error of an entry, in units in the last place of float32."""
    width, factor, size = 33, 4, 64
    blur = np.random.default_rng(0).random((width, width))
    blur /= blur.sum()
    exact = DHOperator((size, size), blur, factor, dtype=np.float64).to_sparse()
    ulp = np.spacing(exact.data.astype(np.float32)).astype(np.float64)

    stacked = np.zeros((width + factor - 1,) * 2, np.float32)
    for r in range(factor):
        for c in range(factor):
            stacked[r : r + width, c : c + width] += blur.astype(np.float32)
    A = DHOperator((size, size), blur, factor, dtype=np.float32)
    pasted = DHOperator(
        A.dims, stacked, factor, decimation="sample",
        center=A.center[0] + factor - 1, dtype=np.float32,
    )  # fmt: skip
    product = A.decimation_operator.to_sparse() @ A.blur_operator.to_sparse()
    product.sort_indices()
    print(f"PSF {width}, factor {factor}, {exact.nnz:,} nonzeros")
    for name, S in {
        "stacked kernel summed in float32": pasted.to_sparse(),
        "`D @ H` in float32": product,
        "`to_sparse()`": A.to_sparse(),
    }.items():
        errors = np.abs(S.data.astype(np.float64) - exact.data) / ulp
        print(f"| {name} | {errors.max():.2f} | {(errors > 0.5).mean():.0%} |")
    share = (pasted.to_sparse() != product).nnz / exact.nnz
    print(f"entries that differ between the first two: {share:.0%}")


if __name__ == "__main__":
    precision()
    build_times()
