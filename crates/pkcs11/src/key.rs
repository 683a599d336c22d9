//! A private key in a token: found, or made there, and signed with.

use std::fmt;

use cryptoki::error::{Error as Refusal, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use pgpki_core::ca_key::{TokenError, TokenKey};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::subject_key::SubjectKey;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Error;
use crate::public_key::{P256, P384, PublicKey, Unsuitable};
use crate::token::Token;
use crate::uri::Uri;

/// How many octets of randomness name a key that nobody has named: no two of them are ever the same.
const ID_LENGTH: usize = 16;

/// More keys than anybody reads the names of.
const MOST_KEYS: usize = 20;

/// 65537, which every token takes (NIST SP 800-56B section 6.2 has nothing below it).
const PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];

/// A private key that is in a token, and signs there.
pub struct Key {
    token: Token,
    handle: ObjectHandle,
    public: PublicKey,
    name: Name,
}

/// What a token's key is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Name {
    label: Option<String>,
    id: Option<Vec<u8>>,
}

impl fmt::Display for Name {
    /// `object=root;id=%01`, as a URI has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = Uri {
            object: self.label.clone(),
            id: self.id.clone(),
            ..Uri::default()
        };
        f.write_str(&uri.object_path().join(";"))
    }
}

impl Token {
    /// The one private key that a URI means.
    ///
    /// # Errors
    /// There is none, or there are several, or it cannot be a CA's; those that are there are listed.
    pub fn key(&self, uri: &Uri) -> Result<Key, Error> {
        match self.find_key(uri)? {
            Some(key) => Ok(key),
            None => Err(Error::NoKey {
                token: self.to_string(),
                uri: Box::new(uri.clone()),
                there: self.names()?,
            }),
        }
    }

    /// The same, where there may be none.
    ///
    /// # Errors
    /// There are several, or it cannot be a CA's, or the URI does not say which.
    pub fn find_key(&self, uri: &Uri) -> Result<Option<Key>, Error> {
        if !uri.names_an_object() {
            return Err(Error::NoObject {
                uri: Box::new(uri.clone()),
                there: self.names()?,
            });
        }
        let mut found = self.private_keys(uri)?;
        match (found.pop(), found.as_slice()) {
            (None, _) => Ok(None),
            (Some((handle, name)), []) => self.open_key(handle, name).map(Some),
            (Some((_, last)), others) => {
                let others = others.iter().map(|(_, name)| name.to_string());
                Err(Error::SeveralKeys {
                    token: self.to_string(),
                    uri: Box::new(uri.clone()),
                    there: others.chain([last.to_string()]).collect(),
                })
            }
        }
    }

    /// Makes a key pair in the token, under the label and identifier of `uri`; without an identifier it gets one of its
    /// own. It stays in the token, is sensitive and not extractable (PKCS#11 version 2.40 section 4.9), and does nothing
    /// but sign.
    ///
    /// # Errors
    /// The token cannot make such a key.
    pub fn make_key(&self, uri: &Uri, algorithm: KeyAlgorithm) -> Result<Key, Error> {
        let id = match &uri.id {
            Some(id) => id.clone(),
            None => random_id().ok_or_else(|| Error::Unsuitable {
                token: self.to_string(),
                key: uri.to_string(),
                why: "the system's random number generator failed".to_owned(),
            })?,
        };
        let name = Name {
            label: uri.object.clone(),
            id: Some(id),
        };
        let not_made = |error: Refusal| Error::NotMade {
            token: self.to_string(),
            algorithm,
            call: error.into(),
        };
        let (mechanism, kind) =
            kind_of(algorithm).ok_or_else(|| self.unsuitable(&name, Unsuitable::Curve))?;
        let made = self.generate(&mechanism, &kind, &name, true);
        let made = match made {
            // Some take no word on what a key is not for.
            Err(Refusal::Pkcs11(
                RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::AttributeReadOnly
                | RvError::TemplateInconsistent,
                _,
            )) => self.generate(&mechanism, &kind, &name, false),
            made => made,
        };
        let handle = made.map_err(not_made)?;
        let key = self.open_key(handle, name)?;
        match key.is_guarded()? {
            true => Ok(key),
            false => Err(Error::NotGuarded {
                token: self.to_string(),
                key: key.name.to_string(),
            }),
        }
    }

    /// Has the token make a key pair; `is_strict` rules out everything but signing. The private key's handle.
    fn generate(
        &self,
        mechanism: &Mechanism<'_>,
        kind: &[Attribute],
        name: &Name,
        is_strict: bool,
    ) -> Result<ObjectHandle, Refusal> {
        let mut public = vec![Attribute::Token(true), Attribute::Verify(true)];
        let mut private = vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        if is_strict {
            public.extend([Attribute::Encrypt(false), Attribute::Wrap(false)]);
            private.extend([Attribute::Decrypt(false), Attribute::Unwrap(false)]);
        }
        public.extend_from_slice(kind);
        public.extend(name.attributes());
        private.extend(name.attributes());
        let session = self.writing()?;
        let (_, handle) = session.generate_key_pair(mechanism, &public, &private)?;
        Ok(handle)
    }

