"""The tutorial's counts from the side, what is found of them, and the truth."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(0)
z, y, x = np.ogrid[:16, :48, :48]
nuclei = np.zeros((16, 48, 48))
for k, i, j, radius in rng.uniform((3, 6, 6, 3), (13, 42, 42, 7), (12, 4)):
    distance = np.sqrt((1.5 * (z - k)) ** 2 + (y - i) ** 2 + (x - j) ** 2)
    ball = rng.uniform(50, 150) * (radius + 0.5 - distance).clip(0, 1)
    nuclei = np.maximum(nuclei, ball)
blur = psf.gaussian((13,), 2.0)[:, None, None] * psf.gaussian(7, 1.2)
boundary = ("edge", "symmetric", "symmetric")
A = DHOperator(nuclei.shape, blur, 1, boundary=boundary)
counts = rng.poisson(A.degrade(nuclei) + 10)


def solve(counts, **options):
    return super_resolve(counts, blur, 1, boundary=boundary, **options).image


photons = {"loss": "poisson", "background": 10}
shown = {
    "counts - 10": counts - 10,
    "squares": solve(counts - 10),
    "Richardson-Lucy": solve(counts, solver="richardson-lucy", **photons),
    "huber-tv": solve(counts, regulariser="huber-tv", rtol=1e-3, **photons),
    "truth": nuclei,
}
figure, axes = plt.subplots(2, 3, figsize=(9, 3.6), layout="constrained")
for ax, (title, volume) in zip(axes.flat, shown.items(), strict=False):
    ax.imshow(volume[:, 24], "magma", vmin=0, vmax=nuclei.max(), aspect=1.5)
    ax.set(title=title, xticks=[], yticks=[])
axes[1, 2].set_axis_off()
