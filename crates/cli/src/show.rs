//! How things are written for people. Rules: what was asked for goes to standard output, what is
//! said along the way to standard error; colour and progress appear only on a terminal; no name
//! that somebody else has chosen reaches it unescaped.

use anstyle::{AnsiColor, Style};
use pgpki_core::due::Phase;
use pgpki_core::issue::Holder;
use pgpki_core::validity::Validity;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// What stands out.
pub(crate) const STRONG: Style = Style::new().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What is right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What will go wrong.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// Cells of the bar that draws how much of a lifetime is left.
const BAR_CELLS: i64 = 10;

/// `2027-11-22`, UTC.
pub(crate) fn date(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(UtcOffset::UTC);
    utc.format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_else(|_| utc.to_string())
}

/// `2027-11-22T03:14:15Z` (RFC 3339).
pub(crate) fn rfc3339(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(UtcOffset::UTC);
    utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string())
}

/// Whole days until the end; negative once it is over.
pub(crate) fn days_left(validity: Validity, now: OffsetDateTime) -> i64 {
    (validity.not_after - now)
        .whole_seconds()
        .div_euclid(86_400)
}

/// How much of a lifetime is left, drawn: ten cells.
pub(crate) fn bar(validity: Validity, now: OffsetDateTime) -> String {
    let total = validity.length().whole_seconds().max(1);
    let left = (validity.not_after - now).whole_seconds().clamp(0, total);
    // Rounded up, so that only what is over is drawn empty.
    let full = (left * BAR_CELLS + total - 1) / total;
    let cells = (0..BAR_CELLS).map(|cell| if cell < full { '█' } else { '░' });
    cells.collect()
}

/// What a phase is called.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::NotYetValid => "not-yet-valid",
        Phase::Valid => "valid",
        Phase::Due => "due",
        Phase::Expired => "expired",
    }
}

/// The colour of a phase.
pub(crate) fn phase_style(phase: Phase) -> Style {
    match phase {
        Phase::Valid => GOOD,
        Phase::Due | Phase::NotYetValid => WARNING,
        Phase::Expired => BAD,
    }
}

/// `1 certificate`, `2 certificates`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// The name of a credential's holder alone: `alice`, or `db.example.com, 10.0.0.5`.
pub(crate) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Client(role) => pgpki_core::document::printable(role.as_str()),
        Holder::Server(hosts) => {
            let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    #[test]
    fn what_is_left_is_drawn_and_counted() {
        let start = datetime!(2026-01-01 00:00 UTC);
        let validity = Validity {
            not_before: start,
            not_after: start + Duration::days(100),
        };
        assert_eq!(bar(validity, start), "██████████");
        assert_eq!(bar(validity, start + Duration::days(50)), "█████░░░░░");
        assert_eq!(
            bar(validity, validity.not_after - Duration::SECOND),
            "█░░░░░░░░░"
        );
        assert_eq!(bar(validity, validity.not_after), "░░░░░░░░░░");
        assert_eq!(bar(validity, start - Duration::days(9)), "██████████");
        assert_eq!(days_left(validity, start), 100);
        assert_eq!(days_left(validity, validity.not_after), 0);
        assert_eq!(
            days_left(validity, validity.not_after + Duration::SECOND),
            -1
        );
        assert_eq!(rfc3339(start), "2026-01-01T00:00:00Z");
        assert_eq!(date(start), "2026-01-01");
    }
}
