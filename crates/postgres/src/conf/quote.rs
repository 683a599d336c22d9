//! Writing values so that PostgreSQL reads back what was meant.

/// No configuration file can hold this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a value with a zero byte cannot be written into postgresql.conf; use a path or name without one"
)]
pub struct ZeroByte;

/// `value` in single quotes, on one line, with any byte but zero in it.
pub fn quote(value: &[u8]) -> Result<Vec<u8>, ZeroByte> {
    let mut quoted = vec![b'\''];
    for &byte in value {
        match byte {
            0 => return Err(ZeroByte),
            b'\'' => quoted.extend(b"''"),
            b'\\' => quoted.extend(b"\\\\"),
            b'\n' => quoted.extend(b"\\n"),
            // Text tools may take it for half a line ending.
            b'\r' => quoted.extend(b"\\r"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    Ok(quoted)
}

/// The line `name = 'value'`, without a line ending.
pub fn setting_line(name: &str, value: &[u8]) -> Result<Vec<u8>, ZeroByte> {
    Ok([name.as_bytes(), b" = ", &quote(value)?].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::conf::Conf;

    #[test]
    fn a_zero_byte_is_refused() {
        assert_eq!(quote(b"a\0"), Err(ZeroByte));
    }

    proptest! {
        #[test]
        fn what_was_quoted_is_read_back(value in proptest::collection::vec(1u8.., 0..80)) {
            let conf = Conf::parse(&setting_line("ssl_cert_file", &value).unwrap());
            prop_assert_eq!(conf.errors(), []);
            let setting = conf.settings().next().unwrap();
            prop_assert_eq!(&setting.value, &value);
            prop_assert_eq!(conf.settings().count(), 1);
        }
    }
}
