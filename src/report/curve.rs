//! Curves for terminals.

/// A curve in `height` lines of `width` characters: `*` where the values lie, the smallest and the largest value at the
/// side. Values that are not finite are left out. Empty if there are none.
pub fn curve(values: &[f64], width: usize, height: usize) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let (low, high) = finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    if finite.is_empty() || width == 0 || height < 2 {
        return String::new();
    }
    let mut cells = vec![vec![' '; width]; height];
    for (i, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let column = i * width / values.len();
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        cells[((1.0 - share) * (height - 1) as f64).round() as usize][column] = '*';
    }
    let label = |line: usize| match line {
        0 => format!("{high:.4}"),
        _ if line == height - 1 => format!("{low:.4}"),
        _ => String::new(),
    };
    let side = label(0).len().max(label(height - 1).len());
    let line =
        |(i, row): (usize, &Vec<char>)| format!("{:>side$} |{}\n", label(i), row.iter().collect::<String>().trim_end());
    cells.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_line_falls_on_the_screen() {
        assert_eq!(curve(&[3.0, 2.0, f64::NAN, 1.0], 4, 3), "3.0000 |*\n       | *\n1.0000 |   *\n");
        assert_eq!(curve(&[f64::NAN], 4, 3), "");
        assert_eq!(curve(&[1.0, 1.0], 2, 3).lines().count(), 3);
    }
}