    /// The private keys that are what a URI says of the object.
    fn private_keys(&self, uri: &Uri) -> Result<Vec<(ObjectHandle, Name)>, Error> {
        let wanted = Name {
            label: uri.object.clone(),
            id: uri.id.clone(),
        };
        let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
        template.extend(wanted.attributes());
        let session = self.session()?;
        let found = session.find_objects(&template);
        let found = found.map_err(|error| self.refused(error))?.into_iter();
        let named = found
            .take(MOST_KEYS)
            .map(|handle| Ok((handle, name_of(&session, handle)?)));
        let named: Result<_, Refusal> = named.collect();
        named.map_err(|error| self.refused(error))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let keys = self.private_keys(&Uri::default())?.into_iter();
        Ok(keys.map(|(_, name)| name.to_string()).collect())
    }

    fn open_key(&self, handle: ObjectHandle, name: Name) -> Result<Key, Error> {
        let public = self.public_key(handle, &name)?;
        let key = Key {
            token: self.clone(),
            handle,
            public,
            name,
        };
        if key.flag(AttributeType::Sign)? == Some(false) {
            return Err(self.unsuitable(&key.name, "it may not sign (CKA_SIGN)"));
        }
        if key.flag(AttributeType::AlwaysAuthenticate)? == Some(true) {
            let why = "it asks for its PIN at each signature (CKA_ALWAYS_AUTHENTICATE), and there are many";
            return Err(self.unsuitable(&key.name, why));
        }
        Ok(key)
    }

    /// The public half of a private key: of RSA it stands beside the private one; an EC key has a public object with
    /// the same identifier, or label where it has none.
    fn public_key(&self, handle: ObjectHandle, name: &Name) -> Result<PublicKey, Error> {
        let session = self.session()?;
        let read = |handle| attributes(&session, handle).map_err(|error| self.refused(error));
        let own = read(handle)?;
        let unsuitable = |why| self.unsuitable(name, why);
        if let Some(key) = own.public_key() {
            return key.map_err(|error| unsuitable(error.to_string()));
        }
        if !matches!(own.kind, Some(KeyType::EC | KeyType::RSA)) {
            return Err(unsuitable("it is neither an EC nor an RSA key".to_owned()));
        }
        let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
        template.extend(own.kind.map(Attribute::KeyType));
        template.extend(match (&name.id, &name.label) {
            (Some(id), _) => Some(Attribute::Id(id.clone())),
            (None, Some(label)) => Some(Attribute::Label(label.clone().into_bytes())),
            (None, None) => None,
        });
        let found = session.find_objects(&template);
        let found = found.map_err(|error| self.refused(error))?;
        let key = match found.as_slice() {
            [public] => read(*public)?.public_key(),
            _ => None,
        };
        let missing = || Error::NoPublicKey {
            token: self.to_string(),
            key: name.to_string(),
        };
        key.ok_or_else(missing)?
            .map_err(|error| unsuitable(error.to_string()))
    }

    fn unsuitable(&self, name: &Name, why: impl ToString) -> Error {
        Error::Unsuitable {
            token: self.to_string(),
            key: name.to_string(),
            why: why.to_string(),
        }
    }
}

impl Name {
    fn attributes(&self) -> Vec<Attribute> {
        let label = self.label.clone().map(String::into_bytes);
        let label = label.map(Attribute::Label);
        label
            .into_iter()
            .chain(self.id.clone().map(Attribute::Id))
            .collect()
    }
}

/// How a token is asked for a key of this kind, and what its public half is to be.
fn kind_of(algorithm: KeyAlgorithm) -> Option<(Mechanism<'static>, Vec<Attribute>)> {
    let curve = |params: &[u8]| {
        let kind = vec![Attribute::EcParams(params.to_vec())];
        Some((Mechanism::EccKeyPairGen, kind))
    };
    let rsa = |bits: u64| {
        let bits = Attribute::ModulusBits(bits.into());
        let exponent = Attribute::PublicExponent(PUBLIC_EXPONENT.to_vec());
        Some((Mechanism::RsaPkcsKeyPairGen, vec![bits, exponent]))
    };
    match algorithm {
        KeyAlgorithm::P256 => curve(&P256),
        KeyAlgorithm::P384 => curve(&P384),
        KeyAlgorithm::Rsa2048 => rsa(2048),
        KeyAlgorithm::Rsa3072 => rsa(3072),
        KeyAlgorithm::Rsa4096 => rsa(4096),
        KeyAlgorithm::Ed25519 => None,
    }
}

