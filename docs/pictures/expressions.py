"""A scene through four expressions: a ghost, a flat field, air before the camera, a turn."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, DiagonalOperator, WarpOperator, psf

size = (128, 128)
scene = data.camera()[60:188, 160:288] / 255
options = {"decimation": "mean", "boundary": "symmetric"}
A = DHOperator(size, psf.gaussian(9, 1.2), 2, **options)
B = DHOperator(size, psf.motion(20.0, 30.0), 2, **options)
flat = 1 - 0.5 * np.hypot(*np.mgrid[-1:1:64j, -1:1:64j])
air = DHOperator(size, psf.moffat(31, 6.0, 3.0), 1, boundary="symmetric")
angle, turn = np.deg2rad(12), np.eye(3)
turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
turn[:2, 2] = 63.5 - turn[:2, :2] @ [63.5, 63.5]
expressions = {
    "A": A,
    "0.5 * A + 0.5 * B": 0.5 * A + 0.5 * B,
    "DiagonalOperator(flat) @ A": DiagonalOperator(flat) @ A,
    "A @ air": A @ air,
    "A @ WarpOperator(...)": A @ WarpOperator(size, size, turn, boundary="symmetric"),
}

figure, axes = plt.subplots(2, 3, figsize=(9, 6.3), layout="constrained")
for ax, (title, expression) in zip(axes.flat, expressions.items(), strict=False):
    ax.imshow(expression.degrade(scene), "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
axes[1, 2].set_axis_off()
