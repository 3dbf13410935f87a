"""One module per verb: its params, commands and events. ``PARAMS`` finds the params of a method by its name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from offhook.protocol.params import Params
from offhook.protocol.verbs import (
    accept,
    ai,
    ai_message,
    ai_sidecar,
    answer,
    bind_digit,
    collect,
    connect,
    denoise,
    detect,
    dial,
    disconnect,
    echo,
    end,
    fax,
    hold,
    join_conference,
    join_room,
    live_transcribe,
    live_translate,
    pass_,
    pay,
    play,
    play_and_collect,
    queue,
    record,
    refer,
    send_digits,
    stream,
    tap,
    transcribe,
    transfer,
    user_event,
)

__all__ = ["PARAMS"]

_STRUCTS: Final[tuple[type[Params], ...]] = (
    # 4.1 lifecycle
    dial.Dial,
    dial.Begin,
    answer.Answer,
    accept.Accept,
    end.End,
    pass_.Pass,
    transfer.Transfer,
    refer.Refer,
    user_event.UserEvent,
    # 4.2 playback, 4.3 recording
    play.Play,
    play.PlayPause,
    play.PlayResume,
    play.PlayStop,
    play.PlayVolume,
    record.Record,
    record.RecordPause,
    record.RecordResume,
    record.RecordStop,
    # 4.4 input
    collect.Collect,
    collect.CollectStop,
    collect.CollectStartInputTimers,
    play_and_collect.PlayAndCollect,
    play_and_collect.PlayAndCollectStop,
    play_and_collect.PlayAndCollectVolume,
    bind_digit.BindDigit,
    bind_digit.ClearDigitBindings,
    send_digits.SendDigits,
    # 4.5 bridging
    connect.Connect,
    disconnect.Disconnect,
    # 4.6 detection, 4.7 fax
    detect.Detect,
    detect.DetectStop,
    fax.SendFax,
    fax.SendFaxStop,
    fax.ReceiveFax,
    fax.ReceiveFaxStop,
    # 4.8 tap and stream, 4.9 payment
    tap.Tap,
    tap.TapStop,
    stream.Stream,
    stream.StreamStop,
    pay.Pay,
    pay.PayStop,
    # 4.10 conference, room, queue
    join_conference.JoinConference,
    join_conference.LeaveConference,
    join_room.JoinRoom,
    join_room.LeaveRoom,
    queue.QueueEnter,
    queue.QueueLeave,
    # 4.11 audio processing
    hold.Hold,
    hold.Unhold,
    denoise.Denoise,
    denoise.DenoiseStop,
    echo.Echo,
    # 4.12 transcription and translation
    transcribe.Transcribe,
    transcribe.TranscribeStop,
    live_transcribe.LiveTranscribe,
    live_translate.LiveTranslate,
    # 4.13 AI
    ai.Ai,
    ai.AiStop,
    ai.AmazonBedrock,
    ai_message.AiMessage,
    ai_message.AiHold,
    ai_message.AiUnhold,
    ai_sidecar.AiSidecar,
    ai_sidecar.AiSidecarPoke,
    ai_sidecar.AiSidecarAsk,
    ai_sidecar.AiSidecarStop,
    ai_sidecar.AiSidecarStatus,
)

PARAMS: Final[Mapping[str, type[Params]]] = MappingProxyType({struct.method: struct for struct in _STRUCTS})
"""Params of every ``calling.*`` method that the protocol lists, built on a node or not."""