fn random_id() -> Option<Vec<u8>> {
    let mut id = vec![0; ID_LENGTH];
    SystemRandom::new().fill(&mut id).ok()?;
    Some(id)
}

fn name_of(session: &Session, handle: ObjectHandle) -> Result<Name, Refusal> {
    let mut name = Name::default();
    for attribute in session.get_attributes(handle, &[AttributeType::Label, AttributeType::Id])? {
        match attribute {
            // A label that is not UTF-8 cannot be named by a URI; it is shown as well as can be.
            Attribute::Label(label) if !label.is_empty() => {
                name.label = Some(String::from_utf8_lossy(&label).into_owned());
            }
            Attribute::Id(id) if !id.is_empty() => name.id = Some(id),
            _ => {}
        }
    }
    Ok(name)
}

/// What an object tells of a public key.
#[derive(Default)]
struct Attributes {
    kind: Option<KeyType>,
    params: Option<Vec<u8>>,
    point: Option<Vec<u8>>,
    modulus: Option<Vec<u8>>,
    exponent: Option<Vec<u8>>,
}

fn attributes(session: &Session, handle: ObjectHandle) -> Result<Attributes, Refusal> {
    let mut read = Attributes::default();
    let mut wanted = vec![AttributeType::KeyType];
    for round in 0..2 {
        for attribute in session.get_attributes(handle, &wanted)? {
            match attribute {
                Attribute::KeyType(kind) => read.kind = Some(kind),
                Attribute::EcParams(params) => read.params = Some(params),
                Attribute::EcPoint(point) if !point.is_empty() => read.point = Some(point),
                Attribute::Modulus(modulus) => read.modulus = Some(modulus),
                Attribute::PublicExponent(exponent) => read.exponent = Some(exponent),
                _ => {}
            }
        }
        // Asked for what its kind of key does not have, a token may answer nothing at all.
        wanted = match read.kind {
            Some(KeyType::EC) if round == 0 => {
                vec![AttributeType::EcParams, AttributeType::EcPoint]
            }
            Some(KeyType::RSA) if round == 0 => {
                vec![AttributeType::Modulus, AttributeType::PublicExponent]
            }
            _ => break,
        };
    }
    Ok(read)
}

impl Attributes {
    fn public_key(&self) -> Option<Result<PublicKey, Unsuitable>> {
        match self.kind? {
            KeyType::EC => {
                let (params, point) = (self.params.as_ref()?, self.point.as_ref()?);
                Some(PublicKey::of_curve(params, point))
            }
            KeyType::RSA => {
                let (modulus, exponent) = (self.modulus.as_ref()?, self.exponent.as_ref()?);
                Some(PublicKey::of_rsa(modulus, exponent))
            }
            _ => None,
        }
    }
}

impl Key {
    /// A URI that means this key and no other, in this module.
    #[must_use]
    pub fn uri(&self) -> Uri {
        Uri {
            object: self.name.label.clone(),
            id: self.name.id.clone(),
            ..self.token.uri()
        }
    }

    /// The token that it is in.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whether nobody can read it out of the token: sensitive and not extractable.
    ///
    /// # Errors
    /// The token does not answer.
    pub fn is_guarded(&self) -> Result<bool, Error> {
        let sensitive = self.flag(AttributeType::Sensitive)?;
        let extractable = self.flag(AttributeType::Extractable)?;
        Ok(sensitive == Some(true) && extractable == Some(false))
    }

    fn flag(&self, flag: AttributeType) -> Result<Option<bool>, Error> {
        let read = self.token.session()?.get_attributes(self.handle, &[flag]);
        let read = read.map_err(|error| self.token.refused(error))?;
        Ok(read.into_iter().find_map(|attribute| match attribute {
            Attribute::Sign(it)
            | Attribute::AlwaysAuthenticate(it)
            | Attribute::Sensitive(it)
            | Attribute::Extractable(it) => Some(it),
            _ => None,
        }))
    }

    fn sign_there(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let scheme = self.public.scheme;
        let mechanism = match scheme {
            crate::signature::Scheme::Rsa => Mechanism::RsaPkcs,
            _ => Mechanism::Ecdsa,
        };
        let session = self.token.session()?;
        let signed = session.sign(&mechanism, self.handle, &scheme.input(message));
        Ok(scheme.output(signed.map_err(|error| self.token.refused(error))?))
    }
}

impl TokenKey for Key {
    fn public_key(&self) -> &SubjectKey {
        &self.public.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        Ok(self.sign_there(message)?)
    }
}

impl fmt::Display for Key {
    /// `object=root;id=%01 of token "vault"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.token)
    }
}
