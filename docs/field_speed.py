"""Time products of fields: with one PSF, by each method, and beside PyLops.

python docs/field_speed.py            # prints the tables of docs/explanation/field.md; some minutes
python docs/field_speed.py --only 21  # of PSFs of 21 x 21

Times are those of all processors together, which other programs hardly change, and the least of
several; products take turns. PyLops' operator has hats on sources, too, and the same result.
"""

import argparse
import os

os.environ.setdefault("NUMBA_NUM_THREADS", str(len(os.sched_getaffinity(0))))  # PyLops asks this

import time

import numpy as np
from pylops.signalprocessing import NonStationaryConvolve2D

from dhop import DHOperator, psf

SIZE = 1024
GRID = 9
COUNTS = (3, 5, 9, 17, 33)  # of nodes along each axis
REPEATS = 7
METHODS = "direct", "separable", "fft"


def random_field(taps, count):
    """PSFs without any structure, of which none is separable."""
    stamps = np.random.default_rng(0).random((count, count, taps, taps)).astype(np.float32)
    step = (SIZE - 1) // (count - 1)
    return psf.Field(stamps, (step * np.arange(count),) * 2)


def gaussian_field(taps):
    """Gaussians that become wider from corner to corner."""
    sigmas = np.linspace(taps / 10, taps / 5, GRID)
    stamps = np.array([[psf.gaussian(taps, (a + b) / 2) for a in sigmas] for b in sigmas])
    places = (SIZE - 1) // (GRID - 1) * np.arange(GRID)
    return psf.Field(stamps.astype(np.float32), (places, places))


def least(calls, repeats=REPEATS):
    """Processor time of each call, by turns, after one that prepares."""
    for call in calls:
        call()
    taken = np.full((repeats, len(calls)), np.inf)
    for times in taken:
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            times[k] = time.process_time() - start
    return taken.min(axis=0)


def both(A):
    """The two products with numbers of the operator's dtype."""
    rng = np.random.default_rng(1)
    x, y = (rng.random(size, np.float32) for size in A.shape[::-1])
    return [lambda: A @ x, lambda: A.H @ y]


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def beside_pylops(taps):
    field = random_field(taps, GRID)
    A = DHOperator((SIZE, SIZE), field, 1)
    plain = DHOperator((SIZE, SIZE), field.stamps[0, 0], 1, method="direct")
    other = NonStationaryConvolve2D(
        A.dims, field.stamps, *(each.astype(int).tolist() for each in field.positions),
        engine="numba", dtype="float32",
    )  # fmt: skip
    x = np.random.default_rng(2).random(A.shape[1], np.float32)
    assert np.allclose(A @ x, other @ x, rtol=1e-3)
    for name, ours, one, theirs in zip(
        ("forward", "adjoint"), both(A), both(plain), both(other), strict=True
    ):
        a, b = least([ours, one])
        c = least([theirs], 3)[0]
        row(f"{taps} x {taps}", name, A.method, *(f"{1e3 * t:.1f}" for t in (a, c)),
            f"{c / a:.0f}", f"{a / b:.1f}")  # fmt: skip


def by_method(taps, factor):
    for name, field in ("random", random_field(taps, GRID)), ("Gaussian", gaussian_field(taps)):
        methods = METHODS if name == "Gaussian" else ("direct", "fft")
        operators = [DHOperator((SIZE, SIZE), field, factor, method=each) for each in methods]
        chosen = DHOperator((SIZE, SIZE), field, factor).method
        forward = least([both(A)[0] for A in operators])
        adjoint = least([both(A)[1] for A in operators])
        cells = dict.fromkeys(METHODS, "")
        for each, one, two in zip(methods, forward, adjoint, strict=True):
            cells[each] = f"{1e3 * one:.1f} / {1e3 * two:.1f}"
        row(f"{taps} x {taps}", name, factor, *cells.values(), chosen)


def by_count(taps):
    operators = [DHOperator((SIZE, SIZE), random_field(taps, n), 1) for n in COUNTS]
    stamp = np.random.default_rng(0).random((taps, taps)).astype(np.float32)
    plain = DHOperator((SIZE, SIZE), stamp, 1, method="direct")
    for k, name in enumerate(("forward", "adjoint")):
        one, *times = least([both(A)[k] for A in (plain, *operators)])
        row(f"{taps} x {taps}", name, *(f"{t / one:.1f}" for t in times))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=int, nargs="+", default=[21, 41, 81])
    sizes = parser.parse_args().only
    print("\n| PSFs | product | method | ms | PyLops, ms | ratio | products with one PSF |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for taps in set(sizes) & {21, 41}:
        beside_pylops(taps)
    print("\n| PSFs | kind | factor | direct | separable | fft | chosen |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for taps in sizes:
        for factor in (1, 2):
            by_method(taps, factor)
    print("\n| PSFs | product |", " | ".join(f"{n} x {n}" for n in COUNTS), "|")
    print("| --- " * (2 + len(COUNTS)) + "|")
    for taps in set(sizes) & {21}:
        by_count(taps)


if __name__ == "__main__":
    main()
