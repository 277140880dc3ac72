//! Serialization of errors, diagnoses and reports (the feature `serde`).
//!
//! A cause and a remedy are maps: `id` (the tag), `code`, the fields of the variant, and `text`, the words of
//! `Display`; a remedy also has `advice`. Kinds, operations, severities, actions and states of privileges are
//! serialized as their identifiers.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::diagnosis::{
    Action, BackingStore, Capability, Cause, Diagnosis, Environment, Finding, NameReport, Privilege,
    PrivilegeState, Remedy, Severity,
};
use crate::error::{Error, ErrorKind, Fault, Operation};
use crate::security::{Account, IntegrityLevel, Security};

/// The fields of a variant, as entries of a map.
pub(crate) trait Fields {
    fn each<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

macro_rules! by_id {
    ($($type:ty)*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.id())
            }
        })*
    };
}

by_id!(ErrorKind Operation Severity Action PrivilegeState);

macro_rules! by_display {
    ($($type:ty)*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

by_display!(IntegrityLevel Security);

macro_rules! map {
    ($type:ty, |$value:ident| { $($key:literal: $field:expr,)* }) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                let mut map = serializer.serialize_map(None)?;
                $(map.serialize_entry($key, &$field)?;)*
                map.end()
            }
        }
    };
}

map!(Account, |account| { "id": account.id(), "name": account.name(), });

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id())?;
        map.serialize_entry("code", &self.code())?;
        self.each(&mut map)?;
        map.serialize_entry("text", &self.to_string())?;
        map.end()
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id())?;
        map.serialize_entry("code", &self.code())?;
        self.each(&mut map)?;
        map.serialize_entry("text", &self.to_string())?;
        map.serialize_entry("advice", &self.advice())?;
        map.end()
    }
}

map!(Finding, |finding| {
    "severity": finding.severity(),
    "kind": finding.error_kind(),
    "cause": finding.cause(),
    "remedies": finding.remedies(),
});

map!(Diagnosis, |diagnosis| {
    "ok": diagnosis.is_ok(),
    "kind": diagnosis.error_kind(),
    "findings": diagnosis.findings(),
});

map!(Fault, |fault| { "offset": fault.offset(), "code": fault.code(), "detail": fault.detail(), });

map!(Error, |error| {
    "kind": error.kind(),
    "code": error.kind().code(),
    "operation": error.operation(),
    "message": error.to_string(),
    "name": error.name(),
    "object": error.object(),
    "path": error.path().map(|path| path.to_string_lossy()),
    "raw_os_error": error.raw_os_error(),
    "fault": error.fault(),
    "advice": error.advice(),
    "diagnosis": error.diagnosis(),
});

map!(NameReport, |report| {
    "name": report.name().to_string(),
    "kind": report.kind(),
    "exists": report.exists(),
    "stale": report.is_stale(),
    "empty": report.is_empty(),
    "length": report.len(),
    "owner": report.owner(),
    "security": report.security(),
    "may_read": report.may_read(),
    "may_write": report.may_write(),
    "diagnosis": report.diagnosis(),
});

map!(Privilege, |privilege| { "name": privilege.name, "state": privilege.state, });

map!(BackingStore, |store| { "name": store.name, "left": store.left, "limit": store.limit, });

map!(Capability, |capability| {
    "action": capability.action(),
    "text": capability.action().to_string(),
    "diagnosis": capability.diagnosis(),
});

map!(Environment, |environment| {
    "user": environment.user(),
    "elevated": environment.elevated(),
    "integrity": environment.integrity(),
    "session": environment.session(),
    "app_container": environment.app_container(),
    "package": environment.package(),
    "privileges": environment.privileges(),
    "backing_store": environment.backing_store(),
    "page_size": environment.page_size(),
    "granularity": environment.granularity(),
    "large_page_size": environment.large_page_size(),
    "capabilities": environment.capabilities(),
});
