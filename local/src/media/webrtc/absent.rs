//! Without the feature `media` nothing is carried: this type has no value.

use std::net::SocketAddr;

use super::{Carried, Leg, Refusal, WebRtc};

#[derive(Debug)]
pub(in crate::media) enum Plane {}

impl Plane {
    pub(in crate::media) fn new(_config: WebRtc) -> Option<Self> {
        None
    }

    pub(in crate::media) fn candidate(&self) -> String {
        match *self {}
    }

    pub(in crate::media) fn publish(
        &mut self,
        _now: u64,
        _leg: Leg,
        _offer: &str,
    ) -> Result<String, Refusal> {
        match *self {}
    }

    pub(in crate::media) fn view(
        &mut self,
        _now: u64,
        _leg: Leg,
        _publisher: &Leg,
    ) -> Result<String, Refusal> {
        match *self {}
    }

    pub(in crate::media) fn answer(
        &mut self,
        _now: u64,
        _leg: &Leg,
        _answer: &str,
    ) -> Result<(), Refusal> {
        match *self {}
    }

    pub(in crate::media) fn add_candidate(&mut self, _now: u64, _leg: &Leg, _candidate: &str) {
        match *self {}
    }

    pub(in crate::media) fn holds(&self, _leg: &Leg) -> bool {
        match *self {}
    }

    pub(in crate::media) fn end(&mut self, _now: u64, _leg: &Leg) {
        match *self {}
    }

    pub(in crate::media) fn datagram(&mut self, _now: u64, _from: SocketAddr, _bytes: &[u8]) {
        match *self {}
    }

    pub(in crate::media) fn tick(&mut self, _now: u64) {
        match *self {}
    }

    pub(in crate::media) fn next_timeout(&self) -> Option<u64> {
        match *self {}
    }

    pub(in crate::media) fn poll(&mut self) -> Option<Carried> {
        match *self {}
    }
}
