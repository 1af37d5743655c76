//! Keys that models are signed with: Ed25519, in the files that OpenSSL reads and writes (PKCS#8 and SPKI, PEM).

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use carafe_slots::{Key, Trailer};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// A pair of keys that has just been made.
pub struct Made {
    /// Where the public one is.
    pub public: PathBuf,
    /// It.
    pub key: VerifyingKey,
}

/// Makes a pair: the private key in `path`, for nobody else to read, the public one beside it. What is there stays.
pub fn make(path: &Path) -> anyhow::Result<Made> {
    let mut secret_key = [0; 32];
    getrandom::fill(&mut secret_key).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    let key = SigningKey::from_bytes(&secret_key).verifying_key();
    let bytes = KeypairBytes { secret_key, public_key: None };
    let private = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!("the key can't be written: {error}"))?;
    let pem = key.to_public_key_pem(LineEnding::LF).map_err(|error| anyhow!("the key can't be written: {error}"))?;
    let public = public_path(path);
    // Looked at before, so that there is not half a pair.
    for path in [path, &public] {
        if path.symlink_metadata().is_ok() {
            bail!("{}: is there already, and a key is never overwritten; give another name", path.display());
        }
    }
    create(path, private.as_bytes(), true)?;
    create(&public, pem.as_bytes(), false).inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(Made { public, key })
}

/// Beside the private key, with `.pub` behind its name.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn create(path: &Path, content: &[u8], private: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if private { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{}: is there already, and a key is never overwritten; give another name", path.display())
        }
        ErrorKind::NotFound => anyhow!("{}: its folder does not exist; make it first", path.display()),
        _ => anyhow!("{}: can't be written: {error}", path.display()),
    })?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written
        .inspect_err(|_| drop(fs::remove_file(path)))
        .with_context(|| format!("{}: can't be written", path.display()))
}

/// Reads a private key.
pub fn read_private(path: &Path) -> anyhow::Result<SigningKey> {
    let pem = read(path)?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| match VerifyingKey::from_public_key_pem(&pem) {
        Ok(_) => anyhow!("{}: is a public key; to sign, give the private one", path.display()),
        Err(_) => anyhow!("{}: is no private Ed25519 key (PKCS#8, PEM); make one by `carafe keygen`", path.display()),
    })
}

/// Reads a public key.
pub fn read_public(path: &Path) -> anyhow::Result<VerifyingKey> {
    let pem = read(path)?;
    VerifyingKey::from_public_key_pem(&pem).map_err(|_| {
        anyhow!(
            "{}: is no public Ed25519 key (SPKI, PEM); `carafe keygen` writes one beside the private key",
            path.display()
        )
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: the key can't be read; check the path", path.display()))
}

/// A key's id in digits.
pub fn id(key: &VerifyingKey) -> String {
    carafe_hil::key_id(&device_key(key).id())
}

/// All of a key in digits, as firmware takes it.
pub fn digits(key: &VerifyingKey) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key as a board has it.
pub fn device_key(key: &VerifyingKey) -> Key {
    Key::new(key.to_bytes())
}

/// The file of a blob with its signature behind it.
pub fn sign(blob: &[u8], key: &SigningKey) -> Vec<u8> {
    let trailer = Trailer { key: device_key(&key.verifying_key()).id(), signature: key.sign(blob).to_bytes() };
    [blob, &trailer.bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_written_once_and_signs_for_the_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.key");
        let made = make(&path).unwrap();
        let private = read_private(&path).unwrap();
        assert_eq!(private.verifying_key(), made.key);
        assert_eq!(read_public(&made.public).unwrap(), made.key);
        assert!(read_private(&made.public).unwrap_err().to_string().contains("private one"));
        assert!(make(&path).err().unwrap().to_string().contains("never overwritten"));
        fs::remove_file(&path).unwrap();
        assert!(make(&path).is_err());
        assert!(!path.exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let other = folder.path().join("other.key");
            make(&other).unwrap();
            assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // The device's verifier is another program than the host's signer.
        let mut blob = vec![9; 1000];
        blob[8..12].copy_from_slice(&1000u32.to_le_bytes());
        let signed = sign(&blob, &private);
        assert_eq!(device_key(&made.key).check(&signed), Ok(()));
        assert_eq!(Key::from_hex(&digits(&made.key)), Some(device_key(&made.key)));
    }
}
