//! What an acquire lives through: lost links, a gateway that crashes, an app that is killed, and
//! another one with the same id. The simulated EC2 launches once, whatever happens.

mod app;
mod clock;
mod gateway;
mod owners;
mod processes;
mod reconnects;
mod resends;

/// An id that an app keeps across its restarts.
const ID: &str = "2c624232cdd221771294dfbb310aca00";
