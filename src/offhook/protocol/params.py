"""Reading the params of a method: what is common to all, and sentences for what is wrong.

Reading is lenient (relay-protocol 9 and 10): unknown keys are ignored, a null counts as absent, numbers may come as
int, float or text. What remains wrong is refused with 400 and a sentence that names the field and what it must be.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec

from offhook.errors import CommandRefused
from offhook.protocol.codes import ResultCode

__all__ = [
    "CallParams",
    "ControlId",
    "ControlParams",
    "ParamFault",
    "Params",
    "Seconds",
    "Survey",
    "Url",
    "all_paths",
    "describe_fault",
    "dump_params",
    "parse_params",
    "survey",
]

ControlId = Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="a text of 1 to 256 characters")]
MAX_COUNT: Final = 1_000_000
"""No number of seconds or of times may be larger: as milliseconds it fits the 32 bits of the engine's clock."""

Seconds = Annotated[
    float, msgspec.Meta(ge=0, le=MAX_COUNT, description=f"a number of seconds, 0 or more, at most {MAX_COUNT}")
]
PositiveSeconds = Annotated[
    float, msgspec.Meta(gt=0, le=MAX_COUNT, description=f"a number of seconds greater than 0, at most {MAX_COUNT}")
]
AnySeconds = Annotated[
    float, msgspec.Meta(ge=-MAX_COUNT, le=MAX_COUNT, description=f"a number of seconds, at most {MAX_COUNT}")
]
WholeSeconds = Annotated[
    int, msgspec.Meta(ge=0, le=MAX_COUNT, description=f"a whole number of seconds, 0 or more, at most {MAX_COUNT}")
]
Price = Annotated[float, msgspec.Meta(ge=0, description="a number, 0 or more")]
Url = Annotated[
    str,
    msgspec.Meta(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/]", description="a URL that begins with http:// or https://"),
]
WebSocketUrl = Annotated[
    str, msgspec.Meta(pattern=r"^[Ww][Ss][Ss]://[^\s/]", description="a URL that begins with wss://")
]
Volume = Annotated[
    float, msgspec.Meta(ge=-40, le=40, description="a number of decibels from -40 (mute) to 40 (0: unchanged)")
]
Digits = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9*#A-Da-d]*\Z", description="a text of the digits 0-9, *, # and A-D")
]
DialDigits = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9*#A-Da-dwW]+\Z",
        description="a text of the digits 0-9, *, # and A-D, with w (0.5 s) and W (1 s) for pauses",
    ),
]


