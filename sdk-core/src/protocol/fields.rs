//! Reads server messages field by field.
//!
//! A derived reader is generated anew for each structure and was half of what the module weighs in
//! a browser. Here the text is read once into a tree, and each field costs one call.

use super::DecodeError;
use super::tree::{Object, Tree};
use crate::{ErrorCode, Secret};

/// The fields of one message that are not read yet. What nobody reads is ignored.
pub(super) struct Fields {
    message: &'static str,
    fields: Object,
}

impl Fields {
    pub(super) fn new(message: &'static str, fields: Object) -> Self {
        Self { message, fields }
    }

    /// Reads a field that has to be there.
    pub(super) fn required<T: FromField>(&mut self, field: &'static str) -> Result<T, DecodeError> {
        self.optional(field)?.ok_or_else(|| DecodeError::Malformed {
            message: self.message,
            missing: Some(field.to_owned()),
            column: 0,
        })
    }

    /// Reads a field that may be left out or `null`.
    pub(super) fn optional<T: FromField>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        match self.fields.take(field) {
            Tree::Null => Ok(None),
            value => match T::from_field(value) {
                Some(value) => Ok(Some(value)),
                None => Err(DecodeError::Unfit {
                    message: self.message,
                    field,
                }),
            },
        }
    }
}

/// What a field can hold; `None` for a value of the wrong kind.
pub(super) trait FromField: Sized {
    fn from_field(value: Tree) -> Option<Self>;
}

/// A structure within a message. What is wrong with its fields is told of the field that holds it.
pub(super) trait FromFields: Sized {
    fn from_fields(fields: &mut Fields) -> Result<Self, DecodeError>;
}

impl<T: FromFields> FromField for T {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Object(fields) => Self::from_fields(&mut Fields::new("", fields)).ok(),
            _ => None,
        }
    }
}

impl<T: FromField> FromField for Vec<T> {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::List(values) => values.into_iter().map(T::from_field).collect(),
            _ => None,
        }
    }
}

impl FromField for String {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromField for Secret {
    fn from_field(value: Tree) -> Option<Self> {
        String::from_field(value).map(Self::new)
    }
}

impl FromField for ErrorCode {
    fn from_field(value: Tree) -> Option<Self> {
        value.as_text().map(Self::parse)
    }
}

impl FromField for bool {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Bool(value) => Some(value),
            _ => None,
        }
    }
}

impl FromField for u64 {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Whole(value) => Some(value),
            _ => None,
        }
    }
}

impl FromField for u32 {
    fn from_field(value: Tree) -> Option<Self> {
        u64::from_field(value)?.try_into().ok()
    }
}
