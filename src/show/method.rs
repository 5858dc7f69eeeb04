//! The ways to look at a network, by their words.

use super::request::{Request, Shown};
use super::viewer::Viewer;
use super::{features, filters, grad_cam, maximise, occlusion, saliency};
use crate::error::Result;

/// A way to look at a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// [`filters`].
    Filters,
    /// [`features`].
    Features,
    /// [`saliency::saliency`].
    Saliency,
    /// [`saliency::smoothgrad`].
    Smoothgrad,
    /// [`saliency::guided`].
    Guided,
    /// [`grad_cam`].
    GradCam,
    /// [`occlusion`].
    Occlusion,
    /// [`super::embedding`]. It looks at a whole data set, so [`show`] has nothing for it.
    Embedding,
    /// [`maximise`].
    Maximise,
}

/// What is said of a method.
pub struct About {
    /// Its word.
    pub word: &'static str,
    /// What its pictures show.
    pub shows: &'static str,
    /// The numbers behind them: names and shapes.
    pub numbers: &'static str,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 9] = [
        Method::Filters,
        Method::Features,
        Method::Saliency,
        Method::Smoothgrad,
        Method::Guided,
        Method::GradCam,
        Method::Occlusion,
        Method::Embedding,
        Method::Maximise,
    ];

    /// What is said of it.
    pub fn about(self) -> About {
        let (word, shows, numbers) = match self {
            Method::Filters => (
                "filters",
                "the filters of the first convolution, or of --layer",
                "PARAMETER [filters, rows, columns, channels]",
            ),
            Method::Features => (
                "features",
                "what the layers, or --layer, make of a picture: the channels with the largest means",
                "PICTURE/LAYER [h, w, channels], PICTURE/LAYER/channels (those shown)",
            ),
            Method::Saliency => (
                "saliency",
                "how much each pixel moves the class's score",
                "PICTURE/gradient [height, width, channels], PICTURE/map [height, width]",
            ),
            Method::Smoothgrad => {
                ("smoothgrad", "saliency, its gradient averaged over 25 noisy copies of the picture", "as for saliency")
            }
            Method::Guided => (
                "guided",
                "saliency by guided backpropagation: relu passes only what speaks for the class",
                "as for saliency",
            ),
            Method::GradCam => (
                "grad_cam",
                "where the last convolution, or --layer, sees the class",
                "PICTURE/weights [channels], PICTURE/cam [h, w] and PICTURE/map [height, width], both of 0…1",
            ),
            Method::Occlusion => (
                "occlusion",
                "how much less likely the class is when a grey patch hides a part",
                "PICTURE/drop [rows, columns] (of the patch's places), PICTURE/map [height, width]",
            ),
            Method::Embedding => (
                "embedding",
                "the test pictures, laid out by what the last layer before the head, or --layer, makes of them",
                "features [n, d], pca [n, 2], tsne [n, 2], explained [2], samples [n], labels [n], predicted [n]",
            ),
            Method::Maximise => (
                "maximise",
                "pictures that excite channels of the last convolution or of --layer, or the class of --class",
                "maximised [n, height, width, channels] of 0…1, channels [n], activations [n]",
            ),
        };
        About { word, shows, numbers }
    }

    /// Its word, as `--what` takes it.
    pub fn word(self) -> &'static str {
        self.about().word
    }

    /// Whether it looks at single pictures.
    pub fn takes_pictures(self) -> bool {
        !matches!(self, Method::Filters | Method::Embedding | Method::Maximise)
    }

    /// Whether it asks about a class.
    pub fn takes_class(self) -> bool {
        !matches!(self, Method::Filters | Method::Features | Method::Embedding)
    }

    /// Whether a layer can be named.
    pub fn takes_layer(self) -> bool {
        !matches!(self, Method::Saliency | Method::Smoothgrad | Method::Guided | Method::Occlusion)
    }
}

/// Looks at a network.
///
/// # Errors
/// A layer or a class that the model has not, or what the adapter reports.
pub async fn show(viewer: &mut Viewer, method: Method, request: &Request) -> Result<Shown> {
    match method {
        Method::Filters => filters::filters(viewer, request).await,
        Method::Features => features::features(viewer, request).await,
        Method::Saliency => saliency::saliency(viewer, request).await,
        Method::Smoothgrad => saliency::smoothgrad(viewer, request).await,
        Method::Guided => saliency::guided(viewer, request).await,
        Method::GradCam => grad_cam::grad_cam(viewer, request).await,
        Method::Occlusion => occlusion::occlusion(viewer, request).await,
        Method::Embedding => Ok(Shown::default()),
        Method::Maximise => maximise::maximise(viewer, request).await,
    }
}
