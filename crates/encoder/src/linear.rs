//! A linear layer in either precision.
//!
//! Input: one `[word pieces, inputs]` tensor of f32 for each text. Output: one `[word pieces, outputs]` of f32 for each.
//! In f32 all texts are one product, which is faster than one after the other. In int8 each text is a product of its
//! own, which is as fast, and whose rounding no other text has a part in.

use tch::{TchError, Tensor};

use crate::{forward::GiveWay, quantised::QuantisedLinear};

pub(crate) enum Linear {
    F32(FloatLinear),
    Int8(QuantisedLinear),
}

pub(crate) struct FloatLinear {
    /// `[outputs, inputs]`
    pub(crate) weight: Tensor,
    /// `[outputs]`
    pub(crate) bias: Tensor,
}

impl Linear {
    pub(crate) fn apply(&self, inputs: &[Tensor], give_way: GiveWay<'_>) -> Result<Vec<Tensor>, TchError> {
        match self {
            Self::F32(linear) => {
                give_way();
                linear.apply(inputs)
            }
            Self::Int8(linear) => inputs
                .iter()
                .map(|input| {
                    give_way();
                    linear.apply(input)
                })
                .collect(),
        }
    }

    /// The outputs added to `sums`. Overwrites its inputs.
    pub(crate) fn apply_onto(
        &self,
        sums: &[Tensor],
        inputs: &mut [Tensor],
        give_way: GiveWay<'_>,
    ) -> Result<Vec<Tensor>, TchError> {
        match self {
            Self::F32(linear) => {
                give_way();
                linear.apply_onto(sums, inputs)
            }
            Self::Int8(linear) => sums
                .iter()
                .zip(inputs)
                .map(|(sum, input)| {
                    give_way();
                    linear.apply_onto(sum, input)
                })
                .collect(),
        }
    }

    /// The same in int8. `seen` is this layer's input for some text.
    pub(crate) fn quantised(&self, seen: &Tensor) -> Result<Self, TchError> {
        match self {
            Self::F32(linear) => linear.quantised(seen).map(Self::Int8),
            Self::Int8(linear) => Ok(Self::Int8(linear.share())),
        }
    }

    pub(crate) fn share(&self) -> Self {
        match self {
            Self::F32(linear) => {
                Self::F32(FloatLinear { weight: linear.weight.shallow_clone(), bias: linear.bias.shallow_clone() })
            }
            Self::Int8(linear) => Self::Int8(linear.share()),
        }
    }
}

impl FloatLinear {
    fn apply(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let product = |input: &Tensor| input.f_linear(&self.weight, Some(&self.bias));
        if let [input] = inputs {
            return Ok(vec![product(input)?]);
        }
        let lengths: Vec<i64> = inputs.iter().map(|input| input.size()[0]).collect();
        product(&Tensor::f_cat(inputs, 0)?)?.f_split_with_sizes(lengths, 0)
    }

    fn apply_onto(&self, sums: &[Tensor], inputs: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let mut outputs = self.apply(inputs)?;
        for (output, sum) in outputs.iter_mut().zip(sums) {
            let _ = output.f_add_(sum)?;
        }
        Ok(outputs)
    }

    pub(crate) fn scaled(self, factor: f64) -> Result<Self, TchError> {
        Ok(Self { weight: self.weight.f_mul_scalar(factor)?, bias: self.bias.f_mul_scalar(factor)? })
    }

    /// Several with the same input as one, outputs side by side.
    pub(crate) fn joined(parts: &[Self]) -> Result<Self, TchError> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases: Vec<&Tensor> = parts.iter().map(|part| &part.bias).collect();
        Ok(Self { weight: Tensor::f_cat(&weights, 0)?, bias: Tensor::f_cat(&biases, 0)? })
    }
}
