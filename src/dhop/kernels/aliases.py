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
def describe(packed, penalty, beta, rows, columns, start, stop, spectrum, sums):
    """Facts of the solutions of ``(packed + beta diag(penalty)) x = b``, `b` from `spectrum`.

    ``sums[k0]`` becomes the sum over the classes of ``x^H b``, of ``x^H diag(penalty) x`` and of
    the trace of ``(packed + beta diag(penalty))^-1 diag(penalty)``.
    """
    F = rows.shape[1] * columns.shape[1]
    d = np.empty(F, penalty.dtype)
    scaled = np.empty(F, penalty.dtype)
    b = np.empty(F, spectrum.dtype)
    x = np.empty(F, spectrum.dtype)
    factor = np.empty(packed.shape[2], packed.dtype)
    for k0 in range(start, stop):
        for k1 in range(columns.shape[0]):
            _gather(penalty, rows[k0], columns[k1], d)
            _gather(spectrum, rows[k0], columns[k1], b)
            for a in range(F):
                scaled[a] = beta * d[a]
                x[a] = b[a]
            _factorise(packed[k0, k1], scaled, factor)
            _forward(factor, x)
            _backward(factor, x)
            for a in range(F):
                sums[k0, 0] += (np.conj(x[a]) * b[a]).real
                sums[k0, 1] += d[a] * (np.conj(x[a]) * x[a]).real
            for a in range(F):
                if d[a] > 0:
                    for c in range(F):
                        x[c] = 0
                    x[a] = 1
                    _forward(factor, x)
                    for c in range(a, F):
                        sums[k0, 2] += d[a] * (np.conj(x[c]) * x[c]).real


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
