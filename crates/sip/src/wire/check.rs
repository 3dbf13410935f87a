//! Whether a request may be acted on, and the sentence that says what to change if not.

use sipx_sip::headers::{Contact, ContactValue, ContentType, Date, Expires, RecordRoute, Route};
use sipx_sip::{Finding, Method, TypedHeader, Via};

use super::Request;
use crate::api::Refusal;

fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal {
        status: 400,
        reason: sentence.into(),
    }
}

/// Refuse what RFC 3261 calls malformed. A missing Max-Forwards is repaired in silence (RFC 2543 peers).
pub(crate) fn check(request: &Request) -> Result<(), Refusal> {
    for finding in sipx_sip::validate_request(&request.0) {
        if finding.is_repairable() {
            continue;
        }
        return Err(refusal(&finding));
    }
    let headers = &request.0.headers;
    every::<Via>(request, "Via")?;
    every::<Route>(request, "Route")?;
    every::<RecordRoute>(request, "Record-Route")?;
    every::<Date>(request, "Date")?;
    every::<Expires>(request, "Expires")?;
    every::<ContentType>(request, "Content-Type")?;
    if request.0.method == Method::Register {
        every::<ContactValue>(request, "Contact")?;
    } else {
        every::<Contact>(request, "Contact")?;
    }
    // A cookie without an identifier names no transaction (RFC 4475, section 3.2.1).
    if let Some(Ok(via)) = headers.typed::<Via>()
        && via
            .branch()
            .is_some_and(|branch| branch.eq_ignore_ascii_case(b"z9hG4bK"))
    {
        return Err(bad(
            "The branch of the topmost Via has no identifier after z9hG4bK; add one per transaction",
        ));
    }
    Ok(())
}

fn every<H: TypedHeader>(request: &Request, label: &str) -> Result<(), Refusal> {
    if request.0.headers.typed_all::<H>().all(|value| value.is_ok()) {
        return Ok(());
    }
    Err(bad(format!("The {label} header field is malformed; correct its value")))
}

fn refusal(finding: &Finding) -> Refusal {
    match finding {
        Finding::MissingRequiredHeader(label) => bad(format!("The {label} header field is missing; add it")),
        Finding::MalformedRequiredHeader(label) => {
            bad(format!("The {label} header field is malformed; correct its value"))
        }
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
        _ => bad("The request is malformed"),
    }
}
