use crate::record::Field;

/// What a string in a blob names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringKind {
    /// The model.
    Model,
    /// Input `index`.
    Input,
    /// Output `index`.
    Output,
    /// Node `index`.
    Node,
    /// Class `index` of the first output.
    Label,
    /// Anything newer.
    Other(u8),
}

impl StringKind {
    /// Its byte in the blob.
    pub fn code(self) -> u8 {
        match self {
            StringKind::Model => 0,
            StringKind::Input => 1,
            StringKind::Output => 2,
            StringKind::Node => 3,
            StringKind::Label => 4,
            StringKind::Other(x) => x,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            0 => StringKind::Model,
            1 => StringKind::Input,
            2 => StringKind::Output,
            3 => StringKind::Node,
            4 => StringKind::Label,
            x => StringKind::Other(x),
        }
    }
}

/// Iterator over names and labels: entries of kind (u8), index (u16), length (u16) and UTF-8 bytes. It ends at the
/// first malformed entry; strings that are not UTF-8 come as the empty one.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'m> {
    rest: &'m [u8],
}

impl<'m> Strings<'m> {
    /// Over the bytes of a section.
    pub fn new(section: &'m [u8]) -> Self {
        Self { rest: section }
    }

    /// The string of a kind and index.
    pub fn find(self, kind: StringKind, index: u16) -> Option<&'m str> {
        let mut all = self;
        all.find_map(|(k, i, s)| (k == kind && i == index).then_some(s))
    }
}

impl<'m> Iterator for Strings<'m> {
    type Item = (StringKind, u16, &'m str);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = StringKind::from_code(*self.rest.first()?);
        let index = u16::get(self.rest, 1)?;
        let length = u16::get(self.rest, 3)?;
        let (text, rest) = self.rest.get(5..)?.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some((kind, index, core::str::from_utf8(text).unwrap_or("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_stops_at_truncation() {
        let b = [1, 0, 0, 2, 0, b'i', b'n', 4, 3, 0, 1, 0, b'x', 4, 4, 0, 9, 0, b'y'];
        let s = Strings::new(&b);
        assert_eq!(s.find(StringKind::Input, 0), Some("in"));
        assert_eq!(s.find(StringKind::Label, 3), Some("x"));
        assert_eq!(s.find(StringKind::Label, 4), None);
        assert_eq!(s.count(), 2);
    }
}
