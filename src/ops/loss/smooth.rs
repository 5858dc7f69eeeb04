//! Smooth L1 of detectors of two stages (Girshick 2015, equation 3, with the sigma of 3 of later code), for references.

/// Below this a difference counts by its square: 1 / 9.
pub const BETA: f64 = 1.0 / 9.0;

/// `d² / (2 beta)` below beta, else `|d| - beta / 2`.
pub fn smooth(d: f64) -> f64 {
    if d.abs() < BETA { d * d / (2.0 * BETA) } else { d.abs() - BETA / 2.0 }
}

/// Its derivative.
pub fn smooth_slope(d: f64) -> f64 {
    (d / BETA).clamp(-1.0, 1.0)
}
