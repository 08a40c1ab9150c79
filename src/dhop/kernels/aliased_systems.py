"""Small Hermitian systems, one for each class of aliased frequencies.

A band has the classes of some consecutive `k0` and all `k1`. Class ``(k0, k1)`` has the members
``(rows[k0, r0], columns[k1, r1])`` of a spectrum, numbered ``r = r0 * f1 + r1``. Arrays of
frequencies have the lines of a band: line ``k0 * f0 + r0`` is row ``rows[k0, r0]``. Lower triangles
are packed row by row ::

    spectrum        a band                  a class of factor 2 x 2        packed
    . a . b .       line 0  (row of a, b)   members a, b, c, d             aa
    . . . . .       line 1  (row of c, d)                                  ba bb
    . c . d .                                                              ca cb cc
                                                                           da db dc dd
"""

import numpy as np

from dhop.kernels.compile import called, kernel

TOLERANCE = 1e-14  # of pivots relative to the diagonal; smaller ones are zero up to rounding


@kernel
def product_rows(left, right, rows, out):
    """``out[k] = left[rows[k]] @ right``."""
    for k in range(rows.size):
        for j in range(right.shape[1]):
            out[k, j] = 0
        for r in range(right.shape[0]):
            scale = left[rows[k], r]
            for j in range(right.shape[1]):
                out[k, j] += scale * right[r, j]


@kernel
def add_outer(transfer, weight, columns, packed):
    """``packed[k0, k1] += weight * conj(t) t^T`` with `t` the transfer of the class.

    Parameters
    ----------
    transfer : (c0 f0, n1) array
        Lines of a band.
    weight : float
    columns : (c1, f1) int array
    packed : (c0, c1, F (F + 1) / 2) array
    """
    f0 = transfer.shape[0] // packed.shape[0]
    t = np.empty(f0 * columns.shape[1], transfer.dtype)
    for k0 in range(packed.shape[0]):
        for k1 in range(columns.shape[0]):
            gather_class(transfer, k0 * f0, columns[k1], t)
            entry = 0
            line = packed[k0, k1]
            for a in range(t.size):
                scaled = weight * np.conj(t[a])
                for b in range(a + 1):
                    line[entry] += scaled * t[b]
                    entry += 1


@kernel
def factorise(packed, penalty, columns, factors):
    """Cholesky factors of ``packed + diag(penalty)``, with the inverse of their diagonal in it.

    A pivot that is zero up to rounding belongs to the null space, and counts as infinite. `factors`
    may be `packed` itself.
    """
    f0 = penalty.shape[0] // packed.shape[0]
    d = np.empty(f0 * columns.shape[1], penalty.dtype)
    for k0 in range(packed.shape[0]):
        for k1 in range(columns.shape[0]):
            gather_class(penalty, k0 * f0, columns[k1], d)
            _factorise(packed[k0, k1], d, factors[k0, k1])


@kernel
def solve(factors, rows, columns, spectrum):
    """Solve the system of each class for its part of `spectrum`, in place."""
    x = np.empty(rows.shape[1] * columns.shape[1], spectrum.dtype)
    for k0 in range(rows.shape[0]):
        for k1 in range(columns.shape[0]):
            _gather_spectrum(spectrum, rows[k0], columns[k1], x)
            forward_substitution(factors[k0, k1], x, 0)
            backward_substitution(factors[k0, k1], x, 0)
            _scatter_spectrum(x, rows[k0], columns[k1], spectrum)


@kernel
def trace(factors, penalty, columns, sums):
    """``sums[k0]`` becomes the trace of ``L^-H L^-1 diag(penalty)`` over the classes of `k0`."""
    f0 = penalty.shape[0] // factors.shape[0]
    F = f0 * columns.shape[1]
    d = np.empty(F, penalty.dtype)
    x = np.empty(F, factors.dtype)
    for k0 in range(factors.shape[0]):
        total = 0.0
        for k1 in range(columns.shape[0]):
            gather_class(penalty, k0 * f0, columns[k1], d)
            for a in range(F):
                for c in range(F):
                    x[c] = 0
                x[a] = 1
                forward_substitution(factors[k0, k1], x, a)
                for c in range(a, F):
                    total += d[a] * (x[c] * np.conj(x[c])).real
        sums[k0] = total


@kernel
def solve_one(transfer, weight, penalty, rows, columns, spectrum):
    """As `solve`, of ``weight * conj(t) t^T + diag(penalty)``, which takes no factors.

    Parameters
    ----------
    transfer, penalty : (c0 f0, n1) arrays
        Lines of a band.
    weight : float
    rows, columns : (c0, f0), (c1, f1) int arrays
    spectrum : (n0, n1) array
    """
    f0 = rows.shape[1]
    F = f0 * columns.shape[1]
    t = np.empty(F, transfer.dtype)
    d = np.empty(F, penalty.dtype)
    x = np.empty(F, spectrum.dtype)
    for k0 in range(rows.shape[0]):
        for k1 in range(columns.shape[0]):
            gather_class(transfer, k0 * f0, columns[k1], t)
            gather_class(penalty, k0 * f0, columns[k1], d)
            _gather_spectrum(spectrum, rows[k0], columns[k1], x)
            eliminate(t, weight, d, x)
            _scatter_spectrum(x, rows[k0], columns[k1], spectrum)


