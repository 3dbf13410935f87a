"""Only allowed elements and attributes leave the sanitiser."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import CallerError
from offhook.node.speech.ssml import is_ssml, split_ssml


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
    assert split_ssml(document) == [clean]


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
        split_ssml(document)


def spoken(document: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", document))


SENTENCE = "This is a sentence of about fifty characters, is it. "


def test_a_long_document_is_cut_behind_sentences_and_what_is_open_is_opened_again() -> None:
    words = SENTENCE * 4
    pieces = split_ssml(f'<speak xml:lang="de"><prosody rate="fast">{words}</prosody></speak>')
    assert pieces == [
        f'<speak xml:lang="de"><prosody rate="fast">{SENTENCE * 2}</prosody></speak>',
        f'<speak xml:lang="de"><prosody rate="fast">{SENTENCE * 2}</prosody></speak>',
    ]


@pytest.mark.parametrize("element", ["s", "p"])
def test_sentences_and_paragraphs_are_where_it_is_cut(element: str) -> None:
    words = "word " * 19
    pieces = split_ssml("<speak>" + f"<{element}>{words}</{element}>" * 5 + "</speak>")
    assert pieces == [f"<speak><{element}>{words}</{element}></speak>"] * 5


def test_pauses_are_where_it_is_cut_and_count_as_what_they_last() -> None:
    pieces = split_ssml("<speak>" + "a" * 90 + '<break time="1s"/>' + "b" * 90 + "</speak>")
    assert [spoken(piece) for piece in pieces] == ["a" * 90, "b" * 90]
    pauses = split_ssml("<speak>" + 'word<break time="10s"/>' * 20 + "</speak>")
    assert max(piece.count("<break") for piece in pauses) <= 3
    assert sum(piece.count("<break") for piece in pauses) == 20


@pytest.mark.parametrize("before", ["", " ", "</s> ", "</s></prosody> <prosody><s>", "</s><s>"])
def test_a_pause_ends_a_piece_and_begins_none(before: str) -> None:
    """espeak-ng leaves out a pause that a text begins with."""
    is_inside = "<s>" in before or "</s>" not in before
    words = f"{'word ' * 30}.{before}"
    part = f'<prosody><s>{words}<break time="2s"/>{"more." if is_inside else ""}'
    part += "</s></prosody>" if is_inside else "</prosody>"
    pieces = split_ssml("<speak>" + part * 5 + "</speak>")
    assert len(pieces) >= 5
    assert sum(piece.count("<break") for piece in pieces) == 5
    assert [piece for piece in pieces if re.match(r"(<[^>]*>|\s)*<break", re.sub("<(?!break)[^>]*>", "", piece))] == []


def test_what_is_said_as_one_is_not_cut_while_it_is_short() -> None:
    date = '<say-as interpret-as="date">It is the 1. 2. 2026. Yes</say-as>'
    pieces = split_ssml(f"<speak>{'a' * 100}{date}{'b' * 50}</speak>")
    assert any(date in piece for piece in pieces)


@pytest.mark.parametrize(
    "body",
    [
        "x" * 9000,
        "word " * 1900,
        "<emphasis>word</emphasis> " * 300,
        SENTENCE * 180,
        "<p><s>" + SENTENCE * 30 + "</s></p>" * 1,
        '<say-as interpret-as="characters">' + "1" * 9000 + "</say-as>",
        "<p>a</p>" * 1200,
        "&amp;" * 1900,
        "。" * 3000,
    ],
)
def test_no_piece_is_long_whatever_the_document_is_and_nothing_is_lost(body: str) -> None:
    """One piece of 10,000 characters made every other call wait for all of it."""
    document = f"<speak>{body}</speak>"
    pieces = split_ssml(document)
    assert max(len(spoken(piece)) for piece in pieces) <= 420
    assert "".join(spoken(piece) for piece in pieces) == spoken(document)
    for piece in pieces:
        assert split_ssml(piece) == [piece]


def test_an_alias_longer_than_a_piece_is_refused() -> None:
    with pytest.raises(CallerError, match="alias of the SSML has 401 characters, at most 400"):
        split_ssml(f'<speak><sub alias="{"a" * 401}">b</sub></speak>')


def test_nothing_to_say_gives_no_pieces() -> None:
    assert split_ssml("<speak/>") == split_ssml("<speak><p></p> <metadata>a</metadata></speak>") == []


def test_ssml_is_told_by_its_root() -> None:
    assert is_ssml(" <speak>a</speak>")
    assert is_ssml('<speak version="1.1">')
    assert not is_ssml("<speaker>")
    assert not is_ssml("I say <speak>")


@given(st.text(max_size=200), st.sampled_from(["audio", "break", "prosody", "x", "say-as"]), st.text(max_size=40))
def test_whatever_comes_nothing_but_allowed_elements_goes(body: str, element: str, value: str) -> None:
    document = f'<speak><{element} src="{value}" time="{value}" rate="{value}">{body}</{element}></speak>'
    try:
        clean = "".join(split_ssml(document))
    except (CallerError, UnicodeEncodeError):
        return
    allowed = {"speak", "p", "s", "break", "prosody", "emphasis", "say-as", "sub"}
    assert set(re.findall(r"</?([^\s/>]+)", clean)) <= allowed
    assert "src" not in re.sub(r">[^<]*<", "><", clean)
