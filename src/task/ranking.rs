//! Metrics that need the probabilities of all samples, not only the predicted classes: top-k accuracy, ROC AUC and the
//! calibration error.

/// Most probabilities that are kept, 1 GiB of them. Beyond that these metrics are not known.
const MOST: usize = 1 << 28;

/// Bins of the calibration error.
const BINS: usize = 15;

/// The class and the probabilities of each sample.
pub struct Ranking {
    classes: usize,
    truth: Vec<u32>,
    /// `[samples, classes]`; empty once there are too many.
    probabilities: Vec<f32>,
}

impl Ranking {
    /// No samples yet, of so many classes.
    pub fn new(classes: usize) -> Ranking {
        Ranking { classes, truth: Vec::new(), probabilities: Vec::new() }
    }

    /// Adds a sample: its class, and the probability of each class; classes beyond those have probability 0.
    pub fn add(&mut self, truth: usize, probabilities: &[f64]) {
        self.truth.push(truth as u32);
        let all = self.truth.len() * self.classes;
        if all > MOST {
            self.probabilities = Vec::new();
            return;
        }
        self.probabilities.extend(probabilities.iter().map(|&p| p as f32));
        self.probabilities.resize(all, 0.0);
    }

    /// Whether there are samples, and not too many.
    fn known(&self) -> bool {
        !self.truth.is_empty() && self.probabilities.len() == self.truth.len() * self.classes
    }

    fn samples(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.truth.iter().map(|&truth| truth as usize).zip(self.probabilities.chunks_exact(self.classes))
    }

    /// The share of samples whose class is among the `k` likeliest; of equal ones the first are. NaN without samples.
    pub fn top(&self, k: usize) -> f64 {
        if !self.known() {
            return f64::NAN;
        }
        let hit = |&(truth, row): &(usize, &[f32])| {
            let own = row[truth];
            row.iter().enumerate().filter(|&(class, &p)| p > own || (p == own && class < truth)).count() < k
        };
        self.samples().filter(hit).count() as f64 / self.truth.len() as f64
    }

    /// The mean over the classes of the area under the curve of the true positive rate over the false positive rate, each
    /// class against the rest (scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`; of two classes that of
    /// class 1, which is the same for either). A class without samples, or with all of them, has no such area and is left
    /// out, where scikit-learn refuses. NaN if no class has one.
    pub fn roc_auc(&self) -> f64 {
        if !self.known() {
            return f64::NAN;
        }
        let classes = if self.classes == 2 { 1..2 } else { 0..self.classes };
        let areas: Vec<f64> = classes.filter_map(|class| self.area(class)).collect();
        areas.iter().sum::<f64>() / areas.len() as f64
    }

    /// The probability that a sample of the class has a larger score than another sample; of equal scores, a half counts
    /// (Mann and Whitney 1947).
    fn area(&self, class: usize) -> Option<f64> {
        let mut scores: Vec<(f32, bool)> = self.samples().map(|(truth, row)| (row[class], truth == class)).collect();
        scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let positives = scores.iter().filter(|(_, own)| *own).count() as f64;
        let negatives = scores.len() as f64 - positives;
        let (mut below, mut area) = (0.0, 0.0);
        for equal in scores.chunk_by(|a, b| a.0 == b.0) {
            let own = equal.iter().filter(|(_, own)| *own).count() as f64;
            let others = equal.len() as f64 - own;
            area += own * (below + others / 2.0);
            below += others;
        }
        (positives > 0.0 && negatives > 0.0).then(|| area / (positives * negatives))
    }

    /// The expected calibration error (Guo et al. 2017): samples in 15 equal bins by the largest probability, the first
    /// one from 0 to 1/15; the mean over samples of |accuracy − mean probability| of their bins. NaN without samples.
    pub fn calibration_error(&self) -> f64 {
        if !self.known() {
            return f64::NAN;
        }
        let mut bins = [(0.0, 0.0); BINS];
        for (truth, row) in self.samples() {
            let best = (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            let largest = f64::from(row[best]);
            // A bin holds its upper edge.
            let bin = ((largest * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin].0 += f64::from(u8::from(best == truth));
            bins[bin].1 += largest;
        }
        bins.iter().map(|(right, sum)| (right - sum).abs()).sum::<f64>() / self.truth.len() as f64
    }
}
