"""What is wrong in a program is a type error before it is a 400: each line below must be refused by mypy strict.

Checked, not run, by ``make types``: an ignore that is not needed is an error there.
"""

from __future__ import annotations

from offhook import Call, RelayClient


async def misspelt_keys(call: Call) -> None:
    await call.play([{"type": "tts", "params": {"txt": "hello"}}])  # type: ignore[misc, list-item]
    await call.play([{"type": "music", "params": {}}])  # type: ignore[misc, list-item]
    await call.record(audio={"formt": "wav"})  # type: ignore[arg-type]
    await call.collect(digits={"mx": 1})  # type: ignore[arg-type]
    await call.play_and_collect([], {"digit": {"max": 1}})  # type: ignore[typeddict-unknown-key]
    await call.detect({"type": "machin"})  # type: ignore[misc, arg-type]
    await call.connect([[{"type": "phone", "params": {"to": "+15550000001"}}]])  # type: ignore[misc, list-item]
    await call.pay("https://x.example", prompts=[{"for": "card"}])  # type: ignore[typeddict-item]


async def wrong_types(call: Call, client: RelayClient) -> None:
    await call.play_tts("hello", volume="loud")  # type: ignore[arg-type]
    await call.play_tts("hello", gender="robot")  # type: ignore[arg-type]
    await call.hangup(reason=1)  # type: ignore[arg-type]
    await call.join_conference("c", beep="sometimes")  # type: ignore[arg-type]
    await client.dial([{"type": "phone", "params": {"to_number": "+1"}}])  # type: ignore[list-item]
    action = await call.tap(
        {"type": "audio", "params": {"direction": "both"}}, {"type": "rtp", "params": {"addr": "192.0.2.1", "port": 1}}
    )
    await action.pause()  # type: ignore[attr-defined]
