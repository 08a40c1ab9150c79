"""The frame of the how-to, solved with three rules for what lies outside."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[100:256, 150:306] / 255
blur = psf.gaussian(13, 2.0)
frame = DHOperator(scene.shape, blur, 2, decimation="mean").degrade(scene)[6:-6, 6:-6]
frame += 0.003 * np.random.default_rng(0).standard_normal(frame.shape)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for ax, boundary in zip(axes, ("symmetric", "wrap", "constant"), strict=True):
    ax.imshow(super_resolve(frame, blur, 2, boundary=boundary).image, "gray", vmin=0, vmax=1)
    ax.set(title=boundary, xticks=[], yticks=[])
