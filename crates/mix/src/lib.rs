//! Players, recorders and the mixing of one leg, in frames of 20 ms.
