"""What the inverses of small Hermitian systems say of pairs of frequencies; see `aliases`."""

import numpy as np

from dhop.kernels.aliases import backward, eliminate, forward, gather, pivot, squared
from dhop.kernels.compile import called, kernel


@kernel
def add_inverse(factors, penalty, columns, noise, places, scales, out):
    """Add up what the inverses ``C = (L L^H)^-1`` say of pairs of frequencies.

    Parameters
    ----------
    factors : (c0, c1, F (F + 1) / 2) array
    penalty : (c0 f0, n1) array
        Lines of a band.
    columns : (c1, f1) int array
    noise : bool
        Whether ``C - C diag(penalty) C`` takes the place of `C`.
    places, scales : (c1, f1, f1, p) arrays
        Of a pair of members in the columns: to which entries of a line it is added, how often.
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
            gather(penalty, k0 * f0, columns[k1], d)
            factor = factors[k0, k1]
            for b in range(F):
                for a in range(F):
                    x[a] = 0
                x[b] = 1
                forward(factor, x, b)
                backward(factor, x, b)
                for a in range(b, F):
                    C[a, b] = x[a]
                    C[b, a] = np.conj(x[a])
            for b in range(F if noise else 0):
                for a in range(F):
                    x[a] = d[a] * C[a, b]
                forward(factor, x, 0)
                backward(factor, x, 0)
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
            gather(transfer, k0 * f0, columns[k1], t)
            gather(penalty, k0 * f0, columns[k1], d)
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
    """The inverse that `eliminate` multiplies by, of rank one beside the pivot's row and column.

    Nothing cancels: what is subtracted on the diagonal is at most half of what is there. `u` is
    overwritten.
    """
    p, others = pivot(t, weight, d)
    if p < 0:
        C[:] = 0
        return
    whole = d[p] * (1 + others) + weight * squared(t[p])
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
    """What a class says of pairs of its members, added to the lines of its row."""
    f1 = places.shape[0]
    for r0 in range(out.shape[0]):
        for s0 in range(out.shape[0]):
            line = out[r0, s0]
            for r1 in range(f1):
                for s1 in range(f1):
                    value = C[r0 * f1 + r1, s0 * f1 + s1]
                    for p in range(places.shape[2]):
                        line[places[r1, s1, p]] += scales[r1, s1, p] * value
