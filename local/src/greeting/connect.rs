{
    use wakecast::{Acquire, Client};
    let client = Client::builder("WEBSOCKET_URL")
        .access_url("ACCESS_URL").token_provider(provider).build()?;
    let lease = client.acquire(Acquire::publish("APP", "match-1")).await?;
}
