"""HTTP beside the gateway: recordings, fetching of audio, certificates."""
