"""Compare ways to blur with a PSF that varies over the field: error against cost.

python docs/field.py    # prints the table of docs/explanation/field.md, in a minute
python docs/field.py --figure docs/explanation/field.png    # and draws it

Costs are processor time in products with one PSF by the direct method, of products that take turns.
What is weighted by outputs is made of whole images here, and counted as the tiles that it needs.
"""

import argparse
import time

import numpy as np
from matplotlib.figure import Figure
from skimage import data

from dhop import DHOperator, psf

SIZE, TAPS = 256, 21
SIGMAS = 1.0, 2.2  # in the middle, and in the corners
OPTIONS = {"boundary": "constant"}


def sigma(row, column):
    """The width of the PSF at a place."""
    middle = (SIZE - 1) / 2
    distance = np.hypot(row - middle, column - middle) / np.hypot(middle, middle)
    return SIGMAS[0] + (SIGMAS[1] - SIGMAS[0]) * distance


def grid(nodes):
    """Places along an axis, and the PSFs there."""
    places = np.linspace(0, SIZE - 1, nodes)
    return places, np.array([[psf.gaussian(TAPS, sigma(a, b)) for b in places] for a in places])


def hats(places):
    return np.array([np.interp(np.arange(SIZE), places, one) for one in np.eye(places.size)])


def everywhere():
    """The PSF of each pixel, from a fine table of widths; shape (SIZE, SIZE, TAPS, TAPS)."""
    table = np.linspace(*SIGMAS, 400)
    lines = np.array([psf.gaussian(TAPS, each)[TAPS // 2] for each in table])
    lines /= lines.sum(axis=1, keepdims=True)
    rows, columns = np.indices((SIZE, SIZE))
    own = np.array([np.interp(sigma(rows, columns), table, line) for line in lines.T])
    return np.einsum("kij,lij->ijkl", own, own)


def blurred(scene, stamps):
    """Each pixel times its own PSF."""
    total = np.zeros((SIZE + TAPS - 1,) * 2)
    for k, m in np.ndindex(TAPS, TAPS):
        total[k : k + SIZE, m : m + SIZE] += scene * stamps[:, :, k, m]
    return total[TAPS // 2 :, TAPS // 2 :][:SIZE, :SIZE]


def on_outputs(scene, weights, stamps):
    """The sum of images, each blurred with one PSF and weighted afterwards."""
    pairs = zip(weights, stamps, strict=True)
    return sum(w * DHOperator(scene.shape, h, 1, **OPTIONS).degrade(scene) for w, h in pairs)


def cost(A, scene):
    """Of a product, in products with one PSF."""
    rng = np.random.default_rng(0)
    plain = DHOperator(scene.shape, rng.random((TAPS, TAPS)), 1, method="direct", **OPTIONS)
    times = {each: [] for each in (plain, A)}
    for each in times:
        each.warmup()
    for _ in range(15):
        for each, taken in times.items():
            start = time.process_time()
            each.degrade(scene)
            taken.append(time.process_time() - start)
    return np.median(times[A]) / np.median(times[plain])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure")
    path = parser.parse_args().figure
    scene = data.camera()[128:384, 128:384] / 255
    stamps = everywhere()
    exact = blurred(scene, stamps)
    lines = {}

    def show(name, count, image, products):
        error = np.linalg.norm(image - exact) / np.linalg.norm(exact)
        lines.setdefault(name, []).append((products, error))
        print(f"| {name} | {count} | {error:.1e} | {products:.1f} |")

    print("| way | PSFs | error | cost |\n| --- | --- | --- | --- |")
    for nodes in (3, 5, 9, 17):
        places, grid_stamps = grid(nodes)
        flat = grid_stamps.reshape(-1, TAPS, TAPS)
        one = hats(places)
        weights = np.einsum("ai,bj->abij", one, one).reshape(-1, SIZE, SIZE)
        nearest = (weights == weights.max(axis=0)) / (weights == weights.max(axis=0)).sum(axis=0)
        count = f"{nodes} x {nodes}"
        show("nearest PSF, of the output", count, on_outputs(scene, nearest, flat), 1)
        show("hats on outputs", count, on_outputs(scene, weights, flat), 4)
        field = psf.Field(grid_stamps, (places, places))
        A = DHOperator(scene.shape, field, 1, method="direct", **OPTIONS)
        show("hats on sources: `psf.Field`", count, A.degrade(scene), cost(A, scene))
    samples = grid(17)[1].reshape(-1, TAPS * TAPS)
    for count in (2, 4, 8, 16):
        modes = np.linalg.svd(samples, full_matrices=False)[2][:count]
        weights = np.einsum("ijp,rp->rij", stamps.reshape(SIZE, SIZE, -1), modes)
        given = psf.Modes(modes.reshape(-1, TAPS, TAPS), weights)
        A = DHOperator(scene.shape, given, 1, **OPTIONS)
        show("eigen-PSFs: `psf.Modes`", count, A.degrade(scene), cost(A, scene))
    if path:
        draw(path, lines)


def draw(path, lines):
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for name, points in lines.items():
        ax.loglog(*zip(*points, strict=True), "o-", label=name.replace("`", ""))
    ax.set(xlabel="cost in products with one PSF", ylabel="relative error")
    ax.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
