//! Which numbers the model multiplies.

use std::{fmt, str::FromStr};

use crate::EncoderError;

/// The number format of the linear layers; everything between them is f32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As the model was published.
    F32,
    /// Weights and inputs of 8 bits: three to four times the texts per second. Needs an x86 processor with AVX2.
    Int8,
}

impl Precision {
    /// Whether this processor can.
    pub fn is_supported(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Int8 => has_avx2(),
        }
    }

    pub(crate) fn check(self) -> Result<(), EncoderError> {
        if self.is_supported() {
            return Ok(());
        }
        let reason = format!("{self} needs an x86 processor with AVX2; use f32");
        Err(EncoderError::Setting { name: "precision", reason })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Int8 where this processor can, else f32.
impl Default for Precision {
    fn default() -> Self {
        if Self::Int8.is_supported() { Self::Int8 } else { Self::F32 }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Precision {
    type Err = EncoderError;

    fn from_str(name: &str) -> Result<Self, EncoderError> {
        [Self::F32, Self::Int8].into_iter().find(|precision| precision.as_str() == name).ok_or_else(|| {
            EncoderError::Setting { name: "precision", reason: format!("{name:?} is neither f32 nor int8") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        for precision in [Precision::F32, Precision::Int8] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
    }

    #[test]
    fn another_name_is_refused_with_those_that_exist() {
        for name in ["", "INT8", "f16", "int8 "] {
            let error = name.parse::<Precision>().err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(error, format!("encoder setting precision: {name:?} is neither f32 nor int8"));
        }
    }
}
