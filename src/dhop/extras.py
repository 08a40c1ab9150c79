"""Packages that only some functions need, imported when such a function is called."""

from importlib import import_module
from typing import Any


def needed(module: str, extra: str, what: str) -> Any:
    """Import `module`, or say how to install it.

    Parameters
    ----------
    module : str
    extra : str
        The extra of dhop that it belongs to.
    what : str
        What needs it.

    Raises
    ------
    ImportError
        If it is not installed.

    Examples
    --------
    >>> needed("nothing_of_that_name", "cli", "progress=True")
    Traceback (most recent call last):
    ...
    ImportError: progress=True needs nothing_of_that_name; install it with: pip install "dhop[cli]"
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{what} needs {package}; install it with: pip install "dhop[{extra}]"'
        ) from error
