"""docs/configuration.md, made from the structs: ``python -m offhook.node.config.page > docs/configuration.md``."""

from __future__ import annotations

import sys

import msgspec

from offhook.node.config.read import FALSE_WORDS, TRUE_WORDS, Setting, catalogue
from offhook.node.config.settings import RouteRule, Settings

__all__ = ["configuration_page"]

_WORDS = tuple(", ".join(f"`{word}`" for word in words) for words in (TRUE_WORDS, FALSE_WORDS))
_INTRODUCTION = f"""# Configuration

`offhook serve --config FILE` reads TOML; a variable of the environment wins over the file. All settings are checked
before anything listens: an unknown one, a wrong type or an unsafe value ends the start with a sentence.

A boolean in the environment is one of {_WORDS[0]} or {_WORDS[1]};
a list is separated by commas; an empty variable counts as not set. Secrets (`relay.token` in the file,
`relay.token_file`, `relay.private_key`) must be readable by their owner alone (mode 0600).

This page is made from `src/offhook/node/config/settings.py`.
"""


def configuration_page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION, "\n## At the top\n", _table([s for s in catalogue() if "." not in s.name])]
    for field in msgspec.structs.fields(Settings):
        section = [s for s in catalogue() if s.name.startswith(f"{field.name}.")]
        if section:
            parts += [f"\n## [{field.name}]\n\n", _summary(type(field.default)), "\n", _table(section)]
    rules = [f"`{f.name}`" for f in msgspec.structs.fields(RouteRule)]
    parts += ["\n## [[routes]]\n\n", _summary(RouteRule), f" Each has {' and '.join(rules)}:\n\n", _ROUTES]
    return "".join(parts)


_ROUTES = """```toml
[[routes]]
match = "+1555*"      # a number, a SIP user, user@host, a prefix that ends in *, or * for all
context = "sales"     # what clients subscribe to
```
"""


def _summary(struct: type) -> str:
    return (struct.__doc__ or "").strip()


def _table(settings: list[Setting]) -> str:
    rows = ["\n| setting | type | default | what it is | variable |\n|---|---|---|---|---|\n"]
    for one in settings:
        variable = f"`{one.variable}`" if one.variable else "–"
        cells = (f"`{one.name}`", _kind(one), _default(one.default), one.description, variable)
        rows.append(f"| {' | '.join(cells)} |\n")
    return "".join(rows)


def _kind(one: Setting) -> str:
    if one.choices:
        return " or ".join(f"`{choice}`" for choice in one.choices)
    parts = [one.kind]
    if one.unit:
        parts.append(f"({one.unit})")
    if one.least is not None and one.most is not None:
        parts.append(f"{'over ' if one.least_is_open else ''}{one.least:.10g} to {one.most:.10g}")
    return " ".join(parts)


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT or value in ("", (), {}):
        return "–"
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return "`[" + ", ".join(str(item) if isinstance(item, int) else f'"{item}"' for item in value) + "]`"
        case float():
            return f"`{value:g}`"
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
