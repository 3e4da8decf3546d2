//! What the model is made of besides linear layers, and how it is put together from the file.
//!
//! Input: tensors by name, as the file has them. Output: layers ready to multiply with, in f32. A tensor that is missing
//! or has another shape or kind is named. `share` gives another thread the same memory; nothing writes to it after
//! loading.

use std::{collections::HashMap, path::Path};

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

use crate::linear::{FloatLinear, Linear, Yield};

/// BERT's; the configuration has it too, but every model of this family uses this value.
const LAYER_NORM_EPSILON: f64 = 1e-12;

pub(crate) struct LayerNorm {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

pub(crate) struct EmbeddingLayer {
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

impl LayerNorm {
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let size = self.weight.size1()?;
        input.f_layer_norm([size], Some(&self.weight), Some(&self.bias), LAYER_NORM_EPSILON, false)
    }

    pub(crate) fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl EmbeddingLayer {
    /// `[length, hidden]` before the first layer.
    pub(crate) fn apply(&self, text: &[i64]) -> Result<Tensor, TchError> {
        let ids = Tensor::f_from_slice(text)?;
        let mut hidden = Tensor::f_embedding(&self.words, &ids, -1, false, false)?;
        let _ = hidden.f_add_(&self.positions.f_narrow(0, 0, ids.size1()?)?)?;
        self.norm.apply(&hidden)
    }

    pub(crate) fn share(&self) -> Self {
        Self { words: self.words.shallow_clone(), positions: self.positions.shallow_clone(), norm: self.norm.share() }
    }
}

impl Layer {
    /// The end of the first half, in which each position looks at the others: `contexts` is what it saw there.
    /// Overwrites the contexts.
    pub(crate) fn attended(
        &self,
        hidden: &[Tensor],
        contexts: &mut [Tensor],
        yield_now: Yield<'_>,
    ) -> Result<Vec<Tensor>, TchError> {
        let outputs = self.attention_output.apply_onto(hidden, contexts, yield_now)?;
        outputs.iter().map(|output| self.attention_norm.apply(output)).collect()
    }

    /// The second half of a layer, which looks at each position alone.
    pub(crate) fn feed_forward(&self, hidden: &[Tensor], yield_now: Yield<'_>) -> Result<Vec<Tensor>, TchError> {
        let mut wide = self.widen(hidden, yield_now)?;
        let outputs = self.output.apply_onto(hidden, &mut wide, yield_now)?;
        outputs.iter().map(|output| self.output_norm.apply(output)).collect()
    }

    /// The input of the second half's last product.
    pub(crate) fn widen(&self, hidden: &[Tensor], yield_now: Yield<'_>) -> Result<Vec<Tensor>, TchError> {
        self.intermediate.apply(hidden, yield_now)?.into_iter().map(|mut wide| wide.f_gelu_("none")).collect()
    }

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

/// What a file holds.
pub(crate) struct NamedTensors(HashMap<String, Tensor>);

impl NamedTensors {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let tensors = Tensor::read_safetensors(path).map_err(|error| error.to_string())?;
        Ok(Self(tensors.into_iter().collect()))
    }

    pub(crate) fn embeddings(&self, config: &BertConfig) -> Result<EmbeddingLayer, String> {
        let hidden = config.hidden_size;
        let types = self.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, hidden])?;
        let positions =
            self.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let positions = types.f_narrow(0, 0, 1).and_then(|first_type| positions.f_add(&first_type));
        Ok(EmbeddingLayer {
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
