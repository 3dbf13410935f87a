//! G.711 and the audio file formats that the engine reads and writes.
