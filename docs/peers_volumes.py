"""Richardson's and Lucy's iteration of volumes of photon counts, beside RedLionfish.

python docs/peers_volumes.py 64       # print the rows of peers.md for a cube of so many voxels
"""

import sys
import time

import numpy as np
from photographs import markdown
from scipy import fft

from dhop import psf, super_resolve

BLUR = psf.widefield((31, 31, 31), (0.15, 0.08), 0.52, 1.2, 1.33)
BALLS = 1e-4  # for each voxel
BRIGHT = 100.0  # photons of the brightest ball
DARK = 2.0  # photons of a voxel without
EDGE = 16  # voxels between balls and the border
HEADER = ("voxels", "", "dB", "s")


def scene_of(size, rng):
    """Balls in the dark."""
    scene = np.zeros((size,) * 3, np.float32)
    for _ in range(int(BALLS * size**3)):
        radius = rng.uniform(1, size / 24)
        middle = rng.uniform(EDGE + radius, size - EDGE - radius, 3)
        box = tuple(slice(int(c - radius), int(c + radius) + 2) for c in middle)
        places = np.ogrid[box]
        squares = sum((p - c) ** 2 for p, c in zip(places, middle, strict=True))
        scene[box] = np.maximum(scene[box], rng.uniform(5, BRIGHT) * (squares <= radius**2))
    return scene + np.float32(DARK)


def counts_of(scene, rng):
    """Photons of the blurred scene, which wraps, without any product of ours."""
    around = np.zeros(scene.shape, np.float32)
    around[tuple(slice(n) for n in BLUR.shape)] = BLUR
    around = np.roll(around, [-(n // 2) for n in BLUR.shape], (0, 1, 2))
    clean = fft.irfftn(fft.rfftn(scene) * fft.rfftn(around), scene.shape)
    return rng.poisson(clean.clip(0)).astype(np.float32)


def ours(count):
    """The accelerated iteration."""
    return lambda counts: super_resolve(
        counts, BLUR, 1, boundary="wrap", loss="poisson", solver="richardson-lucy",
        maxiter=count, rtol=0.0,
    ).image  # fmt: skip


def red_lionfish(count):
    """The plain iteration, from the counts on."""

    def method(counts):
        import RedLionfishDeconv

        return RedLionfishDeconv.doRLDeconvolutionFromNpArrays(
            counts, BLUR.astype(np.float32), niter=count, method="cpu"
        )

    return method


METHODS = {
    'dhop, `solver="richardson-lucy"`, 5 iterations': ours(5),
    'dhop, `solver="richardson-lucy"`, 10': ours(10),
    "RedLionfish, `cpu`, 10": red_lionfish(10),
    "RedLionfish, `cpu`, 20": red_lionfish(20),
}


def decibels(image, scene):
    inside = (slice(EDGE, -EDGE),) * 3
    error = np.mean((image[inside].astype(float) - scene[inside]) ** 2)
    return -10 * np.log10(error / float(scene.max()) ** 2)


def rows(size, repeats):
    """A row for each method that is installed, the methods in turn."""
    rng = np.random.default_rng(0)
    scene = scene_of(size, rng)
    counts = counts_of(scene, rng)
    ours(2)(counts[:33, :33, :33])  # kernels are compiled
    found, seconds = {}, {}
    for name, method in [each for _ in range(repeats) for each in METHODS.items()]:
        begin = time.process_time()
        try:
            image = method(counts)
        except ImportError:
            continue
        seconds.setdefault(name, []).append(time.process_time() - begin)
        found[name] = decibels(image, scene)
        del image
    return [
        [f"{size}^3", name, f"{found[name]:.2f}", f"{min(seconds[name]):.1f}"] for name in found
    ]


if __name__ == "__main__":
    print(markdown(HEADER, [row for size in sys.argv[1:] for row in rows(int(size), 1)]))
