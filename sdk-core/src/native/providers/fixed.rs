//! One token, for development.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::native::token::{Token, TokenError, TokenProvider};
use crate::{Secret, TokenReason};

/// Always the same token: for development, tests and tools that run for less than its life.
///
/// It cannot be renewed. Once the server has refused it the client fails with
/// `token_provider_failed`, not retryable, and no refused token is sent again. An app uses an
/// [`HttpTokenProvider`](crate::HttpTokenProvider) or a closure instead.
///
/// ```no_run
/// # fn example() -> Result<(), wakecast::Error> {
/// use wakecast::{Client, FixedToken};
///
/// let client = Client::builder("ws://127.0.0.1:8080/prod")
///     .token_provider(FixedToken::new("a.b.c"))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FixedToken(Secret);

impl FixedToken {
    /// Wraps the token. Its life is read from its own claims, where it is a JWT.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self(token.into())
    }
}

impl TokenProvider for FixedToken {
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        let answer = match reason {
            TokenReason::Initial | TokenReason::Expiring => Ok(Token::new(self.0.clone())),
            TokenReason::Rejected => Err(TokenError::refused(
                "the server refused the fixed token, which cannot be renewed: make a client with a \
                 fresh one, or give it a provider that can ask for another",
            )),
        };
        ready(answer).boxed()
    }
}
