//! What is found of the documents: by words for people, by likeness for agents. Texts that are handed over have marks around what was found.

use grace_domain::{
    Timestamp,
    document::{FoundDocument, HIT_BEGINS, HIT_ENDS, Passage, pieces},
    id::{DocumentId, IntentId},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::heading;
use crate::{
    error::{During, StoreError, StoreResult},
    row::{Columns, Decoded, cut, plain},
};

/// Longest passage that is told, in characters.
const PASSAGE: i32 = 700;
/// Sections that are looked at closer, the most like ones.
const CANDIDATES: i64 = 200;

/// Which documents are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Words as for a search engine; `None`: those that changed last come first.
    pub words: Option<&'a str>,
    pub intent: Option<IntentId>,
    pub limit: u32,
    /// The cursor of the page before.
    pub after: Option<&'a str>,
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    pub items: Vec<FoundDocument>,
    pub total: u64,
    pub next: Option<String>,
}

/// A page of the documents that repositories have now.
pub async fn documents_search(conn: &mut PgConnection, wanted: &Wanted<'_>) -> StoreResult<FoundPage> {
    let (rows, total) = match wanted.words {
        Some(words) => by_words(conn, wanted, words).await?,
        None => newest(conn, wanted).await?,
    };
    let (rows, more) = cut(rows, wanted.limit);
    let next = if more { rows.last().map(|(_, cursor)| cursor.clone()) } else { None };
    Ok(FoundPage { items: rows.into_iter().map(|(found, _)| found).collect(), total, next })
}

type Rows = (Vec<(FoundDocument, String)>, u64);

/// The versions that have all words, or whose path or title has what was typed. `any_word` is the same search, with one word enough.
macro_rules! matching {
    () => {
        "WITH asked AS (
            SELECT websearch_to_tsquery('english', translate($1, '/', ' ')) AS all_words,
                   replace(websearch_to_tsquery('english', translate($1, '/', ' '))::text, ' & ', ' | ')::tsquery AS any_word
         ), matching AS (
            SELECT document_versions.id AS version_id FROM document_versions JOIN documents ON documents.id = document_id, asked
             WHERE current AND search @@ all_words AND ($2::bigint IS NULL OR intent_id = $2)
             UNION
            SELECT document_versions.id FROM document_versions JOIN documents ON documents.id = document_id
             WHERE current AND (strpos(lower(path), lower($1)) > 0 OR strpos(lower(title), lower($1)) > 0) AND ($2::bigint IS NULL OR intent_id = $2)
         )"
    };
}

