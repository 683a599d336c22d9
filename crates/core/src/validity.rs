//! From when until when a certificate counts.

use time::{Duration, OffsetDateTime};

/// How far back `notBefore` is set, so that a machine whose clock is a little slow accepts a
/// certificate that has just been made.
pub const CLOCK_TOLERANCE: Duration = Duration::minutes(5);

/// The longest lifetime that is accepted, in days: a century. It keeps every date far from the
/// year 9999, where RFC 5280's GeneralizedTime ends, and catches a lifetime given in seconds.
pub const MAX_DAYS: u32 = 36_525;

/// A number of days that is not 1 to [`MAX_DAYS`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lifetime of {0} days is not possible: it must be between 1 and {MAX_DAYS}")]
pub struct InvalidDays(pub u32);

/// A lifetime in whole days, 1 to [`MAX_DAYS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(u32);

impl Days {
    /// Ten years, for a root: it outlives two issuing CAs.
    pub const ROOT: Self = Self(3650);
    /// Five years, for an issuing CA.
    pub const ISSUING: Self = Self(1825);
    /// One year, for the certificate of a server or a role.
    pub const LEAF: Self = Self(365);
    /// The shortest life.
    pub const ONE: Self = Self(1);

    /// Takes a number of days.
    pub fn new(days: u32) -> Result<Self, InvalidDays> {
        if (1..=MAX_DAYS).contains(&days) {
            Ok(Self(days))
        } else {
            Err(InvalidDays(days))
        }
    }

    /// The number of days.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A certificate's validity period (RFC 5280 section 4.1.2.5), in whole seconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second at which it counts.
    pub not_before: OffsetDateTime,
    /// The last second at which it counts.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Starts [`CLOCK_TOLERANCE`] before `now` and ends `days` after it.
    pub fn starting(now: OffsetDateTime, days: Days) -> Self {
        let now = whole_seconds(now);
        Self {
            not_before: now - CLOCK_TOLERANCE,
            not_after: now + Duration::days(days.0.into()),
        }
    }

    /// The same, but ending no later than `end`. The flag tells whether it had to be cut.
    pub fn cut_to(self, end: OffsetDateTime) -> (Self, bool) {
        let cut = self.not_after > end;
        let not_after = self.not_after.min(end);
        (Self { not_after, ..self }, cut)
    }

    /// How long it lasts.
    pub fn length(&self) -> Duration {
        self.not_after - self.not_before
    }
}

/// Certificates count in seconds; what is compared with them must not have a fraction.
fn whole_seconds(instant: OffsetDateTime) -> OffsetDateTime {
    let utc = instant.to_offset(time::UtcOffset::UTC);
    utc - Duration::nanoseconds(utc.nanosecond().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    #[test]
    fn starts_before_now_and_ends_after_whole_days() {
        let validity = Validity::starting(datetime!(2026-01-01 12:00:00.9 UTC), Days::LEAF);
        assert_eq!(validity.not_before, datetime!(2026-01-01 11:55:00 UTC));
        assert_eq!(validity.not_after, datetime!(2027-01-01 12:00:00 UTC));
    }

    #[test]
    fn is_cut_only_where_it_sticks_out() {
        let validity = Validity::starting(datetime!(2026-01-01 12:00 UTC), Days::LEAF);
        let end = validity.not_after;
        assert_eq!(validity.cut_to(end), (validity, false));
        let (cut, was_cut) = validity.cut_to(end - Duration::SECOND);
        assert!(was_cut);
        assert_eq!(cut.not_after, end - Duration::SECOND);
        assert_eq!(cut.not_before, validity.not_before);
    }

    #[test]
    fn days_have_bounds() {
        assert_eq!(Days::new(0), Err(InvalidDays(0)));
        assert_eq!(Days::new(MAX_DAYS + 1), Err(InvalidDays(MAX_DAYS + 1)));
        assert_eq!(Days::new(MAX_DAYS).unwrap().get(), MAX_DAYS);
    }
}
