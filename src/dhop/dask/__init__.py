"""Images and matrices larger than memory, on Dask (``pip install "dhop[dask]"``)."""

from dhop.dask.operator import DaskDHOperator
from dhop.dask.solving import ChunkedSolution, super_resolve

__all__ = ["ChunkedSolution", "DaskDHOperator", "super_resolve"]
