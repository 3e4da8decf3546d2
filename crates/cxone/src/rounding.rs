//! Scores as the wire carries them.

/// Rounded to four places as a decimal is written, half to even where it is a tie; what is no number is 0, and so is
/// minus 0.
pub(crate) fn to_four_places(score: f64) -> f64 {
    let score = or_zero(score);
    let places = score * 1e4;
    let nearest = places.round();
    // Of so many digits the product is near enough to tell which decimal is the nearest, unless two are nearly as near; and the
    // quotient of two whole numbers is the float nearest to the decimal.
    if places.abs() < 1e9 && (places - nearest).abs() < 0.499 {
        return nearest / 1e4 + 0.0;
    }
    or_zero(format!("{score:.4}").parse().unwrap_or_default()) + 0.0
}

/// JSON has no word for a score that is no number.
pub(crate) fn or_zero(score: f64) -> f64 {
    if score.is_finite() { score } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_score_is_rounded_as_its_decimal(score in -2.0..2.0f64, tie in -20_000..20_000i32) {
            for score in [score, f64::from(tie) / 1e4 + 5e-5, f64::from(tie) / 1e4] {
                let written: f64 = format!("{score:.4}").parse().unwrap_or_default();
                prop_assert_eq!(to_four_places(score), written);
            }
        }
    }

    /// The expected values are Python's `round(x, 4)`, which the documents use.
    #[test]
    fn four_places_as_python_rounds_them() {
        for (score, expected) in [
            (0.812_34, 0.8123),
            (0.812_35, 0.8124),
            (0.031_25, 0.0312),
            (0.093_75, 0.0938),
            (2.000_05, 2.0),
            (-0.812_36, -0.8124),
            (0.999_96, 1.0),
            (1e-9, 0.0),
            (-1e-9, 0.0),
            (1e300, 1e300),
            (12.5, 12.5),
        ] {
            assert_eq!(to_four_places(score), expected, "{score}");
        }
        assert!(to_four_places(-0.0).is_sign_positive() && to_four_places(-1e-9).is_sign_positive());
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(to_four_places(score), 0.0);
        }
    }
}
