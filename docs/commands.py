"""Write the options of every command into docs/commands.md, from the program itself.

python docs/commands.py           # writes the page
python docs/commands.py --check   # fails if it is not that of the program
"""

import re
import sys
from pathlib import Path

import typer

from dhop import cli

PAGE = Path(__file__).with_name("commands.md")
BEGIN, END = "<!-- commands: begin -->\n", "<!-- commands: end -->\n"
VERBATIM = "\b\n"  # before paragraphs of a help text whose lines stay as they are
OF_ALL = "Running"  # the panel that all commands have, which is shown once


def commands():
    """Those of the program, in its order."""
    return typer.main.get_command(cli.app).commands.items()


def prose(text):
    """With options as code, whose dashes stay two."""
    return re.sub(r"(?<!\S)(--[a-z][a-z-]*)", r"`\1`", text)


def described(text):
    """A help text: prose, and examples under their captions."""
    for paragraph in text.split("\n\n"):
        if VERBATIM not in paragraph:
            yield prose(paragraph.strip())
            continue
        for part in filter(None, paragraph.split(VERBATIM)):
            caption, *lines = part.splitlines()
            code = "\n".join(line.removeprefix("  ") for line in lines)
            yield f"{caption}\n\n```sh\n{code}\n```"


def default(parameter):
    if parameter.required:
        return "needed"
    value = parameter.default
    return f"`{value}`" if isinstance(value, str | int | float) and value is not False else ""


def table(parameters):
    yield "| | default | |\n| --- | --- | --- |"
    for each in parameters:
        option = each.param_type_name == "option"
        name = max(each.opts, key=len) if option else each.name
        help = prose(each.help.replace("|", "\\|").replace("*", "\\*"))
        yield f"| `{name}` | {default(each)} | {help} |"


def panels(command):
    """The parameters of each panel; arguments have one of their own."""
    found = {}
    for each in command.params:
        if each.name != "help":
            panel = each.rich_help_panel or "Arguments"
            found.setdefault(panel, []).append(each)
    return found


def pages():
    running = {}
    for name, command in commands():
        yield f"## dhop {name}\n"
        yield "\n\n".join(described(command.help)) + "\n"
        for panel, parameters in panels(command).items():
            if panel == OF_ALL:
                running = {panel: parameters}
                continue
            yield f"**{panel}**\n\n" + "\n".join(table(parameters)) + "\n"
    for panel, parameters in running.items():
        yield f"## {panel}: options of every command\n\n" + "\n".join(table(parameters)) + "\n"


def main():
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = before + BEGIN + "\n".join(pages()) + END + after
    if "--check" in sys.argv:
        sys.exit(new != text and "docs/commands.md is of another program: python docs/commands.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
