"""Frames are read and written, and a bad one says why with the id it came with."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol import methods
from offhook.protocol.codes import RESULT_MEANINGS, ResultCode, RpcCode, is_success
from offhook.protocol.frames import (
    Authentication,
    ConnectParams,
    ConnectResult,
    ContextsParams,
    FrameError,
    Request,
    Response,
    RpcError,
    Version,
    dump_frame,
    parse_frame,
)
from offhook.protocol.states import CALL_TRANSITIONS, CallState, EndReason, parse_end_reason


def test_a_request_and_both_responses_are_read_and_written() -> None:
    for frame in (
        Request("1", "signalwire.ping", {"timestamp": 1.5}),
        Response(id="1", result={"code": "200"}),
        Response(id="1", error=RpcError(-32601, "no such method")),
    ):
        assert parse_frame(dump_frame(frame)) == frame


def test_a_written_response_has_result_or_error_never_both() -> None:
    assert json.loads(dump_frame(Response(id="1", result={}))) == {"jsonrpc": "2.0", "id": "1", "result": {}}
    assert json.loads(dump_frame(Response(id="1", error=RpcError(-32000, "late")))) == {
        "jsonrpc": "2.0",
        "id": "1",
        "error": {"code": -32000, "message": "late"},
    }


def test_a_result_that_is_no_object_is_wrapped() -> None:
    assert parse_frame('{"jsonrpc":"2.0","id":"1","result":"+OK"}') == Response(id="1", result={"raw": "+OK"})


@pytest.mark.parametrize(
    ("text", "code", "frame_id"),
    [
        ("{", RpcCode.PARSE, None),
        ("", RpcCode.PARSE, None),
        ("[1]", RpcCode.INVALID_REQUEST, None),
        ('{"id":"7","method":5}', RpcCode.INVALID_REQUEST, "7"),
        ('{"id":"7","method":"m","params":[]}', RpcCode.INVALID_REQUEST, "7"),
        ('{"id":"7"}', RpcCode.INVALID_REQUEST, "7"),
        ("[" * 100_000, RpcCode.PARSE, None),
    ],
)
def test_a_bad_frame_says_why_with_its_id(text: str, code: RpcCode, frame_id: str | None) -> None:
    with pytest.raises(FrameError) as caught:
        parse_frame(text)
    assert (caught.value.code, caught.value.frame_id) == (code, frame_id)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_bytes_do_more_than_raise_a_frame_error(data: bytes | str) -> None:
    with contextlib.suppress(FrameError):
        assert isinstance(parse_frame(data), Request | Response)


def test_secrets_are_not_shown() -> None:
    secret = "PTverysecret"
    params = ConnectParams(
        version=Version(2, 0),
        authentication=Authentication(project=secret, token=secret, jwt_token=secret),
        protocol=secret,
        authorization_state=secret,
    )
    assert secret not in repr(params) + repr(params.authentication)
    assert secret not in repr(ConnectResult(protocol=secret, authorization={"signature": secret}))
    assert msgspec.to_builtins(params)["authentication"]["token"] == secret


def test_both_forms_of_contexts_are_merged() -> None:
    assert ContextsParams(contexts=["a", "b", "a"], context="c").all == ["a", "b", "c"]


def test_every_method_that_a_client_may_send_is_known() -> None:
    assert {"calling.ai.stop", "calling.queue.enter", "messaging.send", methods.CONNECT} <= methods.KNOWN
    assert methods.DISCONNECT not in methods.KNOWN


def test_every_result_code_has_a_meaning_and_only_2xx_is_success() -> None:
    assert set(RESULT_MEANINGS) == set(ResultCode)
    assert [code for code in ("200", "204", "20", "2000", "2x0", "404", "") if is_success(code)] == ["200", "204"]


def test_call_states_only_go_forward_and_ended_is_final() -> None:
    order = list(CallState)
    for state, following in CALL_TRANSITIONS.items():
        assert all(order.index(later) > order.index(state) for later in following)
    assert set(CALL_TRANSITIONS) == set(CallState)
    assert CALL_TRANSITIONS[CallState.ENDED] == frozenset()


def test_end_reasons_are_read_in_every_spelling() -> None:
    assert parse_end_reason("max_duration") is EndReason.MAX_DURATION
    assert parse_end_reason("noAnswer") is EndReason.NO_ANSWER
    assert parse_end_reason("weather") is None
