"""Commands whose options can be kept in a file, and that tell of their stages when asked."""

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
from dhop.cli.worded import Worded
from dhop.io.replacement import replacing, require_apart, require_replaceable

LOGGER = "dhop"
PANEL = "Running"
OF_A_CALL = ("overwrite", "dry_run", "as_json")  # what is not of the result, and not saved
DONE = (0, 3)  # exit codes of a command that has done its work


class Repeatable(Worded):
    """A command whose options can be saved; see `repeatable`."""

    def invoke(self, ctx: Any) -> Any:
        target = ctx.params.get("save_config")
        if target is None:
            return super().invoke(ctx)
        target = Path(target)  # older versions of Typer have text here
        settings = _given(ctx)
        with errors_in_words():
            overwrite = bool(ctx.params.get("overwrite"))
            _check(target, overwrite, ctx.params)
        try:
            found = super().invoke(ctx)
        except typer.Exit as leaving:
            if leaving.exit_code in DONE:
                _write(target, overwrite, ctx.info_name, settings)
            raise
        _write(target, overwrite, ctx.info_name, settings)
        return found


def _read(ctx: typer.Context, name: str | None) -> str | None:
    """Take the defaults from a file."""
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
    known = {_word(each): each for each in ctx.command.params if each.name not in OWN}
    for word in settings:
        if word not in known:
            raise typer.BadParameter(f"{name} sets {word!r}, which {command} does not know")
    ctx.default_map = {
        known[word].name: _value(value, known[word]) for word, value in settings.items()
    }
    return name


def _value(value: Any, parameter: Any) -> Any:
    """What the command line would have for a value of TOML."""
    if parameter.multiple or parameter.nargs != 1:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, bool) else str(value)


class _Shown(logging.Handler):
    """Lines on the error stream, above a bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        console(stderr=True).print(self.format(record), style="dim")


def _tell(asked: bool) -> bool:
    logger = logging.getLogger(LOGGER)
    logger.handlers = [each for each in logger.handlers if not isinstance(each, _Shown)]
    if asked:
        shown = _Shown()
        shown.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(shown)
        logger.setLevel(logging.INFO)
    return asked


Config: TypeAlias = Annotated[
    str | None,
    typer.Option(
        callback=_read,
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
        callback=_tell,
        help="Tell of each stage on the error stream, and how long it took.",
        rich_help_panel=PANEL,
    ),
]
OWN = {"config": (Config, None), "save_config": (SaveConfig, None), "verbose": (Verbose, False)}


def repeatable(command: Callable[..., None]) -> Callable[..., None]:
    """A command with ``--config``, ``--save-config`` and ``--verbose`` beside its own options."""
    every = dict(signature(command).parameters) | {
        name: Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in OWN.items()
    }

    @wraps(command)
    def with_more(**options: Any) -> None:
        command(**{name: value for name, value in options.items() if name not in OWN})

    with_more.__signature__ = Signature(list(every.values()))  # type: ignore[attr-defined]
    with_more.__annotations__ = {name: each.annotation for name, each in every.items()}
    return with_more


def _given(ctx: Any) -> dict[str, Any]:
    """What does not have its default, by the words of the command line."""
    return {
        _word(each): ctx.params[each.name]
        for each in ctx.command.params
        if each.name not in (*OF_A_CALL, *OWN)
        and ctx.get_parameter_source(each.name).name != "DEFAULT"
        and ctx.params.get(each.name) is not None
    }


def _word(parameter: Any) -> str:
    """`read-noise` for the option ``--read-noise``; arguments by their names."""
    longest = max(parameter.opts, key=len)
    return str(longest.removeprefix("--")) if longest.startswith("--") else str(parameter.name)


def _check(target: Path, overwrite: bool, params: dict[str, Any]) -> None:
    values = [each for name in params if name not in OWN for each in _each(params[name])]
    images.check_folder(target)
    require_apart(target, (Path(each) for each in values if isinstance(each, str | Path)))
    require_replaceable(target, overwrite, option="--overwrite")


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _write(target: Path, overwrite: bool, command: str, settings: dict[str, Any]) -> None:
    lines = [f"# dhop {__version__}", f"[{command}]"]
    lines += [f"{word} = {_toml(value)}" for word, value in settings.items()]
    with errors_in_words(), replacing(target, overwrite) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    """A value as TOML has it; its strings are those of JSON, but for one character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
