//! Where tokens come from: the app.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::machine::TokenFailure;
use crate::{Secret, TokenReason};

/// Gives the client its tokens.
///
/// Asked once at a time and at most every 5 s: at the start, before a token ends, and when the
/// server refused one. An answer may take 15 s, so a provider may show a login; one that takes
/// longer, fails or panics is asked again later, and a connection that still has a live token
/// stays. A call that is no longer waited for is dropped.
///
/// Implemented for closures that return a future:
///
/// ```
/// use std::time::Duration;
/// use wakecast::{Token, TokenError, TokenProvider, TokenReason};
///
/// fn provider() -> impl TokenProvider {
///     |reason: TokenReason| async move {
///         // A cache must step aside when the server refused what it last gave.
///         let fresh = reason == TokenReason::Rejected;
///         let text = fetch_from_backend(fresh).await.map_err(TokenError::new)?;
///         Ok(Token::new(text).expires_in(Duration::from_secs(3600)))
///     }
/// }
/// # async fn fetch_from_backend(_fresh: bool) -> Result<String, &'static str> { Err("offline") }
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// Returns a token that has not been refused before.
    ///
    /// # Errors
    ///
    /// Whatever kept the provider from a token. The client asks again.
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>>;
}

impl<F, Fut> TokenProvider for F
where
    F: Fn(TokenReason) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Token, TokenError>> + Send + 'static,
{
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        self(reason).boxed()
    }
}

/// A token and how long it lives.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    expires_in: Option<Duration>,
}

impl Token {
    /// Wraps a token. Without [`expires_in`](Self::expires_in) its life is read from the token's
    /// own claims, where it is a JWT, until the server has told it.
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self {
            secret: secret.into(),
            expires_in: None,
        }
    }

    /// Says how long the token still lives, counted from now.
    #[must_use]
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires_in = Some(life);
        self
    }
}

/// Why a provider has no token.
///
/// Two kinds: a failure that asking again can mend ([`new`](Self::new)), and a refusal of this user
/// ([`refused`](Self::refused)), with which the client stops trying.
#[derive(Clone, Debug)]
pub struct TokenError {
    message: String,
    refused: bool,
    retry_after: Option<Duration>,
}

impl TokenError {
    /// Makes an error. The message becomes the cause of [`crate::Error`] and may be logged by the
    /// app: it must hold no secret.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            refused: false,
            retry_after: None,
        }
    }

    /// Makes an error that says: this user gets no token until the app has done something. A
    /// client that is connecting becomes [`Failed`](crate::ConnectionState::Failed) with
    /// `token_provider_failed`, not retryable, and asks again after
    /// [`retry`](crate::Client::retry). A link that is up stays until its token ends. The message
    /// is treated like that of [`new`](Self::new).
    pub fn refused(message: impl fmt::Display) -> Self {
        Self {
            refused: true,
            ..Self::new(message)
        }
    }

    /// Says before when asking again is useless.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns whether the provider refuses this user.
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl From<TokenError> for TokenFailure {
    fn from(error: TokenError) -> Self {
        Self {
            message: error.message,
            refused: error.refused,
            retry_after: error.retry_after,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TokenError {}

/// Asks a provider. A panic becomes an error: it is the app's and must not take the client along.
/// Its payload is not told, since it may hold what the provider was working with.
pub(super) async fn ask(
    provider: Arc<dyn TokenProvider>,
    reason: TokenReason,
) -> Result<(Secret, Option<Duration>), TokenError> {
    let call = async move { provider.token(reason).await };
    let token = AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(TokenError::new("the token provider panicked")))?;
    Ok((token.secret, token.expires_in))
}
