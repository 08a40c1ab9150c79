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
    ModuleNotFoundError
        If it is not installed.

    Examples
    --------
    >>> needed("nothing", "cli", "progress=True")
    Traceback (most recent call last):
    ...
    ModuleNotFoundError: progress=True needs nothing; install it with: pip install "dhop[cli]"
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ModuleNotFoundError(
            f'{what} needs {package}; install it with: pip install "dhop[{extra}]"', name=package
        ) from error
