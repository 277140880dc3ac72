use core::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};

use super::Ticket;

struct Serialized(Ticket);

impl fmt::Display for Serialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[test]
fn serde_has_it_as_its_text() {
    let read = |text: &'static str| {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        Ticket::deserialize(deserializer)
    };
    let text = "1:fd:7:1:2:3:rw";
    assert_eq!(read(text).map(|ticket| Serialized(ticket).to_string()), Ok(text.to_owned()));
    assert!(read("7").is_err());
}
