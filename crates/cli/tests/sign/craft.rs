//! Requests that no tool makes, byte by byte, and truly signed.

use std::fs;
use std::path::{Path, PathBuf};

use pgpki_testing::openssl;

use crate::stage::text;

pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const T61: u8 = 0x14;
pub(crate) const BMP: u8 = 0x1e;
pub(crate) const UNIVERSAL: u8 = 0x1c;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const EXTENSION_REQUEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// One element of DER.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut element = vec![tag];
    match length {
        0..=127 => element.push(length as u8),
        128..=255 => element.extend([0x81, length as u8]),
        256..=0xffff => element.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => element.extend([
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ]),
    }
    element.extend(content);
    element
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A subject of common names.
pub(crate) fn subject(names: &[(u8, &[u8])]) -> Vec<u8> {
    let part = |(tag, name): &(u8, &[u8])| {
        let value = element(*tag, name);
        element(SET, &sequence(&[element(OID, &COMMON_NAME), value]))
    };
    sequence(&names.iter().map(part).collect::<Vec<_>>())
}

/// The attribute that asks for these alternative names, each an element of its own.
pub(crate) fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    wish(&sequence(names))
}

/// The attribute that asks for a subjectAltName with any content.
pub(crate) fn wish(content: &[u8]) -> Vec<u8> {
    let extension = sequence(&[element(OID, &SUBJECT_ALT_NAME), element(4, content)]);
    let extensions = element(SET, &sequence(&[extension]));
    sequence(&[element(OID, &EXTENSION_REQUEST), extensions])
}

pub(crate) fn dns(name: &[u8]) -> Vec<u8> {
    element(0x82, name)
}

pub(crate) fn address(octets: &[u8]) -> Vec<u8> {
    element(0x87, octets)
}

/// Whoever crafts requests: a key on P-256.
pub(crate) struct Crafter {
    dir: PathBuf,
}

impl Crafter {
    pub(crate) fn new(dir: &Path) -> Self {
        let kind = crate::makers::ec("P-256");
        let kind: Vec<&str> = kind.iter().map(String::as_str).collect();
        crate::makers::openssl_key(dir, "crafter", &kind);
        let dir = dir.to_owned();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A request for this subject with these attributes, in a file.
    pub(crate) fn request(&self, name: &str, subject: &[u8], attributes: &[Vec<u8>]) -> PathBuf {
        let args = ["pkey", "-pubout", "-outform", "DER", "-in"];
        let key = self.file("crafter.key");
        let public = openssl(args.iter().chain(&[text(&key)])).stdout;
        self.with_key(name, subject, &public, attributes)
    }

    /// The same for any key, which has not signed it then.
    pub(crate) fn with_key(
        &self,
        name: &str,
        subject: &[u8],
        public: &[u8],
        attributes: &[Vec<u8>],
    ) -> PathBuf {
        let attributes = element(0xa0, &attributes.concat());
        let info = sequence(&[
            element(2, &[0]),
            subject.to_vec(),
            public.to_vec(),
            attributes,
        ]);
        let (unsigned, signature) = (self.file("unsigned"), self.file("signature"));
        fs::write(&unsigned, &info).unwrap();
        let key = self.file("crafter.key");
        let args = ["dgst", "-sha256", "-sign", text(&key), "-out"];
        openssl(args.iter().chain(&[text(&signature), text(&unsigned)]));
        let signature = [&[0], &fs::read(&signature).unwrap()[..]].concat();
        let algorithm = sequence(&[element(OID, &ECDSA_WITH_SHA256)]);
        let request = sequence(&[info, algorithm, element(3, &signature)]);
        let file = self.file(name);
        fs::write(&file, request).unwrap();
        file
    }
}

/// An RSA key with this modulus and exponent.
pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let numbers = sequence(&[element(2, modulus), element(2, exponent)]);
    let algorithm = sequence(&[element(OID, &RSA_ENCRYPTION), element(5, &[])]);
    sequence(&[algorithm, element(3, &[&[0], &numbers[..]].concat())])
}

/// Where something begins that is there once.
pub(crate) fn find(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len())
        .position(|window| window == part)
        .unwrap()
}
