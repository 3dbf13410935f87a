"""SSML (W3C, 1.1) reduced to what is safe to hand to a synthesiser, in pieces that are soon spoken.

The document is parsed and written anew from a list of allowed elements and attributes, so that nothing else reaches
it: espeak-ng, for one, hands the ``src`` of an ``audio`` element to a shell. Text inside elements that are left out
is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from offhook.errors import CallerError
from offhook.node.speech.sentences import BOUNDARY, ENOUGH, MAX_PIECE

__all__ = ["is_ssml", "split_ssml"]

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
_SENTENCES = frozenset({"p", "s"})
_WHOLE = frozenset({"emphasis", "say-as", "sub"})
_VALUE = re.compile(r"[\w .,:%+/-]{0,64}")
_TIME = re.compile(r"\+?(\d{1,7}(?:\.\d{0,3})?)(ms|s)")
_MAX_BREAK_S = 10.0
_MAX_DEPTH = 32
_CHARACTERS_PER_S = 15
_SENTENCE_PAUSE = 4


def is_ssml(text: str) -> bool:
    """A text that begins with a ``speak`` element (after an XML declaration)."""
    return re.match(r"\s*(<\?xml[^>]*\?>\s*)?<speak[\s>/]", text) is not None


def split_ssml(document: str) -> list[str]:
    """The same as documents with allowed elements alone, each of about 400 characters of text and pauses at most.

    They are cut around ``p``, ``s`` and ``break`` and behind sentences; what is open there is opened again. Nothing to
    say gives none.

    Raises:
        CallerError: it is not well-formed, has a DTD, or is nested too deep; says where.
    """
    writer = _Writer()
    parser = expat.ParserCreate()
    parser.buffer_text = True
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
    return writer.finish()


class _Writer:
    """``_length``: what the piece at hand has, in characters; ``_has_words``: some of it is spoken, or a pause.
    ``_may_cut``: a speaker would breathe here.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[str, str]] = []
        self._parts: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._depth = 0
        self._silent = 0
        self._length = 0
        self._has_words = False
        self._may_cut = False

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
        kept = {
            key: _bounded(key, value)
            for key, value in attributes.items()
            if key in allowed and (key == "alias" or _VALUE.fullmatch(value))
        }
        tag = f"<{name}{''.join(f' {key}={quoteattr(value)}' for key, value in kept.items())}"
        alias = kept.get("alias", "")
        if len(alias) > MAX_PIECE:
            raise CallerError(f"an alias of the SSML has {len(alias)} characters, at most {MAX_PIECE} are spoken")
        if name in _SENTENCES:
            self._may_cut = True
        if name == "break":
            self._break(f"{tag}/>", _pause(kept))
            return
        self._add(f"{tag}>", len(alias) or _SENTENCE_PAUSE * (name in _SENTENCES), has_words=bool(alias))
        self._open.append((name, f"{tag}>"))

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in _ALLOWED and name != "break" and not self._silent:
            self._parts.append(f"</{name}>")
            self._open.pop()
            self._may_cut |= name in _SENTENCES
        self._silent -= name in _SILENT

    def text(self, data: str) -> None:
        if self._silent:
            return
        for part, is_sentence in _parts(data):
            has_words = bool(part.strip())
            self._add(escape(part), len(part), has_words=has_words)
            if has_words:
                self._may_cut = is_sentence

    def finish(self) -> list[str]:
        """All pieces."""
        if self._has_words:
            self._cut()
        return [body + closing for body, closing in self._pieces]

    def _break(self, markup: str, length: int) -> None:
        """Behind what was said: espeak-ng leaves out a pause that a text begins with."""
        if self._pieces and not self._has_words:
            body, closing = self._pieces[-1]
            self._pieces[-1] = (body + markup, closing)
            return
        self._parts.append(markup)
        self._length += length
        self._has_words = self._may_cut = True

    def _add(self, markup: str, length: int, *, has_words: bool) -> None:
        is_whole = any(name in _WHOLE for name, _ in self._open)
        may_cut = self._may_cut and not is_whole and self._length >= ENOUGH
        if self._has_words and (may_cut or self._length + length > MAX_PIECE):
            self._cut()
        self._parts.append(markup)
        self._length += length
        self._has_words |= has_words

    def _cut(self) -> None:
        self._pieces.append(("".join(self._parts), "".join(f"</{name}>" for name, _ in reversed(self._open))))
        self._parts = [tag for _, tag in self._open]
        self._length = 0
        self._has_words = self._may_cut = False


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Sentences with the space behind them, none too long, and whether the text breathes behind each."""
    begin = 0
    for end, is_sentence in [*((found.end(), True) for found in BOUNDARY.finditer(text)), (len(text), False)]:
        while end - begin > MAX_PIECE:
            at = text.rfind(" ", begin + 1, begin + MAX_PIECE) + 1 or begin + MAX_PIECE
            yield text[begin:at], False
            begin = at
        if end > begin:
            yield text[begin:end], is_sentence
        begin = end


def _bounded(key: str, value: str) -> str:
    """A pause of at most ten seconds."""
    if key != "time":
        return value
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return "0ms"
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    return f"{round(min(seconds, _MAX_BREAK_S) * 1000)}ms"


def _pause(attributes: dict[str, str]) -> int:
    """How long a ``break`` is, in characters, of which a second has about fifteen."""
    time = attributes.get("time", "1000ms")
    return 1 + int(time.removesuffix("ms")) * _CHARACTERS_PER_S // 1000
