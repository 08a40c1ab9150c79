"""The tutorial's field: an exposure, its image alone, that of four exposures, and the truth."""

import matplotlib.pyplot as plt
import numpy as np
from astropy.wcs import WCS

from dhop import FrameStack, motion, psf, super_resolve


def sky(turn, move):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.1, 2.2]
    wcs.wcs.crpix = [24.5 + move[1], 24.5 + move[0]]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = 0.2 / 3600 * np.array([[-cosine, sine], [sine, cosine]])
    return wcs


first = sky(0, (0, 0))
others = [sky(1.0, (0.4, -0.3)), sky(-2.0, (-0.6, 0.2)), sky(3.0, (0.1, 0.6))]
motions = [np.eye(3), *(motion.from_wcs(each, first, (48, 48)) for each in others)]
rng = np.random.default_rng(1)
row, column = np.indices((96, 96))
scene = 3 * np.exp(-np.hypot((row - 50) / 1.5, column - 44) / 6)
for r, c, flux in zip(*rng.uniform(16, 80, (2, 12)), rng.exponential(20, 12), strict=True):
    scene += flux * np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * 0.6**2))
beam = psf.gaussian(11, 1.5)
options = {"boundary": "symmetric", "decimation": "sum"}
camera = FrameStack.from_motion((96, 96), beam, 2, motions, shape=(48, 48), **options)
exposures = (camera @ scene.ravel()).reshape(4, 48, 48) + 0.1 * rng.standard_normal((4, 48, 48))


def solved(**prior):
    return super_resolve(exposures, beam, 2, motion=motions, decimation="sum", **prior).image


shown = {
    "an exposure": exposures[0] / 4,
    "from four": solved(),
    "with starlets": solved(regulariser="starlet"),
    "truth": scene,
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image, "magma", vmin=0, vmax=9, origin="lower")
    ax.set(title=title, xticks=[], yticks=[])
