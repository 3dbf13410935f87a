//! SIP transactions, dialogs and calls without IO (RFC 3261).
