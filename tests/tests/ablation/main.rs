//! Each guard's removal is seen: aimed worlds break a law without it, and break none with it.
