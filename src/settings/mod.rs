//! The settings: defaults, then a file, then the environment, checked and turned into one validated type.
//!
//! A key that nobody knows, a value of the wrong type and a profile that can't work are errors that say where
//! they stand and what to write instead.

mod access;
mod check;
mod in_force;
mod keys;
mod load;
mod profile;
mod ranges;
mod reload;
mod secrets;
mod sections;
mod values;

pub use access::{AccessSettings, Ask, KeySection};
pub use in_force::InForce;
pub use load::{Settings, SettingsError, ToolSettings};
pub use profile::ProfileSettings;
pub use reload::Reread;
pub use sections::{
    AdminSettings, ApiSettings, BufferSection, CxoneSettings, DataSettings, DeliverySettings, EncoderSection,
    LogFormat, LogLevel, LogSettings, PipelineSettings, RetentionSettings, SearchSettings, ShutdownSettings,
    SupervisionSettings, Threads, TracesSection,
};
pub use values::{Auto, Switch};

#[cfg(test)]
mod tests;
