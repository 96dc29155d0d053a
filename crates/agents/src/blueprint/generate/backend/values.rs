//! Values that a field takes and values that it refuses, as the tests of a generated service write them.

use grace_domain::spec::{Field, FieldKind};

use super::{
    super::text,
    view::{EnumView, FieldView, InvalidView, LinkView},
};

/// One value per field and link that the service must refuse, as Python expressions.
pub fn invalid(fields: &[FieldView], links: &[LinkView]) -> Vec<InvalidView> {
    let of_fields = fields.iter().filter_map(|field| {
        let value = match field.kind {
            "string" | "text" => "\"\"",
            "integer" => "\"many\"",
            "decimal" => "\"12.345\"",
            "boolean" => "\"perhaps\"",
            "date" => "\"2024-02-30\"",
            "date_time" => "\"2024-01-01T10:00:00\"",
            "email" => "\"nobody\"",
            "url" => "\"javascript:alert(1)\"",
            "enum" => "\"Nonsense\"",
            _ => return None,
        };
        Some(InvalidView { field: field.name.clone(), value: value.into() })
    });
    of_fields.chain(links.iter().map(|link| InvalidView { field: link.column.clone(), value: "999_999".into() })).collect()
}

/// Two valid values of a field as Python expressions; of a unique field the first differs from call to call.
pub fn samples(field: &Field, choice: Option<&EnumView>) -> (String, String) {
    let words = text::sentence(&field.name);
    let quoted = |value: &str| text::python_string(value);
    match &field.kind {
        FieldKind::String { max } if *max as usize >= words.len() + 8 => {
            (format!("f\"{words} {{number}}\""), quoted(&format!("Other {}", words.to_lowercase())))
        }
        FieldKind::String { max } if *max >= 3 => ("f\"{number}\"".into(), quoted("new")),
        FieldKind::String { .. } => ("f\"{number % 10}\"".into(), quoted("n")),
        FieldKind::Text => (format!("f\"{words} {{number}}\""), quoted(&format!("Other {}", words.to_lowercase()))),
        FieldKind::Integer => ("number".into(), "4_242".into()),
        FieldKind::Decimal => ("f\"{number}.50\"".into(), quoted("4242.10")),
        FieldKind::Boolean => ("True".into(), "False".into()),
        FieldKind::Date if field.unique => ("str(date(2024, 1, 1) + timedelta(days=number))".into(), quoted("2031-12-24")),
        FieldKind::Date => (quoted("2030-01-02"), quoted("2031-12-24")),
        FieldKind::DateTime => ("f\"2030-01-02T10:{number // 60 % 60:02}:{number % 60:02}Z\"".into(), quoted("2031-12-24T18:30:00Z")),
        FieldKind::Email => ("f\"person{number}@example.com\"".into(), quoted("other@example.com")),
        FieldKind::Url => ("f\"https://example.com/{number}\"".into(), quoted("https://example.com/other")),
        FieldKind::Enum { .. } => {
            let value = |index: usize| choice.and_then(|choice| choice.members.get(index)).map_or_else(String::new, |(_, value)| quoted(value));
            (value(0), value(1))
        }
    }
}
