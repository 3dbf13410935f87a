"""Types that parameters name (typed dicts, aliases), as they stand in the source."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType

__all__ = ["shapes_of"]

_ELSEWHERE = frozenset({"Action", "Call", "CallBase", "Handler", "Message", "RelayEvent"})
"""Names with a page of their own."""
_WIDTH = 78
"""Of a docstring: a page shows some 85 columns of code."""


def shapes_of(annotations: list[str], module: ModuleType, ranges: Mapping[tuple[str, str], str]) -> str:
    """Source of every type of ours that the annotations name, and of those that these name, used before user.

    ``ranges`` is what the wire wants of a key of a type: a comment beside it.
    """
    found: dict[str, str] = {}
    for annotation in annotations:
        for name in _names(annotation):
            _collect(name, module, found)
    return "\n\n\n".join(_commented(name, _wrapped(segment), ranges) for name, segment in found.items())


def _wrapped(segment: str) -> str:
    """Docstrings as wide as a page."""

    def wrap(docstring: re.Match[str]) -> str:
        paragraphs = inspect.cleandoc(docstring[1]).replace("``", "`").split("\n\n")
        filled = [textwrap.fill(" ".join(one.split()), _WIDTH, break_on_hyphens=False) for one in paragraphs]
        text = textwrap.indent("\n\n".join(filled), "    ").strip()
        return f'    """{text}\n    """' if "\n" in text else f'    """{text}"""'

    return re.sub(r'^    """(.*?)"""', wrap, segment, count=1, flags=re.MULTILINE | re.DOTALL)


def _commented(name: str, segment: str, ranges: Mapping[tuple[str, str], str]) -> str:
    def comment(key: re.Match[str]) -> str:
        said = ranges.get((name, key[1]), "")
        return f"{key[0]}  # {said}" if said else key[0]

    return re.sub(r"^ {4}(\w+): [^\n#]+$", comment, segment, flags=re.MULTILINE)


def _collect(name: str, module: ModuleType, found: dict[str, str]) -> None:
    home = _home(name, module)
    if home is None or name in found or name in _ELSEWHERE:
        return
    segment = _definitions(home)[name]
    found[name] = ""  # a shape may name itself
    for other in _names(segment):
        _collect(other, home, found)
    found[name] = found.pop(name) or segment


def _home(name: str, module: ModuleType) -> ModuleType | None:
    """The module of ours in which a name that another one uses is defined as a shape."""
    if name in _definitions(module):
        return module
    for node in ast.walk(_tree(module)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("offhook."):
            continue
        if any((alias.asname or alias.name) == name for alias in node.names):
            return _home(name, importlib.import_module(node.module or ""))
    return None


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


@cache
def _definitions(module: ModuleType) -> dict[str, str]:
    """Typed dicts and aliases at the top of a module: name and source, with the docstring below an alias."""
    source = inspect.getsource(module)
    found: dict[str, str] = {}
    body = _tree(module).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef) and _is_shape(node):
            found[node.name] = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])  # with its comments
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_alias(node.value):
            words = _below(following)
            segment = ast.get_source_segment(source, node) or ""
            found[node.targets[0].id] = f"{segment}{words}"
    return found


def _is_shape(node: ast.ClassDef) -> bool:
    """A typed dict: keys and words, nothing else."""
    return bool(node.bases) and all(isinstance(one, ast.AnnAssign | ast.Expr) for one in node.body)


def _is_alias(value: ast.expr) -> bool:
    """``A | B``, ``Literal[...]``, ``TypedDict("X", {...})``."""
    text = ast.unparse(value)
    return isinstance(value, ast.BinOp) or text.startswith(("Literal[", "TypedDict("))


def _below(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return f'\n"""{node.value.value}"""'
    return ""


def _names(text: str) -> Iterator[str]:
    """Names in an annotation or a definition that are not Python's own, in their order."""
    without_texts = re.sub(r'"""(?s:.*?)"""|"[^"]*"', "", text)
    for name in dict.fromkeys(re.findall(r"\b[A-Z_]\w+\b", without_texts)):
        if not hasattr(builtins, name):
            yield name
