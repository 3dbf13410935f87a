"""SSML (W3C, 1.1) reduced to what is safe to hand to a synthesiser.

The document is parsed and written anew from a list of allowed elements and attributes, so that nothing else reaches
it: espeak-ng, for one, hands the ``src`` of an ``audio`` element to a shell. Text inside elements that are left out
is kept.
"""

from __future__ import annotations

import re
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from offhook.errors import CallerError

__all__ = ["is_ssml", "sanitise"]

_ALLOWED: dict[str, frozenset[str]] = {
    "speak": frozenset({"xml:lang"}),
    "p": frozenset({"xml:lang"}),
    "s": frozenset({"xml:lang"}),
    "break": frozenset({"strength", "time"}),
    "prosody": frozenset({"rate", "pitch", "range", "volume"}),
    "emphasis": frozenset({"level"}),
    "say-as": frozenset({"interpret-as", "format", "detail"}),
    "sub": frozenset({"alias"}),
}
_SILENT = frozenset({"metadata", "meta", "lexicon", "desc"})
_VALUE = re.compile(r"[\w .,:%+/-]{0,64}")
_TIME = re.compile(r"\+?(\d{1,7}(?:\.\d{0,3})?)(ms|s)")
_MAX_BREAK_S = 10.0
_MAX_DEPTH = 32


def is_ssml(text: str) -> bool:
    """A text that begins with a ``speak`` element (after an XML declaration)."""
    return re.match(r"\s*(<\?xml[^>]*\?>\s*)?<speak[\s>/]", text) is not None


def sanitise(document: str) -> str:
    """The same document with allowed elements alone.

    Raises:
        CallerError: it is not well-formed, has a DTD, or is nested too deep; says where.
    """
    writer = _Writer()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = writer.refuse_doctype
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CharacterDataHandler = writer.text
    try:
        parser.Parse(document.strip().encode(), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise CallerError(
            f"the SSML is not well-formed at line {error.lineno}, column {error.offset + 1}: {reason}; "
            "a text that does not begin with <speak> is spoken as it is"
        ) from error
    return "".join(writer.parts)


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._depth = 0
        self._silent = 0

    def refuse_doctype(self, *_: object) -> None:
        raise CallerError("SSML with a DOCTYPE is not spoken: leave it out")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise CallerError(f"the SSML is nested deeper than {_MAX_DEPTH} elements")
        self._silent += name in _SILENT
        allowed = _ALLOWED.get(name)
        if allowed is None or self._silent:
            return
        kept = "".join(
            f" {key}={quoteattr(_bounded(key, value))}"
            for key, value in attributes.items()
            if key in allowed and (key == "alias" or _VALUE.fullmatch(value))
        )
        self.parts.append(f"<{name}{kept}/>" if name == "break" else f"<{name}{kept}>")

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in _ALLOWED and name != "break" and not self._silent:
            self.parts.append(f"</{name}>")
        self._silent -= name in _SILENT

    def text(self, data: str) -> None:
        if not self._silent:
            self.parts.append(escape(data))


def _bounded(key: str, value: str) -> str:
    """A pause of at most ten seconds."""
    if key != "time":
        return value
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return "0ms"
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    return f"{round(min(seconds, _MAX_BREAK_S) * 1000)}ms"
