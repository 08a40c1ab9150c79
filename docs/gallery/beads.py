"""Beads in a widefield stack."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(2)
beads = np.zeros((32, 64, 64))
z, y, x = np.ogrid[:32, :64, :64]
for k, i, j in rng.uniform((6, 8, 8), (26, 56, 56), (14, 3)):
    beads[(z - k) ** 2 + (y - i) ** 2 + (x - j) ** 2 < 6] = 1
blur = psf.widefield((25, 25, 25), (0.3, 0.1, 0.1), wavelength=0.52, na=1.2)
A = DHOperator(beads.shape, blur, 1)
stack = A.degrade(beads) + 0.002 * rng.standard_normal(beads.shape)

options = {"beta": 1e-4, "nonnegative": True, "boundary": "constant"}
solution = super_resolve(stack, blur, 1, **options)

figure, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained")
shown = (stack, "stack, from the side"), (solution.image, "dhop"), (beads, "truth")
for ax, (volume, title) in zip(axes, shown, strict=True):
    ax.imshow(volume.max(axis=1), "magma", aspect=1.5)
    ax.set(title=title, xticks=[], yticks=[])
