"""Images and matrices larger than memory, on Dask (``pip install "dhop[dask]"``)."""

from dhop.dask.operator import DaskDHOperator

__all__ = ["DaskDHOperator"]
