"""``--config``, ``--save-config`` and ``--verbose``, which all commands have."""

import json
import logging
import os
import tomllib
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from dhop import __version__, images
from dhop.cli.terminal import console, errors_in_words
from dhop.cli.worded import WordedCommand
from dhop.io.replacement import replacing, require_apart, require_replaceable

LOGGER = "dhop"
PANEL = "Running"
NOT_SAVED = ("overwrite", "dry_run", "as_json")  # options that do not change the result
DONE = (0, 3)  # exit codes of a command that has done its work


class ConfigCommand(WordedCommand):
    """A command that saves its options after it has run; see `with_config`."""

    def invoke(self, ctx: Any) -> Any:
        target = ctx.params.get("save_config")
        if target is None:
            return super().invoke(ctx)
        target = Path(target)  # older versions of Typer have text here
        settings = _settings(ctx)
        with errors_in_words():
            overwrite = bool(ctx.params.get("overwrite"))
            _check_target(target, overwrite, ctx.params)
        try:
            found = super().invoke(ctx)
        except typer.Exit as leaving:
            if leaving.exit_code in DONE:
                _save(target, overwrite, ctx.info_name, settings)
            raise
        _save(target, overwrite, ctx.info_name, settings)
        return found


def _load(ctx: typer.Context, name: str | None) -> str | None:
    """Read the defaults of the options from a file."""
    if name is None:
        return None
    try:
        sections = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}") from None
    except ValueError as error:  # of TOML, or no text
        raise typer.BadParameter(f"{name} is no TOML: {error}") from None
    command = str(ctx.info_name)
    settings = sections.get(command)
    if not isinstance(settings, dict):
        raise typer.BadParameter(f"{name} has no section [{command}]")
    known = {_option_name(each): each for each in ctx.command.params if each.name not in ADDED}
    for word in settings:
        if word not in known:
            raise typer.BadParameter(f"{name} sets {word!r}, which {command} does not know")
    ctx.default_map = {
        known[word].name: _as_argument(value, known[word]) for word, value in settings.items()
    }
    return name


def _as_argument(value: Any, parameter: Any) -> Any:
    """A value of TOML as the command line would give it."""
    if parameter.multiple or parameter.nargs != 1:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, bool) else str(value)


class _ConsoleHandler(logging.Handler):
    """Prints log records on the error stream, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        console(stderr=True).print(self.format(record), style="dim")


def _set_verbose(asked: bool) -> bool:
    logger = logging.getLogger(LOGGER)
    logger.handlers = [each for each in logger.handlers if not isinstance(each, _ConsoleHandler)]
    if asked:
        handler = _ConsoleHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return asked


Config: TypeAlias = Annotated[
    str | None,
    typer.Option(
        callback=_load,
        is_eager=True,
        metavar="FILE",
        help="Take what is not given here from the section of this command in a TOML file.",
        rich_help_panel=PANEL,
    ),
]
SaveConfig: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write what was given to a TOML file, so that --config repeats the run.",
        rich_help_panel=PANEL,
    ),
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verbose",
        callback=_set_verbose,
        help="Tell of each stage on the error stream, and how long it took.",
        rich_help_panel=PANEL,
    ),
]
ADDED = {"config": (Config, None), "save_config": (SaveConfig, None), "verbose": (Verbose, False)}


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """A command with ``--config``, ``--save-config`` and ``--verbose``, and its errors in words."""
    every = dict(signature(command).parameters) | {
        name: Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in ADDED.items()
    }

    @wraps(command)
    def with_more(**options: Any) -> None:
        with errors_in_words():
            command(**{name: value for name, value in options.items() if name not in ADDED})

    with_more.__signature__ = Signature(list(every.values()))  # type: ignore[attr-defined]
    with_more.__annotations__ = {name: each.annotation for name, each in every.items()}
    return with_more


def _settings(ctx: Any) -> dict[str, Any]:
    """Options that differ from their defaults, by their names on the command line."""
    return {
        _option_name(each): ctx.params[each.name]
        for each in ctx.command.params
        if each.name not in (*NOT_SAVED, *ADDED)
        and ctx.get_parameter_source(each.name).name != "DEFAULT"
        and ctx.params.get(each.name) is not None
    }


def _option_name(parameter: Any) -> str:
    """`read-noise` for the option ``--read-noise``; arguments by their names."""
    longest = max(parameter.opts, key=len)
    return str(longest.removeprefix("--")) if longest.startswith("--") else str(parameter.name)


def _check_target(target: Path, overwrite: bool, params: dict[str, Any]) -> None:
    values = [each for name in params if name not in ADDED for each in _each(params[name])]
    images.check_folder(target)
    require_apart(target, (Path(each) for each in values if isinstance(each, str | Path)))
    require_replaceable(target, overwrite, option="--overwrite")


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _save(target: Path, overwrite: bool, command: str, settings: dict[str, Any]) -> None:
    lines = [f"# dhop {__version__}", f"[{command}]"]
    lines += [f"{word} = {_toml(value)}" for word, value in settings.items()]
    with errors_in_words(), replacing(target, overwrite) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    """A value in TOML, whose strings are those of JSON but for one character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
