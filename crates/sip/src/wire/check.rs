//! Whether a request may be acted on, and the sentence that says what to change if not.

use sipx_sip::headers::ContactValue;
use sipx_sip::{Finding, Header, HeaderName, Method, Via};

use super::Request;
use super::address::Address;
use super::message::{is_about_a_party, party};
use crate::api::Refusal;

fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal {
        status: 400,
        reason: sentence.into(),
    }
}

/// Refuse what cannot be acted on: a field that is needed and cannot be read. Fields that are not needed may hold anything
/// (RFC 3261, section 8.2.2).
pub(crate) fn check(request: &Request) -> Result<(), Refusal> {
    let headers = &request.0.headers;
    for finding in sipx_sip::validate_request(&request.0) {
        if !is_about_max_forwards(&finding) && !is_about_a_party(&finding) {
            return Err(refusal(&finding));
        }
    }
    for (field, label) in [(HeaderName::From, "From"), (HeaderName::To, "To")] {
        if let Some(Err(change)) = party(headers, &field) {
            return Err(malformed(label, change));
        }
    }
    // Where the answer goes. The fields below it are others', and go back as they came.
    let topmost = headers.value(&HeaderName::Via).unwrap_or_default();
    if Via::parse_list(&topmost).is_err() {
        return Err(malformed("Via", change("Via")));
    }
    let mut types = headers.get_all(&HeaderName::ContentType).map(Header::value);
    let first = types.next();
    if !request.0.body().is_empty() && types.any(|other| Some(&other) != first.as_ref()) {
        return Err(refusal(&Finding::RepeatedSingleValueHeader("Content-Type")));
    }
    check_addresses(request)?;
    match headers.typed::<Via>() {
        Some(Ok(via)) => check_branch(&via),
        _ => Ok(()),
    }
}

/// It names the transaction (RFC 3261, section 17.2.3): two names are none, and nor is a cookie without an identifier (RFC 4475,
/// section 3.2.1).
fn check_branch(via: &Via) -> Result<(), Refusal> {
    let mut branches = via.params.iter().filter(|each| each.is("branch"));
    let Some(branch) = branches.next() else {
        return Ok(());
    };
    if branches.any(|other| other.value != branch.value) {
        return Err(malformed("Via", "it has more than one branch; send one"));
    }
    let value = branch.value.as_deref().unwrap_or_default();
    if value.eq_ignore_ascii_case(b"z9hG4bK") {
        return Err(bad(
            "The branch of the topmost Via has no identifier after z9hG4bK; add one per transaction",
        ));
    }
    Ok(())
}

/// Contact and Record-Route say where our requests go.
fn check_addresses(request: &Request) -> Result<(), Refusal> {
    let headers = &request.0.headers;
    let (needs_contact, needs_routes) = match &request.0.method {
        Method::Invite => (true, true),
        Method::Update => (true, false),
        Method::Register if !headers.typed_all::<ContactValue>().all(|contact| contact.is_ok()) => {
            return Err(malformed("Contact", change("Contact")));
        }
        _ => (false, false),
    };
    if needs_contact {
        for header in headers.get_all(&HeaderName::Contact) {
            let value = header.value();
            // An empty one is as good as none.
            if !value.trim_ascii().is_empty() {
                Address::parse_list(&value).map_err(|change| malformed("Contact", change))?;
            }
        }
    }
    match request.record_routes() {
        (_, Some(change)) if needs_routes => Err(malformed("Record-Route", change)),
        _ => Ok(()),
    }
}

/// It is for proxies: whoever is called forwards nothing. RFC 2543 peers send none.
fn is_about_max_forwards(finding: &Finding) -> bool {
    use Finding::{MalformedRequiredHeader, MissingRequiredHeader, RepeatedSingleValueHeader};
    matches!(
        finding,
        MissingRequiredHeader("Max-Forwards")
            | MalformedRequiredHeader("Max-Forwards")
            | RepeatedSingleValueHeader("Max-Forwards")
    )
}

fn malformed(label: &str, change: &str) -> Refusal {
    bad(format!("The {label} header field is malformed: {change}"))
}

/// How a field is written.
fn change(label: &str) -> &'static str {
    match label {
        "Via" => "write it as SIP/2.0/UDP host:port;branch=z9hG4bK and an identifier",
        "CSeq" => "write a number up to 2147483647, a blank and the method",
        "Call-ID" => "write one word, of letters, digits and hyphens",
        "Contact" => "write it as <sip:user@host>",
        _ => "write it as RFC 3261, section 20 has it",
    }
}

fn refusal(finding: &Finding) -> Refusal {
    match finding {
        Finding::MissingRequiredHeader(label) => bad(format!("The {label} header field is missing; add it")),
        Finding::MalformedRequiredHeader(label) => malformed(label, change(label)),
        Finding::RepeatedSingleValueHeader(label) => bad(format!(
            "The {label} header field stands there more than once; send it once"
        )),
        Finding::CSeqMethodMismatch => bad("The method in CSeq is not the method of the request line; make them equal"),
        Finding::UnsupportedVersion => Refusal {
            status: 505,
            reason: "Only SIP/2.0 is spoken here; send SIP/2.0 in the request line".into(),
        },
        Finding::RequestUriHasHeaders => {
            bad("The Request-URI has header components (after ?); they are allowed in links only, remove them")
        }
        _ => bad("A header field that every request needs is malformed; write it as RFC 3261, section 8.1.1 has it"),
    }
}
