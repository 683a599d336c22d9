//! Roles whose names mean something in one language or another.

/// By hand: each has what some language interpolates, quotes, escapes, or ends at.
pub(crate) const BY_HAND: [&str; 8] = [
    "alice",
    r#"o'Brien "x" Ä$"#,
    "#{7*7} <%= 7*7 %> ${HOME} $(id) `id` {x}",
    r"back\slash\\ \u0041 \n ' %41%zz +&;=@:?,#",
    "line\nfeed\ttab\u{1b}[0m",
    "日本語 💾 \u{202e}abc",
    " $alice @bob %name !x ",
    "--help",
];

/// How many more there are that nobody has thought of.
const MADE_UP: usize = 32;

/// What the made-up ones consist of, most of it apt to be misread.
const ALPHABET: [char; 40] = [
    '\'', '"', '\\', '$', '@', '%', '#', '{', '}', '<', '>', '&', ';', ':', '=', '?', '+', '!',
    '`', '(', ')', '[', ']', ' ', '\t', '\n', '\r', '~', '^', '*', '|', ',', '.', '-', 'u', 'x',
    '0', 'ä', '€', '💾',
];

/// All of them, always the same: a name that fails today fails tomorrow.
pub(crate) fn all() -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        // xorshift64 (G. Marsaglia, "Xorshift RNGs").
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let made_up = (0..MADE_UP).map(move |number| {
        let length = 4 + next(10);
        let text: String = (0..length)
            .map(|_| ALPHABET[next(ALPHABET.len())])
            .collect();
        // Apart from the others, whatever they consist of.
        format!("{number}{text}")
    });
    BY_HAND
        .map(str::to_owned)
        .into_iter()
        .chain(made_up)
        .collect()
}

/// Whether a line can hold it that has no escapes, such as one of pg_service.conf.
pub(crate) fn fits_a_line(role: &str) -> bool {
    has_no_control(role) && !role.ends_with(char::is_whitespace)
}

pub(crate) fn has_no_control(role: &str) -> bool {
    !role.contains(|c: char| c.is_control() || c == '\u{202e}')
}
