//! HTTP statuses in a descriptor file.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

struct Status(u16);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = u16;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an HTTP status, as a number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<u16, E> {
                u16::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<u16, E> {
                u16::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_u16(Number).map(Self)
    }
}

pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let statuses = Vec::<Status>::deserialize(deserializer)?;
    Ok(statuses.into_iter().map(|status| status.0).collect())
}

pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let status = Option::<Status>::deserialize(deserializer)?;
    Ok(status.map(|status| status.0))
}
