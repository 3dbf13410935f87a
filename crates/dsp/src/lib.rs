//! Tones, digits, resampling, voice activity and loss concealment on plain samples.
