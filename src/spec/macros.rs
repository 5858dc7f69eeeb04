//! The two macros that declare the types of the spec. One declaration gives the struct, its reader with diagnostics,
//! its writer and its schema, so these cannot differ.

/// Declares a struct whose fields are JSON keys. Doc comments become the schema's descriptions. A field with `= value`
/// has that default, an `Option` may be absent, any other key is required.
///
/// ```
/// pumice::spec::spec_struct! {
///     /// A blur.
///     pub struct Blur {
///         /// Rows and columns of the window.
///         pub size: pumice::spec::Pair,
///         /// How often.
///         pub times: pumice::spec::Count = pumice::spec::Count(1),
///     }
/// }
/// ```
#[macro_export]
macro_rules! spec_struct {
    (@default $ty:ty) => { None::<$ty> };
    (@default $ty:ty, $default:expr) => {{ let value: $ty = $default; Some(value) }};
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field_vis:vis $field:ident : $ty:ty $(= $default:expr)? ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $( $(#[doc = $field_doc])* $field_vis $field: $ty, )* }

        impl $crate::spec::SpecStruct for $name {
            fn keys() -> Vec<$crate::spec::KeyDef> {
                vec![$({
                    let default: Option<$ty> = $crate::spec_struct!(@default $ty $(, $default)?);
                    $crate::spec::KeyDef {
                        name: stringify!($field),
                        doc: $crate::spec::doc(&[$($field_doc),*]),
                        schema: <$ty as $crate::spec::Field>::schema(),
                        required: default.is_none() && <$ty as $crate::spec::Field>::absent().is_none(),
                        default: default.as_ref().map($crate::spec::Field::write),
                    }
                }),*]
            }

            fn read(
                object: &$crate::spec::Node, extra: &[&str], report: &mut $crate::spec::Diagnostics,
            ) -> Option<Self> {
                if !$crate::spec::check_keys(object, &[$(stringify!($field)),*], extra, report) {
                    return None;
                }
                // All keys are read before giving up, so that every mistake is reported.
                $(let $field: Option<$ty> = {
                    let default = $crate::spec_struct!(@default $ty $(, $default)?);
                    $crate::spec::read_key(object, stringify!($field), default, report)
                };)*
                Some($name { $($field: $field?),* })
            }

            fn write(&self) -> ::serde_json::Map<String, ::serde_json::Value> {
                $crate::spec::write_keys(vec![$((stringify!($field), $crate::spec::Field::write(&self.$field))),*])
            }
        }

        impl $crate::spec::Field for $name {
            fn read(node: &$crate::spec::Node, report: &mut $crate::spec::Diagnostics) -> Option<Self> {
                <$name as $crate::spec::SpecStruct>::read(node, &[], report)
            }

            fn write(&self) -> ::serde_json::Value {
                ::serde_json::Value::Object($crate::spec::SpecStruct::write(self))
            }

            fn schema() -> ::serde_json::Value {
                $crate::spec::object_schema(&<$name as $crate::spec::SpecStruct>::keys())
            }
        }
    };
}

/// Declares an enum whose variants are JSON words.
///
/// ```
/// pumice::spec::spec_words! {
///     /// How pixels between pixels are made.
///     pub enum Mode {
///         /// Copies the nearest one.
///         Nearest = "nearest",
///         /// Mixes the four around it.
///         Bilinear = "bilinear",
///     }
/// }
/// ```
#[macro_export]
macro_rules! spec_words {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $( $(#[doc = $word_doc:literal])* $variant:ident = $word:literal ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $( $(#[doc = $word_doc])* $variant, )* }

        impl $name {
            /// All of them, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The JSON word.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }

        impl $crate::spec::Field for $name {
            fn read(node: &$crate::spec::Node, report: &mut $crate::spec::Diagnostics) -> Option<Self> {
                report.word(node, &[$($word),*]).map(|i| $name::ALL[i])
            }

            fn write(&self) -> ::serde_json::Value {
                ::serde_json::Value::String(self.word().to_string())
            }

            fn schema() -> ::serde_json::Value {
                $crate::spec::words_schema(&[$(($word, &[$($word_doc),*])),*])
            }
        }
    };
}
