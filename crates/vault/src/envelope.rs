//! Sealing and opening: a data key for each value, wrapped by the master key.

use std::fmt;

use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a key and of a nonce.
const KEY: usize = 32;
const NONCE: usize = 24;

/// What a sealed value belongs to. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// `global`, or a build's id.
    pub scope: &'a str,
    pub name: &'a str,
    pub version: u32,
}

/// A value as it is kept. Each part is its nonce, the sealed bytes and their tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub value: Vec<u8>,
    /// The value's data key, under the master key.
    pub data_key: Vec<u8>,
}

/// Why a value does not open. It says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the master key does not open it, or it was moved or changed")]
    DataKey,
    #[error("its data key opens it no longer: it was moved or changed")]
    Value,
}

/// The key that seals data keys; 32 random bytes, wiped when it is dropped.
pub struct MasterKey(Zeroizing<[u8; KEY]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKey {
    /// A new one, from the kernel's random numbers.
    ///
    /// # Errors
    /// The kernel gives none.
    pub fn random() -> std::io::Result<Self> {
        Ok(Self(random()?))
    }

    /// Reads what [`Self::to_text`] writes, and what `openssl rand -hex 32` does.
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        hex::decode_to_slice(text.trim(), &mut *key).ok()?;
        Some(Self(key))
    }

    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n", hex::encode(*self.0)))
    }

    /// Tells keys apart; says nothing of the key.
    pub fn id(&self) -> String {
        let hash = Sha256::new().chain_update(b"grace vault key id\0").chain_update(*self.0).finalize();
        hex::encode(&hash[..8])
    }

    /// Seals a value under a data key of its own.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub fn seal(&self, binding: Binding<'_>, value: &SecretString) -> std::io::Result<Sealed> {
        let data_key: Zeroizing<[u8; KEY]> = random()?;
        Ok(Sealed {
            value: shut(&data_key, &bound("value", binding), value.expose_secret().as_bytes())?,
            data_key: shut(&self.0, &bound("key", binding), &*data_key)?,
        })
    }

    /// # Errors
    /// Another key sealed it, it belongs elsewhere, or it was changed.
    pub fn open(&self, binding: Binding<'_>, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let data_key = self.data_key(binding, &sealed.data_key)?;
        let value = unshut(&data_key, &bound("value", binding), &sealed.value).ok_or(OpenError::Value)?;
        let text = std::str::from_utf8(&value).map_err(|_| OpenError::Value)?;
        Ok(SecretString::from(text))
    }

    /// A data key of this master key, sealed under `next` instead. The value stays as it is.
    ///
    /// # Errors
    /// As [`Self::open`]; without random numbers, [`OpenError::DataKey`].
    pub fn rewrap(&self, next: &Self, binding: Binding<'_>, data_key: &[u8]) -> Result<Vec<u8>, OpenError> {
        let opened = self.data_key(binding, data_key)?;
        shut(&next.0, &bound("key", binding), &*opened).map_err(|_| OpenError::DataKey)
    }

    fn data_key(&self, binding: Binding<'_>, sealed: &[u8]) -> Result<Zeroizing<[u8; KEY]>, OpenError> {
        let opened = unshut(&self.0, &bound("key", binding), sealed).ok_or(OpenError::DataKey)?;
        let mut key = Zeroizing::new([0; KEY]);
        if opened.len() != KEY {
            return Err(OpenError::DataKey);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

/// What a seal is bound to besides its bytes: what it is, and where it belongs. Each part is preceded by its length, so that no two differ only in
/// where one part ends.
fn bound(part: &str, binding: Binding<'_>) -> Vec<u8> {
    let version = binding.version.to_be_bytes();
    let mut bytes = Vec::new();
    for field in [b"grace secret 1", part.as_bytes(), binding.scope.as_bytes(), binding.name.as_bytes(), &version] {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

fn shut(key: &[u8; KEY], bound: &[u8], plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let nonce: Zeroizing<[u8; NONCE]> = random()?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    let sealed = cipher
        .encrypt(XNonce::from_slice(&*nonce), Payload { msg: plain, aad: bound })
        .expect("values are bounded, and only texts of 256 GiB are too long for this cipher");
    Ok([&nonce[..], &sealed].concat())
}

fn unshut(key: &[u8; KEY], bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: bound }).ok().map(Zeroizing::new)
}

fn random<const N: usize>() -> std::io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| std::io::Error::other(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;

    const HERE: Binding<'static> = Binding { scope: "int-code-001", name: "TOKEN", version: 2 };

    #[test]
    fn a_value_opens_where_it_belongs_and_nowhere_else() {
        let key = MasterKey::random().unwrap();
        let sealed = key.seal(HERE, &SecretString::from("swordfish-7")).unwrap();
        assert_eq!(key.open(HERE, &sealed).unwrap().expose_secret(), "swordfish-7");
        let elsewhere = [
            Binding { scope: "global", ..HERE },
            Binding { scope: "int-code-002", ..HERE },
            Binding { name: "TOKEN2", ..HERE },
            Binding { version: 1, ..HERE },
            // The same letters, parted differently.
            Binding { scope: "int-code-001T", name: "OKEN", version: 2 },
        ];
        for binding in elsewhere {
            assert_eq!(key.open(binding, &sealed).unwrap_err(), OpenError::DataKey, "{binding:?}");
        }
        assert_eq!(MasterKey::random().unwrap().open(HERE, &sealed).unwrap_err(), OpenError::DataKey);
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let key = MasterKey::random().unwrap();
        let sealed = key.seal(HERE, &SecretString::from("swordfish-7")).unwrap();
        for place in 0..sealed.value.len() {
            let mut changed = sealed.clone();
            changed.value[place] ^= 1;
            assert_eq!(key.open(HERE, &changed).unwrap_err(), OpenError::Value);
        }
        for place in 0..sealed.data_key.len() {
            let mut changed = sealed.clone();
            changed.data_key[place] ^= 1;
            assert_eq!(key.open(HERE, &changed).unwrap_err(), OpenError::DataKey);
        }
        let cut = Sealed { value: sealed.value[..10].to_vec(), ..sealed.clone() };
        assert_eq!(key.open(HERE, &cut).unwrap_err(), OpenError::Value);
        // A value and its key are not to be taken for each other, nor for those of another value.
        let other = key.seal(HERE, &SecretString::from("swordfish-7")).unwrap();
        assert_ne!(other, sealed);
        assert!(key.open(HERE, &Sealed { data_key: other.data_key, ..sealed }).is_err());
    }

    #[test]
    fn a_rotated_key_opens_what_the_old_one_sealed() {
        let (old, new) = (MasterKey::random().unwrap(), MasterKey::random().unwrap());
        let sealed = old.seal(HERE, &SecretString::from("swordfish-7")).unwrap();
        let moved = Sealed { data_key: old.rewrap(&new, HERE, &sealed.data_key).unwrap(), ..sealed.clone() };
        assert_eq!(new.open(HERE, &moved).unwrap().expose_secret(), "swordfish-7");
        assert!(old.open(HERE, &moved).is_err());
        assert!(new.rewrap(&old, HERE, &sealed.data_key).is_err());
    }

    #[test]
    fn neither_key_nor_value_is_in_what_a_log_would_print() {
        let key = MasterKey::parse(&"ab".repeat(32)).unwrap();
        assert!(!format!("{key:?}").contains("abab"));
        assert!(!format!("{:?}", SecretString::from("swordfish-7")).contains("swordfish"));
        assert!(MasterKey::parse("ab").is_none() && MasterKey::parse(&"zz".repeat(32)).is_none());
    }
}
