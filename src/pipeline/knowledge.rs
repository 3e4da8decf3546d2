//! The encoder and the engines of the profiles' indexes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cuecard_actors::engine::encoder::{Encoder, EncoderError, EncoderSettings, default_model_dir};
use cuecard_actors::engine::knowledge::{IndexError, IndexHandle, ModelIdentity};
use cuecard_actors::engine::{BulkEncoder, Engine};

use crate::settings::Settings;

/// What is loaded before the first question: one encoder for all, one engine for each index.
pub struct Knowledge {
    /// The model, on its threads.
    pub encoder: Encoder,
    engines: HashMap<PathBuf, Engine>,
}

/// Why it can't be loaded; the message says what to run.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// The model.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A profile's index.
    #[error("profile `{profile}`: the index {} can't be used: {source}", path.display())]
    Index {
        /// The first profile that names it.
        profile: String,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<IndexError>,
    },
}

impl Knowledge {
    /// Loads model and indexes; blocks for a second or so.
    pub fn load(settings: &Settings) -> Result<Self, KnowledgeError> {
        let section = &settings.encoder;
        let encoder = Encoder::load(&EncoderSettings {
            model_dir: section.model_dir().map_or_else(default_model_dir, PathBuf::from),
            // One core is left to the actors, the search, and CXone's sockets.
            threads: section.threads.resolve(|cores| cores.saturating_sub(1)),
            live_capacity: section.live_queue,
            max_batch: section.max_batch,
        })?;
        let identity = ModelIdentity::of(&BulkEncoder::new(encoder.clone()));
        let mut engines = HashMap::new();
        for profile in &settings.profiles {
            if engines.contains_key(&profile.index) {
                continue;
            }
            let index =
                IndexHandle::open(&profile.index, Some(identity.clone())).map_err(|source| KnowledgeError::Index {
                    profile: profile.name.to_string(),
                    path: profile.index.clone(),
                    source: Box::new(source),
                })?;
            engines.insert(profile.index.clone(), Engine::new(encoder.clone(), Arc::new(index)));
        }
        Ok(Self { encoder, engines })
    }

    /// The engine of an index that was loaded.
    pub(super) fn engine(&self, index: &PathBuf) -> Engine {
        self.engines[index].clone()
    }
}
