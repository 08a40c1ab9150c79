"""Draw the packages of dhop and their imports into CONTRIBUTING.md.

python docs/packages.py           # writes the drawing
python docs/packages.py --check   # fails if it is not that of the code
"""

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- packages: begin -->\n", "<!-- packages: end -->\n"


def layers():
    """The rooms of each layer, from the top, as the contract has them."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return [layer.replace(":", "|").replace(" ", "").split("|") for layer in contracts[0]["layers"]]


def imports():
    """For each room those that it imports from."""
    package = ROOT / "src" / "dhop"
    found = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module == "dhop":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dhop."):
                names = [node.module.split(".")[1]]
            found.setdefault(room, set()).update(name for name in names if name != room)
    return found


def drawing():
    """A table of layers; of what a room imports, the rooms."""
    rooms, used = layers(), imports()
    known = [room for layer in rooms for room in layer]
    lines = ["| layer | room | imports from |", "| --- | --- | --- |"]
    for number, layer in enumerate(rooms, 1):
        for room in layer:
            below = [other for other in known if other in used.get(room, ())]
            lines.append(f"| {number} | `{room}` | {', '.join(below) or '-'} |")
    return "\n".join(lines) + "\n"


def main():
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = before + BEGIN + drawing() + END + after
    if "--check" in sys.argv:
        sys.exit(new != text and "CONTRIBUTING.md has another drawing: python docs/packages.py")
    PAGE.write_text(new)


if __name__ == "__main__":
    main()
