//! A linear layer in either precision.
//!
//! Input: one `[word pieces, inputs]` tensor of f32 for each text. Output: one `[word pieces, outputs]` of f32 for each.
//! In f32 all texts are one product, which is faster than one after the other. In int8 each text is a product of its
//! own, which is as fast, and whose rounding no other text has a part in.
//!
//! In int8 the products are FBGEMM's, which comes with libtorch.
//! Each output's weights are integers with a scale of their own: the model has outputs whose weights are a hundred
//! times those of others, and with one scale for all of them the vectors of this model end at a cosine of 0.97 to those
//! in f32. The kernel turns the input into integers as well, with one scale for the text between the input's smallest
//! and largest number. What spoils that scale is `[CLS]`: in most layers one number of its row is three to ten times
//! what any other piece has, but nearly the same in every text. So that row of one text, seen at loading, is taken from
//! the input and its product added to the output: exact, and the cosine rises from 0.994 to 0.999.

use tch::{Device, Kind, Scalar, TchError, Tensor};

use crate::MAX_WORD_PIECES;

/// Called before each product, some 20 to 200 times in a batch; may itself run another batch.
pub(crate) type Yield<'a> = &'a mut dyn FnMut();

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
    pub(crate) fn apply(&self, inputs: &[Tensor], yield_now: Yield<'_>) -> Result<Vec<Tensor>, TchError> {
        match self {
            Self::F32(linear) => {
                yield_now();
                linear.apply(inputs)
            }
            Self::Int8(linear) => inputs
                .iter()
                .map(|input| {
                    yield_now();
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
        yield_now: Yield<'_>,
    ) -> Result<Vec<Tensor>, TchError> {
        match self {
            Self::F32(linear) => {
                yield_now();
                linear.apply_onto(sums, inputs)
            }
            Self::Int8(linear) => sums
                .iter()
                .zip(inputs)
                .map(|(sum, input)| {
                    yield_now();
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

/// For an output whose weights are all 0, by whose scale its bias is divided all the same.
const LEAST_SCALE: f64 = 1e-12;

/// Weights as `scale * integer`.
pub(crate) struct QuantisedLinear {
    /// The integers in the order in which the kernel reads them.
    packed: Tensor,
    /// `[outputs, inputs]` without numbers of its own: the kernel asks nothing but its shape.
    shape: Tensor,
    /// Sum of each output's integers: `[outputs]`.
    sums: Tensor,
    /// `[outputs]`
    scales: Tensor,
    /// Divided by the scales, which come after the kernel: `[outputs]`.
    bias: Tensor,
    first: Option<FirstRow>,
}

/// What is known of a text's first row before it is seen.
struct FirstRow {
    /// 1 for the first row, 0 for all others: `[MAX_WORD_PIECES, 1]`.
    is_first: Tensor,
    /// `[1, inputs]`, negative.
    input: Tensor,
    /// What the kernel gives for it, without bias: `[1, outputs]`.
    output: Tensor,
}

impl FloatLinear {
    /// `seen`, `[word pieces, inputs]`, is this layer's input for some text.
    pub(crate) fn quantised(&self, seen: &Tensor) -> Result<QuantisedLinear, TchError> {
        self.quantised_to(seen, largest_integer())
    }

    fn quantised_to(&self, seen: &Tensor, largest_integer: f64) -> Result<QuantisedLinear, TchError> {
        let of_output: &[i64] = &[1];
        let largest = self.weight.f_abs()?.f_amax(of_output, true)?;
        let scales = largest.f_div_scalar(largest_integer)?.f_clamp_min(LEAST_SCALE)?;
        let integers = self.weight.f_div(&scales)?.f_round()?;
        let scales = scales.f_view([-1])?;
        Ok(QuantisedLinear {
            packed: integers.f_to_kind(Kind::Int8)?.f_fbgemm_pack_quantized_matrix()?,
            shape: Tensor::f_zeros([1, 1], (Kind::Int8, Device::Cpu))?.f_expand(self.weight.size(), false)?,
            sums: integers.f_sum_dim_intlist(of_output, false, Kind::Int)?,
            bias: self.bias.f_div(&scales)?,
            first: FirstRow::of(seen, &self.weight, &scales)?,
            scales,
        })
    }
}

/// Without VNNI the kernel adds two products of an input (up to 255) and a weight in 16 bits, and they must not overflow.
fn largest_integer() -> f64 {
    if has_vnni() { 127.0 } else { 63.0 }
}

#[cfg(target_arch = "x86_64")]
fn has_vnni() -> bool {
    is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_vnni() -> bool {
    false
}

impl FirstRow {
    /// `None` where another row of `seen` has the largest number: then there is nothing to gain.
    fn of(seen: &Tensor, weight: &Tensor, scales: &Tensor) -> Result<Option<Self>, TchError> {
        let row = seen.f_narrow(0, 0, 1)?.f_contiguous()?;
        let largest = |rows: &Tensor| rows.f_abs()?.f_max()?.f_double_value(&[]);
        if largest(&row)? <= largest(&seen.f_narrow(0, 1, seen.size()[0] - 1)?)? {
            return Ok(None);
        }
        let mut is_first = vec![0.0_f32; MAX_WORD_PIECES];
        is_first[0] = 1.0;
        Ok(Some(Self {
            is_first: Tensor::f_from_slice(&is_first)?.f_view([-1, 1])?,
            output: row.f_mm(&weight.f_tr()?)?.f_div(scales)?,
            input: row.f_neg()?,
        }))
    }

    /// `[length, 1]`
    fn marks(&self, input: &Tensor) -> Result<Tensor, TchError> {
        self.is_first.f_narrow(0, 0, input.size()[0])
    }

    fn add_to(&self, output: &Tensor) -> Result<(), TchError> {
        let _ = output.f_narrow(0, 0, 1)?.f_add_(&self.output)?;
        Ok(())
    }

    fn share(&self) -> Self {
        Self {
            is_first: self.is_first.shallow_clone(),
            input: self.input.shallow_clone(),
            output: self.output.shallow_clone(),
        }
    }
}

impl QuantisedLinear {
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let mut product = match &self.first {
            None => self.kernel(input)?,
            Some(first) => {
                let product = self.kernel(&input.f_addcmul(&first.marks(input)?, &first.input)?)?;
                first.add_to(&product)?;
                product
            }
        };
        product.f_mul_(&self.scales)
    }

    /// The output added to `sum`. Overwrites its input.
    pub(crate) fn apply_onto(&self, sum: &Tensor, input: &mut Tensor) -> Result<Tensor, TchError> {
        if let Some(first) = &self.first {
            let _ = input.f_narrow(0, 0, 1)?.f_add_(&first.input)?;
        }
        let product = self.kernel(input)?;
        if let Some(first) = &self.first {
            first.add_to(&product)?;
        }
        sum.f_addcmul(&product, &self.scales)
    }

    /// The output divided by the scales.
    fn kernel(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let (scale, zero_point) = (Scalar::from(1.0), Scalar::from(0_i64));
        input.f_fbgemm_linear_int8_weight_fp32_activation(
            &self.shape,
            &self.packed,
            &self.sums,
            scale,
            zero_point,
            &self.bias,
        )
    }

    pub(crate) fn share(&self) -> Self {
        Self {
            packed: self.packed.shallow_clone(),
            shape: self.shape.shallow_clone(),
            sums: self.sums.shallow_clone(),
            scales: self.scales.shallow_clone(),
            bias: self.bias.shallow_clone(),
            first: self.first.as_ref().map(FirstRow::share),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::threads::become_torch_thread;

    const INPUTS: usize = 384;
    const OUTPUTS: usize = 64;

    /// Numbers between -1 and 1 without a pattern that rounding could favour.
    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|number| (number as f32 * step).sin()).collect()
    }

    fn matrix(values: &[f32], columns: usize) -> Tensor {
        Tensor::from_slice(values).view([-1, i64::try_from(columns).unwrap()])
    }

    /// Outputs of very different sizes; the last one has no weights.
    fn linear() -> FloatLinear {
        let mut weights = wave(OUTPUTS * INPUTS, 0.7);
        let mut size = 1.0;
        for weights in weights.chunks_mut(INPUTS) {
            for weight in weights {
                *weight *= size;
            }
            size *= 0.9;
        }
        weights[(OUTPUTS - 1) * INPUTS..].fill(0.0);
        FloatLinear { weight: matrix(&weights, INPUTS), bias: Tensor::from_slice(&wave(OUTPUTS, 1.3)) }
    }

    /// Largest difference between `output` and f32 as a share of the lengths of weights and input.
    fn worst(linear: &FloatLinear, input: &Tensor, output: &Tensor) -> f64 {
        let lengths = |rows: &Tensor| rows.square().sum_dim_intlist([1_i64].as_slice(), true, Kind::Float).sqrt();
        let most = lengths(input).mm(&lengths(&linear.weight).tr()).clamp_min(1e-6);
        let difference = input.linear(&linear.weight, Some(&linear.bias)) - output;
        (difference.abs() / most).max().double_value(&[])
    }

    #[test]
    fn outputs_large_and_small_are_exact_to_a_thousandth() {
        let _no_grad = become_torch_thread();
        let linear = linear();
        let input = matrix(&wave(14 * INPUTS, 0.3), INPUTS);
        for (largest_integer, bound) in [(127.0, 0.001), (63.0, 0.002)] {
            let quantised = linear.quantised_to(&input, largest_integer).unwrap();
            let worst = worst(&linear, &input, &quantised.apply(&input).unwrap());
            assert!(worst < bound, "{worst} with integers up to {largest_integer}");
        }
    }

    #[test]
    fn a_known_first_row_does_not_spoil_the_others() {
        let _no_grad = become_torch_thread();
        let linear = linear();
        let mut seen = wave(5 * INPUTS, 0.2);
        seen[99] = 100.0;
        let mut input = wave(14 * INPUTS, 0.3);
        input[99] = 100.5;
        let (seen, input) = (matrix(&seen, INPUTS), matrix(&input, INPUTS));
        let others = input.narrow(0, 1, 13);
        let known = linear.quantised(&seen).unwrap().apply(&input).unwrap();
        assert!(worst(&linear, &input, &known) < 0.002);
        assert!(worst(&linear, &others, &known.narrow(0, 1, 13)) < 0.002);

        let unknown = linear.quantised(&others).unwrap();
        assert!(unknown.first.is_none());
        assert!(worst(&linear, &others, &unknown.apply(&input).unwrap().narrow(0, 1, 13)) > 0.003);
    }

    #[test]
    fn the_output_is_added_to_what_is_there() {
        let _no_grad = become_torch_thread();
        let linear = linear();
        let mut input = wave(14 * INPUTS, 0.3);
        input[99] = 100.0;
        let mut input = matrix(&input, INPUTS);
        let sum = matrix(&wave(14 * OUTPUTS, 0.9), OUTPUTS);
        let quantised = linear.quantised(&input).unwrap();
        let alone = quantised.apply(&input).unwrap();
        let added = quantised.apply_onto(&sum, &mut input).unwrap();
        assert!((added - alone - sum).abs().max().double_value(&[]) < 1e-4);
    }
}
