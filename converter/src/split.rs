//! Weights in a file of their own, as devices want it that have little flash inside and much outside.

use carafe::blob::{Header, SectionEntry, WeightsRecord, crc32, section};
use carafe::record::Record;
use carafe::{BlobError, Model};

use crate::write::{Section, WriteError, lay_out, record};

/// Takes the weights out of a blob: the blob without them, and the weights. [`Model::verify_split`] wants both.
///
/// # Errors
/// [`WriteError::Verify`] if `blob` is none, or has no weights in it.
pub fn split(blob: &[u8]) -> Result<(Vec<u8>, Vec<u8>), WriteError> {
    Model::verify(blob, carafe::ops::ALL).map_err(WriteError::Verify)?;
    let (header, mut sections) = parse(blob)?;
    let at = sections.iter().position(|s| s.0 == section::CONSTS);
    let at = at.ok_or(WriteError::Verify(BlobError::Section { id: section::CONSTS }))?;
    let (_, _, weights) = sections.remove(at);
    let length = u32::try_from(weights.len()).map_err(|_| WriteError::TooLarge("4 GB of weights".into()))?;
    let mut content = Vec::new();
    record(&mut content, &WeightsRecord { length, crc: crc32(&weights) });
    sections.push((section::WEIGHTS, section::REQUIRED, content));
    let head = lay_out(header, &sections)?;
    Model::verify_split(&head, &weights, carafe::ops::ALL).map_err(WriteError::Verify)?;
    Ok((head, weights))
}

/// The blob of which [`split`] made these two.
///
/// # Errors
/// [`WriteError::Verify`] if they do not belong together.
pub fn join(head: &[u8], weights: &[u8]) -> Result<Vec<u8>, WriteError> {
    let model = Model::verify_split(head, weights, carafe::ops::ALL).map_err(WriteError::Verify)?;
    if !is_split(head) {
        return Ok(head.to_vec());
    }
    let weights = weights.get(..model.weights_bytes()).unwrap_or(weights);
    let (header, mut sections) = parse(head)?;
    sections.retain(|s| s.0 != section::WEIGHTS);
    sections.push((section::CONSTS, section::REQUIRED, weights.to_vec()));
    lay_out(header, &sections)
}

/// True if a blob's weights are in a file of their own.
pub fn is_split(blob: &[u8]) -> bool {
    parse(blob).is_ok_and(|(_, sections)| sections.iter().any(|s| s.0 == section::WEIGHTS))
}

/// Header and sections, in their order.
fn parse(blob: &[u8]) -> Result<(Header, Vec<Section>), WriteError> {
    let truncated = || WriteError::Verify(BlobError::Truncated);
    let header = Header::read(blob).ok_or_else(truncated)?;
    let one = |i: u16| {
        let at = Header::SIZE + usize::from(i) * SectionEntry::SIZE;
        let e = SectionEntry::read(blob.get(at..)?)?;
        let content = blob.get(e.offset as usize..)?.get(..e.length as usize)?;
        Some((e.id, e.flags, content.to_vec()))
    };
    let sections = (0..header.sections).map(one).collect::<Option<Vec<Section>>>().ok_or_else(truncated)?;
    Ok((header, sections))
}
