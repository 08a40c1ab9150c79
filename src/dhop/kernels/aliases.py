"""Small Hermitian systems, one for each set of frequencies that decimation cannot tell apart.

Class ``(k0, k1)`` has the members ``(rows[k0, r0], columns[k1, r1])`` of a spectrum, counted
together as ``r = r0 * f1 + r1``. Lower triangles are packed row by row.
"""

import numpy as np

from dhop.kernels.compile import called, kernel


@kernel
def add_outer(transfer, weight, rows, columns, start, stop, packed):
    """``packed[k0, k1] += weight * conj(t) t^T`` with `t` the transfer of the class.

    Parameters
    ----------
    transfer : (n0, n1) array
    weight : float
    rows, columns : (c0, f0), (c1, f1) int arrays
    start, stop : int
        Range of `k0`.
    packed : (c0, c1, F (F + 1) / 2) array
    """
    F = rows.shape[1] * columns.shape[1]
    t = np.empty(F, transfer.dtype)
    for k0 in range(start, stop):
        for k1 in range(columns.shape[0]):
            _gather(transfer, rows[k0], columns[k1], t)
            entry = 0
            line = packed[k0, k1]
            for a in range(F):
                scaled = weight * np.conj(t[a])
                for b in range(a + 1):
                    line[entry] += scaled * t[b]
                    entry += 1


@kernel
def factorise(packed, penalty, rows, columns, start, stop, factors):
    """Cholesky factors of ``packed + diag(penalty)``, with the inverse of their diagonal in it.

    A pivot that is zero up to rounding belongs to a direction of which nothing is known; it counts
    as infinite.
    """
    F = rows.shape[1] * columns.shape[1]
    d = np.empty(F, penalty.dtype)
    for k0 in range(start, stop):
        for k1 in range(columns.shape[0]):
            _gather(penalty, rows[k0], columns[k1], d)
            _factorise(packed[k0, k1], d, factors[k0, k1])


@kernel
def solve(factors, rows, columns, start, stop, spectrum):
    """Solve the system of each class for its part of `spectrum`, in place."""
    F = rows.shape[1] * columns.shape[1]
    x = np.empty(F, spectrum.dtype)
    for k0 in range(start, stop):
        for k1 in range(columns.shape[0]):
            _gather(spectrum, rows[k0], columns[k1], x)
            _forward(factors[k0, k1], x)
            _backward(factors[k0, k1], x)
            e = 0
            for r0 in range(rows.shape[1]):
                for r1 in range(columns.shape[1]):
                    spectrum[rows[k0, r0], columns[k1, r1]] = x[e]
                    e += 1


@kernel
def trace(factors, penalty, rows, columns, start, stop, sums):
    """``sums[k0]`` becomes the trace of ``L^-H L^-1 diag(penalty)`` over the classes of `k0`."""
    F = rows.shape[1] * columns.shape[1]
    d = np.empty(F, penalty.dtype)
    x = np.empty(F, factors.dtype)
    for k0 in range(start, stop):
        total = 0.0
        for k1 in range(columns.shape[0]):
            _gather(penalty, rows[k0], columns[k1], d)
            for a in range(F):
                for c in range(F):
                    x[c] = 0
                x[a] = 1
                _forward(factors[k0, k1], x)
                for c in range(a, F):
                    total += d[a] * (x[c] * np.conj(x[c])).real
        sums[k0] = total


@called
def _gather(source, rows, columns, out):
    e = 0
    for r0 in range(rows.size):
        for r1 in range(columns.size):
            out[e] = source[rows[r0], columns[r1]]
            e += 1


@called
def _factorise(packed, penalty, factor):
    """``L L^H = packed + diag(penalty)``, row by row; ``1 / L[a, a]`` on the diagonal."""
    row = 0
    for a in range(penalty.size):
        column = 0
        for b in range(a + 1):
            total = packed[row + b] + (penalty[a] if a == b else 0)
            for c in range(b):
                total -= factor[row + c] * np.conj(factor[column + c])
            if a > b:
                factor[row + b] = total * factor[column + b]
            else:
                whole = packed[row + a].real + penalty[a]
                known = total.real > 1e-14 * whole
                factor[row + a] = 1 / np.sqrt(total.real) if known else 0
            column += b + 1
        row += a + 1


@called
def _forward(factor, x):
    row = 0
    for a in range(x.size):
        total = x[a]
        for b in range(a):
            total -= factor[row + b] * x[b]
        x[a] = total * factor[row + a]
        row += a + 1


@called
def _backward(factor, x):
    row = factor.size
    for a in range(x.size - 1, -1, -1):
        row -= a + 1
        x[a] *= factor[row + a]
        for b in range(a):
            x[b] -= np.conj(factor[row + b]) * x[a]
