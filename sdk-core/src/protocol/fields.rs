//! Reads server messages field by field.
//!
//! A derived reader is generated anew for each structure and was half of what the module weighs in
//! a browser. Here the text is read once into a tree, and each field costs one call.

use super::DecodeError;
use super::tree::{Object, Tree};
use crate::{ErrorCode, Secret};

/// The fields of one message that are not read yet. What nobody reads is ignored.
///
/// Reading goes on after a fault, with a blank in place of the value; the fault is told in the end.
/// Leaving at each field would take as much code again, to drop what was read before.
pub(super) struct Fields {
    message: &'static str,
    fields: Object,
    fault: Option<DecodeError>,
}

impl Fields {
    pub(super) fn new(message: &'static str, fields: Object) -> Self {
        Self {
            message,
            fields,
            fault: None,
        }
    }

    /// Reads a field that has to be there.
    pub(super) fn required<T: FromField>(&mut self, field: &'static str) -> T {
        self.optional(field).unwrap_or_else(|| {
            let message = self.message;
            self.fault.get_or_insert_with(|| DecodeError::Malformed {
                message,
                missing: Some(field.to_owned()),
                column: 0,
            });
            T::blank()
        })
    }

    /// Reads a field that may be left out or `null`.
    pub(super) fn optional<T: FromField>(&mut self, field: &'static str) -> Option<T> {
        match self.fields.take(field) {
            Tree::Null => None,
            value => {
                let value = T::from_field(value);
                if value.is_none() {
                    let message = self.message;
                    let unfit = DecodeError::Unfit { message, field };
                    self.fault.get_or_insert(unfit);
                }
                value
            }
        }
    }

    /// Tells the first fault of all that was read; what was read is void then.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        self.fault.map_or(Ok(()), Err)
    }
}

/// What a field can hold.
pub(super) trait FromField: Sized {
    /// Reads it; `None` for a value of the wrong kind.
    fn from_field(value: Tree) -> Option<Self>;

    /// Stands in until the fault is told.
    fn blank() -> Self;
}

/// A structure within a message. What is wrong with its fields is told of the field that holds it.
pub(super) trait FromFields: Sized {
    fn from_fields(fields: &mut Fields) -> Self;
}

impl<T: FromFields> FromField for T {
    fn from_field(value: Tree) -> Option<Self> {
        let Tree::Object(object) = value else {
            return None;
        };
        let mut fields = Fields::new("", object);
        let value = Self::from_fields(&mut fields);
        fields.fault.is_none().then_some(value)
    }

    fn blank() -> Self {
        Self::from_fields(&mut Fields::new("", Object::default()))
    }
}

impl<T: FromField> FromField for Vec<T> {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::List(values) => values.into_iter().map(T::from_field).collect(),
            _ => None,
        }
    }

    fn blank() -> Self {
        Self::new()
    }
}

impl FromField for String {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    fn blank() -> Self {
        Self::new()
    }
}

impl FromField for Secret {
    fn from_field(value: Tree) -> Option<Self> {
        String::from_field(value).map(Self::new)
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl FromField for ErrorCode {
    fn from_field(value: Tree) -> Option<Self> {
        value.as_text().map(Self::parse)
    }

    fn blank() -> Self {
        Self::ProtocolError
    }
}

impl FromField for bool {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn blank() -> Self {
        false
    }
}

impl FromField for u64 {
    fn from_field(value: Tree) -> Option<Self> {
        match value {
            Tree::Whole(value) => Some(value),
            _ => None,
        }
    }

    fn blank() -> Self {
        0
    }
}

impl FromField for u32 {
    fn from_field(value: Tree) -> Option<Self> {
        u64::from_field(value)?.try_into().ok()
    }

    fn blank() -> Self {
        0
    }
}
