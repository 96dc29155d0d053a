//! Durations and moments in words. Offsets are minutes east of UTC, so that the browser's zone comes in as an argument.

use chrono::{Datelike, Duration, Timelike};

use crate::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `0.8 s`, `42 s`, `1 min 12 s`, `52 min`, `2 h 35 min`, `3 d 4 h`. Two units at most; seconds vanish from ten minutes on.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 9.95 {
        let tenths = (seconds * 10.0).round() / 10.0;
        return format!("{tenths} s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, minutes) if minutes < 10 && rest > 0 => format!("{minutes} min {rest} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Whole seconds only, for a figure that ticks: `8 s`, `1 min 12 s`.
pub fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to - from).num_seconds().max(0) as f64;
    if seconds < 10.0 { format!("{seconds} s") } else { duration(seconds) }
}

/// A planned length given in hours: `22 s`, `1.5 h`.
pub fn planned(hours: f64) -> String {
    if hours >= 1.0 {
        let tenths = (hours * 10.0).round() / 10.0;
        return format!("{tenths} h");
    }
    let seconds = hours * 3_600.0;
    // Below ten seconds a plan is a guess of whole seconds.
    if seconds < 10.0 { format!("{} s", seconds.round().max(0.0)) } else { duration(seconds) }
}

/// `now`, `12 s ago`, `6 min ago`, `3 h ago`, `2 d ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match age(at, now) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    }
}

/// The same without the word: `6 min`.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    match (now - at).num_seconds() {
        ..5 => "now".to_owned(),
        seconds @ 5..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `10:30:15`
pub fn clock(at: Timestamp, offset_minutes: i32) -> String {
    let local = at + Duration::minutes(offset_minutes.into());
    format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second())
}

/// `today 09:45`, `yesterday 17:12`, `12 Nov 16:20`, `12 Nov 2024`.
pub fn moment(at: Timestamp, now: Timestamp, offset_minutes: i32) -> String {
    let offset = Duration::minutes(offset_minutes.into());
    let (local, today) = (at + offset, (now + offset).date_naive());
    let time = format!("{:02}:{:02}", local.hour(), local.minute());
    let date = local.date_naive();
    match (today - date).num_days() {
        0 => format!("today {time}"),
        1 => format!("yesterday {time}"),
        _ if date.year() == today.year() => format!("{} {time}", day(date)),
        _ => format!("{} {}", day(date), date.year()),
    }
}

/// `20 Nov`
pub fn day(date: chrono::NaiveDate) -> String {
    format!("{} {}", date.day(), MONTHS[date.month0() as usize])
}

/// `2025-11-20 09:45:01 UTC`, for hovering over a relative time.
pub fn exact(at: Timestamp) -> String {
    format!("{:04}-{:02}-{:02} {} UTC", at.year(), at.month(), at.day(), clock(at, 0))
}

/// `2025-11-20T09:45:01Z`, for a machine.
pub fn machine(at: Timestamp) -> String {
    format!("{:04}-{:02}-{:02}T{}Z", at.year(), at.month(), at.day(), clock(at, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("tests write valid times")
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (3.12, "3.1 s"),
            (9.99, "10 s"),
            (42.4, "42 s"),
            (72.0, "1 min 12 s"),
            (120.0, "2 min"),
            (652.0, "10 min"),
            (3_600.0, "1 h"),
            (9_300.0, "2 h 35 min"),
            (273_600.0, "3 d 4 h"),
            (-5.0, "0 s"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!(planned(1.5), "1.5 h");
        assert_eq!(planned(0.006), "22 s");
        assert_eq!(planned(0.5), "30 min");
        assert_eq!(planned(0.0012), "4 s");
    }

    #[test]
    fn ages_grow_coarser() {
        let now = at("2025-11-14T10:37:00Z");
        for (then, text) in [
            ("2025-11-14T10:36:58Z", "now"),
            ("2025-11-14T10:37:03Z", "now"),
            ("2025-11-14T10:36:48Z", "12 s ago"),
            ("2025-11-14T10:31:00Z", "6 min ago"),
            ("2025-11-14T07:31:00Z", "3 h ago"),
            ("2025-11-11T10:31:00Z", "3 d ago"),
        ] {
            assert_eq!(ago(at(then), now), text, "{then}");
        }
    }

    #[test]
    fn moments_name_the_day_in_the_readers_zone() {
        let now = at("2025-11-14T00:30:00Z");
        assert_eq!(moment(at("2025-11-13T23:45:00Z"), now, 0), "yesterday 23:45");
        assert_eq!(moment(at("2025-11-13T23:45:00Z"), now, 60), "today 00:45");
        assert_eq!(moment(at("2025-11-11T16:20:00Z"), now, 0), "11 Nov 16:20");
        assert_eq!(moment(at("2024-11-12T16:20:00Z"), now, 0), "12 Nov 2024");
        assert_eq!(clock(at("2025-11-14T10:30:15Z"), -90), "09:00:15");
        assert_eq!(exact(at("2025-11-14T10:30:15Z")), "2025-11-14 10:30:15 UTC");
    }
}
