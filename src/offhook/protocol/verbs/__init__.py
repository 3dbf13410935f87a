"""One module per verb: its params, commands and events. ``PARAMS`` finds the params of a method by its name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from offhook.protocol.params import Params
from offhook.protocol.verbs import answer, collect, dial, echo, end, pass_, play, play_and_collect, record, send_digits

__all__ = ["PARAMS"]

_STRUCTS: Final[tuple[type[Params], ...]] = (
    dial.Dial,
    answer.Answer,
    end.End,
    pass_.Pass,
    play.Play,
    play.PlayPause,
    play.PlayResume,
    play.PlayStop,
    play.PlayVolume,
    record.Record,
    record.RecordPause,
    record.RecordResume,
    record.RecordStop,
    collect.Collect,
    collect.CollectStop,
    collect.CollectStartInputTimers,
    play_and_collect.PlayAndCollect,
    play_and_collect.PlayAndCollectStop,
    play_and_collect.PlayAndCollectVolume,
    send_digits.SendDigits,
    echo.Echo,
)

PARAMS: Final = MappingProxyType({struct.method: struct for struct in _STRUCTS})
"""Params of each ``calling.*`` method that has its words here."""
