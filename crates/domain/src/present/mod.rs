//! What the pages compute before they draw: words for durations and moments, shares of bars, tones of states, parts of logs and diffs.
//!
//! Pure view-model functions, so that each has a test here and none hides in a component. They must not know markup.

pub mod build;
pub mod diff;
pub mod lanes;
pub mod live;
pub mod log;
pub mod time;
pub mod timeline;

/// How a state looks. Violet `Waiting` always means that a person must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Running,
    Success,
    Warning,
    Danger,
    Waiting,
    Idle,
}

impl Tone {
    /// Name of its class in the style sheets.
    pub fn class(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Danger => "danger",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
        }
    }
}

/// `1,234,567`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `1,234 files`
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `94 %`, `93.5 %`: at most one decimal.
pub fn percent(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    format!("{rounded} %")
}

/// `512 B`, `12.4 kB`, `3.1 MB`
pub fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} B"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number as f64 / 1e6),
        _ => format!("{:.1} GB", number as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234), "1,234");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
        assert_eq!(percent(93.46), "93.5 %");
        assert_eq!(percent(100.0), "100 %");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_400), "12.4 kB");
    }
}
