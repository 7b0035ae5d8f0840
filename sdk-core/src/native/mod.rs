//! tmp
mod access; mod address; mod clock; mod dial; mod failure; mod probe; mod task; mod tls; mod upgrade;
