"""Limits and timings of the gateway. ``app.py`` fills them from the configuration; none is infinite."""

from __future__ import annotations

import msgspec

__all__ = ["Credential", "GatewaySettings"]


class Credential(msgspec.Struct, frozen=True):
    """A project and its token, as a client sends them in ``signalwire.connect``."""

    project: str
    token: str

    def __repr__(self) -> str:
        return "Credential(project=***, token=***)"


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, bytes and counts."""

    credentials: list[Credential]
    """Who may connect."""
    state_key: bytes
    """32 secret bytes that seal ``authorization_state``; kept, so that it survives a restart."""
    node_id: str
    """The node's name on the wire; outlives restarts."""
    space_id: str = ""
    """Goes with every event."""
    allowed_origins: frozenset[str] = frozenset()
    """Values of the Origin header that may connect (browsers send one); any other is refused with 403."""

    frame_max_bytes: int = 1 << 20
    """A larger frame closes its socket (1009)."""
    first_message_max_bytes: int = 64 << 10
    """How long a message may be before its socket connected (in the sense of the protocol)."""
    stranger_frames_max: int = 10
    """Messages and control frames of a socket before it connected; more close it."""
    depth_max: int = 32
    """How deep the JSON of a frame may be nested."""
    keys_max: int = 64
    """How many keys an object of a frame may have."""
    text_max_bytes: int = 64 << 10
    """How long a text in a frame may be."""
    id_max_characters: int = 256
    """How long the id or the method of a request may be."""
    key_max_characters: int = 256
    """How long a key in an object of a frame may be."""
    values_max: int = 20_000
    """How many entries the lists of a frame may have together."""
    context_max_characters: int = 255
    """How long the name of a context may be."""
    contexts_known_max: int = 10_000
    """Of how many contexts it is remembered that a client once subscribed to them."""
    fresh_bursts_max: int = 100
    """How many new sessions of one token have a burst each from the start (a fleet that is started at once has); the
    others earn it at their rate."""
    fresh_bursts_per_s: float = 0.2
    """How many more later."""
    fresh_requests: int = 20
    """What a new session without a burst may send at once."""
    sessions_max: int = 1000
    """Sessions at once, lost ones included; for a new one the one lost longest goes, if it has no call."""
    contexts_max: int = 256
    """How many contexts a session may subscribe to."""
    requests_per_s: float = 100.0
    """Requests of a session in the long run; more are answered later (``held_max_s``)."""
    requests_per_s_per_call: float = 10.0
    """What each live call of the session adds, so that a busy program is not taken for a flood."""
    requests_burst: int = 600
    """Requests of a session at once; SDKs queue up to 500 while they are away, and send them when they are back."""
    requests_per_s_per_token: float = 1000.0
    """Requests of all sessions of a token together in the long run, and what each live call adds."""
    requests_burst_per_token: int = 6000
    """The same at once: a fleet that is back after a restart sends what it queued."""
    held_max_s: float = 5.0
    """A request that would have to wait for longer gets -32005: clients give up at 10 s and drop the socket."""
    held_max_bytes: int = 256 << 10
    """What of a connection waits so; no more is read before it is paid for."""
    connect_timeout_s: float = 10.0
    """A socket that has not connected by then is closed."""
    failed_connects_max: int = 10
    """So many different wrong credentials of one address (IPv6: one /64) in ``failed_window_s`` block it."""
    failed_window_s: float = 60.0
    """See ``failed_connects_max``."""
    failed_block_s: float = 300.0
    """For how long; who names a session that is here is judged all the same."""
    failed_addresses_max: int = 65_536
    """Of how many addresses it is remembered."""
    ping_interval_s: float = 10.0
    """Clients take a gap of 15 s for a dead node."""
    silence_max_s: float = 20.0
    """A peer that sent nothing for so long is dead."""
    pings_unanswered_max: int = 3
    """A peer that answered none of so many pings in a row is told so and closed (1008), whatever else it says."""
    disconnect_timeout_s: float = 2.0
    """How long the reply to ``signalwire.disconnect`` is awaited."""
    reply_timeout_s: float = 8.0
    """A command that takes longer is answered 500; clients give up at 10 s and drop the socket."""

    queue_max_events: int = 10_000
    """Events waiting for a slow reader; beyond, it is disconnected and may resume."""
    queue_max_bytes: int = 16 << 20
    """The same in bytes, replies included."""
    retention_s: float = 600.0
    """How long unacked events, replies to request ids and a lost session are kept."""
    retention_max_events: int = 10_000
    """How many unacked events of a session are kept."""
    retention_max_bytes: int = 64 << 20
    """The same in bytes."""
    retention_total_bytes: int = 512 << 20
    """The same of all sessions together; who has most loses its oldest."""
    replay_window: int = 256
    """How many events of a replay may be unacked."""
    reply_ids_max: int = 4096
    """How many request ids of a session are remembered."""
    reply_max_bytes: int = 4 << 20
    """The same with their replies, in bytes."""
    reply_total_bytes: int = 256 << 20
    """The same of all sessions together; who has most loses its oldest."""
    starts_max: int = 4096
    """Of how many accepted starts, of all sessions, a repetition is known."""
    authorization_state_s: float = 24 * 3600.0
    """How long an ``authorization_state`` is good for."""
    settle_s: float = 0.05
    """Collect and detect events leave so long after the result of their command."""

    offer_ack_s: float = 2.0
    """No ack of the offer by then: to the next client."""
    offer_repeat_s: float = 0.5
    """An offer that may have arrived before the socket was lost goes out again so long after the client that is back
    said its first word: before that it may have had no CPU to show what it knows."""
    offer_unheard_s: float = 10.0
    """So long that word is waited for; without one the offer goes out all the same."""
    offer_lost_s: float = 3.0
    """The client's socket is gone for so long: to the next client."""
    offer_command_s: float = 10.0
    """Acked, but no command by then: to one more client."""
    offer_alert_s: float = 1.0
    """The caller hears ringing when an offer takes longer than this."""
    hold_s: float = 10.0
    """How long a call with nobody to take it is held."""
    ringing_s: float = 120.0
    """How long a call may ring in all."""
    orphan_s: float = 120.0
    """The client that controls a call is gone for so long: the call is hung up."""
    sweep_s: float = 5.0
    """How often what is too old is looked for."""

    def __repr__(self) -> str:
        return f"GatewaySettings(node_id={self.node_id!r})"
