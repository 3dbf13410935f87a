//! One dialog: what identifies it and how requests in it are addressed (RFC 3261, section 12).

use offhook_words::Transport;

use crate::api::Flow;
use crate::trust::Trust;
use crate::wire::{Request, Response, Route, Text, parse_uri};

/// A dialog, early or confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Our From or To value with its tag.
    pub(crate) local: Vec<u8>,
    /// The peer's.
    pub(crate) remote: Vec<u8>,
    pub(crate) remote_tag: String,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    pub(crate) routes: Vec<Route>,
    /// What cannot be read of whom requests go to, and what to change in it: of a Record-Route `routes` is what can be read, for
    /// a Contact `target` is what was dialled, and of a To no tag is known.
    pub(crate) unreadable: Option<Unreadable>,
    pub(crate) target: String,
    pub(crate) flow: Flow,
}

/// A field of the peer's, and what to change in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreadable {
    pub(crate) field: &'static str,
    pub(crate) change: &'static str,
}

impl Dialog {
    /// The dialog that our answer to this INVITE makes.
    pub(crate) fn of_server(invite: &Request, local_tag: &str, flow: Flow) -> Self {
        let from = invite.from();
        let mut local = first(invite.values("To"));
        local.extend_from_slice(format!(";tag={local_tag}").as_bytes());
        let (routes, unreadable) = invite.record_routes();
        let (contact, unreadable) = target(invite.contact(), unreadable);
        Self {
            call_id: invite.call_id(),
            local,
            remote: first(invite.values("From")),
            remote_tag: from.as_ref().map(|from| from.tag.clone()).unwrap_or_default(),
            local_cseq: 0,
            remote_cseq: invite.cseq().map(|(number, _)| number),
            routes,
            unreadable,
            // RFC 2543 peers send no Contact; their From is all there is.
            target: contact.or(from.map(|from| from.uri)).unwrap_or_default(),
            flow,
        }
    }

    /// The dialog that a response to our INVITE makes; `local` is our From, `uri` its Request-URI.
    pub(crate) fn of_client(response: &Response, local: &[u8], uri: &str, cseq: u32, flow: Flow) -> Self {
        let (mut routes, unreadable) = response.record_routes();
        routes.reverse();
        let (contact, unreadable) = target(response.contact(), unreadable);
        let to = response
            .unreadable_to()
            .map(|change| Unreadable { field: "To", change });
        Self {
            call_id: response.call_id(),
            local: local.to_vec(),
            remote: match first(response.values("To")) {
                to if to.is_empty() => format!("<{uri}>").into_bytes(),
                to => to,
            },
            remote_tag: response.to().map(|to| to.tag).unwrap_or_default(),
            local_cseq: cseq,
            remote_cseq: None,
            routes,
            unreadable: to.or(unreadable),
            target: contact.unwrap_or_else(|| uri.to_owned()),
            flow,
        }
    }

    /// Start a request; its way is [`Dialog::next_flow`].
    pub(crate) fn request(&self, method: &str, cseq: u32, branch: &str, flow: Flow) -> Text {
        // The first route is a strict router: it wants to be the Request-URI, and the target goes last (12.2.1.1).
        let strict = self.routes.first().filter(|route| !route.is_loose);
        let uri = strict.map_or(self.target.as_str(), |route| route.uri.as_str());
        let mut text = Text::request(method, uri)
            .header("Via", via(flow, branch))
            .header("Max-Forwards", "70");
        let skipped = usize::from(strict.is_some());
        for route in self.routes.iter().skip(skipped) {
            text = text.header("Route", format!("<{}>", route.uri));
        }
        if strict.is_some() {
            text = text.header("Route", format!("<{}>", self.target));
        }
        text.header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.call_id)
            .header("CSeq", format!("{cseq} {method}"))
    }

    /// Where the next request goes: the first route or the target where that is a literal address that may be reached,
    /// else the way the peer came, as where that or an element of the route set cannot be read: it may be the first.
    pub(crate) fn next_flow(&self, trusted: &Trust) -> Flow {
        if self.unreadable.is_some() {
            return self.flow;
        }
        let next = self
            .routes
            .first()
            .map_or(self.target.as_str(), |route| route.uri.as_str());
        let Ok(facts) = parse_uri(next) else {
            return self.flow;
        };
        let Some(address) = facts.address else {
            return self.flow;
        };
        let is_same_host = address.ip() == self.flow.peer.ip();
        if address.port() == 0
            || address.ip().is_unspecified()
            || address.is_ipv4() != self.flow.peer.is_ipv4()
            || !(is_same_host || trusted.contains(address.ip()))
        {
            return self.flow;
        }
        match (self.flow.transport, facts.transport) {
            (Transport::Udp, Transport::Udp) => Flow {
                peer: address,
                ..self.flow
            },
            // Many peers leave transport=tcp out of their Contact; the connection they came by is the better word.
            (Transport::Tcp, _) if is_same_host && self.flow.connection != 0 => self.flow,
            (Transport::Tcp, _) | (_, Transport::Tcp) => Flow {
                transport: Transport::Tcp,
                peer: address,
                connection: 0,
                ..self.flow
            },
        }
    }
}

/// The Contact, and the first field that cannot be read.
fn target(
    contact: Result<Option<String>, &'static str>,
    routes: Option<&'static str>,
) -> (Option<String>, Option<Unreadable>) {
    let unreadable = |field| move |change| Unreadable { field, change };
    let routes = routes.map(unreadable("Record-Route"));
    match contact {
        Ok(contact) => (contact, routes),
        Err(change) => (None, routes.or(Some(unreadable("Contact")(change)))),
    }
}

/// Our Via: where we listen, a branch, and the wish to be answered where we send from (RFC 3581).
pub(crate) fn via(flow: Flow, branch: &str) -> String {
    format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.via(), flow.local)
}

/// Our Contact: where we listen on this flow (livekit/sip#208).
pub(crate) fn contact(flow: Flow) -> String {
    match flow.transport {
        Transport::Udp => format!("<sip:{}>", flow.local),
        Transport::Tcp => format!("<sip:{};transport=tcp>", flow.local),
    }
}

fn first(values: Vec<Vec<u8>>) -> Vec<u8> {
    values.into_iter().next().unwrap_or_default()
}
