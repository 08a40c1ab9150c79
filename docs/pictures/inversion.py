"""Four frames inverted by PyLops, with its Laplacian."""

import matplotlib.pyplot as plt
import numpy as np
import pylops
from pylops.optimization.leastsquares import regularized_inversion
from skimage import data

from dhop import DHOperator, psf

scene = data.camera()[100:196, 180:276] / 255
rng = np.random.default_rng(0)
operators = []
for move in rng.uniform(-1, 1, (4, 2)):
    moved, center = psf.shift(psf.gaussian(9, 1.2), move)
    options = {"center": center, "decimation": "mean", "boundary": "symmetric"}
    operators.append(DHOperator(scene.shape, moved, 2, **options))
frames = np.stack([A.degrade(scene) for A in operators])
frames += 0.01 * rng.standard_normal(frames.shape)
stack = pylops.VStack([pylops.aslinearoperator(A) for A in operators], forceflat=True)
penalty = [pylops.Laplacian(scene.shape)]
found = regularized_inversion(stack, frames.ravel(), penalty, epsRs=[0.1], iter_lim=100)[0]

shown = {"a frame": frames[0], "inverted": found.reshape(scene.shape), "truth": scene}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
