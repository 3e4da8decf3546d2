//! The model's numbers, put together once for all threads.
//!
//! Input: tensors by name, as the file has them. Output: layers ready to multiply with. A tensor
//! that is missing or has another shape or kind is named. Copies made with `share` hold the same
//! memory; nothing writes to it after loading.

use std::{collections::HashMap, path::Path};

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

/// BERT's; the configuration has it too, but every model of this family uses this value.
const LAYER_NORM_EPSILON: f64 = 1e-12;

/// What a file holds.
pub(crate) struct NamedTensors(HashMap<String, Tensor>);

pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

pub(crate) struct Embeddings {
    /// `[vocabulary, hidden]`
    pub(crate) words: Tensor,
    /// `[positions, hidden]`: position plus the one token type that single texts have.
    pub(crate) positions: Tensor,
    pub(crate) norm: LayerNorm,
}

pub(crate) struct Layer {
    /// Query, key and value in one product; the query comes out divided by the root of a head's size.
    pub(crate) query_key_value: Linear,
    pub(crate) attention_output: Linear,
    pub(crate) attention_norm: LayerNorm,
    pub(crate) intermediate: Linear,
    pub(crate) output: Linear,
    pub(crate) output_norm: LayerNorm,
}

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
        let attend = |part: &str| self.linear(&name(&format!("attention.self.{part}")), hidden, hidden);
        let scale = 1.0 / ((hidden / config.num_attention_heads) as f64).sqrt();
        let parts = [attend("query")?.scaled(scale), Ok(attend("key")?), Ok(attend("value")?)];
        let parts = parts.into_iter().collect::<Result<Vec<Linear>, TchError>>();
        Ok(Layer {
            query_key_value: parts.and_then(|parts| Linear::joined(&parts)).map_err(|error| error.to_string())?,
            attention_output: self.linear(&name("attention.output.dense"), hidden, hidden)?,
            attention_norm: self.layer_norm(&name("attention.output.LayerNorm"), hidden)?,
            intermediate: self.linear(&name("intermediate.dense"), hidden, wide)?,
            output: self.linear(&name("output.dense"), wide, hidden)?,
            output_norm: self.layer_norm(&name("output.LayerNorm"), hidden)?,
        })
    }

    fn linear(&self, name: &str, inputs: i64, outputs: i64) -> Result<Linear, String> {
        Ok(Linear {
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

impl Linear {
    /// `[.., inputs]` to `[.., outputs]`
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input.f_linear(&self.weight, Some(&self.bias))
    }

    fn scaled(self, factor: f64) -> Result<Self, TchError> {
        Ok(Self { weight: self.weight.f_mul_scalar(factor)?, bias: self.bias.f_mul_scalar(factor)? })
    }

    /// Several with the same input as one, outputs side by side.
    fn joined(parts: &[Self]) -> Result<Self, TchError> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases: Vec<&Tensor> = parts.iter().map(|part| &part.bias).collect();
        Ok(Self { weight: Tensor::f_cat(&weights, 0)?, bias: Tensor::f_cat(&biases, 0)? })
    }

    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl LayerNorm {
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let shape = self.weight.size();
        input.f_layer_norm(shape, Some(&self.weight), Some(&self.bias), LAYER_NORM_EPSILON, false)
    }

    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl Embeddings {
    pub(crate) fn share(&self) -> Self {
        Self { words: self.words.shallow_clone(), positions: self.positions.shallow_clone(), norm: self.norm.share() }
    }
}

impl Layer {
    pub(crate) fn share(&self) -> Self {
        Self {
            query_key_value: self.query_key_value.share(),
            attention_output: self.attention_output.share(),
            attention_norm: self.attention_norm.share(),
            intermediate: self.intermediate.share(),
            output: self.output.share(),
            output_norm: self.output_norm.share(),
        }
    }
}
