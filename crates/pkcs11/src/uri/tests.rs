#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Uri, UriError> {
    text.parse()
}

/// RFC 7512 section 3, as far as its URIs are of private keys.
#[test]
fn the_examples_of_the_rfc() {
    let uri = parse("pkcs11:object=my-pubkey;type=private").unwrap();
    assert_eq!(uri.object.as_deref(), Some("my-pubkey"));

    let uri = parse(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
    );
    assert_eq!(uri, Err(UriError::Empty("serial".into())));

    let uri = parse("pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91?pin-source=file:/etc/token_pin").unwrap();
    assert_eq!(
        uri.id.as_deref(),
        Some(&b"\x69\x95\x3e\x5c\xf4\xbd\xec\x91"[..])
    );
    let pin = PathBuf::from("/etc/token_pin");
    assert_eq!(uri.pin_source, Some(PinSource::File(pin)));
    assert_eq!(
        uri.properties(),
        [
            (Property::Token, "The Software PKCS#11 Softtoken".to_owned()),
            (Property::Manufacturer, "Snake Oil, Inc.".to_owned()),
            (Property::Model, "1.0".to_owned()),
        ]
    );

    let uri = parse("pkcs11:slot-description=Sun%20Metaslot;library-manufacturer=Snake%20Oil;slot-id=327?module-name=mypkcs11&module-path=/mnt/libmypkcs11.so.1").unwrap();
    assert_eq!(uri.slot, Some(327));
    assert_eq!(uri.module_name.as_deref(), Some("mypkcs11"));
    assert_eq!(uri.module_path, Some("/mnt/libmypkcs11.so.1".into()));

    assert_eq!(parse("pkcs11:"), Ok(Uri::default()));
    let vendor = parse("pkcs11:vendor-aaa=value-a");
    assert_eq!(vendor, Err(UriError::Unknown("vendor-aaa".into())));
    assert!(parse("pkcs11:object=k?vendor-aaa=value-a").is_ok());
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_reason() {
    for (text, error) in [
        ("", UriError::Scheme),
        ("pkcs11", UriError::Scheme),
        ("file:/etc/key", UriError::Scheme),
        ("pkcs11:object", UriError::NoValue("object".into())),
        ("pkcs11:object=a;object=b", UriError::Twice("object".into())),
        ("pkcs11:object=", UriError::Empty("object".into())),
        ("pkcs11:object=%4", UriError::Escape("object".into())),
        ("pkcs11:object=%ff", UriError::Escape("object".into())),
        ("pkcs11:object=%+5", UriError::Escape("object".into())),
        ("pkcs11:object=a b", UriError::Escape("object".into())),
        ("pkcs11:slot-id=-1", UriError::Slot),
        ("pkcs11:slot-id=+1", UriError::Slot),
        ("pkcs11:type=cert", UriError::Type("cert".into())),
        ("pkcs11:object=k?pin-value=1234", UriError::PinValue),
        ("pkcs11:object=k?pin-source=|/bin/pin", UriError::PinSource),
        ("pkcs11:object=k?pin-source=file:pin", UriError::PinSource),
        (
            "pkcs11:object=k?pin-source=file://host/pin",
            UriError::PinSource,
        ),
        ("pkcs11:object=k?module-path=libx.so", UriError::ModulePath),
        ("pkcs11:object=k?module-name=../x", UriError::ModuleName),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
    let long = format!("pkcs11:object={}", "a".repeat(MAX_LENGTH));
    assert_eq!(parse(&long), Err(UriError::Long));
}

#[test]
fn a_pin_in_the_uri_is_not_repeated_by_the_error() {
    let error = parse("pkcs11:object=k?pin-value=817263").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("817263"));
}

#[test]
fn every_way_to_write_the_file_of_a_pin() {
    for written in ["/a/b", "file:/a/b", "file:///a/b", "file://localhost/a/b"] {
        let uri = parse(&format!("pkcs11:object=k?pin-source={written}")).unwrap();
        let expected = Some(PinSource::File("/a/b".into()));
        assert_eq!(uri.pin_source, expected, "{written}");
    }
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/[^\0/]\\PC{0,20}".prop_map(PathBuf::from)
}

prop_compose! {
    fn any_uri()(
        values in prop::collection::vec(prop::option::of("\\PC{1,40}"), Property::ALL.len()),
        slot in any::<Option<u64>>(),
        object in prop::option::of("\\PC{1,40}"),
        id in prop::option::of(prop::collection::vec(any::<u8>(), 1..40)),
        module_path in prop::option::of(path()),
        module_name in prop::option::of("[a-zA-Z0-9][-a-zA-Z0-9._+]{0,20}"),
        pin in prop::option::of(path()),
    ) -> Uri {
        let pairs = Property::ALL.into_iter().zip(values);
        Uri {
            properties: pairs.filter_map(|(it, value)| Some((it, value?))).collect(),
            slot,
            object,
            id,
            module_path,
            module_name,
            pin_source: pin.map(PinSource::File),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(uri in any_uri()) {
        let written = uri.to_string();
        prop_assert!(written.is_ascii());
        prop_assert!(!written.contains([' ', '"', '\'', '\\', '\n']));
        prop_assert_eq!(parse(&written), Ok(uri));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("pkcs11:{text}"));
    }

    #[test]
    fn what_is_read_at_all_is_written_so_that_it_reads_the_same(
        text in "((token|serial|model|object|id|slot-id|type)=[a-z0-9%;=]{0,12};?){0,5}(\\?((pin-source|module-path|module-name|x)=[a-z/:0-9%&]{0,12}&?){0,4})?"
    ) {
        if let Ok(uri) = parse(&format!("pkcs11:{text}")) {
            prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
        }
    }
}
