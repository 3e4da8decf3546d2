//! The bare int8 products of a forward pass: FBGEMM's, on torch tensors.

use tch::{Device, Kind, Tensor};

/// Inputs and outputs of a layer's products: query, key and value together, attention's output, and both halves of the
/// feed-forward part.
const PRODUCTS: [(i64, i64); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];
const LAYERS: usize = 6;

/// Weights of all products of the pass: what they hold does not matter, that they are as many does.
pub struct Products(Vec<Product>);

struct Product {
    packed: Tensor,
    shape: Tensor,
    sums: Tensor,
    bias: Tensor,
    inputs: i64,
}

impl Products {
    pub fn new() -> Self {
        Self((0..LAYERS).flat_map(|_| PRODUCTS).map(|(inputs, outputs)| Product::new(inputs, outputs)).collect())
    }

    pub fn run(&self, inputs: &[Tensor; 2]) {
        for product in &self.0 {
            product.run(&inputs[usize::from(product.inputs == 1536)]);
        }
    }
}

/// One for each width that the products take.
pub fn inputs(pieces: usize) -> [Tensor; 2] {
    let pieces = i64::try_from(pieces).unwrap();
    [384, 1536].map(|width| Tensor::randn([pieces, width], (Kind::Float, Device::Cpu)))
}

impl Product {
    fn new(inputs: i64, outputs: i64) -> Self {
        let integers = Tensor::randint_low(-127, 128, [outputs, inputs], (Kind::Float, Device::Cpu));
        Self {
            packed: integers.to_kind(Kind::Int8).fbgemm_pack_quantized_matrix(),
            shape: integers.to_kind(Kind::Int8),
            sums: integers.sum_dim_intlist([1_i64].as_slice(), false, Kind::Int),
            bias: Tensor::zeros([outputs], (Kind::Float, Device::Cpu)),
            inputs,
        }
    }

    fn run(&self, input: &Tensor) {
        let _ = input.fbgemm_linear_int8_weight_fp32_activation(
            &self.shape,
            &self.packed,
            &self.sums,
            tch::Scalar::from(1.0),
            tch::Scalar::from(0_i64),
            &self.bias,
        );
    }
}
