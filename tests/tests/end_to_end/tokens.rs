//! The client's token: its renewal, its refusal and its end.

use std::time::Duration;

use wakecast::{Acquire, ConnectionState, ErrorCode, Event, Token, TokenReason};
use wakecast_local::TokenRequest;

use crate::cloud::{APP, Cloud, connected, event, within};
use crate::lifecycle::time_passes;
use crate::logs::CANARY;

#[tokio::test]
async fn a_token_is_renewed_in_band_during_a_boot() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let provider = cloud.provider("alice").life(Duration::from_secs(10));
    let client = cloud.client_of(provider.clone());
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    // The third is asked for at half of the second's life, when the first has ended.
    within("two renewals", provider.asked(3)).await;
    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert!(lease.endpoint().await.unwrap().stream_token.is_some());
    assert_eq!(
        provider.calls(),
        [
            TokenReason::Initial,
            TokenReason::Expiring,
            TokenReason::Expiring
        ]
    );
    assert_eq!(cloud.connects(), 1, "the socket stays");
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn forged_tokens_fail_after_two_and_start_nothing() {
    let cloud = Cloud::quick().await;
    let forged = ["a", "b", "c"].map(|end| Token::new(format!("{CANARY}-{end}")));
    let provider = cloud.provider("mallory").first(forged);
    let client = cloud.client_of(provider.clone());
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    let error = within("a refusal", acquisition).await.unwrap_err();
    assert_eq!(*error.code(), ErrorCode::TokenRejected);
    let failed = event("Failed", &mut events, |event| match event {
        Event::State(ConnectionState::Failed { error }) => Some(error),
        _ => None,
    })
    .await;
    assert_eq!(*failed.code(), ErrorCode::TokenRejected);
    let asked = [TokenReason::Initial, TokenReason::Rejected];
    assert_eq!(provider.calls(), asked);
    assert_eq!(cloud.connects(), 0);
    assert_eq!(cloud.power_ons(), (0, 0));
    assert_eq!(cloud.status().await["rows"].as_array().unwrap().len(), 0);
    cloud.end();
}

#[tokio::test]
async fn a_token_that_has_expired_is_replaced_at_connect() {
    let cloud = Cloud::quick().await;
    let request = TokenRequest::new("alice").with_life(Duration::ZERO);
    let expired = cloud.token(&request).unwrap().secret;
    // It ends with the second in which it was minted.
    time_passes(&cloud.client("bob"), Duration::from_secs(1)).await;

    // A cache that believes its token to be good.
    let stale = Token::new(expired).expires_in(Duration::from_secs(3600));
    let provider = cloud.provider("alice").first([stale]);
    let client = cloud.client_of(provider.clone());
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    within("the lease", acquisition).await.unwrap();
    let asked = [TokenReason::Initial, TokenReason::Rejected];
    assert_eq!(provider.calls(), asked);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}
