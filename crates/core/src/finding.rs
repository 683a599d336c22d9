//! One thing wrong with a file or a set of files, or worth knowing about it.

use std::fmt;

/// How much a finding matters to whoever runs the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing has to be done.
    Info,
    /// It works today, or with some clients, and will bite.
    Warning,
    /// PostgreSQL or its clients refuse it now.
    Error,
}

impl Severity {
    /// The name used in reports and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing wrong or worth knowing. Its texts never contain control characters, whatever the
/// file held, so they can go to a terminal as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name in kebab-case, for scripts and for the manual.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was seen.
    pub message: String,
    /// What to do next: a sentence.
    pub hint: String,
}

impl Finding {
    /// Something that is worth knowing.
    pub fn info(code: &'static str, message: impl Into<String>, hint: &str) -> Self {
        Self::new(Severity::Info, code, message, hint)
    }

    /// Something that works today and will bite.
    pub fn warning(code: &'static str, message: impl Into<String>, hint: &str) -> Self {
        Self::new(Severity::Warning, code, message, hint)
    }

    /// Something that is refused now.
    pub fn error(code: &'static str, message: impl Into<String>, hint: &str) -> Self {
        Self::new(Severity::Error, code, message, hint)
    }

    /// A finding whose severity depends on what was seen.
    pub fn new(
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            hint: hint.to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            severity,
            message,
            hint,
        } = self;
        write!(f, "{severity} [{code}] {message}. {hint}")
    }
}
