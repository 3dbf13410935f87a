"""Every method of a call, with its parameters once absent and once set, and what goes over the wire. Plain data.

Needs nothing but Python, so that either SDK's process can import it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TTS: dict[str, Any] = {"type": "tts", "params": {"text": "hello"}}
PHONE: dict[str, Any] = {"type": "phone", "params": {"to_number": "+15550000003", "from_number": "+15550000004"}}
SIP: dict[str, Any] = {"type": "sip", "params": {"to": "sip:bob@example.com"}}
TAP: dict[str, Any] = {"type": "audio", "params": {"direction": "both"}}
RTP: dict[str, Any] = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}}
URL = "https://x.example/a"
ONE_DIGIT: dict[str, Any] = {"digits": {"max": 1}}
START: dict[str, Any] = {"start": {"lang": "en", "direction": ["remote-caller"]}}
TRANSLATE: dict[str, Any] = {"start": {"from_lang": "en", "to_lang": "es", "direction": ["remote-caller"]}}
AGENT: dict[str, Any] = {"text": "be kind"}


class Command(NamedTuple):
    """``call.<verb>(*args, **options)`` sends ``method`` with ``params`` beside the address of the call.

    ``is_ours``: the published SDK 3.7.5 does not have the method, or not so.
    """

    verb: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    method: str
    params: dict[str, Any]
    is_ours: bool = False


def same(verb: str, method: str, *args: str, is_ours: bool = False, **options: Any) -> Command:
    """Keywords that go out under their own names; ``args`` are those of them that are given by position."""
    positional = tuple(options[name] for name in args)
    keywords = {name: value for name, value in options.items() if name not in args}
    return Command(verb, positional, keywords, f"calling.{method}", options, is_ours)


def media(*, kind: str, **params: Any) -> list[Any]:
    """One media element."""
    return [{"type": kind, "params": params}]


PAY_TEXTS: dict[str, Any] = {
    "status_url": URL,
    "payment_method": "credit-card",
    "timeout": "7",
    "max_attempts": "2",
    "security_code": "false",
    "postal_code": "12345",
    "min_postal_code_length": "5",
    "token_type": "one-time",
    "charge_amount": "25.99",
    "currency": "eur",
    "language": "de-DE",
    "voice": "man",
    "description": "a thing",
    "valid_card_types": "visa amex",
    "parameters": [{"name": "n", "value": "v"}],
    "prompts": [{"for": "payment-card-number", "actions": [{"type": "Say", "phrase": "card?"}]}],
}

CONFERENCE: dict[str, Any] = {
    "muted": True,
    "beep": "onEnter",
    "start_on_enter": False,
    "end_on_exit": True,
    "wait_url": URL,
    "max_participants": 3,
    "record": "record-from-start",
    "region": "eu",
    "trim": "do-not-trim",
    "coach": "c",
    "status_callback": URL,
    "status_callback_event": "start end",
    "status_callback_event_type": "cxml",
    "status_callback_method": "GET",
    "recording_status_callback": URL,
    "recording_status_callback_event": "completed",
    "recording_status_callback_event_type": "cxml",
    "recording_status_callback_method": "GET",
}

AI: dict[str, Any] = {
    "agent": "a",
    "prompt": AGENT,
    "post_prompt": AGENT,
    "post_prompt_url": URL,
    "post_prompt_auth_user": "u",
    "post_prompt_auth_password": "p",
    "global_data": {"vip": True},
    "pronounce": [{"replace": "a", "with": "b"}],
    "hints": ["pizza"],
    "languages": [{"name": "English", "code": "en-US", "voice": "v"}],
    "SWAIG": {"functions": []},
}

SIDECAR: dict[str, Any] = {
    "prompt": AGENT,
    "model": "m",
    "direction": ["remote-caller"],
    "customer_role": "local-caller",
    "url": URL,
    "SWAIG": {"functions": []},
    "permissions": {"swaig_set_global_data": True},
    "global_data": {"vip": True},
    "hints": ["pizza"],
    "action": {"summarize": {"webhook": URL}},
}

COLLECT: dict[str, Any] = {
    "digits": {"max": 4, "terminators": "#"},
    "speech": {"language": "en-US"},
    "initial_timeout": 3.0,
    "partial_results": True,
    "continuous": False,
    "send_start_of_input": True,
    "start_input_timers": True,
    "control_id": "k",
}

MACHINE: dict[str, Any] = {
    "initial_timeout": 4.0,
    "end_silence_timeout": 1.0,
    "machine_voice_threshold": 1.5,
    "machine_words_threshold": 5,
    "detect_interruptions": True,
    "detect_message_end": False,
}

LIFECYCLE = [
    same("answer", "answer"),
    same("answer", "answer", codecs=["PCMA"], max_duration=60),
    Command("accept", (), {}, "calling.accept", {"early_media": False}, is_ours=True),
    same("accept", "accept", early_media=True, is_ours=True),
    same("refer", "refer", "device", device=SIP),
    same("refer", "refer", "device", device=SIP, status_url=URL),
    same("user_event", "user_event", event="order", order_id="1"),
    same("user_event", "user_event", event={"topic": "order"}),
]

PLAYBACK = [
    Command("play", ([TTS],), {}, "calling.play", {"play": [TTS]}),
    Command(
        "play",
        ([TTS],),
        {"volume": -3.0, "direction": "both", "loop": 2, "control_id": "k"},
        "calling.play",
        {"play": [TTS], "volume": -3.0, "direction": "both", "loop": 2, "control_id": "k"},
    ),
    Command(
        "play",
        ([TTS],),
        {"language": "de", "voice": "v", "gender": "male", "status_url": URL},
        "calling.play",
        {"play": [TTS], "language": "de", "voice": "v", "gender": "male", "status_url": URL},
    ),
    Command("play_tts", ("hello",), {}, "calling.play", {"play": [TTS]}),
    Command(
        "play_tts",
        ("hi",),
        {"language": "de", "gender": "male", "voice": "v", "volume": 1.0},
        "calling.play",
        {"volume": 1.0, "play": media(kind="tts", text="hi", language="de", gender="male", voice="v")},
    ),
    Command("play_audio", (URL,), {}, "calling.play", {"play": media(kind="audio", url=URL)}),
    Command(
        "play_audio", (URL,), {"volume": 1.0}, "calling.play", {"volume": 1.0, "play": media(kind="audio", url=URL)}
    ),
    Command("play_silence", (2,), {}, "calling.play", {"play": media(kind="silence", duration=2)}),
    Command("play_ringtone", ("us",), {}, "calling.play", {"play": media(kind="ringtone", name="us")}),
    Command(
        "play_ringtone",
        ("us",),
        {"duration": 3, "volume": 1.0},
        "calling.play",
        {"volume": 1.0, "play": media(kind="ringtone", name="us", duration=3)},
    ),
    Command("record", (), {}, "calling.record", {"record": {"audio": {}}}),
    Command(
        "record",
        (),
        {"audio": {"format": "wav", "stereo": True, "direction": "both"}, "control_id": "k", "status_url": URL},
        "calling.record",
        {
            "record": {"audio": {"format": "wav", "stereo": True, "direction": "both"}},
            "control_id": "k",
            "status_url": URL,
        },
    ),
]

INPUT = [
    Command(
        "play_and_collect",
        ([TTS], ONE_DIGIT),
        {},
        "calling.play_and_collect",
        {"play": [TTS], "collect": ONE_DIGIT},
    ),
    Command(
        "play_and_collect",
        ([TTS], ONE_DIGIT),
        {"volume": 1.0, "control_id": "k", "status_url": URL},
        "calling.play_and_collect",
        {"play": [TTS], "collect": ONE_DIGIT, "volume": 1.0, "control_id": "k", "status_url": URL},
    ),
    Command("prompt_tts", ("hello", ONE_DIGIT), {}, "calling.play_and_collect", {"play": [TTS], "collect": ONE_DIGIT}),
    Command(
        "prompt_tts",
        ("hi", ONE_DIGIT),
        {"language": "de", "gender": "male", "voice": "v", "volume": 1.0},
        "calling.play_and_collect",
        {
            "play": media(kind="tts", text="hi", language="de", gender="male", voice="v"),
            "collect": ONE_DIGIT,
            "volume": 1.0,
        },
    ),
    Command(
        "prompt_audio",
        (URL, ONE_DIGIT),
        {},
        "calling.play_and_collect",
        {"play": media(kind="audio", url=URL), "collect": ONE_DIGIT},
    ),
    Command(
        "prompt_audio",
        (URL, ONE_DIGIT),
        {"volume": 1.0},
        "calling.play_and_collect",
        {"play": media(kind="audio", url=URL), "collect": ONE_DIGIT, "volume": 1.0},
    ),
    same("collect", "collect", digits={"max": 1}),
    same("collect", "collect", **COLLECT),
    same("collect", "collect", digits={"max": 1}, status_url=URL),
    Command(
        "bind_digit",
        ("*1", "calling.play"),
        {},
        "calling.bind_digit",
        {"digits": "*1", "bind_method": "calling.play"},
    ),
    Command(
        "bind_digit",
        ("*1", "calling.play"),
        {"bind_params": {"play": [TTS]}, "realm": "r", "max_triggers": 2},
        "calling.bind_digit",
        {"digits": "*1", "bind_method": "calling.play", "params": {"play": [TTS]}, "realm": "r", "max_triggers": 2},
    ),
    same("clear_digit_bindings", "clear_digit_bindings"),
    same("clear_digit_bindings", "clear_digit_bindings", realm="r"),
    same("send_digits", "send_digits", "digits", digits="12w#"),
    same("send_digits", "send_digits", "digits", digits="12w#", control_id="k"),
]

BRIDGE = [
    same("connect", "connect", "devices", devices=[[PHONE]]),
    same(
        "connect",
        "connect",
        "devices",
        devices=[[PHONE], [SIP]],
        ringback=[TTS],
        tag="t",
        max_duration=60,
        max_price_per_minute=0.5,
        status_url=URL,
    ),
    same("connect", "connect", "devices", devices=[[PHONE]], timeout=20.0, send_digits="1"),
    same("disconnect", "disconnect"),
    same("disconnect", "disconnect", reason="done", is_ours=True),
    same("join_conference", "join_conference", "name", name="c"),
    Command(
        "join_conference",
        ("c",),
        {**CONFERENCE, "stream_obj": {"url": "wss://x.example"}},
        "calling.join_conference",
        {"name": "c", **CONFERENCE, "stream": {"url": "wss://x.example"}},
    ),
    same("join_conference", "join_conference", "name", name="c", acl="public-read", emit_call_quality=True),
    same("leave_conference", "leave_conference", "conference_id", conference_id="x"),
    same("join_room", "join_room", "name", name="r"),
    same("join_room", "join_room", "name", name="r", status_url=URL),
    same("leave_room", "leave_room"),
    same("queue_enter", "queue.enter", "queue_name", queue_name="q"),
    same("queue_enter", "queue.enter", "queue_name", queue_name="q", control_id="k", status_url=URL),
    same(
        "queue_enter",
        "queue.enter",
        "queue_name",
        queue_name="q",
        wait_url=URL,
        wait_time=9,
        execute_after_queue=URL,
        whisper_url=URL,
    ),
    same("queue_leave", "queue.leave", "queue_name", queue_name="q"),
    same("queue_leave", "queue.leave", "queue_name", queue_name="q", control_id="k", queue_id="i", status_url=URL),
]

MEDIA = [
    same("detect", "detect", "detect", detect={"type": "machine"}),
    same("detect", "detect", "detect", detect={"type": "machine"}, timeout=9.0, control_id="k"),
    same("detect", "detect", "detect", detect={"type": "machine"}, status_url=URL),
    Command("detect_digit", (), {}, "calling.detect", {"detect": {"type": "digit", "params": {}}}),
    Command(
        "detect_digit",
        (),
        {"digits": "12", "timeout": 9.0},
        "calling.detect",
        {"detect": {"type": "digit", "params": {"digits": "12"}}, "timeout": 9.0},
    ),
    Command("detect_answering_machine", (), {}, "calling.detect", {"detect": {"type": "machine", "params": {}}}),
    Command(
        "detect_answering_machine",
        (),
        {**MACHINE, "timeout": 9.0},
        "calling.detect",
        {"detect": {"type": "machine", "params": MACHINE}, "timeout": 9.0},
    ),
    Command(
        "detect_answering_machine",
        (),
        {"machine_ready_timeout": 2.0},
        "calling.detect",
        {"detect": {"type": "machine", "params": {"machine_ready_timeout": 2.0}}},
        is_ours=True,
    ),
    Command("detect_fax", (), {}, "calling.detect", {"detect": {"type": "fax", "params": {}}}),
    Command(
        "detect_fax",
        (),
        {"tone": "CNG", "timeout": 9.0},
        "calling.detect",
        {"detect": {"type": "fax", "params": {"tone": "CNG"}}, "timeout": 9.0},
    ),
    same("send_fax", "send_fax", "document", document=URL),
    same("send_fax", "send_fax", "document", document=URL, identity="+1555", header_info="", control_id="k"),
    same("send_fax", "send_fax", "document", document=URL, status_url=URL),
    same("receive_fax", "receive_fax"),
    same("receive_fax", "receive_fax", control_id="k", status_url=URL),
    same("tap", "tap", "tap", "device", tap=TAP, device=RTP),
    same("tap", "tap", "tap", "device", tap=TAP, device=RTP, control_id="k", status_url=URL),
    same("stream", "stream", "url", url="wss://x.example"),
    same(
        "stream",
        "stream",
        "url",
        url="wss://x.example",
        name="n",
        codec="PCMU",
        track="both_tracks",
        status_url=URL,
        status_url_method="GET",
        authorization_bearer_token="b",
        custom_parameters={"a": "b"},
        control_id="k",
    ),
    Command("pay", (URL,), {}, "calling.pay", {"payment_connector_url": URL}),
    Command(
        "pay",
        (URL,),
        {**PAY_TEXTS, "input_method": "dtmf", "control_id": "k"},
        "calling.pay",
        {**PAY_TEXTS, "payment_connector_url": URL, "input": "dtmf", "control_id": "k"},
    ),
    Command(
        "pay",
        (URL,),
        {"timeout": 7, "charge_amount": 25.5, "security_code": False, "valid_card_types": ["visa", "amex"]},
        "calling.pay",
        {
            "payment_connector_url": URL,
            "timeout": "7",
            "charge_amount": "25.5",
            "security_code": "false",
            "valid_card_types": "visa amex",
        },
        is_ours=True,
    ),
    Command(
        "pay",
        (URL,),
        {"bank_account_type": "consumer-savings", "say_voice": "v"},
        "calling.pay",
        {"payment_connector_url": URL, "bank_account_type": "consumer-savings", "say_voice": "v"},
    ),
    same("transcribe", "transcribe"),
    same("transcribe", "transcribe", control_id="k", status_url=URL),
    same("echo", "echo"),
    same("echo", "echo", timeout=30.0, status_url=URL),
    same("hold", "hold"),
    same("unhold", "unhold"),
    same("denoise", "denoise"),
    same("denoise_stop", "denoise.stop"),
]

AGENTS = [
    Command("live_transcribe", (START,), {}, "calling.live_transcribe", {"action": START}),
    Command("live_translate", (TRANSLATE,), {}, "calling.live_translate", {"action": TRANSLATE}),
    Command(
        "live_translate",
        (TRANSLATE,),
        {"status_url": URL},
        "calling.live_translate",
        {"action": TRANSLATE, "status_url": URL},
    ),
    same("ai", "ai", prompt=AGENT),
    Command(
        "ai",
        (),
        {**AI, "ai_params": {"ai_volume": 1}, "control_id": "k"},
        "calling.ai",
        {**AI, "params": {"ai_volume": 1}, "control_id": "k"},
    ),
    same("ai", "ai", prompt=AGENT, multilingual={"enabled": True}),
    same("amazon_bedrock", "amazon_bedrock", prompt=AGENT),
    Command(
        "amazon_bedrock",
        (),
        {
            "prompt": AGENT,
            "SWAIG": {"functions": []},
            "ai_params": {"ai_volume": 1},
            "global_data": {"vip": True},
            "post_prompt": AGENT,
            "post_prompt_url": URL,
        },
        "calling.amazon_bedrock",
        {
            "prompt": AGENT,
            "SWAIG": {"functions": []},
            "params": {"ai_volume": 1},
            "global_data": {"vip": True},
            "post_prompt": AGENT,
            "post_prompt_url": URL,
        },
    ),
    same("ai_message", "ai_message"),
    same("ai_message", "ai_message", message_text="hi", role="user", reset={"full_reset": True}, global_data={"a": 1}),
    same("ai_hold", "ai_hold"),
    same("ai_hold", "ai_hold", timeout="60", prompt="wait"),
    same("ai_unhold", "ai_unhold"),
    same("ai_unhold", "ai_unhold", prompt="back"),
    same("ai_sidecar", "ai_sidecar", "lang", lang="en", is_ours=True),
    Command(
        "ai_sidecar",
        ("en",),
        {**SIDECAR, "ai_params": {"ai_volume": 1}},
        "calling.ai_sidecar",
        {"lang": "en", **SIDECAR, "params": {"ai_volume": 1}},
        is_ours=True,
    ),
    same("ai_sidecar_poke", "ai_sidecar.poke", "text", text="go on", is_ours=True),
    same("ai_sidecar_ask", "ai_sidecar.ask", "text", text="why", is_ours=True),
    same("ai_sidecar_stop", "ai_sidecar.stop", is_ours=True),
    same("ai_sidecar_status", "ai_sidecar.status", is_ours=True),
]

LEAVING = [
    Command("hangup", (), {}, "calling.end", {"reason": "hangup"}),
    Command("hangup", (), {"reason": "busy"}, "calling.end", {"reason": "busy"}),
    same("pass_", "pass"),
    same("transfer", "transfer", "dest", dest=URL),
]

STAYING = [*LIFECYCLE, *PLAYBACK, *INPUT, *BRIDGE, *MEDIA, *AGENTS]
"""Commands after which the call is still the app's."""

