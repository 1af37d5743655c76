//! Ed25519 (RFC 8032), as far as a signature is checked.
//!
//! The arithmetic of the field, the curve and its scalars is `salty`'s, the compression of SHA-512 is `sha2`'s. What puts
//! them together is here, because it panics nowhere: `salty`'s own hash and multiplication link four panics, which firmware
//! has no place for. All that is looked at is public, so nothing has to take the same time for any bits.

use salty::{CompressedY, EdwardsPoint, Scalar};

/// True if the owner of the key has signed the message. The signature's number has to be below the order of the base point:
/// who calls this has seen to it.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let (point, number) = signature.split_at(32);
    let (Some(point), Some(number)) = (point.first_chunk(), number.first_chunk()) else { return false };
    let Ok(owner) = CompressedY(*key).decompressed() else { return false };
    let hash = Scalar::from_u512_le(&sha512([point, key, message]));
    // s·B - k·A is the point that was signed with.
    sum(&EdwardsPoint::basepoint(), number, &-&owner, hash.as_bytes()).compressed().to_bytes() == *point
}

/// `a · x + b · y`: from the highest bits on, doubled for each, with what has a one there added.
fn sum(x: &EdwardsPoint, a: &[u8; 32], y: &EdwardsPoint, b: &[u8; 32]) -> EdwardsPoint {
    let both = x + y;
    let mut sum = EdwardsPoint::neutral_element();
    for (a, b) in a.iter().zip(b).rev() {
        for bit in (0..u8::BITS).rev() {
            sum = &sum + &sum;
            match (a >> bit & 1, b >> bit & 1) {
                (0, 0) => {}
                (_, 0) => sum = &sum + x,
                (0, _) => sum = &sum + y,
                _ => sum = &sum + &both,
            }
        }
    }
    sum
}

/// Bytes of a block.
const BLOCK: usize = 128;
/// Where the length stands in the last one.
const LENGTH_AT: usize = BLOCK - 16;

/// SHA-512 (FIPS 180-4) of what these are one after the other.
fn sha512(parts: [&[u8]; 3]) -> [u8; 64] {
    let mut hash = Hash { state: FIRST, block: [0; BLOCK], filled: 0 };
    let mut bytes = 0u128;
    for part in parts {
        part.iter().for_each(|&byte| hash.push(byte));
        bytes = bytes.wrapping_add(part.len() as u128);
    }
    hash.push(0x80);
    while hash.filled != LENGTH_AT {
        hash.push(0);
    }
    (bytes << 3).to_be_bytes().into_iter().for_each(|byte| hash.push(byte));
    let mut digest = [0; 64];
    let bytes = hash.state.into_iter().flat_map(u64::to_be_bytes);
    digest.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    digest
}

/// What has been hashed so far, and what not yet.
struct Hash {
    state: [u64; 8],
    block: [u8; BLOCK],
    filled: usize,
}

impl Hash {
    fn push(&mut self, byte: u8) {
        if let Some(to) = self.block.get_mut(self.filled) {
            *to = byte;
        }
        self.filled += 1;
        if self.filled == BLOCK {
            sha2::compress512(&mut self.state, &[self.block.into()]);
            self.filled = 0;
        }
    }
}

/// The first 64 bits behind the point of the square roots of the first eight primes.
const FIRST: [u64; 8] = [
    0x6A09_E667_F3BC_C908,
    0xBB67_AE85_84CA_A73B,
    0x3C6E_F372_FE94_F82B,
    0xA54F_F53A_5F1D_36F1,
    0x510E_527F_ADE6_82D1,
    0x9B05_688C_2B3E_6C1F,
    0x1F83_D9AB_FB41_BD6B,
    0x5BE0_CD19_137E_2179,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn bytes<const N: usize>(digits: &str) -> [u8; N] {
        let byte = |pair| u8::from_str_radix(pair, 16).unwrap();
        let all: Vec<u8> = (0..digits.len()).step_by(2).map(|i| byte(&digits[i..i + 2])).collect();
        all.try_into().unwrap()
    }

    /// Of RFC 8032, 7.1: keys, messages, signatures.
    #[test]
    fn signatures_of_the_standard_pass() {
        let known = [
            (
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595\
                 bbe24655141438e7a100b",
            ),
            (
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                b"\x72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb43\
                 02aeeb00d291612bb0c00",
            ),
            (
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                b"\xaf\x82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716\
                 ed28dc027beceea1ec40a",
            ),
        ];
        for (key, message, signature) in known {
            let (key, signature) = (bytes(key), bytes(signature));
            assert!(verify(&key, message, &signature));
            assert!(!verify(&key, &[message, b"!"].concat(), &signature));
        }
        assert!(!verify(&[2; 32], b"", &[0; 64]), "no point of the curve has this y");
    }

    /// Every way in which a message can end in a block.
    #[test]
    fn hashes_are_those_of_others() {
        let message: Vec<u8> = (0..400usize).map(|i| (i * 7) as u8).collect();
        for n in 0..message.len() {
            let (message, _) = message.split_at(n);
            let (front, rest) = message.split_at(n / 3);
            let other = salty::Sha512::new().updated(front).updated(rest).finalize();
            assert_eq!(sha512([front, b"", rest]), other, "{n} bytes");
        }
    }
}
