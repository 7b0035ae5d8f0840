//! Packets from a publisher to one viewer, and requests the other way.

use str0m::Rtc;
use str0m::media::{KeyframeRequestKind, Mid};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};

use super::session::{Incoming, Outgoing};

/// The sequence numbers of a new receiver begin in the lower half of their 16 bits: a receiver
/// that misses the first packets must not take a wrap for a late packet.
const FIRST_SEQUENCE_BITS: u64 = 0x7FFF;

/// Passes one packet on. The library writes the viewer's own SSRC, encryption and answers to
/// losses; payload, time and order stay the publisher's.
pub(super) fn relay(rtc: &mut Rtc, track: &mut Outgoing, packet: &RtpPacket, video: bool) {
    let sequence = *packet.seq_no;
    // A receiver knows nothing of wraps before its time, so that the count begins anew.
    let offset = *track
        .offset
        .get_or_insert(sequence - (sequence & FIRST_SEQUENCE_BITS));
    let Some(sequence) = sequence.checked_sub(offset) else {
        return;
    };
    let pt = packet.header.payload_type;
    let agreed = rtc
        .media(track.mid)
        .is_some_and(|media| media.remote_pts().contains(&pt));
    if !agreed {
        return;
    }
    let mut api = rtc.direct_api();
    let Some(stream) = api.stream_tx_by_mid(track.mid, None) else {
        return;
    };
    let seen = &packet.header.ext_vals;
    let extensions = ExtensionValues {
        audio_level: seen.audio_level,
        voice_activity: seen.voice_activity,
        video_orientation: seen.video_orientation,
        ..ExtensionValues::default()
    };
    let write = RtpWrite::new(
        pt,
        sequence.into(),
        packet.header.timestamp,
        packet.timestamp,
        packet.payload.clone(),
    );
    stream.write_rtp(
        write
            .marker(packet.header.marker)
            .ext_vals(extensions)
            .nackable(video),
    );
}

/// Asks a publisher for a keyframe of each video that flows.
pub(super) fn request_keyframes<'a>(
    rtc: &mut Rtc,
    tracks: impl Iterator<Item = (&'a Mid, &'a Incoming)>,
) {
    let mut api = rtc.direct_api();
    for (_, track) in tracks.filter(|(_, track)| track.kind.is_video()) {
        if let Some(stream) = track.ssrc.and_then(|ssrc| api.stream_rx(&ssrc)) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
}