/// All words are looked for in the whole document. What is quoted is from the section that has most of them.
async fn by_words(conn: &mut PgConnection, wanted: &Wanted<'_>, words: &str) -> StoreResult<Rows> {
    let (rank, id) = match wanted.after {
        None => (f64::MAX, i64::MAX),
        Some(cursor) => parse(cursor, 'r').map(|(bits, id)| (f64::from_bits(bits), id)).ok_or_else(|| StoreError::Cursor(cursor.to_owned()))?,
    };
    let rows = sqlx::query(concat!(
        matching!(),
        ", ranked AS (
            SELECT version_id, document_id, ts_rank(search, all_words, 1)::float8 AS rank FROM matching JOIN document_versions ON id = version_id, asked
         ), page AS (
            SELECT * FROM ranked WHERE (rank, document_id) < ($3, $4) ORDER BY rank DESC, document_id DESC LIMIT $5
         )
         SELECT page.document_id, intent_id, intents.title AS build, path, document_versions.title, document_versions.at, page.rank, best.level, best.heading, best.anchor,
                (SELECT count(*) FROM matching) AS total,
                ts_headline('english', left(coalesce(best.text, ''), 20000), any_word,
                            'StartSel=' || $6 || ', StopSel=' || $7 || ', MaxFragments=2, MinWords=10, MaxWords=28, FragmentDelimiter=\" … \"') AS passage
           FROM page JOIN documents ON documents.id = page.document_id JOIN document_versions ON document_versions.id = page.version_id
                JOIN intents ON intents.id = intent_id CROSS JOIN asked
                LEFT JOIN LATERAL (
                    SELECT level, heading, anchor, text FROM document_sections AS sections WHERE sections.version_id = page.version_id
                     ORDER BY ts_rank(sections.search, any_word) DESC, position LIMIT 1
                ) AS best ON true
          ORDER BY page.rank DESC, page.document_id DESC"
    ))
    .bind(plain(words))
    .bind(wanted.intent.map(|intent| intent.0))
    .bind(rank)
    .bind(id)
    .bind(i64::from(wanted.limit) + 1)
    .bind(HIT_BEGINS.to_string())
    .bind(HIT_ENDS.to_string())
    .try_map(|row: PgRow| {
        let found = found(&row)?;
        let cursor = cursor('r', row.try_get::<f64, _>("rank")?.to_bits(), found.document_id);
        Ok((found, cursor, row.size("total")?))
    })
    .fetch_all(&mut *conn)
    .await
    .during("documents_search")?;
    let total = match rows.first() {
        Some((.., total)) => *total,
        None if wanted.after.is_none() => 0,
        // Behind the end no row says it.
        None => {
            let count: i64 = sqlx::query_scalar(concat!(matching!(), " SELECT count(*) FROM matching"))
                .bind(plain(words))
                .bind(wanted.intent.map(|intent| intent.0))
                .fetch_one(conn)
                .await
                .during("documents_search")?;
            u64::try_from(count).unwrap_or(0)
        }
    };
    Ok((rows.into_iter().map(|(found, cursor, _)| (found, cursor)).collect(), total))
}

/// What repositories have now, of one build if one is wanted.
macro_rules! current {
    () => {
        "document_versions JOIN documents ON documents.id = document_id WHERE current AND ($1::bigint IS NULL OR intent_id = $1)"
    };
}

/// Those that changed last come first; of those that came together, in the order of their paths.
async fn newest(conn: &mut PgConnection, wanted: &Wanted<'_>) -> StoreResult<Rows> {
    let before: Option<(Timestamp, i64)> = match wanted.after {
        None => None,
        Some(cursor) => {
            let place = parse(cursor, 't').and_then(|(micros, id)| Some((Timestamp::from_timestamp_micros(i64::try_from(micros).ok()?)?, id)));
            Some(place.ok_or_else(|| StoreError::Cursor(cursor.to_owned()))?)
        }
    };
    let rows = sqlx::query(concat!(
        "SELECT document_id, intent_id, intents.title AS build, path, document_versions.title, document_versions.at, NULL::integer AS level, '' AS heading, '' AS anchor,
                (SELECT left(text, 220) FROM document_sections WHERE version_id = document_versions.id AND text <> '' ORDER BY position LIMIT 1) AS passage,
                (SELECT count(*) FROM ",
        current!(),
        ") AS total
           FROM document_versions JOIN documents ON documents.id = document_id JOIN intents ON intents.id = intent_id
          WHERE current AND ($1::bigint IS NULL OR intent_id = $1)
            AND ($2::timestamptz IS NULL OR document_versions.at < $2 OR document_versions.at = $2 AND document_id > $3)
          ORDER BY document_versions.at DESC, document_id LIMIT $4"
    ))
    .bind(wanted.intent.map(|intent| intent.0))
    .bind(before.map(|(at, _)| at))
    .bind(before.map(|(_, id)| id))
    .bind(i64::from(wanted.limit) + 1)
    .try_map(|row: PgRow| {
        let found = found(&row)?;
        let micros = u64::try_from(found.at.timestamp_micros()).unwrap_or(0);
        let cursor = cursor('t', micros, found.document_id);
        Ok((found, cursor, row.size("total")?))
    })
    .fetch_all(&mut *conn)
    .await
    .during("documents_newest")?;
    let total = match rows.first() {
        Some((.., total)) => *total,
        None if before.is_none() => 0,
        // Behind the end no row says it.
        None => {
            let count: i64 = sqlx::query_scalar(concat!("SELECT count(*) FROM ", current!()))
                .bind(wanted.intent.map(|intent| intent.0))
                .fetch_one(conn)
                .await
                .during("documents_newest")?;
            u64::try_from(count).unwrap_or(0)
        }
    };
    Ok((rows.into_iter().map(|(found, cursor, _)| (found, cursor)).collect(), total))
}

/// Whose sections are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Among {
    pub only: Option<IntentId>,
    pub not: Option<IntentId>,
}

