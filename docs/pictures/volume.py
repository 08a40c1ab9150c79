"""The tutorial's stack from the side: what was taken, what was found, the truth."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(0)
z, y, x = np.ogrid[:24, :64, :64]
truth = np.zeros((24, 64, 64))
for k, i, j, radius in rng.uniform((0, 0, 0, 3), (24, 64, 64, 6), (30, 4)):
    ball = (z - k) ** 2 + (y - i) ** 2 + (x - j) ** 2 < radius**2
    truth[ball] = rng.uniform(0.4, 1)
blur = psf.gaussian((17,), 3.0)[:, None, None] * psf.gaussian(7, 1.2)
boundary = ("edge", "symmetric", "symmetric")
A = DHOperator(truth.shape, blur, (1, 2, 2), decimation="mean", boundary=boundary)
stack = A.degrade(truth) + 0.01 * rng.standard_normal(A.dimsd)
options = {"boundary": boundary, "beta": 1e-3, "nonnegative": True}
solution = super_resolve(stack, blur, (1, 2, 2), **options)

figure, axes = plt.subplots(1, 3, figsize=(9, 1.9), layout="constrained")
shown = (stack[:, 16], "stack"), (solution.image[:, 32], "dhop"), (truth[:, 32], "truth")
for ax, (section, title) in zip(axes, shown, strict=True):
    ax.imshow(section, "magma", vmin=0, vmax=1, aspect="auto")
    ax.set(title=title, xticks=[], yticks=[])
