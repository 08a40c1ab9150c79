"""Measure what solving.md says of solvers.

python docs/explanation/solving.py iterations masked direct shares
python docs/explanation/solving.py lsqr       # needs 16 GB of memory for the explicit matrix
"""

import sys
import time
import warnings
from unittest import mock

import numpy as np
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsqr
from skimage import data

from dhop import DHOperator, FrameStack, psf, super_resolve
from dhop.iteration.steps import conjugate_gradients, norm
from dhop.operators.base import ArrayOperator
from dhop.operators.inverse import InverseOperator
from dhop.reconstruction.regularisers import regulariser_operator


def frames_of(count, factor, sigma, boundary, skew=0.0):
    """Operators of one still frame, or of several that are shifted at random."""
    rng = np.random.default_rng(0)
    size = 2 * round(4 * sigma) + 1
    ramp = np.linspace(-skew, skew, size)
    round_or_skew = psf.gaussian(size, sigma) * (1 + ramp + ramp[:, None])
    operators = []
    for number in range(count):
        move = factor * rng.uniform(-0.5, 0.5, 2) if number else (0, 0)
        blur, center = psf.shift(round_or_skew, move)
        options = {"center": center, "boundary": boundary, "decimation": "mean"}
        operators.append(DHOperator((512, 512), blur, factor, **options))
    return FrameStack(operators)


def iterations():
    """Conjugate gradients to a relative residual of 1e-6, with and without preconditioner."""
    scene = data.camera() / 255
    print("| frames | factor | boundary | beta | plain | preconditioned |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (count, factor, sigma, skew), boundary in (
        (case, boundary)
        for case in [(1, 2, 1.5, 0), (1, 2, 1.5, 0.3), (16, 2, 1.0, 0), (16, 4, 2.0, 0)]
        for boundary in ("constant", "symmetric", "reflect")
    ):
        A = frames_of(count, factor, sigma, boundary, skew)
        S = regulariser_operator("laplacian", A.dims, boundary=boundary)
        y = A.matvec(scene.ravel())
        y += 0.01 * np.random.default_rng(1).standard_normal(y.size)
        b = A.rmatvec(y)
        for beta in (0.01, 0.001):
            counts = []
            for precondition in (False, True):
                try:
                    M = A.preconditioner(beta, "laplacian").matvec if precondition else None
                except ValueError:
                    counts.append("none is near")
                    continue

                def normal(x, A=A, S=S, beta=beta):
                    return A.rmatvec(A.matvec(x)) + beta * S.rmatvec(S.matvec(x))

                steps = conjugate_gradients(normal, b, 0 * b, M)
                goal = 1e-6 * norm(b)
                counts.append(next(k for k, (_, r) in enumerate(steps) if r <= goal))
            kind = f"{count}, psf skew" if skew else count
            print(f"| {kind} | {factor} | {boundary} | {beta} | {counts[0]} | {counts[1]} |")


def masked():
    """Iterations and seconds where parts of frames have no weight."""
    scene = np.tile(data.camera() / 255, (2, 2))
    A = DHOperator(scene.shape, psf.gaussian(13, 1.5), 2, decimation="mean", boundary="symmetric")
    one = A.degrade(scene) + 0.003 * np.random.default_rng(0).standard_normal(A.dimsd)
    i, j = np.indices(one.shape)
    middle = len(one) / 2
    masks = {
        "no mask": np.ones(one.shape),
        "a corner of 100 x 100": 1.0 - ((i < 100) & (j < 100)),
        "a band of 30 rows": 1.0 - ((i > 200) & (i < 230)),
        "1 % of the pixels": 1.0 * (np.random.default_rng(1).random(one.shape) > 0.01),
        "all outside a circle": 1.0 * (np.hypot(i - middle, j - middle) < middle),
    }
    print("| without weight | iterations | seconds |")
    print("| --- | --- | --- |")
    for name, weights in masks.items():
        part = slice(200, 264), slice(200, 264)  # so that kernels are compiled
        super_resolve(one[part], A.psf, 2, beta=0.001, weights=[weights[part]])
        begin = time.perf_counter()
        solution = super_resolve(one, A.psf, 2, beta=0.001, weights=[weights])
        spent = time.perf_counter() - begin
        assert solution.converged
        print(f"| {name} | {solution.iterations} | {spent:.2f} |")


