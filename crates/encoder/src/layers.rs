//! What the model is made of besides linear layers, and how it is put together from the file.
//!
//! Input: tensors by name, as the file has them. Output: layers ready to multiply with, in f32. A tensor that is missing,
//! has another shape or kind, or holds what is no number is named. A clone, for another thread, is the same memory; nothing writes to it after
//! loading.

use std::{collections::HashMap, path::Path, sync::Arc};

use rust_bert::bert::BertConfig;
use tch::{Kind, TchError, Tensor};

use crate::{
    attention::{Texts, attend},
    linear::{FloatLinear, Linear, Weights, Yield},
    rows::Rows,
    simd::{add_and_normalise, gelu},
};

/// BERT's; the configuration has it too, but every model of this family uses this value.
const LAYER_NORM_EPSILON: f32 = 1e-12;

#[derive(Clone)]
pub(crate) struct LayerNorm {
    weight: Arc<[f32]>,
    bias: Arc<[f32]>,
}

#[derive(Clone)]
pub(crate) struct EmbeddingLayer {
    /// `[vocabulary, hidden]`
    words: Weights,
    /// `[positions, hidden]`: position plus the one token type that single texts have.
    positions: Arc<[f32]>,
    norm: LayerNorm,
}

/// What a layer writes into, kept from one to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `[word pieces, 3 · hidden]`, then `[word pieces, intermediate]`
    wide: Rows,
    /// `[word pieces, hidden]`
    contexts: Rows,
    /// `[word pieces, hidden]`
    output: Rows,
}

#[derive(Clone)]
pub(crate) struct Layer {
    /// Query, key and value in one product; the query comes out divided by the root of a head's size.
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl LayerNorm {
    /// Of the sums of both.
    fn apply_to_sums(&self, rows: &mut Rows, others: &[f32]) {
        add_and_normalise(&mut rows.values, others, &self.weight, &self.bias, LAYER_NORM_EPSILON);
    }
}

impl EmbeddingLayer {
    /// `[word pieces, hidden]` before the first layer.
    pub(crate) fn apply(&self, texts: &[&[i64]]) -> Result<Rows, TchError> {
        let ids = Tensor::f_from_slice(&texts.concat())?;
        let mut hidden = Rows::default();
        hidden.copy(&Tensor::f_embedding(&self.words.0, &ids, -1, false, false)?)?;
        let positions: Vec<f32> =
            texts.iter().flat_map(|text| &self.positions[..text.len() * hidden.width]).copied().collect();
        self.norm.apply_to_sums(&mut hidden, &positions);
        Ok(hidden)
    }
}

impl Layer {
    /// The layer's output in place of its input: `[word pieces, hidden]`. `received` gets, for each word piece, what it got of
    /// the attention of all queries and heads together.
    pub(crate) fn apply(
        &self,
        hidden: &mut Rows,
        texts: &Texts<'_>,
        received: &mut [f32],
        scratch: &mut Scratch,
        yield_now: Yield<'_>,
    ) -> Result<(), TchError> {
        let Scratch { wide, contexts, output } = scratch;
        self.query_key_value.apply(hidden, wide, yield_now)?;
        attend(wide, texts, contexts, received, yield_now).map_err(|error| TchError::Shape(error.to_string()))?;
        self.attention_output.apply(contexts, output, yield_now)?;
        self.attention_norm.apply_to_sums(hidden, &output.values);

        self.intermediate.apply(hidden, wide, yield_now)?;
        gelu(&mut wide.values);
        self.output.apply(wide, output, yield_now)?;
        self.output_norm.apply_to_sums(hidden, &output.values);
        Ok(())
    }

    pub(crate) fn quantised(&self) -> Result<Self, TchError> {
        Ok(Self {
            query_key_value: self.query_key_value.quantised()?,
            attention_output: self.attention_output.quantised()?,
            attention_norm: self.attention_norm.clone(),
            intermediate: self.intermediate.quantised()?,
            output: self.output.quantised()?,
            output_norm: self.output_norm.clone(),
        })
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
            words: self.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, hidden]).map(Weights)?,
            positions: positions.and_then(|positions| numbers(&positions)).map_err(|error| error.to_string())?,
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
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs]).map(Weights)?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs]).map(Weights)?,
        })
    }

    fn layer_norm(&self, name: &str, size: i64) -> Result<LayerNorm, String> {
        let part = |part: &str| {
            let tensor = self.tensor(&format!("{name}.{part}"), &[size])?;
            numbers(&tensor).map_err(|error| error.to_string())
        };
        Ok(LayerNorm { weight: part("weight")?, bias: part("bias")? })
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
        let is_finite = tensor.f_isfinite().and_then(|finite| finite.f_all()).map_err(|error| error.to_string())?;
        if !is_finite.f_is_nonzero().map_err(|error| error.to_string())? {
            return Err(format!("the tensor {name} holds numbers that are infinite or none"));
        }
        Ok(tensor.shallow_clone())
    }
}

fn numbers(tensor: &Tensor) -> Result<Arc<[f32]>, TchError> {
    Ok(Vec::try_from(tensor.f_contiguous()?.f_view([-1])?)?.into())
}
