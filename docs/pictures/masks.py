"""A frame with dead columns and a mask of them: solved with the mask and without."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[60:188, 160:288] / 255
blur = psf.gaussian(9, 1.2)
A = DHOperator(scene.shape, blur, 2, decimation="mean", boundary="symmetric")
frame = A.degrade(scene) + 0.005 * np.random.default_rng(0).standard_normal(A.dimsd)
mask = np.zeros(frame.shape, bool)
mask[:, 20] = mask[30, :] = mask[44:47, 40:43] = True
frame[mask] = 0

shown = {
    "a frame": frame,
    "its mask": mask,
    "solved without it": super_resolve(frame, blur, 2, beta=0.01).image,
    "solved with it": super_resolve(frame, blur, 2, beta=0.01, weights=[~mask]).image,
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
