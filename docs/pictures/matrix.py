"""The matrix of a small operator, a band of bands, and one of its rows as an image."""

import matplotlib.pyplot as plt

from dhop import DHOperator, plots, psf

A = DHOperator((16, 16), psf.gaussian(5, 1.0), 2, boundary="symmetric")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
plots.spy(A, ax=axes[0])
plots.row(A, (3, 4), ax=axes[1])
