"""From a dialled number to a context."""

from __future__ import annotations

from collections.abc import Iterable

from offhook.node.calls.settings import Route
from offhook.node.calls.uris import SipUri, plain_number

__all__ = ["RoutingTable"]


class RoutingTable:
    """The routes of the configuration; the longest match wins, an exact one before a prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        prefixes: list[tuple[str, str]] = []
        for route in routes:
            word = route.match.removeprefix("sips:").removeprefix("sip:")
            if word.startswith("tel:"):
                word = plain_number(word.removeprefix("tel:"))
            if word.endswith("*"):
                prefixes.append((_plain_host(word[:-1]), route.context))
            else:
                self._exact[_plain_host(word)] = route.context
                self._hosts[word.lower()] = route.context
        self._prefixes = sorted(prefixes, key=lambda item: len(item[0]), reverse=True)

    def context_of(self, dialled: SipUri) -> str | None:
        """The context of a dialled URI, or None when no route matches."""
        users = (dialled.user, dialled.number)
        forms = [form for user in users for form in (_plain_host(f"{user}@{dialled.host}"), user)]
        for form in forms:
            if form and form in self._exact:
                return self._exact[form]
        if not dialled.user and (host := self._hosts.get(dialled.host.lower())) is not None:
            return host
        for prefix, context in self._prefixes:
            if any(form.startswith(prefix) for form in forms):
                return context
        return None

    @staticmethod
    def advice(dialled: SipUri) -> str:
        """The sentence of the 404 for a URI without a route."""
        number = str(dialled).partition(":")[2].partition("@")[0]  # escaped, for it goes into a SIP status line
        return f'No route for {number}: add [[routes]] with match = "{number}" and a context to the configuration'


def _plain_host(text: str) -> str:
    """``user@host`` as it is compared: hosts have no case (RFC 3261 section 19.1.4), users have."""
    user, at, host = text.rpartition("@")
    return f"{user}@{host.lower()}" if at else text