KEYED = (
    "play",
    "record",
    "collect",
    "play_and_collect",
    "prompt_tts",
    "prompt_audio",
    "detect",
    "pay",
    "ai",
    "tap",
    "send_fax",
    "receive_fax",
    "stream",
    "transcribe",
    "send_digits",
    "queue_enter",
    "queue_leave",
    "play_tts",
    "play_audio",
    "play_silence",
    "play_ringtone",
    "detect_digit",
    "detect_fax",
    "detect_answering_machine",
)
"""Methods that choose a ``control_id`` when none is given."""


class Steering(NamedTuple):
    """``action.<command>(*args)`` sends ``method`` with ``params`` beside the address and the ``control_id``."""

    verb: str
    args: tuple[Any, ...]
    commands: list[tuple[str, tuple[Any, ...], str, dict[str, Any]]]


def _stop(method: str) -> tuple[str, tuple[Any, ...], str, dict[str, Any]]:
    return ("stop", (), f"calling.{method}.stop", {})


STEERING = [
    Steering(
        "play",
        ([TTS],),
        [
            ("pause", (), "calling.play.pause", {}),
            ("resume", (), "calling.play.resume", {}),
            ("volume", (-3.0,), "calling.play.volume", {"volume": -3.0}),
            _stop("play"),
        ],
    ),
    Steering(
        "record",
        (),
        [
            ("pause", (), "calling.record.pause", {}),
            ("pause", ("silence",), "calling.record.pause", {"behavior": "silence"}),
            ("resume", (), "calling.record.resume", {}),
            _stop("record"),
        ],
    ),
    Steering(
        "play_and_collect",
        ([TTS], ONE_DIGIT),
        [
            ("volume", (3.0,), "calling.play_and_collect.volume", {"volume": 3.0}),
            ("start_input_timers", (), "calling.collect.start_input_timers", {}),
            _stop("play_and_collect"),
        ],
    ),
    Steering("detect", ({"type": "machine"},), [_stop("detect")]),
    Steering("send_fax", (URL,), [_stop("send_fax")]),
    Steering("receive_fax", (), [_stop("receive_fax")]),
    Steering("tap", (TAP, RTP), [_stop("tap")]),
    Steering("stream", ("wss://x.example",), [_stop("stream")]),
    Steering("pay", (URL,), [_stop("pay")]),
    Steering("transcribe", (), [_stop("transcribe")]),
]

STEERING_BY_KEYWORD = [
    (
        Steering(
            "collect",
            (),
            [("start_input_timers", (), "calling.collect.start_input_timers", {}), _stop("collect")],
        ),
        {"digits": {"max": 1}},
    ),
    (Steering("ai", (), [_stop("ai")]), {"prompt": AGENT}),
]
