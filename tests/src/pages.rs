//! The pages that show code, so that what they show compiles.

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/guide/connect.md")]
struct Connect;

#[doc = include_str!("../../docs/guide/acquire.md")]
struct Acquire;

#[doc = include_str!("../../docs/guide/tokens.md")]
struct Tokens;

#[doc = include_str!("../../docs/guide/failures.md")]
struct Failures;
