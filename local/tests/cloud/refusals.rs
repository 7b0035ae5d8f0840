//! What is refused, and how it is told.

use serde_json::json;
use wakecast_local::cloud::LONGEST_TOKEN_LIFE;
use wakecast_local::gateway::Limits;
use wakecast_local::{LocalCloud, LocalConfig, LocalError, TokenRequest};

use crate::client::Client;
use crate::http;
use crate::world::{cloud, quick, refused, status, wake};

#[tokio::test]
async fn bad_tokens_are_refused_with_their_status() {
    let cloud = cloud().await;
    let no_protocol = Client::plain(&cloud.websocket_url).await;
    assert_eq!(refused(no_protocol), 426);
    assert_eq!(refused(Client::with_token(&cloud, "canary").await), 401);
    let empty = TokenRequest {
        scopes: Vec::new(),
        ..TokenRequest::new("alice")
    };
    let token = cloud.token(&empty).unwrap();
    assert_eq!(
        refused(Client::with_token(&cloud, token.secret.expose()).await),
        403
    );
    let access = format!("{}/v1/access", cloud.access_url);
    assert_eq!(http::send("GET", &access, &[], "").await.status, 401);
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    let bearer = format!("Bearer {}", token.secret.expose());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", "https://app.example"),
    ];
    let answer = http::send("GET", &access, &headers, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.eq_ignore_ascii_case("retry-after"));
}

#[tokio::test]
async fn throttled_connects_are_429() {
    let limits = Limits {
        connects_per_second: 0,
        connect_burst: 1,
        ..Limits::default()
    };
    let cloud = LocalCloud::start(LocalConfig { limits, ..quick() })
        .await
        .unwrap();
    let _first = Client::hello(&cloud, "alice").await;
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    assert_eq!(
        refused(Client::with_token(&cloud, token.secret.expose()).await),
        429
    );
}

#[tokio::test]
async fn bad_messages_get_typed_errors_and_start_nothing() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    for text in [
        "{",
        "[]",
        r#"{"action":"fly","id":"f1"}"#,
        r#"{"action":"acquire","id":"a1"}"#,
    ] {
        client.text(text).await;
        let error = client.next().await;
        assert_eq!(error["type"], "error", "{text}: {error}");
        assert!(error["code"].is_string(), "{text}: {error}");
    }
    let version = json!({ "action": "hello", "id": "h2", "v": 99, "client_id": "c", "sdk": "t" });
    client.send(version).await;
    let answer = client.next().await;
    assert_eq!(answer["code"], "client_too_old", "{answer}");
    assert_eq!(cloud.launches(), 0);
}

#[tokio::test]
async fn configurations_that_cannot_work_are_refused() {
    let long = LocalConfig {
        token_life: LONGEST_TOKEN_LIFE * 2,
        ..quick()
    };
    let error = LocalCloud::start(long).await.unwrap_err();
    assert!(matches!(&error, LocalError::TokenLife(_)), "{error}");
    assert!(error.to_string().contains("3600"));
    let nothing = LocalConfig {
        offerings: Vec::new(),
        ..quick()
    };
    let error = LocalCloud::start(nothing).await.unwrap_err();
    assert!(
        matches!(&error, LocalError::Fleet(why) if why.field == "offerings"),
        "{error}"
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = cloud().await;
    let port = first
        .websocket_url
        .rsplit([':', '/'])
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let second = LocalConfig {
        port: Some(port),
        ..quick()
    };
    let error = LocalCloud::start(second).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.to_string().contains("--port"), "{error}");
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_secret() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    let endpoint = wake(&mut client, "a1", "publish").await;
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    let hint = cloud.hint_url();
    let timeline = http::send("GET", &format!("{}/timeline", cloud.admin_url), &[], "")
        .await
        .body;
    let shown = [
        status(&cloud).await.to_string(),
        timeline,
        format!("{cloud:?}"),
    ];
    let hint_secret = hint.expose().rsplit('/').next().unwrap();
    let secrets = [
        token.secret.expose(),
        endpoint["stream_token"].as_str().unwrap(),
        hint_secret,
    ];
    for text in &shown {
        for secret in secrets {
            assert!(!text.contains(secret));
        }
    }
    client.close().await;
}
