"""Names of events in the signatures of ``on`` and ``wait_for`` are those of the table, each with its class."""

from __future__ import annotations

import inspect
import re
from typing import get_overloads

import pytest

from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.events import EVENT_TYPES
from offhook.protocol.verbs import dial
from offhook.protocol.verbs.state import RECEIVE_EVENT

NEVER_OF_A_CALL = {RECEIVE_EVENT, dial.EVENT}
"""They make a call, or tell how a dial goes: no call gets them."""


def signature_of(name: str, event: str) -> dict[str, str]:
    """Annotations of an overload but for the name of the event, as they are written."""
    if name == "on":
        return {"handler": f"Handler[{event}]", "return": "Callable[[], None]"}
    return {"predicate": f"Callable[[{event}], bool] | None", "timeout": "float | None", "return": event}


@pytest.mark.parametrize(("owner", "name"), [(Call, "on"), (Call, "wait_for"), (RelayClient, "on")])
def test_each_event_that_comes_there_has_its_class(owner: type, name: str) -> None:
    *named, rest = (dict(one.__annotations__) for one in get_overloads(getattr(owner, name)))
    found = {}
    for types in named:
        for event_type in re.findall(r"'([\w.]+)'", types.pop("event_type")):
            assert event_type not in found
            found[event_type] = types
    kinds = {key: kind.__name__ for key, kind in EVENT_TYPES.items()}
    if owner is Call:
        kinds = {key: kind for key, kind in kinds.items() if key.startswith("calling.") and key not in NEVER_OF_A_CALL}
    assert found == {key: signature_of(name, kind) for key, kind in kinds.items()}
    assert rest == {"event_type": "str", **signature_of(name, "RelayEvent")}


@pytest.mark.parametrize(("owner", "name"), [(Call, "on"), (Call, "wait_for"), (RelayClient, "on")])
def test_an_overload_differs_from_the_method_in_types_alone(owner: type, name: str) -> None:
    method = inspect.signature(getattr(owner, name)).parameters.values()
    for one in get_overloads(getattr(owner, name)):
        ours = inspect.signature(one).parameters.values()
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in method]
