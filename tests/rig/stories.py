"""What the programs of ``examples/either_sdk`` tell, by first words, and what their parties see, on either SDK.

What is other is in no program, and each has its reason. With ours

* ``wait_for_ended`` may time out and be waited for again, and what is open when the client leaves ends: theirs are two
  of the bugs that relay-protocol 8 lists ("cancels the shared future", "open actions and calls are not resolved");
* an action begun on a call that is over calls ``on_completed``: it fires when the call is gone, also when we know that
  already, and nobody need tell the two apart;
* the event that the client makes then has no params, as theirs, but the class and the ``event_type`` of its operation
  instead of none: what ``wait`` returns is what its type promises to an editor;
* ``stop`` of an action that is over is not sent, and returns ``{}`` (theirs is sent, and gets the 200 of a node to
  which that is no mistake): a stop is sent until the server's ``finished``, and ``async with`` must not fail on a
  server that refuses it. Other commands are sent, and refused (``steer``);
* a call beyond ``max_active_calls`` is passed on at once; theirs drops it, and the node offers it elsewhere when it has
  lost its patience.
"""

from __future__ import annotations

from typing import Final

from offhook.node.verbs.registry import BUILT

__all__ = ["REASONS", "SEEN", "STORIES", "UNBUILT", "WRONG", "Seen"]

Seen = list[object]

REASONS: Final = ("nonsense", "busy", "decline", "noAnswer", "error", "cancel")
"""With which ``hang_up.py`` hangs up, one caller after another; the first is none."""

METHODS: Final = {
    "connect": "calling.connect",
    "disconnect": "calling.disconnect",
    "refer": "calling.refer",
    "transfer": "calling.transfer",
    "detect": "calling.detect",
    "detect_digit": "calling.detect",
    "detect_answering_machine": "calling.detect",
    "detect_fax": "calling.detect",
    "send_fax": "calling.send_fax",
    "receive_fax": "calling.receive_fax",
    "tap": "calling.tap",
    "stream": "calling.stream",
    "pay": "calling.pay",
    "join_conference": "calling.join_conference",
    "leave_conference": "calling.leave_conference",
    "hold": "calling.hold",
    "unhold": "calling.unhold",
    "denoise": "calling.denoise",
    "denoise_stop": "calling.denoise.stop",
    "transcribe": "calling.transcribe",
    "live_transcribe": "calling.live_transcribe",
    "live_translate": "calling.live_translate",
    "ai": "calling.ai",
    "amazon_bedrock": "calling.amazon_bedrock",
    "ai_message": "calling.ai_message",
    "ai_hold": "calling.ai_hold",
    "ai_unhold": "calling.ai_unhold",
    "join_room": "calling.join_room",
    "leave_room": "calling.leave_room",
    "queue_enter": "calling.queue.enter",
    "queue_leave": "calling.queue.leave",
    "bind_digit": "calling.bind_digit",
    "clear_digit_bindings": "calling.clear_digit_bindings",
    "user_event": "calling.user_event",
}
"""What ``unbuilt.py`` can ask for that a node may not do."""

UNBUILT: Final = {verb: method for verb, method in METHODS.items() if method not in BUILT}
"""What this node does not do."""

WRONG: Final = ["record mp3", "speech", "play nothing", "play a song", "too loud", "no number", "a method"]
"""What else it asks for, that nobody should."""

SECONDS: Final = "must be a number of seconds greater than 0, at most 1000000"
KEYS: Final = "must be a text of the digits 0-9, *, # and A-D, with w (0.5 s) and W (1 s) for pauses"

REFUSED: Final = [
    'record mp3 501 RELAY error 501: `record.audio.format` "mp3" is not built yet: leave it out',
    "speech 501 RELAY error 501: `collect.speech` is not built yet: leave it out",
    "play nothing 400 RELAY error 400: `play` must be a list of at least one media element",
    "play a song 400 RELAY error 400: `play[0].type` must be one of audio, tts, silence, ringtone",
    "too loud 400 RELAY error 400: `volume` must be a number of decibels from -40 (mute) to 40 (0: unchanged)",
    f"no number 400 RELAY error 400: `play[0].params.duration` {SECONDS}",
    "a method -32601 RELAY error -32601: no method of this protocol is named 'calling.dance'",
]

