"""Optional packages, imported when a function needs them."""

from importlib import import_module
from typing import Any


def needed(module: str, extra: str, what: str) -> Any:
    """Import `module` for `what`, or say that the `extra` of dhop installs it.

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