/// Sections of documents that have words of a text, those with most of them first: at least `least` different ones, at most `per_build` of one build.
pub async fn documents_like(
    conn: &mut PgConnection,
    text: &str,
    among: Among,
    (least, per_build, limit): (u32, u32, u32),
) -> StoreResult<Vec<Passage>> {
    sqlx::query(
        "WITH words AS (
            SELECT ARRAY(SELECT word FROM unnest(tsvector_to_array(to_tsvector('english', translate($1, '/', ' ')))) AS word WHERE word ~ '^[[:alnum:]]+$' LIMIT 400) AS words
         ), asked AS (
            SELECT words, array_to_string(ARRAY(SELECT quote_literal(word) FROM unnest(words) AS word), ' | ')::tsquery AS any_word FROM words
         ), candidates AS (
            SELECT version_id, position, document_id, intent_id, path, document_versions.title, level, heading, anchor, sections.text,
                   ts_rank(sections.search, any_word, 1) AS rank,
                   cardinality(ARRAY(SELECT unnest(tsvector_to_array(sections.search)) INTERSECT SELECT unnest(words))) AS common
              FROM document_sections AS sections JOIN document_versions ON document_versions.id = version_id JOIN documents ON documents.id = document_id, asked
             WHERE current AND sections.search @@ any_word AND sections.text <> '' AND intent_id IS DISTINCT FROM $2 AND ($8::bigint IS NULL OR intent_id = $8)
             ORDER BY ts_rank(sections.search, any_word, 1) DESC, version_id, position LIMIT $3
         ), placed AS (
            SELECT *, row_number() OVER (PARTITION BY intent_id ORDER BY common DESC, rank DESC, version_id, position) AS place FROM candidates WHERE common >= $4
         )
         SELECT document_id, intent_id, intents.title AS build, path, placed.title, level, heading, anchor, left(text, $5) AS text
           FROM placed JOIN intents ON intents.id = intent_id WHERE place <= $6
          ORDER BY common DESC, rank DESC, version_id, position LIMIT $7",
    )
    .bind(plain(text))
    .bind(among.not.map(|intent| intent.0))
    .bind(CANDIDATES)
    .bind(i64::from(least))
    .bind(PASSAGE)
    .bind(i64::from(per_build))
    .bind(i64::from(limit))
    .bind(among.only.map(|intent| intent.0))
    .try_map(|row: PgRow| {
        Ok(Passage {
            document_id: DocumentId(row.big("document_id")?),
            intent_id: IntentId(row.big("intent_id")?),
            build: row.text("build")?,
            path: row.text("path")?,
            title: row.text("title")?,
            section: heading(&row)?,
            text: row.text("text")?,
        })
    })
    .fetch_all(conn)
    .await
    .during("documents_like")
}

fn found(row: &PgRow) -> Decoded<FoundDocument> {
    Ok(FoundDocument {
        document_id: DocumentId(row.big("document_id")?),
        intent_id: IntentId(row.big("intent_id")?),
        build: row.text("build")?,
        path: row.text("path")?,
        title: row.text("title")?,
        section: heading(row)?,
        passage: pieces(&row.text_option("passage")?.unwrap_or_default()),
        at: row.at("at")?,
    })
}

fn cursor(kind: char, place: u64, id: DocumentId) -> String {
    format!("{kind}{place:x}-{}", id.0)
}

fn parse(cursor: &str, kind: char) -> Option<(u64, i64)> {
    let (place, id) = cursor.strip_prefix(kind)?.split_once('-')?;
    Some((u64::from_str_radix(place, 16).ok()?, id.parse().ok()?))
}
