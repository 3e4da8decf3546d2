//! The settings: defaults, then a file, then the environment, checked and turned into one validated type.
//!
//! A key that nobody knows, a value of the wrong type and a profile that can't work are errors that say where
//! they stand and what to write instead.

mod environment;
mod known_keys;
mod load;
mod profile;
mod sections;

pub use load::{Settings, SettingsError};
pub use profile::{Profile, ProfileSettings, Switch};
pub use sections::{
    AdminSettings, BufferSection, CxoneSettings, DataSettings, DeliverySettings, EncoderSection, PipelineSettings,
    SearchSettings, ShutdownSettings, SupervisionSettings, Threads,
};

#[cfg(test)]
mod tests;
