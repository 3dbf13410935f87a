//! The media and SIP process that an offhook node starts and talks to.

fn main() {}
