//! The HTTP API.

use serde_json::json;
use wakecast_local::gateway::Crash;

use crate::http;
use crate::world::http_api;

#[tokio::test]
async fn the_http_event_has_the_real_shape() {
    let (api, mut events) = http_api(|_| Ok(json!({ "statusCode": 204 }))).await;
    let url = format!("{}/v1/hints/secret?x=1&x=2", api.url());
    let headers = [("X-Wakecast", "a"), ("User-Agent", "test/1")];
    let answer = http::send("POST", &url, &headers, r#"{"action":"liveStreamStarted"}"#).await;
    assert_eq!(answer.status, 204);
    let event = events.recv().await.unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawPath"], "/v1/hints/secret");
    assert_eq!(event["rawQueryString"], "x=1&x=2");
    assert_eq!(event["queryStringParameters"], json!({ "x": "1,2" }));
    assert_eq!(event["headers"]["x-wakecast"], "a");
    assert_eq!(event["body"], r#"{"action":"liveStreamStarted"}"#);
    let http = &event["requestContext"]["http"];
    assert_eq!(http["method"], "POST");
    assert_eq!(http["path"], "/v1/hints/secret");
    assert_eq!(http["sourceIp"], "127.0.0.1");
    assert_eq!(http["userAgent"], "test/1");
}

#[tokio::test]
async fn http_responses_pass_as_they_are_and_preflights_reach_the_function() {
    let (api, mut events) = http_api(|_| {
        let headers = json!({ "Retry-After": "3", "Access-Control-Allow-Origin": "https://app" });
        Ok(json!({ "statusCode": 429, "headers": headers, "body": "{}" }))
    })
    .await;
    let url = format!("{}/v1/access", api.url());
    for method in ["GET", "OPTIONS"] {
        let answer = http::send(method, &url, &[("Origin", "https://app")], "").await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (429, Some("3"))
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app")
        );
        let event = events.recv().await.unwrap();
        assert_eq!(event["requestContext"]["http"]["method"], method);
        assert_eq!(event["headers"]["origin"], "https://app");
    }
}

#[tokio::test]
async fn a_crashed_http_integration_is_a_500() {
    let (api, _events) = http_api(|_| Err(Crash("boom".to_owned()))).await;
    let answer = http::send("GET", &format!("{}/v1/access", api.url()), &[], "").await;
    assert_eq!(
        (answer.status, answer.json()["message"].clone()),
        (500, json!("Internal Server Error"))
    );
}
