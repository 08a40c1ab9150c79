"""A part of a sky as in the tutorial, of a quarter of its size."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(0)
sky = np.zeros((200, 200))
i, j = np.ogrid[:200, :200]
for y, x in rng.uniform(20, 180, (20, 2)):
    width, flux = rng.uniform(1.5, 4), rng.exponential(1)
    sky += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * width**2))
beam = psf.gaussian(61, (6.0, 9.0))
A = DHOperator(sky.shape, beam, 2, decimation="mean")
snapshots = np.stack([A.degrade(sky)] * 3)
noise = np.array([0.001, 0.002, 0.004])
snapshots += noise[:, None, None] * rng.standard_normal(snapshots.shape)
weights = (noise.min() / noise) ** 2
solution = super_resolve(snapshots, beam, 2, weights=weights, boundary="constant")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
shown = (snapshots[0], "a snapshot"), (solution.image, "dhop"), (sky, "truth")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "magma", vmin=0, vmax=0.6 * sky.max())
    ax.set(title=title, xticks=[], yticks=[])
