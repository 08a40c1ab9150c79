"""What `--errors` writes: the deviation of each pixel, and where nothing was seen."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(2)
row, column = np.indices((96, 96))
scene = np.zeros((96, 96))
for r, c, flux in zip(*rng.uniform(4, 92, (2, 30)), rng.exponential(10, 30), strict=True):
    scene += flux * np.exp(-((row - r) ** 2 + (column - c) ** 2) / 2)
blur = psf.gaussian(11, 1.5)
A = DHOperator(scene.shape, blur, 2, decimation="mean", boundary="symmetric")
night = A.degrade(scene) + 0.05 * rng.standard_normal(A.dimsd)
seen = np.ones(night.shape)
seen[:, 30:32] = seen[8:20, 8:14] = 0
night[seen == 0] = np.nan
solution = super_resolve(night, blur, 2, weights=[seen], noise=0.05, beta=0.03)
deviation = solution.standard_deviation(0.1)
unseen = np.kron(1 - seen, np.ones((2, 2)))

figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
shown = {"a frame": night, "SCI": solution.image, "ERR": deviation, "DQ": unseen}
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    high = {"ERR": deviation.max(), "DQ": 1}.get(title, 3)
    ax.imshow(image, "magma", vmin=0, vmax=high, origin="lower")
    ax.set(title=title, xticks=[], yticks=[])