STORIES: Final[dict[str, dict[str, list[str]]]] = {
    "greet": {
        "call": ["inbound created", "inbound answered"],
        "played": [
            "tts calling.call.play finished True True",
            "audio calling.call.play finished True True",
            "silence calling.call.play finished True True",
            "ringtone calling.call.play finished True True",
            "all calling.call.play finished True True",
            "nothing calling.call.play error True True",
        ],
        "ended": ["hangup ended"],
    },
    "steer": {
        "press": ["", "", "", ""],
        "play": ["playing", "paused", "playing", "finished"],
        "steered": ["Paused play True", "Resumed play True", "Changed play volume True", "Stopping True"],
        "done": ["finished True 1 2 3 4 200 200 200 200"],
        "refused": ["409 RELAY error 409: It has ended"] * 3,
        "over": [""],
        "ended": ["hangup inbound"],
    },
    "record": {
        "record": ["recording", "paused", "recording", "paused", "finished", "recording", "finished"],
        "press": ["", "", "", ""],
        "steered": [
            "200 Pausing recording",
            "200 Resuming recording",
            "200 Pausing recording",
            "200 Stopping recording",
        ],
        "done": ["finished wav both True True", "finished speak"],
        "mono": [""],
    },
    "menu": {
        "asked": ["interrupted", "terminated", "slow", "few", "nothing"],
        "got": [
            "interrupted calling.call.collect digit 5",
            "terminated calling.call.collect digit 12 *",
            "slow calling.call.collect digit 7",
            "few calling.call.collect no_match None None",
            "nothing calling.call.collect no_input None None",
        ],
        "stopped": ["200 200 finished"],
    },
    "ask": {
        "asked": ["one", "terminated", "slow", "nothing"],
        "got": ["one digit 5", "terminated digit 12 #", "slow digit 7", "nothing no_input None None"],
        "late": ["goes on False", "no_input"],
        "stopped": ["finished"],
        "refused": [
            "400 RELAY error 400: collect needs `digits` or `speech`, or both",
            "400 RELAY error 400: `digits.max` must be a whole number, 1 or more",
            f"400 RELAY error 400: `initial_timeout` {SECONDS}",
        ],
    },
    "keys_as_they_come": {
        "asked": ["", ""],
        "key": ["collecting True digit 1", "collecting True digit 5", "collecting True digit 9"],
        "stopped": ["200"],
        "end": ["finished True finished None", "finished True no_input None"],
        "partial": [
            "collecting False digit 3",
            "collecting False digit 35",
            "collecting False digit 357",
            "finished True digit 357",
        ],
    },
    "limits": {
        "recorded": ["finished True", "no_input True", "finished True"],
        "refused": [
            "409 RELAY error 409: The call is answered already",
            "409 RELAY error 409: The call is answered already: end it instead",
        ],
        "ended": ["maxDuration none"],
    },
    "keys": {
        "sent": ["200 finished True", "200 finished True"],
        "refused": [
            f"400 RELAY error 400: `digits` {KEYS}",
            f"400 RELAY error 400: `digits` {KEYS}",
        ],
        "ended": ["hangup outbound"],
    },
    "mirror": {"asked": ["200 Echoing"], "echo": ["echoing", "finished"], "ended": ["hangup inbound ended"]},
    "pass_on": {"offered": ["inbound created"], "passed": ["200"]},
    "busy_line": {"taken": [""], "ended": ["hangup 0"]},
    "hang_up": {
        "refused": ["400 RELAY error 400: `reason` must be one of hangup, cancel, busy, noAnswer, decline, error"],
        "asked": ["200", "200", "200", "200", "200"],
        "ended": ["busy outbound", "decline outbound", "noAnswer outbound", "error outbound", "cancel outbound"],
    },
    "left": {
        "everything": ["music"],
        "completed": ["play finished", "record finished True"],
        "over": ["play finished None", "broken finished None", "record finished None", "ask None finished"],
        "ended": ["hangup inbound ended"],
    },
    "leave": {"callback": ["begins", "finishes"], "handler": ["begins", "finishes"], "left": [""]},
    "several": {
        "unlucky": ["answered"],
        "one": ["answered", "asked", "111", "hangup"],
        "two": ["answered", "asked", "222", "hangup"],
        "last": ["answered", "asked", "333", "hangup"],
    },
    "ringing": {
        "refused": [
            "501 RELAY error 501: `early_media` true is not built yet: leave it out",
            "409 RELAY error 409: The call is answered already",
        ],
        "accepted": ["200 Accepting call", "200 Accepting call"],
        "ringing": ["ringing ringing"],
        "ended": ["hangup"],
    },
    "message": {
        "refused": [
            "501 RELAY error 501: messaging.send: this node has no carrier for messages yet, only for calls",
            "501 RELAY error 501: messaging.send: this node has no carrier for messages yet, only for calls",
            "501 RELAY error 501: messaging.send: this node has no carrier for messages yet, only for calls",
        ]
    },
    "withdrawn": {"offered": ["inbound created"], "ended": ["abandoned inbound ended"], "nothing": ["{}"]},
    "dial": {
        "answered": ["answered outbound of-the-program True", "answered"],
        "played": ["finished"],
        "sent": ["finished"],
        "ended": ["hangup inbound ended"],
    },
    "refused": {
        "refused": [
            "400 RELAY error 400: `devices` must be a list of lists of devices, at least one",
            "400 RELAY error 400: `devices[0]` must be a list of at least one device",
            "400 RELAY error 400: `devices[0][0].type` must be one of phone, sip, fabric, webrtc",
            "-1",
            "-1",
            "-1",
            "-1",
            "-1",
            "-1",
        ]
    },
    "waits": {
        "waited": ["answered", "calling.call.state", "calling.call.state"],
        "never": ["nothing came", "nothing came"],
        "matched": ["True"],
        "several": ["finished finished finished"],
        "ending": ["ending"],
        "ended": ["hangup ended", "hangup ended"],
    },
    "unbuilt": {
        "refused": [
            *(f"{verb} 501 RELAY error 501: {method} is not built yet" for verb, method in UNBUILT.items()),
            *REFUSED,
        ]
    },
    "too_late": {
        "nothing": ["{}", "{}", "{}", "{}"],
        "over": ["{} True True {}"] * 4,
    },
}

SEEN: Final[dict[str, Seen]] = {
    "greet": ["", "speech first", True, "files", 3, "ringing", 3],
    "steer": [200],
    "record": ["", "as long as told", True, "tone", True, "kept pause", True, "nothing played", True],
    "menu": [""],
    "ask": [""],
    "keys_as_they_come": [""],
    "limits": ["", "Maximum duration reached"],
    "keys": ["", "12#AD*0"],
    "mirror": [200, "itself", True],
    "pass_on": ["", ""],
    "busy_line": ["", 200],
    "hang_up": [
        486,
        "The application says that it is busy: call again later",
        603,
        "The application declined the call",
        480,
        "The application let nobody answer: call again later",
        500,
        "The application could not handle the call: see its log",
        487,
        "The application took the call back before an answer",
        603,
        "The application hung up before it answered",
    ],
    "left": [200],
    "leave": [200],
    "several": ["", "", 200, ""],
    "ringing": ["180 before 200", True, ""],
    "message": [],
    "withdrawn": [200, 487, "The caller cancelled"],
    "dial": ["Answered elsewhere", "speech", True, "42"],
    "refused": ["Nobody answered in time"],
    "waits": [""],
    "unbuilt": [""],
    "too_late": [""],
}
