"""What docstrings say: sections, words of parameters and of attributes, in Markdown."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

__all__ = ["Docstring", "attribute_words", "code", "read_docstring"]

_SECTION = re.compile(r"(Args|Raises|Attributes):")
_ITEM = re.compile(r" {4}([\w.]+): (.*)")


@dataclass
class Docstring:
    """``text`` is all that stands before, between and after the sections."""

    text: str
    args: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.text.split("\n\n")[0].split())


def read_docstring(of: Callable[..., Any] | type | Any) -> Docstring:
    """Take a docstring apart."""
    text: list[str] = []
    sections: dict[str, dict[str, str]] = {"Args": {}, "Raises": {}, "Attributes": {}}
    section, item = "", ""
    for line in inspect.cleandoc(of.__doc__ or "").splitlines():
        if found := _SECTION.fullmatch(line):
            section = found[1]
        elif section and (found := _ITEM.match(line)):
            item = found[1]
            sections[section][item] = code(found[2])
        elif section and line.startswith("    "):
            sections[section][item] += " " + code(line.strip())
        else:
            section = section if not line else ""
            text.append(line if line.startswith("    ") else code(line))
    return Docstring(re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip(), *sections.values())


def attribute_words(owner: type) -> dict[str, str]:
    """What stands below the attributes of a class, and the summaries of its properties."""
    found: dict[str, str] = {}
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(tree, ast.ClassDef)
    for first, second in pairwise(tree.body):
        for name in _targets(first):
            if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant):
                found[name] = code(" ".join(str(second.value.value).split()))
    for name, member in vars(owner).items():
        if isinstance(member, property) and not name.startswith("_"):
            found[name] = read_docstring(member).summary
    return found


def _targets(node: ast.stmt) -> list[str]:
    """Names that a statement gives a value or a type: ``x = ...``, ``x: int = ...``."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for one in targets if isinstance(one, ast.Name)]


def code(text: str) -> str:
    """Python's double backticks as Markdown's single ones."""
    return text.replace("``", "`")
