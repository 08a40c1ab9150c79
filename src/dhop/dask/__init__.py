"""Images and matrices larger than memory, on Dask (``pip install "dhop[dask]"``)."""

from dhop.dask.matrix import export_matrix, to_dask_blocks
from dhop.dask.operator import DaskDHOperator
from dhop.dask.solution import ChunkedSolution
from dhop.dask.solving import super_resolve

__all__ = [
    "ChunkedSolution",
    "DaskDHOperator",
    "export_matrix",
    "super_resolve",
    "to_dask_blocks",
]
