"""How each action ends: events of an operation in their order, and which of them it ends with. Plain data.

Needs nothing but Python, so that either SDK's process can import it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rig.sdk_commands import AGENT, ONE_DIGIT, RTP, TAP, TTS, URL

Event = tuple[str, dict[str, Any]]
Start = tuple[str, tuple[Any, ...], dict[str, Any], str]


class Sequence(NamedTuple):
    """``call.<verb>`` gets ``events``, with its ``control_id``: ``done`` is the number of the one it resolves with.

    None: it goes on. ``last``: the event after which nothing more comes, where that is another one. ``bug``: the
    published SDK 3.7.5 does otherwise, by one of the bugs that relay-protocol 8 lists.
    """

    name: str
    verb: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    method: str
    events: list[Event]
    done: int | None
    last: int | None = None
    bug: str = ""


def states(event: str, *names: str) -> list[Event]:
    """Events that differ in their state."""
    return [(event, {"state": name}) for name in names]


def input_event(kind: str, **more: Any) -> Event:
    """An event of a collect."""
    return "calling.call.collect", {"result": {"type": kind}, **more}


def detected(word: str, kind: str = "machine", **more: Any) -> Event:
    """An event of a detector."""
    return "calling.call.detect", {"detect": {"type": kind, "params": {"event": word, **more}}}


PLAYED = states("calling.call.play", "playing", "paused", "playing", "finished")
PAGE: Event = ("calling.call.fax", {"fax": {"type": "page", "params": {"direction": "send", "number": 1}}})
FAX_PARAMS = {"direction": "send", "success": True, "result": 0, "result_text": "OK", "pages": 1}
FAXED: Event = ("calling.call.fax", {"fax": {"type": "finished", "params": FAX_PARAMS}})
PAID: Event = ("calling.call.pay", {"result": "success"})
PAYING: Event = ("calling.call.pay", {"for": "payment-card-number", "attempt": "1"})
PARTIAL = input_event("speech", state="collecting", final=False)
FULL = input_event("speech", state="finished", final=True)

PROMPT: Start = ("play_and_collect", ([TTS], ONE_DIGIT), {}, "calling.play_and_collect")
INPUT: Start = ("collect", (), {"digits": {"max": 1}}, "calling.collect")
PARTIALS: Start = ("collect", (), {"speech": {}, "partial_results": True}, "calling.collect")
FOREVER: Start = ("collect", (), {"digits": {"max": 1}, "continuous": True}, "calling.collect")
DETECT: Start = ("detect", ({"type": "machine"},), {}, "calling.detect")
DIGIT: Start = ("detect", ({"type": "digit"},), {}, "calling.detect")
PLAY: Start = ("play", ([TTS],), {}, "calling.play")
RECORD: Start = ("record", (), {}, "calling.record")
SEND_FAX: Start = ("send_fax", (URL,), {}, "calling.send_fax")
RECEIVE_FAX: Start = ("receive_fax", (), {}, "calling.receive_fax")
TAPPING: Start = ("tap", (TAP, RTP), {}, "calling.tap")
STREAM: Start = ("stream", ("wss://x.example",), {}, "calling.stream")
PAY: Start = ("pay", (URL,), {}, "calling.pay")
TRANSCRIBE: Start = ("transcribe", (), {}, "calling.transcribe")
AI: Start = ("ai", (), {"prompt": AGENT}, "calling.ai")

EARLY = "a one-shot collect resolves on the start of input"
ON_PARTIAL = "a collect with partial results resolves on the first partial"
NO_STATE = "fax and pay wait for a state that the events do not carry"

SEQUENCES = [
    Sequence("played", *PLAY, PLAYED, 3),
    Sequence("play failed", *PLAY, states("calling.call.play", "playing", "error"), 1),
    Sequence("play goes on", *PLAY, states("calling.call.play", "playing", "paused"), None),
    Sequence("recorded", *RECORD, states("calling.call.record", "recording", "paused", "recording", "finished"), 3),
    Sequence("nobody spoke", *RECORD, states("calling.call.record", "recording", "no_input"), 1),
    Sequence("digits", *INPUT, [input_event("digit")], 0),
    Sequence("no input", *INPUT, [input_event("no_input")], 0),
    Sequence("no match", *INPUT, [input_event("no_match")], 0),
    Sequence("collect stopped", *INPUT, [input_event("finished")], 0),
    Sequence("collect failed", *INPUT, [input_event("error")], 0),
    Sequence("start of input", *INPUT, [input_event("start_of_input"), input_event("digit")], 1, bug=EARLY),
    Sequence("partial results", *PARTIALS, [PARTIAL, PARTIAL, FULL], 2, bug=ON_PARTIAL),
    Sequence("partial alone", *PARTIALS, [PARTIAL], None, bug=ON_PARTIAL),
    Sequence(
        "continuous",
        *FOREVER,
        [input_event("digit", state="collecting", final=True), input_event("finished", state="finished")],
        1,
        bug=ON_PARTIAL,
    ),
    Sequence("prompt", *PROMPT, [*states("calling.call.play", "playing", "finished"), input_event("digit")], 2),
    Sequence(
        "prompt, start of input",
        *PROMPT,
        [*states("calling.call.play", "playing", "finished"), input_event("start_of_input"), FULL],
        3,
        bug=EARLY,
    ),
    Sequence("prompt plays", *PROMPT, states("calling.call.play", "playing", "finished"), None),
    Sequence("human", *DETECT, [detected("HUMAN"), detected("finished")], 0, last=1),
    Sequence(
        "machine",
        *DETECT,
        [detected("MACHINE"), detected("READY"), detected("NOT_READY"), detected("READY", beep=True)],
        0,
    ),
    Sequence("nothing detected", *DETECT, [detected("finished")], 0),
    Sequence("detect failed", *DETECT, [detected("error")], 0),
    Sequence("a key", *DIGIT, [detected("5", "digit"), detected("finished", "digit")], 0, last=1),
    Sequence("faxed", *SEND_FAX, [PAGE, FAXED], 1, bug=NO_STATE),
    Sequence("fax received", *RECEIVE_FAX, [PAGE, FAXED], 1, bug=NO_STATE),
    Sequence("fax, with a state", *SEND_FAX, [PAGE, (FAXED[0], {**FAXED[1], "state": "finished"})], 1),
    Sequence("tapped", *TAPPING, states("calling.call.tap", "tapping", "finished"), 1),
    Sequence("streamed", *STREAM, states("calling.call.stream", "streaming", "finished"), 1),
    Sequence("transcribed", *TRANSCRIBE, states("calling.call.transcribe", "transcribing", "finished"), 1),
    Sequence("paid", *PAY, [PAYING, PAID], 1, bug=NO_STATE),
    Sequence("paid, with a state", *PAY, [PAYING, (PAID[0], {**PAID[1], "state": "finished"})], 1),
    Sequence("agent gone", *AI, states("calling.call.ai", "finished"), 0),
    Sequence("agent failed", *AI, states("calling.call.ai", "error"), 0),
]
