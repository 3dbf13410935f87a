"""From the wire's ``language``, ``gender`` and ``voice`` to a voice that espeak-ng has."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from offhook.errors import CallerError
from offhook.node.speech.espeak_worker import InstalledVoice

__all__ = ["VoiceChoice", "Voices"]

_VARIANTS = {"female": "+f3", "male": "+m3"}
_ALIASES = {
    "en": "en-us",  # the reference's English is that of the United States
    "zh": "cmn",
    "zh-cn": "cmn",
    "zh-tw": "cmn",
    "zh-hk": "yue",
    "no": "nb",
    "nn": "nb",
    "iw": "he",
    "in": "id",
    "fil": "tl",
}
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_TAG_INSIDE = re.compile(r"(?<![a-z])([a-z]{2,3}-[a-z]{2})(?![a-z])", re.IGNORECASE)
_VARIANT = re.compile(r"[A-Za-z0-9_-]{1,32}")


class VoiceChoice(msgspec.Struct, frozen=True):
    """``voice`` for espeak-ng. ``replaced``: the asked voice is not one of ours, its language's default speaks."""

    voice: str
    replaced: bool = False


class Voices:
    """The installed voices, and the names that the configuration gives to some (``tts.voices``)."""

    def __init__(self, installed: list[InstalledVoice], names: Mapping[str, str]) -> None:
        self._names = {name.lower(): voice for name, voice in names.items()}
        self._exact: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        for one in installed:
            self._exact.setdefault(one.name.lower(), one.identifier)
            self._exact[one.identifier.lower()] = one.identifier
            for tag in one.languages:
                self._tags.setdefault(tag.lower(), one.identifier)

    def choose(self, *, language: str, gender: str, voice: str) -> VoiceChoice:
        """The voice that speaks. A voice of a cloud engine is replaced by its language's default.

        Raises:
            CallerError: no voice speaks the language, or ``gender`` is neither male nor female.
        """
        variant = _VARIANTS.get(gender.lower() or "female")
        if variant is None:
            raise CallerError(f"gender must be male or female, not {gender!r}")
        wanted = self._names.get(voice.lower(), voice)
        if not wanted:
            return VoiceChoice(self._for_language(language) + variant)
        found = self._installed(wanted)
        if found is not None:
            return VoiceChoice(found)
        inside = _TAG_INSIDE.search(wanted)  # gcloud.de-DE-Neural2-A
        known = self._lookup(inside[1].lower()) if inside is not None else None
        return VoiceChoice((known or self._for_language(language)) + variant, replaced=True)

    def _installed(self, wanted: str) -> str | None:
        name, plus, variant = wanted.removeprefix("espeak.").partition("+")
        key = name.lower()
        found = self._exact.get(key) or self._tags.get(key)
        if found is None or (plus and not _VARIANT.fullmatch(variant)):
            return None
        return found + plus + variant

    def _for_language(self, language: str) -> str:
        tag = (language or "en-US").replace("_", "-").lower()
        found = self._lookup(tag)
        if found is not None:
            return found
        if not _TAG.fullmatch(tag):
            raise CallerError(f"language must be a tag such as en-US, not {language!r}")
        raise CallerError(f"no installed voice speaks {language!r}: use a language such as en-US, de-DE, es-ES, fr-FR")

    def _lookup(self, tag: str) -> str | None:
        """By the whole tag, then by its first part."""
        primary = tag.partition("-")[0]
        for candidate in (_ALIASES.get(tag, tag), _ALIASES.get(primary, primary)):
            if candidate in self._tags:
                return self._tags[candidate]
        return None
