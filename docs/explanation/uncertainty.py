"""Measure what uncertainty.md says: coverage and cost.

python docs/explanation/uncertainty.py coverage photograph cost
"""

import sys
import time

import numpy as np
from scipy.fft import idctn
from skimage import data

from dhop import DHOperator, psf, super_resolve

BLUR = psf.gaussian(9, 1.2)
NOISE = 0.02


def observed(scenes, shifts, rng):
    """Frames of scenes, decimated by 2, with noise."""
    frames = []
    for move in shifts:
        blur, center = psf.shift(BLUR, 2 * move)
        A = DHOperator(
            scenes.shape, blur, 2, center=center, decimation="mean", boundary="symmetric"
        )
        frames.append(A.degrade(scenes))
    return np.stack(frames) + NOISE * rng.standard_normal((len(shifts), *frames[0].shape))


def moves(count, rng):
    shifts = rng.uniform(-0.5, 0.5, (count, 2))
    shifts[0] = 0
    return shifts


def line(name, solution, truth, deviation, error):
    far = abs(solution.image - truth) / deviation
    inside = " | ".join(f"{100 * np.mean(far < k):.1f}" for k in (1, 2, 3))
    print(f"| {name} | {inside} | {100 * error:.1f} % |", flush=True)


def coverage():
    """Of 200 scenes of 64 x 64 drawn from the prior, solved together as channels."""
    print("| scenes drawn from the prior | within 1 | 2 | 3 deviations | stated error |")
    print("| --- | --- | --- | --- | --- |")
    count, size, beta = 200, 64, 0.02
    for name, frames, gaps, what in (
        ("one frame", 1, False, "known"),
        ("one frame, noise from the residuals", 1, False, None),
        ("4 shifted frames", 4, False, "known"),
        ("4 shifted frames, noise from the residuals", 4, False, None),
        ("4 shifted frames, 5 % of the pixels and a hole masked", 4, True, "known"),
    ):
        rng = np.random.default_rng(0)
        waves = 2 - 2 * np.cos(np.pi * np.arange(size) / size)
        strength = np.add.outer(waves, waves)
        strength[0, 0] = np.inf
        drawn = rng.standard_normal((count, size, size)) / strength
        scenes = idctn(NOISE / np.sqrt(beta) * drawn, axes=(1, 2), norm="ortho")
        shifts = moves(frames, rng)
        weights = None
        if gaps:
            weights = (rng.random((frames, size // 2, size // 2)) > 0.05).astype(float)
            weights[:, 10:14, 8:13] = 0
        solution = super_resolve(
            observed(scenes, shifts, rng), BLUR, 2, channel_axis=1, shifts=shifts, beta=beta,
            weights=None if weights is None else list(weights),
        )  # fmt: skip
        noise = NOISE if what else None
        line(name, solution, scenes, *solution.standard_deviation(noise, return_error=True))


def photograph():
    """A scene that no Gaussian made, with everything chosen from the frames."""
    print("| photograph, beta chosen | within 1 | 2 | 3 deviations | stated error |")
    print("| --- | --- | --- | --- | --- |")
    scene = data.camera()[100:356, 100:356] / 255
    for count in (1, 4, 16):
        rng = np.random.default_rng(0)
        shifts = moves(count, rng)
        solution = super_resolve(observed(scene, shifts, rng), BLUR, 2, shifts=shifts)
        found = solution.standard_deviation(return_error=True)
        line(f"{count} frame{'s' * (count > 1)}", solution, scene, *found)


def cost():
    """Processor time of a deviation over that of the solution."""
    print("| frames | factor | image | how | posterior | noise | stated error |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count, factor, size, boundary, seen in (
        (1, 2, 2048, "wrap", 1.0), (1, 2, 2048, "symmetric", 1.0), (4, 2, 1024, "wrap", 1.0),
        (16, 2, 1024, "symmetric", 1.0), (16, 4, 1024, "symmetric", 1.0),
        (16, 2, 1024, "symmetric", 0.95), (16, 4, 512, "symmetric", 0.95),
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        shifts = moves(count, rng)
        frames = rng.standard_normal((count, size // factor, size // factor))
        given = {"shifts": shifts, "beta": 0.01, "boundary": boundary}
        if seen < 1:
            given["weights"] = list((rng.random(frames.shape) < seen).astype(float))

        def solve(frames=frames, factor=factor, given=given):
            return super_resolve(frames, BLUR, factor, **given)

        solution = solve()
        base = seconds(solve)
        ratios, errors = [], []
        for what in ("posterior", "noise"):
            solution.standard_deviation(1.0, what, probes=1)  # compiles

            def deviate(what=what, solve=solve):
                return solve().standard_deviation(1.0, what, return_error=True)

            ratios.append(f"{seconds(deviate) / base - 1:.1f}")
            errors.append(f"{100 * deviate()[1]:.1f} %")
        how = "closed form" if solution.solver == "direct" else "small image"
        if seen < 1:
            how = "probing"
        masked = "" if seen == 1 else ", 5 % masked"
        cells = [f"{count}, {boundary}{masked}", str(factor), f"{size} x {size}", how, *ratios]
        print("| " + " | ".join([*cells, ", ".join(errors)]) + " |", flush=True)


def seconds(work, repeats=2):
    """The least processor time."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        {"coverage": coverage, "photograph": photograph, "cost": cost}[name]()
