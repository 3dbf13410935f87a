"""Only allowed elements and attributes leave the sanitiser."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import CallerError
from offhook.node.speech.ssml import is_ssml, sanitise


@pytest.mark.parametrize(
    ("document", "clean"),
    [
        ("<speak>a &amp; b</speak>", "<speak>a &amp; b</speak>"),
        ('<speak>a<break time="500ms"/>b</speak>', '<speak>a<break time="500ms"/>b</speak>'),
        ('<speak><break time="9999s"/></speak>', '<speak><break time="10000ms"/></speak>'),
        ('<speak><break time="$(reboot)"/></speak>', "<speak><break/></speak>"),
        ('<speak><audio src="x&quot;; reboot">old</audio></speak>', "<speak>old</speak>"),
        (
            '<speak><prosody rate="fast" onload="x">a</prosody></speak>',
            '<speak><prosody rate="fast">a</prosody></speak>',
        ),
        ('<speak><mark name="m"/>a<!-- c --></speak>', "<speak>a</speak>"),
        ("<speak><metadata>no<p>no</p></metadata>yes</speak>", "<speak>yes</speak>"),
        ('<speak><sub alias="World Wide &lt;">W</sub></speak>', '<speak><sub alias="World Wide &lt;">W</sub></speak>'),
        ("<?xml version='1.0'?><speak>a</speak>", "<speak>a</speak>"),
        ("<speak><![CDATA[<audio/>]]></speak>", "<speak>&lt;audio/&gt;</speak>"),
    ],
)
def test_only_what_is_allowed_is_kept(document: str, clean: str) -> None:
    assert sanitise(document) == clean


@pytest.mark.parametrize(
    "document",
    [
        "<speak>",
        "<speak></speek>",
        "<speak>&undefined;</speak>",
        '<!DOCTYPE speak [<!ENTITY a "aaaa">]><speak>&a;</speak>',
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak/>',
        "<speak>" + "<p>" * 40 + "</p>" * 40 + "</speak>",
    ],
)
def test_what_is_malformed_or_meant_ill_is_refused(document: str) -> None:
    with pytest.raises(CallerError):
        sanitise(document)


def test_ssml_is_told_by_its_root() -> None:
    assert is_ssml(" <speak>a</speak>")
    assert is_ssml('<speak version="1.1">')
    assert not is_ssml("<speaker>")
    assert not is_ssml("I say <speak>")


@given(st.text(max_size=200), st.sampled_from(["audio", "break", "prosody", "x", "say-as"]), st.text(max_size=40))
def test_whatever_comes_nothing_but_allowed_elements_goes(body: str, element: str, value: str) -> None:
    document = f'<speak><{element} src="{value}" time="{value}" rate="{value}">{body}</{element}></speak>'
    try:
        clean = sanitise(document)
    except (CallerError, UnicodeEncodeError):
        return
    allowed = {"speak", "p", "s", "break", "prosody", "emphasis", "say-as", "sub"}
    assert set(re.findall(r"</?([^\s/>]+)", clean)) <= allowed
    assert "src" not in re.sub(r">[^<]*<", "><", clean)
