"""One frame solved by `lsqr`, damped and with a Laplacian, and the singular values behind it."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import lsqr
from skimage import data

from dhop import DHOperator, FrameStack, plots, psf, regulariser_operator

scene = data.camera()[100:196, 180:276] / 255
A = DHOperator(scene.shape, psf.gaussian(9, 1.2), 2, decimation="mean", boundary="edge")
frame = A.degrade(scene) + 0.01 * np.random.default_rng(0).standard_normal(A.dimsd)
S = regulariser_operator("laplacian", A.dims, boundary="edge")
stack = FrameStack([A, S], weights=[1, 3e-3])
smooth = lsqr(stack, stack.data([frame, np.zeros(S.shape[0])]), atol=1e-8, btol=1e-8)[0]

shown = {
    "the frame": frame,
    "damp=0.05": lsqr(A, frame.ravel(), damp=0.05)[0].reshape(A.dims),
    "a Laplacian": smooth.reshape(A.dims),
}
figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=False):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
plots.singular_values(A, ax=axes[3])
