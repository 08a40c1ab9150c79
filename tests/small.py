"""One small operator without symmetry, and vectors of whole numbers for both of its products."""

import numpy as np
import oracle

from dhop import DHOperator

DIMS, FACTOR = (7, 10), (2, 3)


def build(dtype=np.float64, **options):
    psf = oracle.integer_psf(np.random.default_rng(0), (3, 4), 1, dtype)
    return DHOperator(DIMS, psf, FACTOR, **{"boundary": "symmetric", **options})


def vectors(A, operand=None):
    """Both products of A, and an integer vector for each."""
    rng = np.random.default_rng(1)
    for product, length in [(A.matvec, A.shape[1]), (A.rmatvec, A.shape[0])]:
        yield product, oracle.integers(rng, length, np.dtype(operand or A.dtype).type)
