//! When something must be renewed. Pure: records, settings and `now` in, an answer out.

use time::{Duration, OffsetDateTime};

use crate::validity::Validity;

/// How long before its end something is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Within {
    /// When a third of the lifetime is left. For a year that is four months: many cron runs may
    /// fail before anybody is locked out.
    #[default]
    Third,
    /// When less than this is left.
    Duration(Duration),
}

impl Within {
    /// The instant from which something with this validity is due.
    pub fn due_from(self, validity: Validity) -> OffsetDateTime {
        let ahead = match self {
            Self::Third => validity.length() / 3,
            Self::Duration(ahead) => ahead,
        };
        // A duration longer than time itself means: from the beginning.
        validity
            .not_after
            .checked_sub(ahead)
            .unwrap_or(validity.not_before)
    }

    /// Whether something with this validity is due at `now`. What does not count yet is due as
    /// well: it was made by a clock that was ahead.
    pub fn is_due(self, validity: Validity, now: OffsetDateTime) -> bool {
        now >= self.due_from(validity) || now < validity.not_before
    }
}

/// Where a certificate stands between its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does not count yet.
    NotYetValid,
    /// It counts, and is not due.
    Valid,
    /// It counts, and should be renewed.
    Due,
    /// It no longer counts.
    Expired,
}

impl Phase {
    /// The phase of something with this validity at `now`.
    pub fn at(validity: Validity, within: Within, now: OffsetDateTime) -> Self {
        if now > validity.not_after {
            Self::Expired
        } else if now < validity.not_before {
            Self::NotYetValid
        } else if within.is_due(validity, now) {
            Self::Due
        } else {
            Self::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const VALIDITY: Validity = Validity {
        not_before: datetime!(2026-01-01 00:00 UTC),
        not_after: datetime!(2026-01-31 00:00 UTC),
    };

    #[test]
    fn due_to_the_second() {
        let third = datetime!(2026-01-21 00:00 UTC);
        assert!(!Within::Third.is_due(VALIDITY, third - Duration::SECOND));
        assert!(Within::Third.is_due(VALIDITY, third));
        assert!(!Within::Third.is_due(VALIDITY, VALIDITY.not_before));
        assert!(Within::Third.is_due(VALIDITY, VALIDITY.not_before - Duration::SECOND));
        let three_days = Within::Duration(Duration::days(3));
        assert!(!three_days.is_due(VALIDITY, datetime!(2026-01-27 23:59:59 UTC)));
        assert!(three_days.is_due(VALIDITY, datetime!(2026-01-28 00:00 UTC)));
        let forever = Within::Duration(Duration::MAX);
        assert!(forever.is_due(VALIDITY, VALIDITY.not_before));
    }

    #[test]
    fn phases_change_to_the_second() {
        let phase = |now| Phase::at(VALIDITY, Within::Third, now);
        assert_eq!(
            phase(VALIDITY.not_before - Duration::SECOND),
            Phase::NotYetValid
        );
        assert_eq!(phase(VALIDITY.not_before), Phase::Valid);
        assert_eq!(phase(VALIDITY.not_after), Phase::Due);
        assert_eq!(phase(VALIDITY.not_after + Duration::SECOND), Phase::Expired);
    }
}
