"""Images and matrices larger than memory, on Dask (``pip install "dhop[dask]"``)."""

from dhop.dask.matrix import export_matrix, to_dask_blocks
from dhop.dask.ome import OmeImage, open_ome_zarr, write_ome_zarr
from dhop.dask.operator import DaskDHOperator
from dhop.dask.solution import ChunkedSolution
from dhop.dask.super_resolution import super_resolve
from dhop.dask.warp import DaskWarpOperator
from dhop.runtime.signatures import shorten

__all__ = [
    "ChunkedSolution",
    "DaskDHOperator",
    "DaskWarpOperator",
    "OmeImage",
    "export_matrix",
    "open_ome_zarr",
    "super_resolve",
    "to_dask_blocks",
    "write_ome_zarr",
]

for name in __all__:
    shorten(globals()[name])
