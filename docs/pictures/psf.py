"""The shapes of the how-to."""

import matplotlib.pyplot as plt

from dhop import psf

shapes = {
    "gaussian": psf.gaussian(21, (2.0, 3.0), angle=30),
    "disk": psf.disk(2.5),
    "motion": psf.motion(9, angle=30),
    "airy": psf.airy(25, 2.0, obstruction=0.3),
    "moffat": psf.moffat(25, 3.0, 2.5),
}
figure, axes = plt.subplots(1, 5, figsize=(9, 2.1), layout="constrained")
for ax, (name, shape) in zip(axes, shapes.items(), strict=True):
    half = [(size - 1) / 2 for size in shape.shape]
    extent = (-half[1] - 0.5, half[1] + 0.5, half[0] + 0.5, -half[0] - 0.5)
    ax.imshow(shape**0.5, "magma", extent=extent)
    ax.set(title=name, xlim=(-8, 8), ylim=(8, -8), xticks=[], yticks=[], facecolor="black")
