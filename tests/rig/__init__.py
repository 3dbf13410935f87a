"""What end-to-end and interop tests share: the node as a process, a SIP and RTP probe, RELAY frames by hand, peers."""
