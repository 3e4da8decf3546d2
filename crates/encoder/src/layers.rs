//! What the model is made of besides linear layers. `share` gives another thread the same memory; nothing writes to it
//! after loading.

use tch::{TchError, Tensor};

use crate::{forward::GiveWay, linear::Linear};

/// BERT's; the configuration has it too, but every model of this family uses this value.
const LAYER_NORM_EPSILON: f64 = 1e-12;

pub(crate) struct LayerNorm {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
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

impl LayerNorm {
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let size = self.weight.size1()?;
        input.f_layer_norm([size], Some(&self.weight), Some(&self.bias), LAYER_NORM_EPSILON, false)
    }

    pub(crate) fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl Embeddings {
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
        give_way: GiveWay<'_>,
    ) -> Result<Vec<Tensor>, TchError> {
        let outputs = self.attention_output.apply_onto(hidden, contexts, give_way)?;
        outputs.iter().map(|output| self.attention_norm.apply(output)).collect()
    }

    /// The second half of a layer, which looks at each position alone.
    pub(crate) fn feed_forward(&self, hidden: &[Tensor], give_way: GiveWay<'_>) -> Result<Vec<Tensor>, TchError> {
        let mut wide = self.widen(hidden, give_way)?;
        let outputs = self.output.apply_onto(hidden, &mut wide, give_way)?;
        outputs.iter().map(|output| self.output_norm.apply(output)).collect()
    }

    /// The input of the second half's last product.
    pub(crate) fn widen(&self, hidden: &[Tensor], give_way: GiveWay<'_>) -> Result<Vec<Tensor>, TchError> {
        self.intermediate.apply(hidden, give_way)?.into_iter().map(|mut wide| wide.f_gelu_("none")).collect()
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
