use std::fmt;

/// What can be wrong with a model. Every message names the file, the layer where there is one, and a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontendError {
    /// A file can't be read.
    #[error("{file}: {what} can't be read: {source}; {remedy}")]
    Read {
        /// The file.
        file: String,
        /// What the file is for.
        what: &'static str,
        /// Why it can't be read.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The file is of a format that no frontend reads.
    #[error("{file}: {what}; {remedy}")]
    Format {
        /// The file.
        file: String,
        /// What it is.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The file is not well-formed XML.
    #[error("{file} is not well-formed XML: {source}; it is cut off or damaged: write it again with `ovc`")]
    Xml {
        /// The file.
        file: String,
        /// What the XML reader found.
        source: roxmltree::Error,
    },
    /// The file as a whole is wrong.
    #[error("{file}: {what}; {remedy}")]
    Model {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// One layer is wrong.
    #[error("{file}: layer `{layer}` ({origin}): {what}; {remedy}")]
    Layer {
        /// The file.
        file: String,
        /// The layer's name.
        layer: String,
        /// Its opset and type, e.g. `opset1.Convolution`.
        origin: String,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Layers that Carafe can't run: all of them, not just the first.
    #[error("{file}: {layers}")]
    Unsupported {
        /// The file.
        file: String,
        /// The layers.
        layers: UnsupportedLayers,
    },
}

/// A layer that Carafe can't run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedLayer {
    /// Name in the model.
    pub name: String,
    /// Type in the model, e.g. `Interpolate`.
    pub ty: String,
    /// Operation set, e.g. `opset11`.
    pub opset: String,
    /// What of it is not supported, and the remedy where there is one.
    pub why: String,
}

/// All layers of a model that Carafe can't run, in the model's order. Displays the first 20.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedLayers(pub Vec<UnsupportedLayer>);

impl fmt::Display for UnsupportedLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        let n = self.0.len();
        write!(f, "{n} layer{} can't be converted:", if n == 1 { "" } else { "s" })?;
        for l in self.0.iter().take(SHOWN) {
            write!(f, "\n  `{}` ({}.{}): {}", l.name, l.opset, l.ty, l.why)?;
        }
        if n > SHOWN {
            write!(f, "\n  and {} more", n - SHOWN)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(n: usize) -> UnsupportedLayers {
        UnsupportedLayers(
            (0..n)
                .map(|i| UnsupportedLayer {
                    name: format!("n{i}"),
                    ty: "LSTMSequence".into(),
                    opset: "opset5".into(),
                    why: "not supported".into(),
                })
                .collect(),
        )
    }

    #[test]
    fn a_long_list_is_cut() {
        let text = layers(23).to_string();
        assert!(text.starts_with("23 layers"), "{text}");
        assert!(text.contains("`n19` (opset5.LSTMSequence)") && !text.contains("`n20`"), "{text}");
        assert!(text.ends_with("and 3 more"), "{text}");
    }

    #[test]
    fn a_short_list_is_whole() {
        let text = layers(1).to_string();
        assert!(text.starts_with("1 layer can't") && !text.contains("more"), "{text}");
    }
}
