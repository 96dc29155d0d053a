//! Redaction of lines that come one by one: a value may begin in one and end in another, because what ends a line is whoever cut it.

use std::sync::Arc;

use crate::redact::{CLIPPED, Redactor};

/// Text that may wait for the end of a value, in bytes; more is let go as it is.
const WAITING: usize = 256 << 10;

/// One stream of lines. A line that ends as a value begins waits for the next one.
pub struct Stream {
    redactor: Arc<Redactor>,
    /// Lines that wait, each but the first with a line's end before it.
    waiting: Option<String>,
    /// The last letters that were shown.
    before: Vec<u8>,
}

impl Stream {
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, waiting: None, before: Vec::new() }
    }

    /// Takes a line without its end; the lines that can be shown now, in their order.
    pub fn push(&mut self, line: &str) -> Vec<String> {
        if self.redactor.is_empty() {
            return vec![line.to_owned()];
        }
        let text = match self.waiting.take() {
            Some(mut before) => {
                before.push('\n');
                before.push_str(line);
                before
            }
            None => line.to_owned(),
        };
        let dense = self.redactor.dense(text.as_bytes());
        let found = self.redactor.find(text.as_bytes(), &dense);
        let Some(mut cut) = self.redactor.unfinished(&self.before, &dense).filter(|_| text.len() <= WAITING) else {
            self.showed(dense.last_before(text.len()));
            return lines(&self.redactor.replaced(&text, &found));
        };
        // Whole lines wait, and no value is cut in two.
        loop {
            cut = text[..cut].rfind('\n').map_or(0, |end| end + 1);
            match found.iter().find(|one| one.at.start < cut && cut < one.at.end) {
                Some(one) => cut = one.at.start,
                None => break,
            }
        }
        let shown = if cut == 0 {
            Vec::new()
        } else {
            let whole: Vec<_> = found.into_iter().filter(|one| one.at.end <= cut).collect();
            lines(&self.redactor.replaced(&text[..cut - 1], &whole))
        };
        self.showed(dense.last_before(cut));
        self.waiting = Some(text[cut..].to_owned());
        shown
    }

    fn showed(&mut self, letters: &[u8]) {
        let kept = self.before.len().saturating_sub(CLIPPED.saturating_sub(letters.len()));
        self.before.drain(..kept);
        self.before.extend_from_slice(letters);
    }

    /// The lines that waited.
    pub fn finish(&mut self) -> Vec<String> {
        self.waiting.take().map(|text| lines(&self.redactor.redact(&text))).unwrap_or_default()
    }
}

fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;

    const VALUE: &str = "s3cr\"t/ä with+space & $igns?";

    fn redactor(values: &[(&str, &str)]) -> Arc<Redactor> {
        let values: Vec<(&str, SecretString)> = values.iter().map(|(name, value)| (*name, SecretString::from(*value))).collect();
        Arc::new(Redactor::new(values.iter().map(|(name, value)| (*name, value))))
    }

    fn through(redactor: &Arc<Redactor>, lines: &[&str]) -> Vec<String> {
        let mut stream = Stream::new(redactor.clone());
        let mut shown: Vec<String> = lines.iter().flat_map(|line| stream.push(line)).collect();
        shown.extend(stream.finish());
        shown
    }

    fn base64(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn a_value_is_found_in_every_form_that_programs_give_it() {
        let redactor = redactor(&[("TOKEN", VALUE)]);
        let forms = [
            VALUE.to_owned(),
            base64(VALUE),
            base64(&format!("user:{VALUE}")),
            base64(&format!("u:{VALUE}\n")),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(VALUE),
            hex::encode(VALUE),
            hex::encode_upper(VALUE),
            utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string(),
            "s3cr%22t%2f%c3%a4+with%2bspace+%26+%24igns%3f".to_owned(),
            "s3cr%22t%2F%C3%A4%20with%2Bspace%20%26%20%24igns%3F".to_owned(),
            Value::from(VALUE).to_string(),
            r#"s3cr\"t\/ä with+space & $igns?"#.to_owned(),
            r#"s3cr\"t/\u00e4 with+space & $igns?"#.to_owned(),
        ];
        for form in forms {
            let shown = redactor.redact(&format!("before {form} after")).into_owned();
            assert!(shown.starts_with("before ") && shown.ends_with(" after") && shown.contains("[secret TOKEN]"), "{form}: {shown}");
            let rest = shown.replace("before ", "").replace(" after", "").replace("[secret TOKEN]", "");
            // Of base64, letters that belong to what stands around the value; of JSON, quotes.
            assert!(rest.len() <= 8, "{form}: {shown}");
        }
        assert_eq!(redactor.redact("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_value_that_is_cut_anywhere_is_still_found() {
        let redactor = redactor(&[("TOKEN", VALUE)]);
        for form in [VALUE.to_owned(), base64(VALUE), hex::encode(VALUE)] {
            let text = format!("xx{form}yy");
            for cut in (3..text.len() - 3).filter(|cut| text.is_char_boundary(*cut)) {
                let shown = through(&redactor, &[&text[..cut], &text[cut..]]);
                let all = shown.concat();
                let left = all.replace("[secret TOKEN]", "");
                // Of a value that was cut within its first letters, at most those are seen.
                assert!(left.len() <= "xxyy".len() + 3, "{cut}: {shown:?}");
                assert!(all.contains("[secret TOKEN]"), "{cut}: {shown:?}");
            }
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert!(through(&redactor, &letters).concat().contains("[secret TOKEN]"));
        }
    }

    #[test]
    fn lines_that_have_nothing_to_do_with_it_do_not_wait() {
        let redactor = redactor(&[("TOKEN", "correct-horse-battery")]);
        let mut stream = Stream::new(redactor);
        assert_eq!(stream.push("listening on port 3000"), ["listening on port 3000"]);
        assert_eq!(stream.push("it is correct"), Vec::<String>::new());
        assert_eq!(stream.push("and so on"), ["it is correct", "and so on"]);
        assert_eq!(stream.push("a corr"), Vec::<String>::new());
        assert_eq!(stream.finish(), ["a corr"]);
        assert_eq!(stream.push(""), [""]);
    }

    #[test]
    fn lines_of_a_wrapped_encoding_are_one_text() {
        let long = "correct horse battery staple ".repeat(6);
        let redactor = redactor(&[("KEY", &long)]);
        let encoded = base64(&format!("prefix {long} suffix"));
        let wrapped: Vec<String> = encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let lines: Vec<&str> = wrapped.iter().map(String::as_str).collect();
        let shown = through(&redactor, &lines).concat();
        assert!(shown.contains("[secret KEY]") && shown.len() < 50, "{shown}");
    }

    #[test]
    fn a_line_of_a_value_of_several_lines_is_kept_back_too() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQ\n-----END KEY-----\n";
        let redactor = redactor(&[("KEY", key)]);
        assert_eq!(redactor.redact("1\tMIIEvQIBADANBgkqhkiG9w0BAQ"), "1\t[secret KEY]");
        assert_eq!(redactor.redact("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        let place = redactor.first(format!("a\nb\n{key}").as_bytes()).unwrap();
        assert_eq!((place.name.as_str(), place.line), ("KEY", 3));
    }

    #[test]
    fn two_values_that_overlap_are_both_gone() {
        let redactor = redactor(&[("ONE", "abcdefgh"), ("TWO", "efghijkl")]);
        assert_eq!(redactor.redact("-abcdefghijkl-"), "-[secret ONE]-");
    }

    #[test]
    fn json_is_redacted_in_values_and_names() {
        let redactor = redactor(&[("TOKEN", "swordfish-77")]);
        let mut value = json!({"swordfish-77": ["a swordfish-77", 7, null, {"b": "swordfish-77"}]});
        redactor.redact_json(&mut value);
        assert_eq!(value, json!({"[secret TOKEN]": ["a [secret TOKEN]", 7, null, {"b": "[secret TOKEN]"}]}));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_the_value_and_the_cuts_it_is_not_seen(
            value in "[ -~äß€]{8,40}".prop_filter("enough letters", |value| value.chars().filter(|letter| !letter.is_whitespace()).count() >= 8),
            before in "[a-z ]{0,20}",
            cuts in prop::collection::vec(0usize..200, 0..4),
            coding in 0usize..4,
        ) {
            let redactor = redactor(&[("V", &value)]);
            let form = match coding {
                0 => value.clone(),
                1 => base64(&value),
                2 => hex::encode(&value),
                _ => utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string(),
            };
            let text = format!("{before}{form}");
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).filter(|cut| text.is_char_boundary(*cut)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let pieces: Vec<&str> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let shown = through(&redactor, &pieces).concat();
            prop_assert!(!shown.contains(form.trim()), "{shown}");
        }

        #[test]
        fn texts_without_the_value_come_out_as_they_went_in(lines in prop::collection::vec("[a-f0-9 ]{0,30}", 0..12)) {
            let redactor = redactor(&[("V", "zzyzx-swordfish-xyzzy")]);
            let given: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(through(&redactor, &given), lines);
        }
    }
}
