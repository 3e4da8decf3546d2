//! The model's numbers, put together once for all threads.
//!
//! Input: tensors by name, as the file has them. Output: layers ready to multiply with, in f32. A
//! tensor that is missing or has another shape or kind is named.

use std::{collections::HashMap, path::Path};

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

use crate::{
    layers::{Embeddings, Layer, LayerNorm},
    linear::{FloatLinear, Linear},
};

/// What a file holds.
pub(crate) struct NamedTensors(HashMap<String, Tensor>);

impl NamedTensors {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let tensors = Tensor::read_safetensors(path).map_err(|error| error.to_string())?;
        Ok(Self(tensors.into_iter().collect()))
    }

    pub(crate) fn embeddings(&self, config: &BertConfig) -> Result<Embeddings, String> {
        let hidden = config.hidden_size;
        let types = self.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, hidden])?;
        let positions =
            self.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let positions = types.f_narrow(0, 0, 1).and_then(|first_type| positions.f_add(&first_type));
        Ok(Embeddings {
            words: self.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?,
            positions: positions.map_err(|error| error.to_string())?,
            norm: self.layer_norm("embeddings.LayerNorm", hidden)?,
        })
    }

    pub(crate) fn layer(&self, number: i64, config: &BertConfig) -> Result<Layer, String> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |part: &str, inputs, outputs| self.linear(&name(part), inputs, outputs).map(Linear::F32);
        Ok(Layer {
            query_key_value: self.query_key_value(&name("attention.self"), config).map(Linear::F32)?,
            attention_output: linear("attention.output.dense", hidden, hidden)?,
            attention_norm: self.layer_norm(&name("attention.output.LayerNorm"), hidden)?,
            intermediate: linear("intermediate.dense", hidden, wide)?,
            output: linear("output.dense", wide, hidden)?,
            output_norm: self.layer_norm(&name("output.LayerNorm"), hidden)?,
        })
    }

    fn query_key_value(&self, name: &str, config: &BertConfig) -> Result<FloatLinear, String> {
        let hidden = config.hidden_size;
        let part = |part: &str| self.linear(&format!("{name}.{part}"), hidden, hidden);
        let scale = 1.0 / ((hidden / config.num_attention_heads) as f64).sqrt();
        let parts = [part("query")?.scaled(scale), Ok(part("key")?), Ok(part("value")?)];
        let parts = parts.into_iter().collect::<Result<Vec<FloatLinear>, TchError>>();
        parts.and_then(|parts| FloatLinear::joined(&parts)).map_err(|error| error.to_string())
    }

    fn linear(&self, name: &str, inputs: i64, outputs: i64) -> Result<FloatLinear, String> {
        Ok(FloatLinear {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn layer_norm(&self, name: &str, size: i64) -> Result<LayerNorm, String> {
        Ok(LayerNorm {
            weight: self.tensor(&format!("{name}.weight"), &[size])?,
            bias: self.tensor(&format!("{name}.bias"), &[size])?,
        })
    }

    fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, String> {
        let tensor = self.0.get(name).ok_or_else(|| format!("the tensor {name} is missing"))?;
        let found = tensor.size();
        if found != shape {
            return Err(format!("the tensor {name} has the shape {found:?} instead of {shape:?}"));
        }
        let kind = tensor.f_kind().map_err(|error| error.to_string())?;
        if kind != Kind::Float {
            return Err(format!("the tensor {name} holds {kind:?} instead of Float"));
        }
        Ok(tensor.shallow_clone())
    }
}
