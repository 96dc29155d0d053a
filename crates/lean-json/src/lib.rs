//! Reads types from a JSON value with little code: structs from objects alone, and no word about what does not fit.
//!
//! A derived type can read itself by position as well as by name, and by position it needs no comparison of names and no set of half-read fields. So
//! the fields are looked up here, once for all types, and handed over in the type's own order; variants are handed over by number. serde_json
//! brings both ways for each type, and words each error with the type's names. Only for what our own server wrote, and for types without aliases: these
//! would shift the order.

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Value, map, value::Number};

/// The value is not what the type needs.
#[derive(Debug)]
pub struct Unfit;

/// Reads `value`.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Unfit> {
    T::deserialize(Lean(value))
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("does not fit")
    }
}

impl std::error::Error for Unfit {}

impl serde::de::Error for Unfit {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }

    fn invalid_type(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }

    fn invalid_value(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }

    fn invalid_length(_: usize, _: &dyn serde::de::Expected) -> Self {
        Self
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

struct Lean(Value);

fn number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Unfit> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().ok_or(Unfit)?)
    }
}

macro_rules! all {
    ($pattern:pat => $visitor:ident, $visit:expr, for $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Unfit> {
            match self.0 {
                $pattern => $visit,
                _ => Err(Unfit),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Lean {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(value) => number(&value, visitor),
            Value::String(value) => visitor.visit_string(value),
            Value::Array(values) => visitor.visit_seq(Items(values.into_iter())),
            Value::Object(fields) => visitor.visit_map(Fields::of(fields)),
        }
    }

    all!(Value::Bool(value) => visitor, visitor.visit_bool(value), for deserialize_bool);
    all!(Value::Number(value) => visitor, number(&value, visitor), for deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64);
    all!(Value::String(value) => visitor, visitor.visit_string(value), for deserialize_char deserialize_string deserialize_bytes deserialize_byte_buf);
    all!(Value::String(value) => visitor, visitor.visit_str(&value), for deserialize_str);
    all!(Value::Array(values) => visitor, visitor.visit_seq(Items(values.into_iter())), for deserialize_seq);
    all!(Value::Object(fields) => visitor, visitor.visit_map(Fields::of(fields)), for deserialize_map);
    all!(Value::Null => visitor, visitor.visit_unit(), for deserialize_unit);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, names: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Value::Object(fields) => visitor.visit_seq(Ordered { fields, names: names.iter() }),
            _ => Err(Unfit),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, names: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_enum(choice(self.0, names)?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        self.0.next().map(|value| seed.deserialize(Lean(value))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Fields {
    rest: map::IntoIter,
    value: Value,
}

impl Fields {
    fn of(fields: map::Map<String, Value>) -> Self {
        Self { rest: fields.into_iter(), value: Value::Null }
    }
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Unfit;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = value;
        seed.deserialize(Lean(Value::String(key))).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Unfit> {
        seed.deserialize(Lean(self.value.take()))
    }
}

/// The fields of a struct in the order of its type.
struct Ordered {
    fields: map::Map<String, Value>,
    names: std::slice::Iter<'static, &'static str>,
}

impl<'de> SeqAccess<'de> for Ordered {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        let Some(name) = self.names.next() else { return Ok(None) };
        let value = self.fields.remove(*name);
        let given = value.is_some();
        match seed.deserialize(Lean(value.unwrap_or(Value::Null))) {
            Ok(value) => Ok(Some(value)),
            // What is not there and is no `Option` has a default, or the type refuses.
            Err(Unfit) if !given => Ok(None),
            Err(Unfit) => Err(Unfit),
        }
    }
}

/// A variant's number and what it holds.
struct Choice(u64, Option<Value>);

fn choice(value: Value, names: &'static [&'static str]) -> Result<Choice, Unfit> {
    let (name, content) = match value {
        Value::String(name) => (name, None),
        Value::Object(fields) => fields.into_iter().next().map(|(name, content)| (name, Some(content))).ok_or(Unfit)?,
        _ => return Err(Unfit),
    };
    let number = names.iter().position(|known| *known == name).ok_or(Unfit)?;
    Ok(Choice(number as u64, content))
}

impl<'de> EnumAccess<'de> for Choice {
    type Error = Unfit;
    type Variant = Held;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Held), Unfit> {
        Ok((seed.deserialize(serde::de::value::U64Deserializer::new(self.0))?, Held(self.1)))
    }
}

/// What a variant holds.
struct Held(Option<Value>);

impl<'de> VariantAccess<'de> for Held {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        self.0.is_none().then_some(()).ok_or(Unfit)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        seed.deserialize(Lean(self.0.ok_or(Unfit)?))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        Lean(self.0.ok_or(Unfit)?).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        Lean(self.0.ok_or(Unfit)?).deserialize_struct("", names, visitor)
    }
}