@kernel
def trace_one(transfer, weight, penalty, columns, sums):
    """As `trace`, of ``weight * conj(t) t^T + diag(penalty)``."""
    f0 = transfer.shape[0] // sums.size
    t = np.empty(f0 * columns.shape[1], transfer.dtype)
    d = np.empty(t.size, penalty.dtype)
    for k0 in range(sums.size):
        total = 0.0
        for k1 in range(columns.shape[0]):
            gather_class(transfer, k0 * f0, columns[k1], t)
            gather_class(penalty, k0 * f0, columns[k1], d)
            p, others = pivot(t, weight, d)
            if p < 0:
                continue
            free = d[p] * (1 + others)
            whole = free + weight * abs2(t[p])
            total += free / whole
            for a in range(t.size):
                if a != p and d[a] > 0:
                    total += 1 - weight * abs2(t[a]) / d[a] * d[p] / whole
        sums[k0] = total


@kernel
def apply_transfer(transfer, rows, columns, spectrum, observed):
    """``observed[k0, k1] = t^T x`` with `x` the class's part of `spectrum`."""
    f0 = rows.shape[1]
    zero = np.zeros(1, observed.dtype)
    for k0 in range(rows.shape[0]):
        for k1 in range(columns.shape[0]):
            total = zero[0]
            for r0 in range(f0):
                for r1 in range(columns.shape[1]):
                    k = columns[k1, r1]
                    total += transfer[k0 * f0 + r0, k] * spectrum[rows[k0, r0], k]
            observed[k0, k1] = total


@kernel
def add_transfer_adjoint(transfer, rows, columns, observed, spectrum):
    """The adjoint of `apply_transfer`, added to `spectrum`."""
    f0 = rows.shape[1]
    for k0 in range(rows.shape[0]):
        for k1 in range(columns.shape[0]):
            for r0 in range(f0):
                for r1 in range(columns.shape[1]):
                    k = columns[k1, r1]
                    value = np.conj(transfer[k0 * f0 + r0, k]) * observed[k0, k1]
                    spectrum[rows[k0, r0], k] += value


@called
def gather_class(band, first, columns, out):
    """Copy from the lines of a band, from line `first` on, what belongs to a class."""
    e = 0
    for r0 in range(first, first + out.size // columns.size):
        for r1 in range(columns.size):
            out[e] = band[r0, columns[r1]]
            e += 1


@called
def _gather_spectrum(spectrum, rows, columns, out):
    e = 0
    for r0 in range(rows.size):
        for r1 in range(columns.size):
            out[e] = spectrum[rows[r0], columns[r1]]
            e += 1


@called
def _scatter_spectrum(x, rows, columns, spectrum):
    e = 0
    for r0 in range(rows.size):
        for r1 in range(columns.size):
            spectrum[rows[r0], columns[r1]] = x[e]
            e += 1


@called
def abs2(x):
    return (x * np.conj(x)).real


@called
def pivot(t, weight, d):
    """The member with the largest ratio ``weight |t|^2 / d``, and the sum of the others' ratios.

    Others whose penalty is zero up to rounding belong to the null space: `t` and `d` become zero
    there. The pivot is -1 if all are zero.
    """
    p, most, whole = -1, 0.0, 0.0
    for a in range(t.size):
        square = weight * abs2(t[a])
        if square + d[a] > 0 and (p < 0 or square * d[p] > most * d[a]):
            p, most, whole = a, square, square + d[a]
    others = 0.0
    for a in range(t.size):
        if p >= 0 and a != p:
            square = weight * abs2(t[a])
            if d[a] > 0 and d[a] + square * (d[p] / whole) > TOLERANCE * (d[a] + square):
                others += square / d[a]
            else:
                t[a] = 0
                d[a] = 0
    return p, others


@called
def eliminate(t, weight, d, x):
    """Solve ``weight * conj(t) t^T + diag(d)`` for `x` in place, eliminating all but the pivot.

    The frame's part of the others is subtracted before the division by the penalty, which may be so
    small that all digits would cancel afterwards.
    """
    p, others = pivot(t, weight, d)
    if p < 0:
        for a in range(x.size):
            x[a] = 0
        return
    seen = 0 * x[0]
    for a in range(x.size):
        if a != p and d[a] > 0:
            if t[p] != 0:
                x[a] -= np.conj(t[a] / t[p]) * x[p]
            seen += t[a] * x[a] / d[a]
    whole = d[p] * (1 + others) + weight * abs2(t[p])
    x[p] = (x[p] - weight * np.conj(t[p]) * seen) / whole
    for a in range(x.size):
        if a != p:
            if t[p] != 0:
                x[a] += np.conj(t[a] / t[p]) * (d[p] * x[p])
            x[a] = x[a] / d[a] if d[a] > 0 else 0 * x[a]


@called
def _factorise(packed, penalty, factor):
    """``L L^H = packed + diag(penalty)``, row by row; ``1 / L[a, a]`` on the diagonal."""
    row = 0
    for a in range(penalty.size):
        column = 0
        for b in range(a + 1):
            total = packed[row + b] + (penalty[a] if a == b else 0)
            whole = total.real
            for c in range(b):
                total -= factor[row + c] * np.conj(factor[column + c])
            if a > b:
                factor[row + b] = total * factor[column + b]
            else:
                factor[row + a] = 1 / np.sqrt(total.real) if total.real > TOLERANCE * whole else 0
            column += b + 1
        row += a + 1


@called
def forward_substitution(factor, x, first):
    """For an `x` that is zero before `first`."""
    row = first * (first + 1) // 2
    for a in range(first, x.size):
        total = x[a]
        for b in range(first, a):
            total -= factor[row + b] * x[b]
        x[a] = total * factor[row + a]
        row += a + 1


@called
def backward_substitution(factor, x, first):
    """Of the result only the part from `first` on."""
    row = factor.size
    for a in range(x.size - 1, first - 1, -1):
        row -= a + 1
        x[a] *= factor[row + a]
        for b in range(first, a):
            x[b] -= np.conj(factor[row + b]) * x[a]