class Params(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the params of every ``calling.*`` method.

    ``method`` is its name on the wire, ``accepted`` the text that goes with code 200 (informational).
    """

    method: ClassVar[str] = ""
    accepted: ClassVar[str] = "OK"


class CallParams(Params, frozen=True, kw_only=True):
    """Params of a method that acts on one call."""

    node_id: Annotated[str, msgspec.Meta(min_length=1, description="the node_id of the call")]
    call_id: Annotated[str, msgspec.Meta(min_length=1, description="the id of a call")]


class ControlParams(CallParams, frozen=True, kw_only=True):
    """Params of a method that starts or steers an operation. ``control_id`` is chosen by the client."""

    control_id: ControlId


P = TypeVar("P", bound=msgspec.Struct)


class ParamFault(msgspec.Struct, frozen=True):
    """What is wrong with params: the path of the field, and a sentence that says what to change."""

    field: str
    sentence: str


class Survey(msgspec.Struct, frozen=True):
    """Paths that params carry, such as ``play[].params.text``: those the protocol lists, and all others."""

    known: frozenset[str]
    unknown: frozenset[str]


def parse_params(struct: type[P], params: Mapping[str, Any]) -> P:
    """Read params into their struct.

    Raises:
        CommandRefused: 400, with a sentence that names the field.
    """
    given = {key: value for key, value in params.items() if value is not None}
    try:
        return msgspec.convert(given, struct, strict=False)
    except msgspec.ValidationError as error:
        raise CommandRefused(ResultCode.BAD_REQUEST, describe_fault(error, struct).sentence) from error


def dump_params(struct: msgspec.Struct) -> dict[str, Any]:
    """Turn a struct of the protocol into plain data for a frame."""
    data: dict[str, Any] = msgspec.to_builtins(struct)
    return data


# --- faults -----------------------------------------------------------------------------------------------------

_MESSAGE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|(?P<index>\[[^\]]*\])")


def describe_fault(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> ParamFault:
    """Turn a validation error into the path of the field and a sentence. The offending value is not repeated."""
    match = _MESSAGE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    if not what.startswith(("Expected ", "Invalid ", "Object ")):  # a sentence of a struct's own check
        return ParamFault(path.removeprefix(".") or "params", what)
    missing = _MISSING.match(what)
    if missing:
        path = f"{path}.{missing['name']}"
    field = path.removeprefix(".").replace("[...]", "[]") or "params"
    wanted = _wanted(_at(struct, path)) or _plain(what)
    if missing:
        return ParamFault(field, f"`{field}` is missing; it must be {wanted}")
    return ParamFault(field, f"`{field}` must be {wanted}")


def _at(struct: type[msgspec.Struct], path: str) -> list[Any]:
    """Types that may stand at a path, walking the annotations from ``struct``."""
    here: list[Any] = [struct]
    for step in _STEP.finditer(path):
        there: list[Any] = []
        for annotation in here:
            for kind in _alternatives(annotation):
                if step["index"]:
                    there += _elements(kind)
                elif _is_struct(kind):
                    there += _member(kind, step["name"])
        here = there
    return here


def _member(struct: type[msgspec.Struct], name: str) -> list[Any]:
    if name == struct.__struct_config__.tag_field:
        return [Literal[struct.__struct_config__.tag]]
    return [_hints(struct)[name]] if name in _hints(struct) else []


def _wanted(candidates: list[Any]) -> str:
    """What may stand there, in words; empty when the annotations do not say."""
    choices: list[str] = []
    for candidate in candidates:
        for annotation in (candidate, *_alternatives(candidate, keep_annotated=True)):
            for meta in getattr(annotation, "__metadata__", ()):
                if isinstance(meta, msgspec.Meta) and meta.description:
                    return meta.description
        for kind in _alternatives(candidate):
            if typing.get_origin(kind) is Literal:
                choices += [str(choice) for choice in typing.get_args(kind)]
    if choices:
        return f"one of {', '.join(dict.fromkeys(choices))}"
    kinds = {_WORDS[kind] for candidate in candidates for kind in _alternatives(candidate) if kind in _WORDS}
    if any(_is_struct(kind) for candidate in candidates for kind in _alternatives(candidate)):
        kinds.add("an object")
    if any(typing.get_origin(kind) is list for candidate in candidates for kind in _alternatives(candidate)):
        kinds.add("a list")
    return " or ".join(sorted(kinds))


_WORDS: Final[dict[Any, str]] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _plain(what: str) -> str:
    """Put msgspec's own words into a sentence, without the offending value."""
    return re.sub(r"'.*'", "that value", what.removeprefix("Expected "), flags=re.DOTALL).replace("`", "")


# --- shapes -----------------------------------------------------------------------------------------------------


def survey(struct: type[msgspec.Struct], params: Mapping[str, Any]) -> Survey:
    """List what params carry, by path: for answering 501 to what is not built and counting what nobody lists."""
    known: set[str] = set()
    unknown: set[str] = set()
    _survey_struct(struct, params, "", known, unknown)
    return Survey(frozenset(known), frozenset(unknown))


def _survey_struct(
    struct: type[msgspec.Struct], value: Mapping[str, Any], prefix: str, known: set[str], unknown: set[str]
) -> None:
    shapes = _shapes(struct)
    for key, item in value.items():
        path = f"{prefix}{key}"
        if key == struct.__struct_config__.tag_field:
            known.add(path)
        elif key not in shapes:
            unknown.add(path)
        elif item is not None:
            known.add(path)
            if isinstance(item, dict | list):
                _survey_value(shapes[key], item, path, known, unknown)


def _survey_value(shape: _Shape, value: Any, path: str, known: set[str], unknown: set[str]) -> None:
    if isinstance(value, dict):
        struct = _struct_for(shape, value)
        if struct is not None:
            _survey_struct(struct, value, f"{path}.", known, unknown)
    elif isinstance(value, list):
        for element in shape.elements:
            for item in value:
                _survey_value(element, item, f"{path}[]", known, unknown)


def _struct_for(shape: _Shape, value: Mapping[str, Any]) -> type[msgspec.Struct] | None:
    """The struct that an object is read into: by its tag where there are several."""
    for struct in shape.structs:
        config = struct.__struct_config__
        if config.tag_field is None or value.get(config.tag_field) == config.tag:
            return struct
    return None


class _Shape(typing.NamedTuple):
    """What the annotation of a field lets stand in it, beside texts and numbers."""

    structs: tuple[type[msgspec.Struct], ...]
    elements: tuple[_Shape, ...]


_shapes_of: dict[type, dict[str, _Shape]] = {}


def _shapes(struct: type[msgspec.Struct]) -> dict[str, _Shape]:
    """Of a struct's fields, by their name on the wire."""
    if struct not in _shapes_of:
        _shapes_of[struct] = {name: _shape(annotation) for name, annotation in _hints(struct).items()}
    return _shapes_of[struct]


def _shape(annotation: Any) -> _Shape:
    kinds = list(_alternatives(annotation))
    structs = tuple(kind for kind in kinds if _is_struct(kind))
    return _Shape(structs, tuple(_shape(element) for kind in kinds for element in _elements(kind)))


def all_paths(struct: type[msgspec.Struct]) -> frozenset[str]:
    """List every path that the protocol lists for these params."""
    return frozenset(_paths(struct, ""))


def _paths(struct: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    if struct.__struct_config__.tag_field:
        yield f"{prefix}{struct.__struct_config__.tag_field}"
    for name, annotation in _hints(struct).items():
        yield f"{prefix}{name}"
        yield from _paths_below(annotation, f"{prefix}{name}")


def _paths_below(annotation: Any, path: str) -> Iterator[str]:
    for kind in _alternatives(annotation):
        if _is_struct(kind):
            yield from _paths(kind, f"{path}.")
        for element in _elements(kind):
            yield from _paths_below(element, f"{path}[]")


_hints_of: dict[type, dict[str, Any]] = {}


def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Annotations of a struct's fields by their name on the wire."""
    if struct not in _hints_of:
        hints = typing.get_type_hints(struct, include_extras=True)
        names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        _hints_of[struct] = {wire: hints[name] for name, wire in names}
    return _hints_of[struct]


def _alternatives(annotation: Any, *, keep_annotated: bool = False) -> Iterator[Any]:
    """Members of a union, without Annotated (unless kept)."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        if keep_annotated:
            yield annotation
        yield from _alternatives(typing.get_args(annotation)[0], keep_annotated=keep_annotated)
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _alternatives(member, keep_annotated=keep_annotated)
    else:
        yield annotation


def _elements(kind: Any) -> list[Any]:
    return [typing.get_args(kind)[0]] if typing.get_origin(kind) is list else []


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
