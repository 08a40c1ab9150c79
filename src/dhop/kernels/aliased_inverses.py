"""Inverses of the systems of `aliased_systems`, entry by entry."""

import numpy as np

from dhop.kernels.aliased_systems import (
    abs2,
    backward_substitution,
    eliminate,
    forward_substitution,
    gather_class,
    pivot,
)
from dhop.kernels.compile import called, kernel


@kernel
def add_inverse(factors, penalty, columns, noise, places, scales, out):
    """Add up the entries of ``C = (L L^H)^-1``, of pairs of frequencies.

    Parameters
    ----------
    factors : (c0, c1, F (F + 1) / 2) array
    penalty : (c0 f0, n1) array
        Lines of a band.
    columns : (c1, f1) int array
    noise : bool
        Whether to add ``C - C diag(penalty) C`` instead.
    places, scales : (c1, f1, f1, p) arrays
        Entries of a line to which a pair of members in the columns is added, and factors.
    out : (c0, f0, f0, q) array
        A line for each pair of members in the rows.
    """
    f0 = out.shape[1]
    F = f0 * columns.shape[1]
    d = np.empty(F, penalty.dtype)
    x = np.empty(F, factors.dtype)
    C = np.empty((F, F), factors.dtype)
    for k0 in range(out.shape[0]):
        for k1 in range(columns.shape[0]):
            gather_class(penalty, k0 * f0, columns[k1], d)
            factor = factors[k0, k1]
            for b in range(F):
                for a in range(F):
                    x[a] = 0
                x[b] = 1
                forward_substitution(factor, x, b)
                backward_substitution(factor, x, b)
                for a in range(b, F):
                    C[a, b] = x[a]
                    C[b, a] = np.conj(x[a])
            for b in range(F if noise else 0):
                for a in range(F):
                    x[a] = d[a] * C[a, b]
                forward_substitution(factor, x, 0)
                backward_substitution(factor, x, 0)
                for a in range(F):
                    C[a, b] -= x[a]
            _add_pairs(C, places[k1], scales[k1], out[k0])


@kernel
def add_inverse_one(transfer, weight, penalty, columns, noise, places, scales, out):
    """As `add_inverse`, of ``weight * conj(t) t^T + diag(penalty)``."""
    f0 = out.shape[1]
    F = f0 * columns.shape[1]
    t = np.empty(F, transfer.dtype)
    d = np.empty(F, penalty.dtype)
    x = np.empty(F, out.dtype)
    C = np.empty((F, F), out.dtype)
    for k0 in range(out.shape[0]):
        for k1 in range(columns.shape[0]):
            gather_class(transfer, k0 * f0, columns[k1], t)
            gather_class(penalty, k0 * f0, columns[k1], d)
            if noise:
                for a in range(F):
                    x[a] = np.conj(t[a])
                eliminate(t, weight, d, x)
                for a in range(F):
                    for b in range(F):
                        C[a, b] = weight * x[a] * np.conj(x[b])
            else:
                _invert_one(t, weight, d, x, C)
            _add_pairs(C, places[k1], scales[k1], out[k0])


@called
def _invert_one(t, weight, d, u, C):
    """The inverse that `eliminate` applies, of rank one beside the pivot's row and column.

    The diagonal loses at most half to the subtraction. `u` is overwritten.
    """
    p, others = pivot(t, weight, d)
    if p < 0:
        C[:] = 0
        return
    whole = d[p] * (1 + others) + weight * abs2(t[p])
    for a in range(t.size):
        u[a] = t[a] / d[a] if d[a] > 0 else 0 * t[a]
    u[p] = 0
    share = weight * d[p] / whole
    for a in range(t.size):
        scaled = -share * np.conj(u[a])
        for b in range(t.size):
            C[a, b] = scaled * u[b]
        if d[a] > 0:
            C[a, a] += 1 / d[a]
        C[a, p] = -weight / whole * np.conj(u[a]) * t[p]
    for a in range(t.size):
        C[p, a] = np.conj(C[a, p])
    C[p, p] = (1 + others) / whole


@called
def _add_pairs(C, places, scales, out):
    """Add the entries of pairs of members of a class to the lines of its row."""
    f1 = places.shape[0]
    for r0 in range(out.shape[0]):
        for s0 in range(out.shape[0]):
            line = out[r0, s0]
            for r1 in range(f1):
                for s1 in range(f1):
                    value = C[r0 * f1 + r1, s0 * f1 + s1]
                    for p in range(places.shape[2]):
                        line[places[r1, s1, p]] += scales[r1, s1, p] * value
