"""Help texts in words, where Typer shows Python's types."""

from typing import Any

from typer.core import TyperCommand

NUMBERS = ("int", "float")


class WordedCommand(TyperCommand):
    """A command whose options say what follows them, and flags that nothing does."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters = super().get_params(ctx)
        for each in parameters:
            if each.param_type_name == "option" and each.metavar is None:
                each.metavar = _word(each)
        return parameters


def _word(option: Any) -> str:
    if option.is_flag:
        return ""
    kind = option.type_descriptor
    if kind.is_path:
        return "PATH"
    return "NUMBER" if kind.annotation.__name__ in NUMBERS else "TEXT"
