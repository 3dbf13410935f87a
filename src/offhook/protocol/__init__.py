"""The words that SDK and node share: frames, methods, events, states, codes. No behaviour."""
