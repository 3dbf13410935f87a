"""What events say of a call: who it is, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offhook.client.events import RelayEvent
from offhook.protocol.states import CALL_STATE_ORDER, CallState

__all__ = ["CallFacts"]


class CallFacts:
    """A call's attributes; ``CallBase`` tells what they are."""

    def __init__(self, event: RelayEvent) -> None:
        self.node_id = ""
        self.segment_id = ""
        self.project_id = ""
        self.tag = ""
        self.context = event.context or str(event.params.get("protocol", ""))
        self.direction = ""
        self.state: str = CallState.CREATED
        self.device: dict[str, Any] = {}
        self.peer: dict[str, Any] = {}
        self.parent: dict[str, Any] = {}
        self.learn(event.params)

    def learn(self, params: Mapping[str, Any]) -> None:
        """Take over what an event says of the call; what it leaves out stays."""
        get = params.get
        if (text := get("node_id")) and isinstance(text, str):
            self.node_id = text
        if (text := get("segment_id")) and isinstance(text, str):
            self.segment_id = text
        if (text := get("tag")) and isinstance(text, str):
            self.tag = text
        if (text := get("direction")) and isinstance(text, str):
            self.direction = text
        if (text := get("project_id")) and isinstance(text, str):
            self.project_id = text
        device, peer, parent, state = get("device"), get("peer"), get("parent"), get("call_state")
        if device and isinstance(device, dict):
            self.device = device
        self.peer = peer if isinstance(peer, dict) else {}
        if isinstance(parent, dict):
            self.parent = parent
        if isinstance(state, str) and CALL_STATE_ORDER.get(state, -1) >= CALL_STATE_ORDER.get(self.state, -1):
            self.state = state

    def learn_peer(self, params: Mapping[str, Any]) -> None:
        """Take over what an event of a bridge says of its other end."""
        peer, state = params.get("peer"), params.get("connect_state")
        if state == "connected" and isinstance(peer, dict):
            self.peer = peer
        elif state in ("disconnected", "failed"):
            self.peer = {}
