"""Reading settings: TOML, then the environment over it, then checks that name the setting and what to change."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from offhook.errors import ConfigurationError
from offhook.node.config.check import check, refuse_readable
from offhook.node.config.settings import Settings

__all__ = ["FALSE_WORDS", "TRUE_WORDS", "Setting", "catalogue", "read_settings"]

TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")

_PREFIX = "OFFHOOK_"
_OF_THE_SDK = frozenset(
    f"{_PREFIX}{name}"
    for name in (
        "PROJECT_ID",
        "API_TOKEN",
        "JWT_TOKEN",
        "SPACE",
        "RELAY_CA_FILE",
        "RELAY_SCHEME",
        "MAX_ACTIVE_CALLS",
    )
)
_TOML_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false without quotes",
    "str": "text in quotes",
    "array": "a list in brackets",
    "object": "a table",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "below", ">": "over"}


class Setting(msgspec.Struct, frozen=True):
    """One setting as a person meets it. ``kind`` is text, integer, number, boolean, list, table or tables."""

    name: str
    kind: str
    default: object
    description: str
    unit: str = ""
    least: float | None = None
    least_is_open: bool = False
    most: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """Its environment variable; empty where only the file can say it."""
        if self.kind in ("table", "tables"):
            return ""
        return _PREFIX + self.name.replace(".", "_").upper()


def read_settings(
    file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Settings:
    """Defaults, the file, the environment and ``overrides`` (by dotted name), each over the one before.

    Raises:
        ConfigurationError: a setting is unknown, of the wrong type, out of range, or unsafe.
    """
    raw = _read_file(file) if file is not None else {}
    _refuse_unknown(raw, file)
    for name, value in {**_from_environment(environment), **(overrides or {})}.items():
        section, _, key = name.rpartition(".")
        (raw.setdefault(section, {}) if section else raw)[key] = value
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise _named(error) from error
    check(settings)
    if file is not None and settings.relay.token and raw.get("relay", {}).get("token"):
        refuse_readable("relay.token", file)
    return settings


@cache
def catalogue() -> tuple[Setting, ...]:
    """Every setting, in the order of the file."""
    found: list[Setting] = []
    for field in _fields(Settings):
        if isinstance(field.type, inspect.StructType):
            found.extend(_setting(f"{field.name}.", inner) for inner in field.type.fields)
        else:
            found.append(_setting("", field))
    return tuple(found)


def _fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return kind.fields


def _setting(prefix: str, field: inspect.Field) -> Setting:
    kind, description, unit = field.type, "", ""
    while isinstance(kind, inspect.Metadata):
        description = description or str((kind.extra_json_schema or {}).get("description", ""))
        unit = unit or str((kind.extra or {}).get("unit", ""))
        kind = kind.type
    least = most = None
    least_is_open = False
    choices: tuple[str, ...] = ()
    match kind:
        case inspect.IntType() | inspect.FloatType():
            word = "integer" if isinstance(kind, inspect.IntType) else "number"
            least_is_open = kind.gt is not None
            least = kind.gt if least_is_open else kind.ge
            most = kind.le
        case inspect.BoolType():
            word = "boolean"
        case inspect.LiteralType():
            word, choices = "text", tuple(str(value) for value in kind.values)
        case inspect.VarTupleType():
            word = "tables" if isinstance(kind.item_type, inspect.StructType) else "list"
        case inspect.DictType():
            word = "table"
        case _:
            word = "text"
    return Setting(prefix + field.name, word, field.default, description, unit, least, least_is_open, most, choices)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(str(file), f"the file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), f"not TOML: {error}") from error


def _refuse_unknown(raw: Mapping[str, Any], file: Path | None) -> None:
    names = {setting.name for setting in catalogue()}
    sections = {name.partition(".")[0] for name in names if "." in name}
    for key, value in raw.items():
        if key in sections and not isinstance(value, dict):
            raise ConfigurationError(key, f"is a section: write [{key}] above its settings")
        given = [f"{key}.{inner}" for inner in value] if key in sections else [key]
        for name in given:
            if name not in names:
                raise ConfigurationError(name, f"unknown in {file}; {_nearest(name, names | sections)}")


def _nearest(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.5) or difflib.get_close_matches(
        name.rpartition(".")[2], {known.rpartition(".")[2] for known in names}, 1, 0.5
    )
    if not near:
        return "docs/configuration.md lists the settings"
    full = next(known for known in sorted(names) if known == near[0] or known.endswith(f".{near[0]}"))
    return f"did you mean {full}?"


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    known = {setting.variable: setting for setting in catalogue() if setting.variable}
    sections = tuple({f"{_PREFIX}{name.partition('.')[0].upper()}_" for name in _section_names()})
    values: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in _OF_THE_SDK:
            continue
        setting = known.get(variable)
        if setting is not None:
            if text:
                values[setting.name] = _parse(setting, variable, text)
            continue
        near = difflib.get_close_matches(variable, known, 1, 0.5 if variable.startswith(sections) else 0.9)
        if near or variable.startswith(sections):
            message = f"did you mean {near[0]}?" if near else "docs/configuration.md lists the settings"
            raise ConfigurationError(variable, f"no such setting; {message}")
    return values


def _section_names() -> set[str]:
    return {setting.name for setting in catalogue() if "." in setting.name}


def _parse(setting: Setting, variable: str, text: str) -> object:
    """A value from its words. Only listed words are true or false; nothing is guessed."""
    word = text.strip()
    match setting.kind:
        case "boolean":
            if word.lower() in TRUE_WORDS:
                return True
            if word.lower() in FALSE_WORDS:
                return False
            expected = f"{', '.join(TRUE_WORDS)} or {', '.join(FALSE_WORDS)}"
        case "integer":
            if re.fullmatch(r"-?\d{1,15}", word):
                return int(word)
            expected = "a whole number"
        case "number":
            if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", word):
                return float(word)
            expected = "a number"
        case "list":
            items = [item.strip() for item in word.split(",") if item.strip()]
            return [int(item) if item.isdecimal() and setting.name == "fetch.ports" else item for item in items]
        case _:
            return text
    raise ConfigurationError(variable, f"must be {expected}, not {text!r}")


def _named(error: msgspec.ValidationError) -> ConfigurationError:
    message, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`") or "settings"
    unknown = re.match(r"Object contains unknown field `(.+)`", message)
    if unknown is not None:
        return ConfigurationError(name, f"has no key {unknown[1]!r}: use match and context")
    known = next((setting for setting in catalogue() if setting.name == name), None)
    missing = re.match(r"Object missing required field `(.+)`", message)
    if missing is not None:
        return ConfigurationError(name, f"needs {missing[1]}")
    if known is not None and known.choices:
        return ConfigurationError(name, f"must be one of {', '.join(known.choices)}")
    return ConfigurationError(name, _expected(message))


def _expected(message: str) -> str:
    """A sentence of msgspec in the words of a TOML file."""
    found = re.match(r"Expected `(\w+)`(?:( of length)? (<=|>=|<|>) ([\d.]+))?(?:, got `(\w+)`)?", message)
    if found is None or found[1] not in _TOML_WORDS:
        return message.replace("`", "")
    unit = " character(s)" if found[2] else ""
    bound = f", {_BOUNDS[found[3]]} {found[4]}{unit}" if found[3] else ""
    given = f", not {_TOML_WORDS.get(found[5], found[5])}" if found[5] else ""
    return f"must be {_TOML_WORDS[found[1]]}{bound}{given}"
