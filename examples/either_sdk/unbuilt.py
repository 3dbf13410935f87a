"""Ask for what a node may not do (yet), and for what is no such thing; all of it, or what is named."""

import asyncio
import importlib
import sys

sdk = importlib.import_module(sys.argv[1])
client = sdk.RelayClient(contexts=[sys.argv[2]])
calls = asyncio.Queue()


def tell(*words):
    print(*words, flush=True)


PHONE = {"type": "phone", "params": {"to_number": "+15550000003", "from_number": "+15550000004"}}
URL = "https://x.example/a"
TTS = [{"type": "tts", "params": {"text": "hello"}}]


async def handle(call):
    await call.answer()
    asked = {
        "connect": lambda: call.connect([[PHONE]]),
        "disconnect": call.disconnect,
        "refer": lambda: call.refer({"type": "sip", "params": {"to": "sip:bob@example.com"}}),
        "transfer": lambda: call.transfer(URL),
        "detect": lambda: call.detect({"type": "machine"}, timeout=9.0),
        "detect_digit": call.detect_digit,
        "detect_answering_machine": call.detect_answering_machine,
        "detect_fax": call.detect_fax,
        "send_fax": lambda: call.send_fax(URL),
        "receive_fax": call.receive_fax,
        "tap": lambda: call.tap(
            {"type": "audio", "params": {"direction": "both"}},
            {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
        ),
        "stream": lambda: call.stream("wss://x.example"),
        "pay": lambda: call.pay(URL, charge_amount="1.00"),
        "join_conference": lambda: call.join_conference("c"),
        "leave_conference": lambda: call.leave_conference("x"),
        "hold": call.hold,
        "unhold": call.unhold,
        "denoise": call.denoise,
        "denoise_stop": call.denoise_stop,
        "transcribe": call.transcribe,
        "live_transcribe": lambda: call.live_transcribe({"start": {"lang": "en", "direction": ["remote-caller"]}}),
        "live_translate": lambda: call.live_translate({"start": {"from_lang": "en", "to_lang": "es"}}),
        "ai": lambda: call.ai(prompt={"text": "be kind"}),
        "amazon_bedrock": lambda: call.amazon_bedrock(prompt={"text": "be kind"}),
        "ai_message": lambda: call.ai_message(message_text="hi", role="user"),
        "ai_hold": call.ai_hold,
        "ai_unhold": call.ai_unhold,
        "join_room": lambda: call.join_room("r"),
        "leave_room": call.leave_room,
        "queue_enter": lambda: call.queue_enter("q"),
        "queue_leave": lambda: call.queue_leave("q"),
        "bind_digit": lambda: call.bind_digit("*1", "calling.play", bind_params={"play": TTS}),
        "clear_digit_bindings": call.clear_digit_bindings,
        "user_event": lambda: call.user_event(event="order", order_id="1"),
        "record mp3": lambda: call.record(audio={"format": "mp3"}),
        "speech": lambda: call.play_and_collect(TTS, {"speech": {}}),
        "play nothing": lambda: call.play([]),
        "play a song": lambda: call.play([{"type": "song", "params": {}}]),
        "too loud": lambda: call.play(TTS, volume=99.0),
        "no number": lambda: call.play_silence("long"),
        "a method": lambda: client.execute("calling.dance", {}),
    }
    for what in sys.argv[3:] or asked:
        try:
            tell("taken", what, await asked[what]())
        except sdk.RelayError as error:
            tell("refused", what, error.code, error)
    await call.hangup()
    await call.wait_for_ended(timeout=60)


async def main():
    client.on_call(calls.put)
    async with client:
        tell("ready")
        await handle(await calls.get())


asyncio.run(main())