def direct():
    """2048 x 2048 from 1024 x 1024."""
    rng = np.random.default_rng(0)
    frame = rng.random((1024, 1024))
    for name, blur, options in [
        ("wrap, any PSF", rng.random((13, 13)), {"boundary": "wrap"}),
        ("symmetric", psf.gaussian(13, 1.5), {}),
        ("separable, identity", psf.gaussian(13, 1.5), {"boundary": "constant",
                                                        "regulariser": "identity"}),
    ]:  # fmt: skip
        times = []
        for _ in range(4):
            begin = time.perf_counter()
            solution = super_resolve(frame, blur / blur.sum(), 2, beta=0.01, **options)
            times.append(time.perf_counter() - begin)
            assert solution.solver == "direct"
        print(f"{name}: {min(times[1:]):.2f} s")


class Clock:
    """A LinearOperator and the seconds that its products take."""

    def __init__(self, operator):
        self.seconds = 0.0
        self.operator = LinearOperator(
            operator.shape, self._timed(operator.matvec), self._timed(operator.rmatvec),
            dtype=operator.dtype,
        )  # fmt: skip

    def _timed(self, product):
        def timed(x):
            begin = time.perf_counter()
            result = product(x)
            self.seconds += time.perf_counter() - begin
            return result

        return timed


def least_squares():
    """50 iterations of scipy's lsqr, 800 from 400, PSF of 99 x 99, float32."""
    A = DHOperator((800, 800), psf.gaussian(99, 8.0).astype(np.float32), 2)
    y = A @ np.random.default_rng(0).random(A.shape[1], np.float32)
    lsqr(A, y, iter_lim=2)
    S = A.to_sparse()
    # Both products read rows: a CSR transpose would be slower for the matrix.
    explicit = aslinearoperator(S)
    spent = {}
    for name, operator in {"dhop": A, "explicit CSR": explicit}.items():
        clock = Clock(operator)
        begin = time.perf_counter()
        lsqr(clock.operator, y, atol=0, btol=0, conlim=0, iter_lim=50)
        spent[name] = time.perf_counter() - begin
        print(f"{name}: {spent[name]:.2f} s, of it {clock.seconds:.2f} s in products")
    print(f"ratio {spent['explicit CSR'] / spent['dhop']:.0f}")


ITERATIONS = 50
SOLVERS = {
    '`"cg"`': {"solver": "cg"},
    '`"lsqr"`': {"solver": "lsqr"},
    '`"lsmr"`': {"solver": "lsmr"},
    '`"projected"`': {"nonnegative": True},
    '`"reweighted"`, `loss="huber"`': {"loss": "huber"},
    '`"quasi-newton"`, `regulariser="huber-tv"`': {"regulariser": "huber-tv", "noise": 0.01},
    '`"quasi-newton"`, `loss="poisson"`': {"loss": "poisson"},
    '`"richardson-lucy"`': {"loss": "poisson", "solver": "richardson-lucy", "beta": 0},
}


def shares():
    """The part of products in the time of at most 50 iterations on 16 frames of 512 x 512."""
    scene = 200 * np.tile(data.camera() / 255, (2, 2)).astype(np.float32)
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-0.5, 0.5, (16, 2))
    frames = []
    for move in 2 * shifts:
        blur, center = psf.shift(psf.gaussian(9, 1.0), move)
        A = DHOperator(scene.shape, blur, 2, center=center, decimation="mean", dtype="f4")
        frames.append(rng.poisson(A.degrade(scene).clip(0)))
    stack = np.stack(frames).astype(np.float32)
    spent, within = 0.0, False
    multiply = ArrayOperator.multiply

    def timed(self, *arguments):
        nonlocal spent, within
        if within or isinstance(self, InverseOperator):
            return multiply(self, *arguments)
        within = True
        begin = time.perf_counter()
        result = multiply(self, *arguments)
        spent += time.perf_counter() - begin
        within = False
        return result

    print("| solver | iterations | products |")
    print("| --- | --- | --- |")
    for name, options in SOLVERS.items():
        for most in (1, ITERATIONS):  # kernels are compiled first
            with warnings.catch_warnings(), mock.patch.object(ArrayOperator, "multiply", timed):
                warnings.simplefilter("ignore")
                spent = 0.0
                begin = time.perf_counter()
                found = super_resolve(
                    stack, psf.gaussian(9, 1.0), 2, shifts=shifts, maxiter=most, rtol=0.0,
                    **{"beta": 0.01} | options,
                )  # fmt: skip
                total = time.perf_counter() - begin
        print(f"| {name} | {found.iterations} | {spent / total:.0%} |", flush=True)


TABLES = {
    "iterations": iterations, "masked": masked, "direct": direct, "shares": shares,
    "lsqr": least_squares,
}  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:]:
        TABLES[name]()
