//! Where the circles of a network lie: each in a row above all that it takes, branches beside each other.

use crate::checker::Circle;

/// The place of a circle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spot {
    /// The row, from 0 for the input's; rows run up.
    pub row: usize,
    /// The column; the middle one is 0.
    pub column: f32,
}

/// The places of the input and then of all circles.
pub fn spots(circles: &[Circle]) -> Vec<Spot> {
    let mut rows = vec![0; circles.len() + 1];
    for (i, circle) in circles.iter().enumerate() {
        rows[i + 1] = 1 + circle.from.iter().map(|from| rows[from.map_or(0, |f| f + 1)]).max().unwrap_or(0);
    }
    let mut spots: Vec<Spot> = rows.iter().map(|&row| Spot { row, column: 0.0 }).collect();
    let last = rows.iter().copied().max().unwrap_or(0);
    for row in 1..=last {
        let mut own: Vec<(usize, f32)> = (0..circles.len())
            .filter(|&i| rows[i + 1] == row)
            .map(|i| {
                let from = &circles[i].from;
                let sum: f32 = from.iter().map(|f| spots[f.map_or(0, |f| f + 1)].column).sum();
                (i + 1, sum / from.len().max(1) as f32)
            })
            .collect();
        // Stable, so that branches of one parent stay in the order of the file.
        own.sort_by(|a, b| a.1.total_cmp(&b.1));
        let middle = own.iter().map(|(_, wish)| wish).sum::<f32>() / own.len().max(1) as f32;
        let half = (own.len().saturating_sub(1)) as f32 / 2.0;
        for (place, (index, wish)) in own.iter().enumerate() {
            spots[*index].column = if own.len() == 1 { *wish } else { middle + place as f32 - half };
        }
    }
    spots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(from: &[Option<usize>]) -> Circle {
        let (name, op) = (String::new(), String::new());
        Circle { name, op, from: from.to_vec(), shape: vec![], params: 0, flops: 0, line: 1 }
    }

    #[test]
    fn a_chain_is_one_column_and_runs_up() {
        let spots = spots(&[circle(&[None]), circle(&[Some(0)]), circle(&[Some(1)])]);
        assert_eq!(spots.iter().map(|s| s.row).collect::<Vec<usize>>(), [0, 1, 2, 3]);
        assert!(spots.iter().all(|s| s.column == 0.0));
    }

    #[test]
    fn branches_lie_beside_each_other_and_their_join_between_them() {
        // input → 0 → {1, 2 → 3} → 4
        let all =
            [circle(&[None]), circle(&[Some(0)]), circle(&[Some(0)]), circle(&[Some(2)]), circle(&[Some(1), Some(3)])];
        let spots = spots(&all);
        assert_eq!((spots[2].column, spots[3].column), (-0.5, 0.5));
        assert_eq!(spots[5].row, 4);
        assert!(spots[5].column.abs() < 0.6);
        let mut seen: Vec<(usize, i32)> = spots.iter().map(|s| (s.row, (s.column * 100.0) as i32)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), spots.len(), "no two circles lie on each other");
    }
}
