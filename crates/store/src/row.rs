//! Columns to domain values and back. A value that the domain does not know is a decoding error that names its column.

use std::borrow::Cow;

use chrono::NaiveDate;
use grace_domain::{Timestamp, intent::Priority};
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value},
};
use sqlx::{Row, postgres::PgRow, types::Json};

pub(crate) type Decoded<T> = Result<T, sqlx::Error>;

fn undecodable(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}

/// A fieldless enum as its wire word.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("only enums that serialise to a word are kept as words, not {other:?}"),
    }
}

pub(crate) fn words<T: Serialize>(values: &[T]) -> Vec<String> {
    values.iter().map(word).collect()
}

fn from_word<T: DeserializeOwned>(column: &str, word: &str) -> Decoded<T> {
    T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(word)).map_err(|error| undecodable(column, error))
}

/// Text for a column. Postgres' text cannot hold NUL, which output of programs and what people send may: it becomes the replacement character.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

pub(crate) fn plain_option(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(plain)
}

pub(crate) fn plain_all(texts: &[String]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|text| plain(text)).collect()
}

/// A value for a `jsonb` column, with its texts as [`plain`] makes them.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Json<serde_json::Value> {
    let mut value = serde_json::to_value(value).unwrap_or_else(|error| unreachable!("domain types have string keys only: {error}"));
    clean(&mut value);
    Json(value)
}

/// Nested no deeper than our own types, which are of finite depth.
fn clean(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            if let Cow::Owned(cleaned) = plain(text) {
                *text = cleaned;
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(clean),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(clean),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// Reading a row by column name.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Decoded<String>;
    fn text_option(&self, column: &str) -> Decoded<Option<String>>;
    fn texts(&self, column: &str) -> Decoded<Vec<String>>;
    fn flag(&self, column: &str) -> Decoded<bool>;
    fn big(&self, column: &str) -> Decoded<i64>;
    fn big_option(&self, column: &str) -> Decoded<Option<i64>>;
    fn flag_option(&self, column: &str) -> Decoded<Option<bool>>;
    fn float(&self, column: &str) -> Decoded<f64>;
    /// An `integer` that is never negative.
    fn count(&self, column: &str) -> Decoded<u32>;
    fn count_option(&self, column: &str) -> Decoded<Option<u32>>;
    /// A `bigint` that is never negative.
    fn size(&self, column: &str) -> Decoded<u64>;
    fn at(&self, column: &str) -> Decoded<Timestamp>;
    fn at_option(&self, column: &str) -> Decoded<Option<Timestamp>>;
    fn date_option(&self, column: &str) -> Decoded<Option<NaiveDate>>;
    fn json<T: DeserializeOwned>(&self, column: &str) -> Decoded<T>;
    fn json_option<T: DeserializeOwned>(&self, column: &str) -> Decoded<Option<T>>;
    /// An enum kept as its wire word.
    fn one<T: DeserializeOwned>(&self, column: &str) -> Decoded<T>;
    fn one_option<T: DeserializeOwned>(&self, column: &str) -> Decoded<Option<T>>;
    fn priority(&self, column: &str) -> Decoded<Priority>;
}

impl Columns for PgRow {
    fn text(&self, column: &str) -> Decoded<String> {
        self.try_get(column)
    }
    fn text_option(&self, column: &str) -> Decoded<Option<String>> {
        self.try_get(column)
    }
    fn texts(&self, column: &str) -> Decoded<Vec<String>> {
        self.try_get(column)
    }
    fn flag(&self, column: &str) -> Decoded<bool> {
        self.try_get(column)
    }
    fn big(&self, column: &str) -> Decoded<i64> {
        self.try_get(column)
    }
    fn big_option(&self, column: &str) -> Decoded<Option<i64>> {
        self.try_get(column)
    }
    fn flag_option(&self, column: &str) -> Decoded<Option<bool>> {
        self.try_get(column)
    }
    fn float(&self, column: &str) -> Decoded<f64> {
        self.try_get(column)
    }
    fn count(&self, column: &str) -> Decoded<u32> {
        u32::try_from(self.try_get::<i32, _>(column)?).map_err(|error| undecodable(column, error))
    }
    fn count_option(&self, column: &str) -> Decoded<Option<u32>> {
        let count: Option<i32> = self.try_get(column)?;
        count.map(u32::try_from).transpose().map_err(|error| undecodable(column, error))
    }
    fn size(&self, column: &str) -> Decoded<u64> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|error| undecodable(column, error))
    }
    fn at(&self, column: &str) -> Decoded<Timestamp> {
        self.try_get(column)
    }
    fn at_option(&self, column: &str) -> Decoded<Option<Timestamp>> {
        self.try_get(column)
    }
    fn date_option(&self, column: &str) -> Decoded<Option<NaiveDate>> {
        self.try_get(column)
    }
    fn json<T: DeserializeOwned>(&self, column: &str) -> Decoded<T> {
        Ok(self.try_get::<Json<DecodeOwned<T>>, _>(column)?.0.0)
    }
    fn json_option<T: DeserializeOwned>(&self, column: &str) -> Decoded<Option<T>> {
        Ok(self.try_get::<Option<Json<DecodeOwned<T>>>, _>(column)?.map(|json| json.0.0))
    }
    fn one<T: DeserializeOwned>(&self, column: &str) -> Decoded<T> {
        from_word(column, self.try_get::<&str, _>(column)?)
    }
    fn one_option<T: DeserializeOwned>(&self, column: &str) -> Decoded<Option<T>> {
        self.try_get::<Option<&str>, _>(column)?.map(|word| from_word(column, word)).transpose()
    }
    fn priority(&self, column: &str) -> Decoded<Priority> {
        let rank: i16 = self.try_get(column)?;
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Priority::ALL.get(rank).copied())
            .ok_or_else(|| undecodable(column, std::io::Error::other(format!("{rank} is no priority"))))
    }
}

/// Lets any owned type be read from `jsonb`, without asking of it the `'r` lifetime that sqlx's `Json` does.
#[derive(serde::Deserialize)]
#[serde(transparent, bound = "T: DeserializeOwned")]
struct DecodeOwned<T>(T);

/// 0 low … 3 critical: the order of [`Priority::ALL`], which is kept in columns.
pub(crate) fn rank(priority: Priority) -> i16 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    }
}

/// A count for an `integer` column; what no build reaches is cut to the largest.
pub(crate) fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A size for a `bigint` column.
pub(crate) fn big(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Splits off what is beyond `limit`: the rows of the page, and whether more follow.
pub(crate) fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    (rows, more)
}
